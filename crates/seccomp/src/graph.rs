//! A filter as a graph of decisions, before it is laid out as instructions.
//!
//! Equal nodes are the same node, so that common endings are shared. A node is made after those it leads to,
//! hence there are no cycles and a higher id never follows from a lower one.
//!
//! **Invariant**: an edge that leaves the accumulator holding a word never leads to a load of that word;
//! [`Graph::word`] takes the load away.

use std::collections::HashMap;

/// A node of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(usize);

/// One decision. Loads and masks act on the accumulator, tests look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    /// Ends with this value.
    Return(u32),
    /// Puts the 32-bit word at this offset of `struct seccomp_data` into the accumulator.
    Load { offset: u32, next: Id },
    /// Keeps only the bits of `mask`.
    Mask { mask: u32, next: Id },
    /// Chooses.
    Test { test: Test, yes: Id, no: Id },
}

/// A comparison of the accumulator, always without sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// accumulator == value
    Equal(u32),
    /// accumulator > value
    Greater(u32),
    /// accumulator >= value
    AtLeast(u32),
    /// accumulator & mask != 0
    AnyOf(u32),
}

/// A question about one word of `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) offset: u32,
    /// Bits that count.
    pub(crate) mask: u32,
    /// Never [`Test::AnyOf`].
    pub(crate) test: Test,
}

/// A question with its answer, known at some place of the graph.
pub(crate) type Fact = (Question, bool);

/// The nodes, each once.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    ids: HashMap<Node, Id>,
}

impl Graph {
    pub(crate) fn node(&self, id: Id) -> Node {
        self.nodes[id.0]
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The place of a node, below [`Graph::len`].
    pub(crate) fn place(id: Id) -> usize {
        id.0
    }

    fn intern(&mut self, node: Node) -> Id {
        let next = Id(self.nodes.len());
        *self.ids.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            next
        })
    }

    /// Ends with `value`.
    pub(crate) fn returns(&mut self, value: u32) -> Id {
        self.intern(Node::Return(value))
    }

    /// Loads a word; leaves that out where nothing looks at it.
    pub(crate) fn load(&mut self, offset: u32, next: Id) -> Id {
        match self.node(next) {
            Node::Return(_) | Node::Load { .. } => next,
            Node::Mask { .. } | Node::Test { .. } => self.intern(Node::Load { offset, next }),
        }
    }

    /// Tests the accumulator as it is.
    pub(crate) fn test(&mut self, test: Test, yes: Id, no: Id) -> Id {
        if yes == no { yes } else { self.intern(Node::Test { test, yes, no }) }
    }

    /// Asks `question` from scratch: loads the word, masks it, tests it.
    pub(crate) fn ask(&mut self, question: Question, yes: Id, no: Id) -> Id {
        let Question { offset, mask, test } = question;
        if let Some(answer) = question.obvious() {
            return if answer { yes } else { no };
        }
        let tested = match test {
            _ if mask == u32::MAX => self.test_word(offset, test, yes, no),
            Test::Equal(0) => self.test_word(offset, Test::AnyOf(mask), no, yes),
            Test::Equal(bit) if bit == mask && bit.is_power_of_two() => {
                self.test_word(offset, Test::AnyOf(mask), yes, no)
            }
            _ => {
                let next = self.test(test, yes, no);
                if yes == no { next } else { self.intern(Node::Mask { mask, next }) }
            }
        };
        self.load(offset, tested)
    }

    /// A test that leaves the word in the accumulator for what follows.
    fn test_word(&mut self, offset: u32, test: Test, yes: Id, no: Id) -> Id {
        let (yes, no) = (self.word(offset, yes), self.word(offset, no));
        self.test(test, yes, no)
    }

    /// Where `id` leads if the accumulator already holds the word at `offset`.
    fn word(&self, offset: u32, id: Id) -> Id {
        match self.node(id) {
            Node::Load { offset: loaded, next } if loaded == offset => next,
            _ => id,
        }
    }

    /// Where `id`, a place that assumes nothing of the accumulator, leads under `facts`.
    pub(crate) fn settle(&mut self, mut id: Id, facts: &[Fact]) -> Id {
        while let Some((question, yes, no)) = self.question(id) {
            let Some(answer) = facts.iter().find_map(|fact| question.follows_from(fact)) else { break };
            id = self.load(question.offset, if answer { yes } else { no });
        }
        id
    }

    /// The question that is asked at `id`, if one is asked from scratch there.
    fn question(&self, id: Id) -> Option<(Question, Id, Id)> {
        let Node::Load { offset, next } = self.node(id) else { return None };
        let (mask, tested) = match self.node(next) {
            Node::Mask { mask, next } => (mask, next),
            _ => (u32::MAX, next),
        };
        let Node::Test { test, yes, no } = self.node(tested) else { return None };
        match test {
            Test::AnyOf(mask) => Some((Question { offset, mask, test: Test::Equal(0) }, no, yes)),
            _ => Some((Question { offset, mask, test }, yes, no)),
        }
    }
}

impl Question {
    /// The answer, where it is the same for every word.
    fn obvious(self) -> Option<bool> {
        match self.test {
            Test::Equal(value) if value & !self.mask != 0 => Some(false),
            Test::Equal(_) if self.mask == 0 => Some(true),
            Test::Greater(u32::MAX) => Some(false),
            Test::AtLeast(0) => Some(true),
            _ => None,
        }
    }

    /// The answer that `fact` forces, if it does.
    fn follows_from(self, fact: &Fact) -> Option<bool> {
        let (known, answer) = *fact;
        if known.offset != self.offset {
            return None;
        }
        if known.mask == self.mask && known.test == self.test {
            return Some(answer);
        }
        if let (Test::Equal(value), true) = (known.test, answer) {
            return (known.mask & self.mask == self.mask).then(|| self.test.holds(value & self.mask));
        }
        if known.mask != u32::MAX || self.mask != u32::MAX {
            return None;
        }
        let (low, high) = known.test.range(answer)?;
        self.test.holds_between(low, high)
    }
}

impl Test {
    /// Whether `word` passes.
    fn holds(self, word: u32) -> bool {
        match self {
            Test::Equal(value) => word == value,
            Test::Greater(value) => word > value,
            Test::AtLeast(value) => word >= value,
            Test::AnyOf(mask) => word & mask != 0,
        }
    }

    /// The words that give `answer`, if they are a range: first and last.
    fn range(self, answer: bool) -> Option<(u32, u32)> {
        match (self, answer) {
            (Test::Equal(value), true) => Some((value, value)),
            (Test::Greater(value), true) => Some((value.checked_add(1)?, u32::MAX)),
            (Test::Greater(value), false) => Some((0, value)),
            (Test::AtLeast(value), true) => Some((value, u32::MAX)),
            (Test::AtLeast(value), false) => Some((0, value.checked_sub(1)?)),
            (Test::Equal(_), false) | (Test::AnyOf(_), _) => None,
        }
    }

    /// The answer, if it is the same for all words from `low` to `high`.
    fn holds_between(self, low: u32, high: u32) -> Option<bool> {
        match self {
            Test::Equal(value) => (value < low || value > high).then_some(false),
            Test::Greater(_) | Test::AtLeast(_) => {
                (self.holds(low) == self.holds(high)).then(|| self.holds(low))
            }
            Test::AnyOf(_) => None,
        }
    }
}
