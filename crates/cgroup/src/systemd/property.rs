//! From limits to the properties of a unit: whatever is written into a file that systemd also writes, systemd is told.
//!
//! **Invariant**: pure. A property is made from the planned write, so that both are the same value and systemd, when it
//! writes its files again (`systemctl daemon-reload`), writes what stands there. What cannot be told in systemd's words is
//! refused. Two values are not the same: of the time on processors systemd keeps whole hundredths, so that a `cpu.max` of
//! `12345 50000` (24.69 %) becomes one of 25 % when it writes; and for BFQ it has a scale of its own.
//!
//! Not told is what systemd never writes of its own accord, such as limits of single devices and huge pages, and
//! `memory.oom.group`, for which a scope has no property before version 253: that is 0 again when systemd writes.
//!
//! Source: systemd.resource-control(5), org.freedesktop.systemd1(5).

use zbus::Variant;

use super::Unit;
use crate::{Applied, Error, Kind, Resources, Result, Write, plan};

/// The weight of a group on processors, and the one of a group that only takes what nobody else wants.
///
/// Compat: systemd knows the latter since version 252.
pub(super) const WEIGHT: &str = "CPUWeight";
pub(super) const IDLE: u64 = 0;

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
/// As [`plan`], and a value that the kernel takes but systemd has no word for.
pub fn limits(kind: Kind, resources: &Resources) -> Result<Vec<Property>> {
    let writes = plan(kind, resources)?;
    let mut all = Vec::new();
    for write in &writes {
        let (file, value) = taken(write);
        let told = properties(kind, file, value).ok_or_else(|| untold(write))?;
        told.into_iter().for_each(|property| put(&mut all, property));
    }
    let values = writes.iter().map(|write| (write.file.as_str(), write.value.as_str()));
    complete(kind, &values.collect::<Vec<_>>(), &mut all);
    all.extend(devices(resources));
    Ok(all)
}

/// What was told before the limits were applied, from what stood in the files. A value that systemd has no word for
/// cannot have come from it.
#[must_use]
pub fn former(kind: Kind, applied: &Applied) -> Vec<Property> {
    let values: Vec<(&str, &str)> = applied.former_values().collect();
    let mut all = Vec::new();
    for (file, value) in &values {
        properties(kind, file, value).into_iter().flatten().for_each(|property| put(&mut all, property));
    }
    complete(kind, &values, &mut all);
    all
}

/// The later of two values for one property counts, as it does for files.
fn put(all: &mut Vec<Property>, property: Property) {
    all.retain(|former| former.name != property.name);
    all.push(property);
}

/// The file and value that systemd knows of the two that a write may be about.
fn taken(write: &Write) -> (&str, &str) {
    match &write.fallback {
        // systemd takes the weight on the scale of io.weight.
        Some((file, value)) if write.file == "io.bfq.weight" => (file, value),
        _ => (&write.file, &write.value),
    }
}

fn untold(write: &Write) -> Error {
    Error::Invalid {
        field: write.field.clone(),
        expected: format!(
            "{:?} cannot be told to systemd, which would take it back; give an amount as a decimal number, also with K, M \
             or G, or as max, and processors as 0-3,7",
            write.value
        ),
    }
}

/// The properties that are made of several files.
fn complete(kind: Kind, values: &[(&str, &str)], all: &mut Vec<Property>) {
    let last = |wanted| values.iter().rev().find(|(file, _)| *file == wanted).map(|(_, value)| *value);
    if kind == Kind::V1 {
        let quota = last("cpu.cfs_quota_us").and_then(amount);
        let period = last("cpu.cfs_period_us").and_then(amount);
        all.extend(quota.map(|quota| quota_of(quota, period)).into_iter().flatten());
        return;
    }
    match last("cpu.idle").map(str::trim) {
        Some("1") => put(all, Property::new(WEIGHT, IDLE)),
        // Else systemd would keep the group idle.
        Some("0") if all.iter().all(|property| property.name != WEIGHT) => {
            all.push(Property::new(WEIGHT, u64::MAX));
        }
        _ => {}
    }
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

/// The properties of one file; `None` when systemd has no word for the value.
fn properties(kind: Kind, file: &str, value: &str) -> Option<Vec<Property>> {
    let amount = |name| amount(value).map(|amount| vec![Property::new(name, amount)]);
    match file {
        "pids.max" => amount("TasksMax"),
        "memory.max" => amount("MemoryMax"),
        "memory.high" => amount("MemoryHigh"),
        "memory.low" => amount("MemoryLow"),
        "memory.min" => amount("MemoryMin"),
        "memory.swap.max" => amount("MemorySwapMax"),
        "memory.limit_in_bytes" => amount("MemoryLimit"),
        "cpu.weight" => amount(WEIGHT),
        "cpu.shares" => amount("CPUShares"),
        // A weight of one device stays when systemd writes that of the group.
        "blkio.weight" => amount("BlockIOWeight"),
        "io.weight" => weight_of_group(value),
        "cpu.max" => quota_v2(value),
        // systemd keeps processors and memory nodes on v2 only.
        "cpuset.cpus" if kind == Kind::V2 => mask("AllowedCPUs", value),
        "cpuset.mems" if kind == Kind::V2 => mask("AllowedMemoryNodes", value),
        _ => Some(Vec::new()),
    }
}

/// An amount as control files take it; no limit is the largest number for systemd.
///
/// Source: lib/cmdline.c, `memparse`: a letter stands for a power of 1024.
fn amount(value: &str) -> Option<u64> {
    let value = value.trim();
    if matches!(value, "max" | "-1") {
        return Some(u64::MAX);
    }
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let power = match value.get(digits.len()..)? {
        "" => 0,
        suffix => {
            1 + ["K", "M", "G", "T", "P", "E"].iter().position(|one| suffix.eq_ignore_ascii_case(one))?
        }
    };
    // The kernel reads what begins with a 0 as octal.
    let is_decimal = digits == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    let number: u64 = digits.parse().ok().filter(|_| is_decimal)?;
    number.checked_mul(1 << (10 * power))
}

/// `200` or `default 200`. The weight of a device, `8:0 200`, stays when systemd writes the group's.
fn weight_of_group(value: &str) -> Option<Vec<Property>> {
    let value = value.trim();
    let group = value.strip_prefix("default").map_or(value, str::trim_start);
    if group.split_once(' ').is_some_and(|(device, _)| device.contains(':')) {
        return Some(Vec::new());
    }
    amount(group).map(|weight| vec![Property::new("IOWeight", weight)])
}

/// `QUOTA PERIOD` in microseconds.
fn quota_v2(value: &str) -> Option<Vec<Property>> {
    let mut words = value.split_ascii_whitespace();
    let quota = words.next().and_then(amount)?;
    let period = words.next().map(|word| word.parse()).transpose().ok()?;
    Some(quota_of(quota, period))
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
fn mask(name: &str, list: &str) -> Option<Vec<Property>> {
    bits(list).map(|bits| vec![Property::new(name, bits)])
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
        const UNLIMITED: &str = "CPUQuotaPerSecUSec=uint64 18446744073709551615";
        let table: [(&str, &[&str], &[&str]); 14] = [
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
            (
                r#"{"unified": {"memory.max": "512M", "memory.low": "1g", "memory.min": "0", "io.weight": "default 200"}}"#,
                &[],
                &[
                    "IOWeight=uint64 200",
                    "MemoryLow=uint64 1073741824",
                    "MemoryMax=uint64 536870912",
                    "MemoryMin=uint64 0",
                ],
            ),
            (
                r#"{"unified": {"io.weight": "8:0 200", "cpu.max": "max", "memory.oom.group": "1"}}"#,
                &[],
                &[UNLIMITED],
            ),
            (r#"{"cpu": {"idle": 1, "shares": 512}}"#, &[], &["CPUWeight=uint64 0"]),
            (r#"{"cpu": {"idle": 0}}"#, &[], &["CPUWeight=uint64 18446744073709551615"]),
            (r#"{"cpu": {"idle": 0, "shares": 512}}"#, &["CPUShares=uint64 512"], &["CPUWeight=uint64 59"]),
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
    fn what_systemd_would_take_back_is_refused() {
        for (file, value) in [
            ("memory.max", "0x10"),
            ("memory.max", "010"),
            ("memory.high", "5KM"),
            ("memory.high", "99999999999E"),
            ("cpu.weight", "0x7"),
            ("io.weight", "default"),
            ("cpu.max", "5 0x10"),
            ("cpuset.cpus", "0-7:2/4"),
        ] {
            let resources: Resources =
                serde_json::from_value(serde_json::json!({"unified": {file: value}})).unwrap();
            let error = limits(Kind::V2, &resources).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("linux/resources/unified/{file}: {value:?} cannot be told")),
                "{error}"
            );
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
