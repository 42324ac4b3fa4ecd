//! A finished filter: instructions of classic BPF, in memory and as bytes.

use crate::Error;

/// `BPF_MAXINSNS`: the longest filter the kernel accepts, in instructions.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// `struct sock_filter`, field by field. Source: `linux/filter.h`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Instruction {
    /// `BPF_*` operation.
    pub code: u16,
    /// Instructions to skip if a test holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Operations that filters are made of. Source: `linux/bpf_common.h`
pub(crate) mod code {
    pub(crate) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    pub(crate) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    pub(crate) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
    pub(crate) const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    pub(crate) const GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
    pub(crate) const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    pub(crate) const ANY_OF: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
    pub(crate) const RETURN: u16 = 0x06; // BPF_RET | BPF_K
}

impl Instruction {
    /// An instruction that does not choose.
    pub(crate) fn plain(code: u16, k: u32) -> Self {
        Instruction { code, jt: 0, jf: 0, k }
    }

    /// The 8 bytes of `struct sock_filter`, in the machine's byte order.
    pub fn to_bytes(self) -> [u8; 8] {
        let [code0, code1] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.k.to_ne_bytes();
        [code0, code1, self.jt, self.jf, k0, k1, k2, k3]
    }

    /// The inverse of [`Instruction::to_bytes`].
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [code0, code1, jt, jf, k0, k1, k2, k3] = bytes;
        let (code, k) = (u16::from_ne_bytes([code0, code1]), u32::from_ne_bytes([k0, k1, k2, k3]));
        Instruction { code, jt, jf, k }
    }
}

/// The bytes of a whole filter, `struct sock_filter[]`.
pub fn to_bytes(instructions: &[Instruction]) -> Vec<u8> {
    instructions.iter().flat_map(|instruction| instruction.to_bytes()).collect()
}

/// Reads what [`to_bytes`] has written. Whether the operations make sense is for the kernel to say.
///
/// # Errors
/// [`Error::Truncated`] if the length is not that of 1 to 4096 instructions.
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<Instruction>, Error> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || chunks.is_empty() || chunks.len() > MAX_INSTRUCTIONS {
        return Err(Error::Truncated { length: bytes.len() });
    }
    Ok(chunks.iter().copied().map(Instruction::from_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_struct_sock_filter() {
        let instruction = Instruction { code: 0x15, jt: 1, jf: 2, k: 0xc000_003e };
        let bytes = instruction.to_bytes();
        assert_eq!(Instruction::from_bytes(bytes), instruction);
        if cfg!(target_endian = "little") {
            assert_eq!(bytes, [0x15, 0, 1, 2, 0x3e, 0, 0, 0xc0]);
        }
    }

    #[test]
    fn a_length_that_no_filter_has_is_refused() {
        for length in [0, 1, 7, 9, 8 * 4097] {
            assert_eq!(from_bytes(&vec![0; length]), Err(Error::Truncated { length }));
        }
        assert_eq!(from_bytes(&[0; 8 * 4096]).unwrap().len(), 4096);
    }
}
