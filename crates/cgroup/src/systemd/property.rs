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
        // systemd keeps processors and memory nodes on v2 only.
        if kind == Kind::V1 && write.controller == "cpuset" {
            continue;
        }
        for property in properties(&write) {
            all.retain(|former| former.name != property.name);
            all.push(property);
        }
    }
    all.extend(quota_v1(kind, resources));
    all.extend(devices(resources));
    Ok(all)
}

/// The device rules as a list of what is allowed; none where everything is allowed but something, which systemd cannot
/// say. On v2 systemd's program then lets everything pass, and ours beside it does not.
fn devices(resources: &Resources) -> Vec<Property> {
    let rules = Resources { devices: resources.devices.clone(), ..Resources::default() };
    let writes = plan(Kind::V1, &rules).unwrap_or_default();
    match writes.split_first() {
        Some((reset, allowed)) if reset.file == "devices.deny" => {
            let entries: Vec<(String, String)> =
                allowed.iter().filter_map(|write| device(&write.value)).collect();
            vec![Property::new("DevicePolicy", "strict"), Property::new("DeviceAllow", entries)]
        }
        _ => Vec::new(),
    }
}

/// `c 136:* rw` as systemd names it: `char-136`, `rw`.
///
/// Source: systemd.resource-control(5), `DeviceAllow=`.
fn device(rule: &str) -> Option<(String, String)> {
    let mut words = rule.split(' ');
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let kind = if kind == "b" { "block" } else { "char" };
    let name = match numbers.split_once(':')? {
        ("*", "*") => format!("{kind}-*"),
        ("*", _) => {
            log::warn!("linux/resources/devices: systemd has no word for {rule:?} and refuses these devices");
            return None;
        }
        (major, "*") => format!("{kind}-{major}"),
        (major, minor) => format!("/dev/{kind}/{major}:{minor}"),
    };
    Some((name, access.to_owned()))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `Name=value` of each property.
    fn lines(kind: Kind, json: &str) -> Vec<String> {
        let resources: Resources = serde_json::from_str(json).unwrap();
        let all = limits(kind, &resources).unwrap();
        all.iter().map(|property| format!("{}={}", property.name, property.value)).collect()
    }

    #[test]
    fn what_is_written_is_told_in_the_same_value() {
        let table: [(&str, &[&str], &[&str]); 9] = [
            (
                r#"{"memory": {"limit": 1000, "reservation": 500, "swap": 3000}}"#,
                &["MemoryLimit=uint64 1000"],
                &["MemorySwapMax=uint64 2000", "MemoryMax=uint64 1000", "MemoryLow=uint64 500"],
            ),
            (
                r#"{"memory": {"limit": -1}}"#,
                &["MemoryLimit=uint64 18446744073709551615"],
                &["MemorySwapMax=uint64 18446744073709551615", "MemoryMax=uint64 18446744073709551615"],
            ),
            (
                r#"{"pids": {"limit": -1}}"#,
                &["TasksMax=uint64 18446744073709551615"],
                &["TasksMax=uint64 18446744073709551615"],
            ),
            (r#"{"cpu": {"shares": 512}}"#, &["CPUShares=uint64 512"], &["CPUWeight=uint64 59"]),
            (
                r#"{"cpu": {"quota": 12345, "period": 50000}}"#,
                &["CPUQuotaPerSecUSec=uint64 250000", "CPUQuotaPeriodUSec=uint64 50000"],
                &["CPUQuotaPerSecUSec=uint64 250000", "CPUQuotaPeriodUSec=uint64 50000"],
            ),
            (
                r#"{"cpu": {"cpus": "0-2,9", "mems": "0"}}"#,
                &[],
                &["AllowedCPUs=[byte 0x07, 0x02]", "AllowedMemoryNodes=[byte 0x01]"],
            ),
            (r#"{"blockIO": {"weight": 1000}}"#, &["BlockIOWeight=uint64 1000"], &["IOWeight=uint64 10000"]),
            (
                r#"{"unified": {"memory.high": "10", "cpu.weight": "7", "hugetlb.2MB.max": "0"}, "cpu": {"shares": 512}}"#,
                &[],
                &["CPUWeight=uint64 7", "MemoryHigh=uint64 10"],
            ),
            ("{}", &[], &[]),
        ];
        for (json, v1, v2) in table {
            if !json.contains("unified") {
                assert_eq!(lines(Kind::V1, json), v1, "v1 of {json}");
            }
            assert_eq!(lines(Kind::V2, json), v2, "v2 of {json}");
        }
    }

    #[test]
    fn devices_are_a_list_of_what_is_allowed() {
        let deny = r#"{"allow": false}"#;
        let rules = r#"{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"},
                       {"allow": true, "type": "c", "major": 136, "access": "r"},
                       {"allow": true, "type": "b", "access": "m"},
                       {"allow": true, "type": "c", "minor": 7}"#;
        let strict = [
            "DevicePolicy=\"strict\"",
            "DeviceAllow=[(\"/dev/char/1:3\", \"rw\"), (\"char-136\", \"r\"), (\"block-*\", \"m\")]",
        ];
        for kind in [Kind::V1, Kind::V2] {
            assert_eq!(lines(kind, &format!(r#"{{"devices": [{deny}, {rules}]}}"#)), strict);
            assert_eq!(lines(kind, &format!(r#"{{"devices": [{deny}, {{"allow": true}}]}}"#)), [""; 0]);
        }
    }

    proptest! {
        #[test]
        fn a_list_of_numbers_has_a_bit_for_each(numbers in proptest::collection::btree_set(0_usize..500, 1..20)) {
            let list: Vec<String> = numbers.iter().map(usize::to_string).collect();
            let bits = bits(&list.join(",")).unwrap();
            let set: Vec<usize> = (0..bits.len() * 8).filter(|at| bits[at / 8] & 1 << (at % 8) != 0).collect();
            prop_assert_eq!(set, numbers.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_list_makes_it_panic(list in "[0-9,-]{0,12}") {
            let _ = bits(&list);
        }
    }
}
