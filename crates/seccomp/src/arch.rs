//! The architectures a profile can name, and what a filter must know of each ABI.

use serde::{Deserialize, Serialize};

use crate::syscalls::Column;

/// An architecture, or more precisely a system call ABI, by its name in `linux.seccomp.architectures`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the variants are the architectures' own names")]
pub enum Arch {
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X86_64,
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    #[serde(rename = "SCMP_ARCH_MIPS")]
    Mips,
    #[serde(rename = "SCMP_ARCH_MIPS64")]
    Mips64,
    #[serde(rename = "SCMP_ARCH_MIPS64N32")]
    Mips64N32,
    #[serde(rename = "SCMP_ARCH_MIPSEL")]
    Mipsel,
    #[serde(rename = "SCMP_ARCH_MIPSEL64")]
    Mipsel64,
    #[serde(rename = "SCMP_ARCH_MIPSEL64N32")]
    Mipsel64N32,
    #[serde(rename = "SCMP_ARCH_PPC")]
    Ppc,
    #[serde(rename = "SCMP_ARCH_PPC64")]
    Ppc64,
    #[serde(rename = "SCMP_ARCH_PPC64LE")]
    Ppc64le,
    #[serde(rename = "SCMP_ARCH_S390")]
    S390,
    #[serde(rename = "SCMP_ARCH_S390X")]
    S390x,
    #[serde(rename = "SCMP_ARCH_RISCV64")]
    Riscv64,
    #[serde(rename = "SCMP_ARCH_LOONGARCH64")]
    Loongarch64,
}

/// Width of a register, and with it of a system call's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Bits32,
    Bits64,
}

impl Width {
    /// The bits of an argument that exist.
    pub(crate) const fn all(self) -> u64 {
        match self {
            Width::Bits32 => u32::MAX as u64,
            Width::Bits64 => u64::MAX,
        }
    }
}

/// Order of the two halves of a 64-bit argument in `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The low half comes first.
    Little,
    /// The high half comes first.
    Big,
}

/// Numbers of the two system calls that carry others inside, on ABIs that have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Multiplexers {
    pub(crate) socketcall: u32,
    pub(crate) ipc: u32,
}

impl Arch {
    /// All architectures, as `features` lists them.
    pub const ALL: [Arch; 18] = [
        Arch::X86,
        Arch::X86_64,
        Arch::X32,
        Arch::Arm,
        Arch::Aarch64,
        Arch::Mips,
        Arch::Mips64,
        Arch::Mips64N32,
        Arch::Mipsel,
        Arch::Mipsel64,
        Arch::Mipsel64N32,
        Arch::Ppc,
        Arch::Ppc64,
        Arch::Ppc64le,
        Arch::S390,
        Arch::S390x,
        Arch::Riscv64,
        Arch::Loongarch64,
    ];

    /// The architecture this program was built for.
    pub const NATIVE: Arch = native();

    /// `AUDIT_ARCH_*`, what the kernel puts into `seccomp_data.arch`.
    ///
    /// x32 has no value of its own: the kernel reports x86_64 and sets bit 30 of the number.
    /// Source: `linux/audit.h`
    pub const fn audit(self) -> u32 {
        const LE: u32 = 0x4000_0000;
        const BITS64: u32 = 0x8000_0000;
        const N32: u32 = 0x2000_0000;
        match self {
            Arch::X86 => 3 | LE,
            Arch::X86_64 | Arch::X32 => 62 | BITS64 | LE,
            Arch::Arm => 40 | LE,
            Arch::Aarch64 => 183 | BITS64 | LE,
            Arch::Mips => 8,
            Arch::Mips64 => 8 | BITS64,
            Arch::Mips64N32 => 8 | BITS64 | N32,
            Arch::Mipsel => 8 | LE,
            Arch::Mipsel64 => 8 | BITS64 | LE,
            Arch::Mipsel64N32 => 8 | BITS64 | N32 | LE,
            Arch::Ppc => 20,
            Arch::Ppc64 => 21 | BITS64,
            Arch::Ppc64le => 21 | BITS64 | LE,
            Arch::S390 => 22,
            Arch::S390x => 22 | BITS64,
            Arch::Riscv64 => 243 | BITS64 | LE,
            Arch::Loongarch64 => 258 | BITS64 | LE,
        }
    }

    /// Order of the halves of an argument; one filter serves one order only.
    pub const fn byte_order(self) -> ByteOrder {
        match self {
            Arch::Mips | Arch::Mips64 | Arch::Mips64N32 => ByteOrder::Big,
            Arch::Ppc | Arch::Ppc64 | Arch::S390 | Arch::S390x => ByteOrder::Big,
            _ => ByteOrder::Little,
        }
    }

    /// What is added to a number of the table.
    pub(crate) const fn base(self) -> u32 {
        match self {
            Arch::X32 => X32_BIT,
            Arch::Mips | Arch::Mipsel => 4000,
            Arch::Mips64 | Arch::Mipsel64 => 5000,
            Arch::Mips64N32 | Arch::Mipsel64N32 => 6000,
            _ => 0,
        }
    }

    /// Width of an argument that is compared. On a 32-bit ABI only the low half counts.
    pub(crate) const fn width(self) -> Width {
        match self {
            Arch::X86 | Arch::X32 | Arch::Arm | Arch::Ppc | Arch::S390 => Width::Bits32,
            Arch::Mips | Arch::Mipsel | Arch::Mips64N32 | Arch::Mipsel64N32 => Width::Bits32,
            _ => Width::Bits64,
        }
    }

    /// The column of the table of numbers.
    pub(crate) const fn column(self) -> Column {
        match self {
            Arch::X86 => Column::X86,
            Arch::X86_64 => Column::X86_64,
            Arch::X32 => Column::X32,
            Arch::Arm => Column::Arm,
            Arch::Aarch64 => Column::Aarch64,
            Arch::Mips | Arch::Mipsel => Column::Mips,
            Arch::Mips64 | Arch::Mipsel64 => Column::Mips64,
            Arch::Mips64N32 | Arch::Mipsel64N32 => Column::Mips64N32,
            Arch::Ppc => Column::Ppc,
            Arch::Ppc64 | Arch::Ppc64le => Column::Ppc64,
            Arch::S390 => Column::S390,
            Arch::S390x => Column::S390x,
            Arch::Riscv64 => Column::Riscv64,
            Arch::Loongarch64 => Column::Loongarch64,
        }
    }

    /// `socketcall` and `ipc`, where socket and System V IPC calls can be made through them.
    pub(crate) const fn multiplexers(self) -> Option<Multiplexers> {
        match self {
            Arch::X86 | Arch::Ppc | Arch::Ppc64 | Arch::Ppc64le | Arch::S390 | Arch::S390x => {
                Some(Multiplexers { socketcall: 102, ipc: 117 })
            }
            Arch::Mips | Arch::Mipsel => Some(Multiplexers { socketcall: 4102, ipc: 4117 }),
            _ => None,
        }
    }
}

/// `__X32_SYSCALL_BIT`: set in the number of a system call made through the x32 ABI.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

const fn native() -> Arch {
    #[cfg(target_arch = "x86")]
    return Arch::X86;
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
    return Arch::X86_64;
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
    return Arch::X32;
    #[cfg(target_arch = "arm")]
    return Arch::Arm;
    #[cfg(target_arch = "aarch64")]
    return Arch::Aarch64;
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    return Arch::Ppc64le;
    #[cfg(all(target_arch = "powerpc64", target_endian = "big"))]
    return Arch::Ppc64;
    #[cfg(target_arch = "s390x")]
    return Arch::S390x;
    #[cfg(target_arch = "riscv64")]
    return Arch::Riscv64;
    #[cfg(target_arch = "loongarch64")]
    return Arch::Loongarch64;
}
