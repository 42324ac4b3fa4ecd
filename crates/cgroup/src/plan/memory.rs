//! `linux.resources.memory`.

use super::{Write, invalid};
use crate::{Kind, Memory, Result};

pub(super) fn plan(kind: Kind, memory: &Memory, writes: &mut Vec<Write>) -> Result<()> {
    check(memory)?;
    match kind {
        Kind::V1 => plan_v1(memory, writes),
        Kind::V2 => plan_v2(memory, writes),
    }
}

/// 0 means "not set" for every amount: Go callers cannot leave a number out.
fn set(amount: Option<i64>) -> Option<i64> {
    amount.filter(|amount| *amount != 0)
}

fn check(memory: &Memory) -> Result<()> {
    let amounts = [
        ("memory/limit", memory.limit),
        ("memory/reservation", memory.reservation),
        ("memory/swap", memory.swap),
        ("memory/kernelTCP", memory.kernel_tcp),
    ];
    for (field, amount) in amounts {
        if let Some(amount) = amount.filter(|amount| *amount < -1) {
            return Err(invalid(field, format!("{amount} is not a number of bytes; -1 is no limit")));
        }
    }
    match swappiness(memory) {
        Some(value) if value > 100 => {
            Err(invalid("memory/swappiness", format!("{value} is not between 0 and 100")))
        }
        _ => Ok(()),
    }
}

/// Compat: runc takes the largest number for "not set" (old callers send -1 as unsigned).
fn swappiness(memory: &Memory) -> Option<u64> {
    memory.swappiness.filter(|value| *value != u64::MAX)
}

fn plan_v1(memory: &Memory, writes: &mut Vec<Write>) -> Result<()> {
    let write = |file, value: i64, field| Write::new("memory", file, value, field);
    if memory.use_hierarchy == Some(true) {
        writes.push(write("memory.use_hierarchy", 1, "memory/useHierarchy").optional());
    }
    plan_v1_swap(memory, writes)?;
    if let Some(reservation) = set(memory.reservation) {
        writes.push(write("memory.soft_limit_in_bytes", reservation, "memory/reservation"));
    }
    if let Some(limit) = set(memory.kernel_tcp) {
        writes.push(write("memory.kmem.tcp.limit_in_bytes", limit, "memory/kernelTCP"));
    }
    if memory.disable_oom_killer == Some(true) {
        writes.push(write("memory.oom_control", 1, "memory/disableOOMKiller"));
    }
    if let Some(value) = swappiness(memory) {
        writes.push(Write::new("memory", "memory.swappiness", value, "memory/swappiness"));
    }
    Ok(())
}

/// Kernel: `memory.memsw.limit_in_bytes` must never be below `memory.limit_in_bytes`, at no moment in between.
fn plan_v1_swap(memory: &Memory, writes: &mut Vec<Write>) -> Result<()> {
    let (limit, swap) = (set(memory.limit), set(memory.swap));
    if let (Some(limit), Some(swap)) = (limit, swap) {
        expect_room(limit, swap)?;
    }
    if let Some(limit) = limit {
        writes.push(Write::new("memory", "memory.limit_in_bytes", limit, "memory/limit").linked());
    }
    let both =
        |value: i64| Write::new("memory", "memory.memsw.limit_in_bytes", value, "memory/swap").linked();
    match (limit, swap) {
        (_, Some(swap)) => writes.push(both(swap)),
        // Compat: runc; a container without memory limit has no limit on memory and swap either.
        (Some(-1), None) => writes.push(both(-1).optional()),
        _ => {}
    }
    Ok(())
}

/// Swap, here memory and swap together, is -1 or at least the limit.
fn expect_room(limit: i64, swap: i64) -> Result<()> {
    let shown = if limit == -1 { "-1 (no limit)".to_owned() } else { limit.to_string() };
    if swap == -1 || (limit != -1 && swap >= limit) {
        return Ok(());
    }
    let text = format!("{swap} is below memory/limit {shown}, but it counts memory and swap together");
    Err(invalid("memory/swap", text))
}

fn plan_v2(memory: &Memory, writes: &mut Vec<Write>) -> Result<()> {
    if let Some(swap) = swap_v2(memory)? {
        let write = Write::new("memory", "memory.swap.max", amount(swap), "memory/swap");
        // A kernel without swap accounting has neither a limit to lift nor swap to forbid.
        writes.push(if swap <= 0 { write.optional() } else { write });
    }
    if let Some(limit) = set(memory.limit) {
        writes.push(Write::new("memory", "memory.max", amount(limit), "memory/limit"));
    }
    if let Some(reservation) = set(memory.reservation) {
        writes.push(Write::new("memory", "memory.low", amount(reservation), "memory/reservation"));
    }
    Ok(())
}

/// The configuration counts memory and swap together, v2 counts swap alone.
fn swap_v2(memory: &Memory) -> Result<Option<i64>> {
    match (set(memory.limit), set(memory.swap)) {
        (Some(-1), None) => Ok(Some(-1)),
        (_, None) => Ok(None),
        (_, Some(-1)) => Ok(Some(-1)),
        // Compat: runc takes it as swap alone when memory has no limit.
        (Some(-1), Some(swap)) => Ok(Some(swap)),
        (None, Some(_)) => Err(invalid(
            "memory/swap",
            "needs memory/limit beside it, since it counts memory and swap together",
        )),
        (Some(limit), Some(swap)) => {
            expect_room(limit, swap)?;
            Ok(Some(swap - limit))
        }
    }
}

fn amount(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

pub(super) fn ignored(kind: Kind, memory: &Memory) -> Vec<(&'static str, &'static str)> {
    const GONE: &str = "the kernel has no separate limit for kernel memory any longer";
    const ONLY_V1: &str = "cgroup v2 has no such setting";
    let v2 = kind == Kind::V2;
    let rows = [
        ("memory/kernel", set(memory.kernel).is_some(), GONE),
        ("memory/kernelTCP", v2 && set(memory.kernel_tcp).is_some(), ONLY_V1),
        ("memory/swappiness", v2 && swappiness(memory).is_some(), ONLY_V1),
        ("memory/disableOOMKiller", v2 && memory.disable_oom_killer == Some(true), ONLY_V1),
    ];
    rows.into_iter().filter(|(_, is_set, _)| *is_set).map(|(place, _, why)| (place, why)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_amount_makes_it_panic_and_swap_is_never_negative(limit: Option<i64>, swap: Option<i64>) {
            let memory = Memory { limit, swap, ..Memory::default() };
            for kind in [Kind::V1, Kind::V2] {
                let _ = plan(kind, &memory, &mut Vec::new());
            }
            if check(&memory).is_ok() && let Ok(Some(swap)) = swap_v2(&memory) {
                prop_assert!(swap >= -1);
            }
        }
    }
}
