//! Runs a filter as the kernel would, to say what it answers to a system call and in how many steps.
//!
//! Only the operations that seccomp compilers emit are known (this crate's, libseccomp's, runc's); the
//! others that the kernel allows (the index register, the scratch memory, arithmetic) are a [`Fault`].
//!
//! Source: kernel, Documentation/networking/filter.rst

use crate::arch::ByteOrder;
use crate::instruction::{Instruction, code};

/// `struct seccomp_data`: what a filter sees of a system call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Data {
    /// Number, as the ABI has it.
    pub nr: u32,
    /// `AUDIT_ARCH_*`
    pub arch: u32,
    /// Where the system call instruction is.
    pub instruction_pointer: u64,
    /// Arguments; the high halves are 0 on a 32-bit ABI.
    pub args: [u64; 6],
}

/// What a filter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// `SECCOMP_RET_*` with its data.
    pub returns: u32,
    /// Instructions that were executed.
    pub steps: usize,
}

/// Why a program cannot be run. The kernel refuses to load such a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An operation that this interpreter does not know.
    #[error("run a filter: instruction {at} has the unknown operation {code:#x}")]
    UnknownOperation {
        /// Index of the instruction.
        at: usize,
        /// Its operation.
        code: u16,
    },
    /// A load of something that is no word of `struct seccomp_data`.
    #[error("run a filter: instruction {at} loads offset {offset}, which is no word of seccomp_data")]
    BadOffset {
        /// Index of the instruction.
        at: usize,
        /// The offset, in bytes.
        offset: u32,
    },
    /// A jump behind the last instruction.
    #[error("run a filter: the end is reached without a return")]
    NoReturn,
}

/// The answer of `program` to `data`, on a machine of byte order `order`.
///
/// # Errors
/// A [`Fault`] if the program is not one that [`compile`](crate::compile) or libseccomp could have made. A
/// program without a fault always ends: jumps only lead forward.
pub fn run(program: &[Instruction], data: &Data, order: ByteOrder) -> Result<Answer, Fault> {
    let (mut at, mut accumulator, mut steps) = (0_usize, 0_u32, 0);
    loop {
        let instruction = program.get(at).ok_or(Fault::NoReturn)?;
        let Instruction { code, jt, jf, k } = *instruction;
        steps += 1;
        let skip = match code {
            code::LOAD => {
                accumulator = data.word(k, order).ok_or(Fault::BadOffset { at, offset: k })?;
                0
            }
            code::AND => {
                accumulator &= k;
                0
            }
            code::JUMP => k,
            code::EQUAL => choose(accumulator == k, jt, jf),
            code::GREATER => choose(accumulator > k, jt, jf),
            code::AT_LEAST => choose(accumulator >= k, jt, jf),
            code::ANY_OF => choose(accumulator & k != 0, jt, jf),
            code::RETURN => return Ok(Answer { returns: k, steps }),
            code => return Err(Fault::UnknownOperation { at, code }),
        };
        at = at.saturating_add(1).saturating_add(skip as usize);
    }
}

fn choose(holds: bool, jt: u8, jf: u8) -> u32 {
    u32::from(if holds { jt } else { jf })
}

impl Data {
    /// The 32-bit word at `offset`, as the kernel's `BPF_LD | BPF_W | BPF_ABS` reads it.
    #[expect(clippy::cast_possible_truncation, reason = "cutting 64-bit fields into their halves")]
    fn word(&self, offset: u32, order: ByteOrder) -> Option<u32> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        let wide = match offset {
            0 => return Some(self.nr),
            4 => return Some(self.arch),
            8 | 12 => self.instruction_pointer,
            _ => *self.args.get((offset as usize - 16) / 8)?,
        };
        let second = offset % 8 == 4;
        let high = second == (order == ByteOrder::Little);
        Some(if high { (wide >> 32) as u32 } else { wide as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Data {
        Data {
            nr: 1,
            arch: 2,
            instruction_pointer: 0x4_0000_0003,
            args: [0x6_0000_0005, 0, 0, 0, 0, 0xf_0000_000e],
        }
    }

    #[test]
    fn words_lie_as_in_struct_seccomp_data() {
        let rows =
            [(0, 1, 1), (4, 2, 2), (8, 3, 4), (12, 4, 3), (16, 5, 6), (20, 6, 5), (56, 14, 15), (60, 15, 14)];
        for (offset, little, big) in rows {
            assert_eq!(data().word(offset, ByteOrder::Little), Some(little), "{offset}");
            assert_eq!(data().word(offset, ByteOrder::Big), Some(big), "{offset}");
        }
        for offset in [1, 2, 3, 18, 64, u32::MAX] {
            assert_eq!(data().word(offset, ByteOrder::Little), None, "{offset}");
        }
    }

    #[test]
    fn a_program_that_the_kernel_refuses_is_a_fault() {
        let run = |program: &[Instruction]| run(program, &data(), ByteOrder::Little);
        assert_eq!(run(&[]), Err(Fault::NoReturn));
        assert_eq!(run(&[Instruction::plain(code::JUMP, u32::MAX)]), Err(Fault::NoReturn));
        assert_eq!(run(&[Instruction::plain(code::LOAD, 64)]), Err(Fault::BadOffset { at: 0, offset: 64 }));
        assert_eq!(run(&[Instruction::plain(0x87, 0)]), Err(Fault::UnknownOperation { at: 0, code: 0x87 }));
    }

    #[test]
    fn steps_are_counted() {
        let load = Instruction::plain(code::LOAD, 0);
        let test = Instruction { code: code::EQUAL, jt: 1, jf: 0, k: 1 };
        let program = [load, test, Instruction::plain(code::RETURN, 0), Instruction::plain(code::RETURN, 7)];
        assert_eq!(run(&program, &data(), ByteOrder::Little), Ok(Answer { returns: 7, steps: 3 }));
    }
}
