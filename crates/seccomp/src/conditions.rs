//! A rule's conditions as decisions: 64-bit comparisons made of comparisons of 32-bit halves.
//!
//! Where a comparison fails, what it has shown is used at once: the next alternative starts behind its
//! questions that are answered already. A list of values for one argument thus costs one question each.

use crate::arch::{ByteOrder, Width};
use crate::graph::{Fact, Graph, Id, Question, Test};
use crate::profile::Operator;
use crate::rules::{Condition, Rule};

/// Where the halves of arguments lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) width: Width,
    pub(crate) order: ByteOrder,
}

/// Offset of `args` in `struct seccomp_data`, behind `nr`, `arch` and `instruction_pointer`.
const ARGS: u32 = 16;

/// Decides by the first of `rules` that holds; by `default` if none does.
pub(crate) fn first_of(graph: &mut Graph, layout: Layout, rules: &[Rule], default: Id) -> Id {
    rules.iter().rev().fold(default, |otherwise, rule| one(graph, layout, rule, otherwise))
}

/// Goes on at `otherwise` unless all conditions of `rule` hold.
fn one(graph: &mut Graph, layout: Layout, rule: &Rule, otherwise: Id) -> Id {
    let mut then = graph.returns(rule.returns);
    for (position, condition) in rule.conditions.iter().enumerate().rev() {
        let facts: Vec<Fact> =
            rule.conditions[..position].iter().flat_map(|one| layout.implied(one)).collect();
        let comparison = Comparison { facts, then, otherwise };
        then = comparison.build(graph, layout.halves(condition));
    }
    then
}

/// A condition cut into halves; no high one on a 32-bit ABI.
#[derive(Debug, Clone, Copy)]
struct Halves {
    operator: Operator,
    high: Option<Half>,
    low: Half,
}

#[derive(Debug, Clone, Copy)]
struct Half {
    offset: u32,
    mask: u32,
    value: u32,
}

impl Half {
    fn question(self, test: Test) -> Question {
        Question { offset: self.offset, mask: self.mask, test }
    }

    fn equal(self) -> Question {
        self.question(Test::Equal(self.value))
    }
}

impl Layout {
    #[expect(clippy::cast_possible_truncation, reason = "cutting a 64-bit value into its halves")]
    fn halves(self, condition: &Condition) -> Halves {
        let start = ARGS + 8 * condition.index;
        let (low_at, high_at) = match self.order {
            ByteOrder::Little => (start, start + 4),
            ByteOrder::Big => (start + 4, start),
        };
        let Condition { mask, value, operator, .. } = *condition;
        let high = Half { offset: high_at, mask: (mask >> 32) as u32, value: (value >> 32) as u32 };
        let low = Half { offset: low_at, mask: mask as u32, value: value as u32 };
        Halves { operator, high: (self.width == Width::Bits64).then_some(high), low }
    }

    /// What is known of the halves once `condition` holds.
    fn implied(self, condition: &Condition) -> Vec<Fact> {
        let halves = self.halves(condition);
        match halves.operator {
            Operator::Equal | Operator::MaskedEqual => {
                halves.high.iter().chain([&halves.low]).map(|half| (half.equal(), true)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// One comparison on its way into the graph.
struct Comparison {
    /// What is known before it.
    facts: Vec<Fact>,
    then: Id,
    otherwise: Id,
}

impl Comparison {
    fn build(mut self, graph: &mut Graph, halves: Halves) -> Id {
        let low = halves.low;
        let greater = low.question(Test::Greater(low.value));
        let at_least = low.question(Test::AtLeast(low.value));
        match halves.operator {
            Operator::Equal | Operator::MaskedEqual => self.equal(graph, halves),
            Operator::Greater => self.greater(graph, halves, greater),
            Operator::GreaterOrEqual => self.greater(graph, halves, at_least),
            Operator::NotEqual | Operator::Less | Operator::LessOrEqual => {
                std::mem::swap(&mut self.then, &mut self.otherwise);
                match halves.operator {
                    Operator::Less => self.greater(graph, halves, at_least),
                    Operator::LessOrEqual => self.greater(graph, halves, greater),
                    _ => self.equal(graph, halves),
                }
            }
        }
    }

    /// high == H && low == L
    fn equal(mut self, graph: &mut Graph, halves: Halves) -> Id {
        let Some(high) = halves.high else { return self.ask(graph, halves.low.equal()) };
        let unequal = self.end(graph, self.otherwise, (high.equal(), false));
        self.facts.push((high.equal(), true));
        let low = self.ask(graph, halves.low.equal());
        graph.ask(high.equal(), low, unequal)
    }

    /// high == H ? low > L : high > H
    fn greater(mut self, graph: &mut Graph, halves: Halves, low: Question) -> Id {
        let Some(high) = halves.high else { return self.ask(graph, low) };
        self.facts.push((high.equal(), false));
        let above = match high.value {
            0 => self.end(graph, self.then, (high.question(Test::Greater(0)), true)),
            value => self.ask(graph, high.question(Test::Greater(value))),
        };
        self.facts.pop();
        self.facts.push((high.equal(), true));
        let low = self.ask(graph, low);
        graph.ask(high.equal(), low, above)
    }

    /// Asks, and skips what the answer makes superfluous on either side.
    fn ask(&self, graph: &mut Graph, question: Question) -> Id {
        let yes = self.end(graph, self.then, (question, true));
        let no = self.end(graph, self.otherwise, (question, false));
        graph.ask(question, yes, no)
    }

    fn end(&self, graph: &mut Graph, id: Id, fact: Fact) -> Id {
        let facts: Vec<Fact> = self.facts.iter().copied().chain([fact]).collect();
        graph.settle(id, &facts)
    }
}
