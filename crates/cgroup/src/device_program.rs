//! The device rules of a v2 group as an eBPF program, written by hand.
//!
//! The program looks at the rules from the last to the first and keeps the accesses that no rule has decided yet:
//! a matching rule that allows takes its accesses off, one that denies ends with "no" if it denies one of them.
//! What is undecided at the end is denied. So for each access the last rule that matches counts.
//!
//! Source: `struct bpf_cgroup_dev_ctx` in include/uapi/linux/bpf.h; the kernel's bpf/standardization/instruction-set.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sys::bpf::{self, Instruction};

use crate::plan::devices::{self, DeviceKind, Rule};
use crate::{DeviceRule, Error, Result, file};

/// Registers: verdict, context, kind of device, undecided accesses, major, minor.
const VERDICT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const UNDECIDED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// `BPF_LDX | BPF_MEM | BPF_W`
const LOAD_WORD: u8 = 0x61;
/// `BPF_ALU | BPF_MOV | BPF_X`
const COPY: u8 = 0xbc;
/// `BPF_ALU | BPF_MOV | BPF_K`
const SET: u8 = 0xb4;
/// `BPF_ALU | BPF_AND | BPF_K`
const AND: u8 = 0x54;
/// `BPF_ALU | BPF_RSH | BPF_K`
const SHIFT_RIGHT: u8 = 0x74;
/// `BPF_JMP32 | BPF_JNE | BPF_K`
const JUMP_IF_NOT: u8 = 0x56;
/// `BPF_JMP32 | BPF_JEQ | BPF_K`
const JUMP_IF: u8 = 0x16;
/// `BPF_JMP | BPF_EXIT`
const EXIT: u8 = 0x95;

/// Device programs a group can hold. Source: `BPF_CGROUP_MAX_PROGS` in include/linux/bpf.h.
const MOST_PROGRAMS: usize = 64;

/// The program for these rules.
///
/// # Errors
/// A rule with a kind, number or access that does not exist.
pub fn device_program(rules: &[DeviceRule]) -> Result<Vec<Instruction>> {
    Ok(assemble(&devices::checked(rules)?))
}

fn assemble(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(COPY, UNDECIDED, KIND, 0, 0),
        instruction(SHIFT_RIGHT, UNDECIDED, 0, 0, 16),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        program.extend(rule_block(rule));
    }
    program.extend(answer(0));
    program
}

fn rule_block(rule: &Rule) -> Vec<Instruction> {
    let access = i32::from(rule.access);
    let decide = if rule.allow {
        [instruction(AND, UNDECIDED, 0, 0, !access), instruction(JUMP_IF_NOT, UNDECIDED, 0, 2, 0)].to_vec()
    } else {
        let overlap = instruction(COPY, VERDICT, UNDECIDED, 0, 0);
        [overlap, instruction(AND, VERDICT, 0, 0, access), instruction(JUMP_IF, VERDICT, 0, 2, 0)].to_vec()
    };
    let mut tail = decide;
    tail.extend(answer(i32::from(rule.allow)));
    let kind = match rule.kind {
        DeviceKind::Block => 1,
        DeviceKind::Character => 2,
    };
    let mut tests = vec![(KIND, kind)];
    tests.extend(rule.major.map(|major| (MAJOR, major)));
    tests.extend(rule.minor.map(|minor| (MINOR, minor)));
    let count = tests.len();
    let jump = |(at, (register, value)): (usize, (u8, u32))| {
        // Every test that fails leads behind the block, which is at most eight instructions long.
        let over = i16::try_from(count - at - 1 + tail.len()).unwrap_or(i16::MAX);
        instruction(JUMP_IF_NOT, register, 0, over, value.cast_signed())
    };
    let mut block: Vec<Instruction> = tests.into_iter().enumerate().map(jump).collect();
    block.append(&mut tail);
    block
}

fn answer(verdict: i32) -> [Instruction; 2] {
    [instruction(SET, VERDICT, 0, 0, verdict), instruction(EXIT, 0, 0, 0, 0)]
}

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset, immediate }
}

/// A program put in the place of others; keeps those for going back.
#[derive(Debug)]
pub(crate) struct Attached {
    path: PathBuf,
    group: OwnedFd,
    program: OwnedFd,
    former: Vec<OwnedFd>,
}

/// Attaches the program for these rules in the place of those attached to this very group. No rules: no change.
pub(crate) fn replace(path: &Path, rules: &[DeviceRule]) -> Result<Option<Attached>> {
    if rules.is_empty() {
        return Ok(None);
    }
    let instructions = device_program(rules)?;
    let group = file::open_directory(path)?;
    let attach = |source| Error::DeviceProgram { path: path.to_owned(), source };
    let former = attached(&group).map_err(attach)?;
    let program = bpf::load_device_program(&instructions).map_err(attach)?;
    exchange(&group, &former, &program).map_err(attach)?;
    Ok(Some(Attached { path: path.to_owned(), group, program, former }))
}

fn attached(group: &OwnedFd) -> rustix::io::Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    let count = bpf::attached_device_programs(group.as_fd(), &mut ids)?;
    ids[..count].iter().map(|id| bpf::program_by_id(*id)).collect()
}

/// One is replaced in one step; of several, the new one is attached before the others go. At no moment is
/// everything allowed.
fn exchange(group: &OwnedFd, former: &[OwnedFd], program: &OwnedFd) -> rustix::io::Result<()> {
    if let [only] = former {
        match bpf::attach_device_program(group.as_fd(), program.as_fd(), Some(only.as_fd())) {
            // Attached by somebody who did not say that it may be replaced.
            Err(Errno::INVAL | Errno::PERM) => {}
            answer => return answer,
        }
    }
    bpf::attach_device_program(group.as_fd(), program.as_fd(), None)?;
    former.iter().try_for_each(|one| bpf::detach_device_program(group.as_fd(), one.as_fd()))
}

impl Attached {
    /// Attaches the former programs again, then takes this one off.
    pub(crate) fn undo(&self) -> Result<()> {
        let again = |one: &OwnedFd| bpf::attach_device_program(self.group.as_fd(), one.as_fd(), None);
        self.former
            .iter()
            .try_for_each(again)
            .and_then(|()| bpf::detach_device_program(self.group.as_fd(), self.program.as_fd()))
            .map_err(|source| Error::DeviceProgram { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::devices::{EVERYTHING, MKNOD, READ, WRITE};

    /// A device and the accesses asked for.
    #[derive(Debug, Clone, Copy)]
    struct Request {
        kind: DeviceKind,
        major: u32,
        minor: u32,
        access: u8,
    }

    /// Runs the few instructions that the assembler emits, as the kernel would.
    fn run(program: &[Instruction], request: Request) -> bool {
        let kind = if request.kind == DeviceKind::Block { 1 } else { 2 };
        let context = [kind | u32::from(request.access) << 16, request.major, request.minor];
        let mut registers = [0_u32; 6];
        let mut at = 0;
        loop {
            let Instruction { code, registers: names, offset, immediate } = program[at];
            let (destination, source) = (usize::from(names & 15), usize::from(names >> 4));
            let constant = immediate.cast_unsigned();
            let mut jump = false;
            match code {
                LOAD_WORD => registers[destination] = context[usize::try_from(offset).unwrap() / 4],
                COPY => registers[destination] = registers[source],
                SET => registers[destination] = constant,
                AND => registers[destination] &= constant,
                SHIFT_RIGHT => registers[destination] >>= constant,
                JUMP_IF_NOT => jump = registers[destination] != constant,
                JUMP_IF => jump = registers[destination] == constant,
                EXIT => return registers[0] == 1,
                other => panic!("{other:#x} is not emitted"),
            }
            at += 1 + if jump { usize::try_from(offset).unwrap() } else { 0 };
        }
    }

    /// The meaning of the rules: for each access the last rule that matches counts.
    fn meaning(rules: &[Rule], request: Request) -> bool {
        let matches = |rule: &Rule| {
            rule.kind == request.kind
                && rule.major.is_none_or(|major| major == request.major)
                && rule.minor.is_none_or(|minor| minor == request.minor)
        };
        [READ, WRITE, MKNOD].into_iter().filter(|bit| request.access & bit != 0).all(|bit| {
            let last = rules.iter().rev().find(|rule| matches(rule) && rule.access & bit != 0);
            last.is_some_and(|rule| rule.allow)
        })
    }

    fn kind() -> impl Strategy<Value = DeviceKind> {
        prop_oneof![Just(DeviceKind::Block), Just(DeviceKind::Character)]
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let number = || prop::option::of(prop_oneof![0_u32..3, Just(u32::MAX)]);
        (any::<bool>(), kind(), number(), number(), 1..=EVERYTHING)
            .prop_map(|(allow, kind, major, minor, access)| Rule { allow, kind, major, minor, access })
    }

    fn request() -> impl Strategy<Value = Request> {
        let number = || prop_oneof![0_u32..3, Just(u32::MAX)];
        (kind(), number(), number(), 1..=EVERYTHING).prop_map(|(kind, major, minor, access)| Request {
            kind,
            major,
            minor,
            access,
        })
    }

    proptest! {
        #[test]
        fn the_program_says_what_the_rules_mean(
            rules in prop::collection::vec(rule(), 0..8),
            requests in prop::collection::vec(request(), 20),
        ) {
            let program = assemble(&rules);
            for request in requests {
                prop_assert_eq!(run(&program, request), meaning(&rules, request), "{:?}", request);
            }
        }
    }

    #[test]
    fn no_rule_means_no_device() {
        let request = Request { kind: DeviceKind::Character, major: 1, minor: 3, access: READ };
        assert!(!run(&assemble(&[]), request));
    }
}
