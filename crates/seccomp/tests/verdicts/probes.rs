//! System calls to try a filter with: every known number and its neighbours, with arguments at the edges of
//! what the profile compares them with.

use std::collections::{BTreeMap, BTreeSet};

use seccomp::interpret::Data;
use seccomp::syscalls::{self, Number};
use seccomp::{Arch, Arg, Operator, Profile};

use crate::runc;

/// Every system call worth trying.
pub(crate) fn of(profile: &Profile, native: Arch) -> Vec<Data> {
    let mut probes = Vec::new();
    for arch in runc::archs(profile, native) {
        let conditions = conditions(profile, arch);
        for nr in numbers(arch) {
            let arguments = arguments(&conditions, arch, nr);
            probes.extend(arguments.into_iter().map(|args| data(arch.audit(), nr, args)));
        }
    }
    let foreign = [0, 0xdead_beef, Arch::X86_64.audit(), Arch::Aarch64.audit(), Arch::Ppc.audit()];
    probes.extend(
        foreign.into_iter().flat_map(|arch| [0, 1, 59, 0x4000_0001].map(|nr| data(arch, nr, [0; 6]))),
    );
    probes
}

fn data(arch: u32, nr: u32, args: [u64; 6]) -> Data {
    Data { nr, arch, instruction_pointer: 0x1234_5678_9abc_def0, args }
}

/// All numbers up to well beyond the last one, those of the table, and the edges of special ranges.
fn numbers(arch: Arch) -> BTreeSet<u32> {
    let base = match arch {
        Arch::X32 => 0x4000_0000,
        Arch::Mips | Arch::Mipsel => 4000,
        Arch::Mips64 | Arch::Mipsel64 => 5000,
        Arch::Mips64N32 | Arch::Mipsel64N32 => 6000,
        _ => 0,
    };
    let mut numbers: BTreeSet<u32> = (base..base + 700).chain(0..20).collect();
    for name in syscalls::names() {
        if let Number::Is(number) = syscalls::number(arch, name) {
            numbers.extend([number.saturating_sub(1), number, number + 1]);
        }
    }
    for edge in [0x0f_0000, 0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000] {
        numbers.extend([edge - 1, edge, edge + 1]);
    }
    numbers.extend([u32::MAX - 1, u32::MAX]);
    numbers
}

/// The conditions that may concern each number; those of all calls for the multiplexers.
fn conditions(profile: &Profile, arch: Arch) -> BTreeMap<u32, Vec<&Arg>> {
    let mut conditions: BTreeMap<u32, Vec<&Arg>> = BTreeMap::new();
    for syscall in profile.syscalls.iter().filter(|syscall| !syscall.args.is_empty()) {
        let named = syscall.names.iter().filter_map(|name| match syscalls::number(arch, name) {
            Number::Is(number) => Some(number),
            _ => None,
        });
        for number in named.chain(multiplexers(arch)) {
            conditions.entry(number).or_default().extend(&syscall.args);
        }
    }
    conditions
}

/// Argument lists at the edges of the conditions that concern number `nr`; plain ones else.
fn arguments(conditions: &BTreeMap<u32, Vec<&Arg>>, arch: Arch, nr: u32) -> Vec<[u64; 6]> {
    let args = conditions.get(&nr).map_or(&[][..], Vec::as_slice);
    let multiplexer = multiplexers(arch).contains(&nr);
    let mut lists: Vec<[u64; 6]> = if multiplexer {
        (0..26).map(|operation| [operation, 0, 0, 0, 0, 0]).collect()
    } else {
        vec![[0; 6], [u64::MAX; 6]]
    };
    for index in 0..6 {
        let values: BTreeSet<u64> =
            args.iter().filter(|arg| arg.index == index).flat_map(|arg| edges(arg)).collect();
        if values.is_empty() {
            continue;
        }
        let kept: Vec<[u64; 6]> = lists.iter().take(400).copied().collect();
        for list in kept {
            lists.extend(values.iter().map(|value| {
                let mut list = list;
                list[index as usize] = *value;
                list
            }));
        }
    }
    lists
}

/// `socketcall` and `ipc`; on other architectures two plain numbers.
fn multiplexers(arch: Arch) -> [u32; 2] {
    if matches!(arch, Arch::Mips | Arch::Mipsel) { [4102, 4117] } else { [102, 117] }
}

/// Values around which the condition changes its mind, in both halves.
fn edges(arg: &Arg) -> Vec<u64> {
    let value = match arg.op {
        Operator::MaskedEqual => arg.value & arg.value_two,
        _ => arg.value,
    };
    let high = 1 << 32;
    let mut edges = vec![0, u64::MAX, u64::from(u32::MAX), high];
    for near in [value, value ^ high, value & u64::from(u32::MAX), value ^ (1 << 63)] {
        edges.extend([near.wrapping_sub(1), near, near.wrapping_add(1)]);
    }
    edges.extend([value.wrapping_add(high), value.wrapping_sub(high)]);
    if arg.op == Operator::MaskedEqual {
        edges.extend([value | !arg.value, arg.value, arg.value_two]);
        edges.extend((0..64).step_by(7).map(|bit| value ^ (1 << bit)));
    }
    edges
}
