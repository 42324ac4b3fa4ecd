//! From limits to the properties of a unit: whatever is written into a file that systemd also writes, systemd is told.
//!
//! **Invariant**: pure. A property is made from the planned write, so that both are the same value and systemd, when it
//! writes its files again (`systemctl daemon-reload`), writes what stands there.
//!
//! Source: systemd.resource-control(5), org.freedesktop.systemd1(5).

use zbus::Variant;

use super::Unit;
use crate::{Kind, Resources, Result, Write, plan};

/// A property and its value.
#[derive(Debug, PartialEq)]
pub struct Property {
    /// As systemd spells it: `MemoryMax`.
    pub name: String,
    /// Its value, of the type that systemd expects.
    pub value: Variant<'static>,
}

impl Property {
    fn new(name: &str, value: impl Into<Variant<'static>>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }
}

/// What a container's unit is, whatever its limits: whose process it begins with, and that its group is ours.
#[must_use]
pub fn membership(unit: &Unit, description: &str, pid: i32) -> Vec<Property> {
    let mut all = vec![Property::new("Description", description.to_owned())];
    if unit.is_slice() {
        // Compat: runc: a slice is in the slice that its name says.
        all.push(Property::new("Wants", vec![unit.slice.clone()]));
    } else {
        all.push(Property::new("Slice", unit.slice.clone()));
        all.push(Property::new("Delegate", true));
        all.push(Property::new("PIDs", vec![pid.unsigned_abs()]));
    }
    all.push(Property::new("DefaultDependencies", false));
    let accounting = ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"];
    all.extend(accounting.map(|name| Property::new(name, true)));
    all
}

/// The limits that systemd knows, as properties. Those it does not know are only written.
///
/// # Errors
/// As [`plan`].
pub fn limits(kind: Kind, resources: &Resources) -> Result<Vec<Property>> {
    let mut all: Vec<Property> = Vec::new();
    for write in plan(kind, resources)? {
        for property in properties(&write) {
            all.retain(|former| former.name != property.name);
            all.push(property);
        }
    }
    all.extend(quota_v1(kind, resources));
    Ok(all)
}

fn properties(write: &Write) -> Vec<Property> {
    let value = write.value.as_str();
    let amount = |name| amount(value).map(|amount| Property::new(name, amount)).into_iter().collect();
    match write.file.as_str() {
        "pids.max" => amount("TasksMax"),
        "memory.max" => amount("MemoryMax"),
        "memory.high" => amount("MemoryHigh"),
        "memory.low" => amount("MemoryLow"),
        "memory.min" => amount("MemoryMin"),
        "memory.swap.max" => amount("MemorySwapMax"),
        "memory.limit_in_bytes" => amount("MemoryLimit"),
        "cpu.weight" => amount("CPUWeight"),
        "cpu.shares" => amount("CPUShares"),
        "blkio.weight" => amount("BlockIOWeight"),
        "io.weight" => amount("IOWeight"),
        // The same weight on the scale of io.weight is what systemd takes.
        "io.bfq.weight" => weight_of_fallback(write),
        "cpu.max" => quota_v2(value),
        "cpuset.cpus" => mask("AllowedCPUs", value),
        "cpuset.mems" => mask("AllowedMemoryNodes", value),
        _ => Vec::new(),
    }
}

/// An amount as control files take it; no limit is the largest number for systemd.
fn amount(value: &str) -> Option<u64> {
    match value {
        "max" | "-1" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn weight_of_fallback(write: &Write) -> Vec<Property> {
    let weight = write.fallback.as_ref().and_then(|(_, value)| value.parse::<u64>().ok());
    weight.map(|weight| Property::new("IOWeight", weight)).into_iter().collect()
}

/// `QUOTA PERIOD` in microseconds.
fn quota_v2(value: &str) -> Vec<Property> {
    let mut words = value.split(' ');
    let quota = words.next().and_then(amount);
    let period = words.next().and_then(|word| word.parse().ok());
    quota.map(|quota| quota_of(quota, period)).unwrap_or_default()
}

fn quota_v1(kind: Kind, resources: &Resources) -> Vec<Property> {
    let Some(cpu) = resources.cpu.as_ref().filter(|_| kind == Kind::V1) else { return Vec::new() };
    let period = cpu.period.filter(|period| *period != 0);
    match cpu.quota {
        None | Some(0) => Vec::new(),
        Some(quota) => quota_of(u64::try_from(quota).unwrap_or(u64::MAX), period),
    }
}

/// Microseconds of run time in a second, and the period if it is not the usual one.
///
/// Compat: systemd keeps whole hundredths of a processor, so what is between is rounded up, as by runc.
fn quota_of(quota: u64, period: Option<u64>) -> Vec<Property> {
    const USUAL: u64 = 100_000;
    const STEP: u64 = 10_000;
    let length = period.unwrap_or(USUAL).max(1);
    let per_second = match quota {
        u64::MAX => u64::MAX,
        quota => quota
            .saturating_mul(1_000_000)
            .div_ceil(length)
            .checked_next_multiple_of(STEP)
            .unwrap_or(u64::MAX),
    };
    let mut all = vec![Property::new("CPUQuotaPerSecUSec", per_second)];
    all.extend(period.map(|period| Property::new("CPUQuotaPeriodUSec", period)));
    all
}

/// `0-3,7` as bits, the lowest number in the lowest bit of the first byte.
fn mask(name: &str, list: &str) -> Vec<Property> {
    bits(list).map(|bits| Property::new(name, bits)).into_iter().collect()
}

fn bits(list: &str) -> Option<Vec<u8>> {
    /// Far above the largest number of processors that a kernel can be built for.
    const MOST: usize = 1 << 16;
    let mut bits = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        if bits.len() <= last / 8 {
            bits.resize(last / 8 + 1, 0);
        }
        (first..=last).for_each(|number| bits[number / 8] |= 1 << (number % 8));
    }
    Some(bits)
}
