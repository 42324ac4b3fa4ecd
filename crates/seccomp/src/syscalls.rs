//! From a system call's name to its number, per architecture.
//!
//! The data is in [`table`]; this file is the only reader.

mod table;

pub(crate) use table::Column;

use crate::Arch;

/// What is known of a name on one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// The number a program on that architecture puts into the system call register, base included.
    Is(u32),
    /// The name exists, but only on other architectures.
    Elsewhere,
    /// No architecture has a system call of that name.
    Unknown,
}

/// The number of system call `name` on `arch`.
pub fn number(arch: Arch, name: &str) -> Number {
    Known::find(name).map_or(Number::Unknown, |known| known.number(arch))
}

/// A name that some architecture has: looked up once, numbered for each architecture without another look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known(&'static table::Row);

impl Known {
    /// Looks a name up.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let row = table::ROWS.binary_search_by(|row| row.name.cmp(name)).ok()?;
        table::ROWS.get(row).map(Self)
    }

    /// Its number on `arch`; never [`Number::Unknown`].
    pub(crate) fn number(self, arch: Arch) -> Number {
        match self.0.numbers[arch.column() as usize] {
            table::X => Number::Elsewhere,
            number => Number::Is(arch.base() + number),
        }
    }
}

/// The name of system call `number` on `arch`, for messages; `None` for a number nobody has given a name.
pub fn name(arch: Arch, number: u32) -> Option<&'static str> {
    let bare = number.checked_sub(arch.base())?;
    let row = table::ROWS.iter().find(|row| row.numbers[arch.column() as usize] == bare)?;
    (bare != table::X).then_some(row.name)
}

/// Every name of the table, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    table::ROWS.iter().map(|row| row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(table::ROWS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn no_number_has_two_names_on_one_architecture() {
        for arch in Arch::ALL {
            let mut seen = std::collections::BTreeMap::new();
            for name in names() {
                if let Number::Is(number) = number(arch, name) {
                    assert_eq!(seen.insert(number, name), None, "{arch:?}: {number} is also {name}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let rows = [
            (Arch::X86_64, "read", Number::Is(0)),
            (Arch::X86_64, "execve", Number::Is(59)),
            (Arch::X86_64, "clone3", Number::Is(435)),
            (Arch::X86_64, "statmount", Number::Is(457)),
            (Arch::X86_64, "mseal", Number::Is(462)),
            (Arch::X86_64, "setxattrat", Number::Is(463)),
            (Arch::X86_64, "socketcall", Number::Elsewhere),
            (Arch::X86_64, "no_such_call", Number::Unknown),
            (Arch::X86, "read", Number::Is(3)),
            (Arch::X86, "socketcall", Number::Is(102)),
            (Arch::X32, "read", Number::Is(0x4000_0000)),
            (Arch::X32, "execve", Number::Is(0x4000_0000 + 520)),
            (Arch::Aarch64, "read", Number::Is(63)),
            (Arch::Arm, "set_tls", Number::Is(0x0f_0005)),
            (Arch::Mipsel, "read", Number::Is(4003)),
            (Arch::Mips64, "read", Number::Is(5000)),
            (Arch::Mipsel64N32, "read", Number::Is(6000)),
            (Arch::Riscv64, "riscv_flush_icache", Number::Is(259)),
        ];
        for (arch, name, expected) in rows {
            assert_eq!(number(arch, name), expected, "{arch:?} {name}");
        }
    }

    #[test]
    fn name_is_the_inverse_of_number() {
        for arch in Arch::ALL {
            for known in names() {
                if let Number::Is(number) = number(arch, known) {
                    assert_eq!(name(arch, number), Some(known));
                }
            }
        }
        assert_eq!(name(Arch::X86_64, 100_000), None);
        assert_eq!(name(Arch::X32, 0), None);
    }
}
