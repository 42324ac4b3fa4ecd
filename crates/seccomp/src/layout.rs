//! Lays a decision graph out as instructions.
//!
//! The program is written from its end: what a node leads to is already there, and each jump's length is
//! known when the jump is written. A test can skip at most 255 instructions; where its target is further
//! away, a landing is put right behind the test: the `return` itself, or a jump without that limit. Later
//! tests use the landing nearest to them.

use crate::Error;
use crate::graph::{Graph, Id, Node, Test};
use crate::instruction::{Instruction, MAX_INSTRUCTIONS, code};

/// The instructions of everything that can be reached from `root`.
pub(crate) fn instructions(graph: &Graph, root: Id) -> Result<Vec<Instruction>, Error> {
    let mut program = Program { reversed: Vec::new(), landings: vec![usize::MAX; graph.len()] };
    for id in children_first(graph, root) {
        program.write(graph, id);
        if program.reversed.len() > MAX_INSTRUCTIONS {
            return Err(Error::TooLong { instructions: program.reversed.len(), limit: MAX_INSTRUCTIONS });
        }
    }
    program.reversed.reverse();
    Ok(program.reversed)
}

/// Every node that can be reached, each behind those it leads to, `root` last. A loop and not a recursion:
/// a chain of alternatives can be thousands of nodes deep.
fn children_first(graph: &Graph, root: Id) -> Vec<Id> {
    enum Step {
        Enter(Id),
        Leave(Id),
    }
    let mut order = Vec::with_capacity(graph.len());
    let mut entered = vec![false; graph.len()];
    let mut steps = vec![Step::Enter(root)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Leave(id) => order.push(id),
            Step::Enter(id) if !std::mem::replace(&mut entered[Graph::place(id)], true) => {
                steps.push(Step::Leave(id));
                match graph.node(id) {
                    Node::Return(_) => {}
                    Node::Load { next, .. } | Node::Mask { next, .. } => steps.push(Step::Enter(next)),
                    Node::Test { yes, no, .. } => steps.extend([Step::Enter(no), Step::Enter(yes)]),
                }
            }
            Step::Enter(_) => {}
        }
    }
    order
}

/// A program whose last instruction comes first.
struct Program {
    reversed: Vec<Instruction>,
    /// For each node the index in `reversed` nearest to the program's beginning from which it goes on.
    landings: Vec<usize>,
}

impl Program {
    fn write(&mut self, graph: &Graph, id: Id) {
        let instruction = match graph.node(id) {
            Node::Return(value) => Instruction::plain(code::RETURN, value),
            Node::Load { offset, next } => {
                self.put_next(graph, next);
                Instruction::plain(code::LOAD, offset)
            }
            Node::Mask { mask, next } => {
                self.put_next(graph, next);
                Instruction::plain(code::AND, mask)
            }
            Node::Test { test, yes, no } => self.test(graph, test, yes, no),
        };
        self.push(id, instruction);
    }

    fn push(&mut self, id: Id, instruction: Instruction) {
        self.landings[Graph::place(id)] = self.reversed.len();
        self.reversed.push(instruction);
    }

    /// How many instructions the next one must skip to go on at `id`.
    fn distance(&self, id: Id) -> usize {
        self.reversed.len() - 1 - self.landings[Graph::place(id)]
    }

    /// Makes `id` the instruction that follows the next one.
    fn put_next(&mut self, graph: &Graph, id: Id) {
        if self.distance(id) > 0 {
            self.land(graph, id);
        }
    }

    fn land(&mut self, graph: &Graph, id: Id) {
        let instruction = match graph.node(id) {
            Node::Return(value) => Instruction::plain(code::RETURN, value),
            #[expect(clippy::cast_possible_truncation, reason = "a program has at most 4096 instructions")]
            _ => Instruction::plain(code::JUMP, self.distance(id) as u32),
        };
        self.push(id, instruction);
    }

    fn test(&mut self, graph: &Graph, test: Test, yes: Id, no: Id) -> Instruction {
        let (code, k) = match test {
            Test::Equal(value) => (code::EQUAL, value),
            Test::Greater(value) => (code::GREATER, value),
            Test::AtLeast(value) => (code::AT_LEAST, value),
            Test::AnyOf(mask) => (code::ANY_OF, mask),
        };
        loop {
            match (u8::try_from(self.distance(yes)), u8::try_from(self.distance(no))) {
                (Ok(jt), Ok(jf)) => return Instruction { code, jt, jf, k },
                (Err(_), _) => self.land(graph, yes),
                (_, Err(_)) => self.land(graph, no),
            }
        }
    }
}
