//! What would restore a control file, read before it is overwritten.

use std::path::Path;

use crate::apply::Step;
use crate::{Order, file};

/// The writes that would restore what the step overwrites; none when it cannot be known.
pub(crate) fn values(step: &Step) -> Vec<Step> {
    let name = step.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == "devices.deny" || name == "devices.allow" {
        // Only the first write of a list resets it; restoring that one restores all.
        return if step.value == "a" { device_list(step) } else { Vec::new() };
    }
    let Ok(text) = file::try_read(&step.path) else { return Vec::new() };
    let value = value(name, &step.value, &text);
    value.map(|value| Step { value, ..step.clone() }).into_iter().collect()
}

/// The former value in the form in which it can be written.
fn value(name: &str, written: &str, text: &str) -> Option<String> {
    let key = written.split_once(' ').map(|(key, _)| key);
    let line = |key: &str| text.lines().find(|line| line.split(' ').next() == Some(key));
    let keyed =
        |key: &str, none: &str| Some(line(key).map_or_else(|| format!("{key} {none}"), str::to_owned));
    match (name, key) {
        ("memory.oom_control", _) => line("oom_kill_disable")?.split(' ').nth(1).map(str::to_owned),
        ("io.max", Some(device)) => keyed(device, "rbps=max wbps=max riops=max wiops=max"),
        ("rdma.max", Some(device)) => keyed(device, "hca_handle=max hca_object=max"),
        ("net_prio.ifpriomap", Some(interface)) => keyed(interface, "0"),
        ("io.weight" | "io.bfq.weight", Some(device)) => keyed(device, "default"),
        // An empty list inherits; the kernel hears of a write only if it has a byte.
        ("cpuset.cpus" | "cpuset.mems", _) if text.trim().is_empty() => Some("\n".to_owned()),
        // `root invalid (reason)`
        ("cpuset.cpus.partition", _) => text.split_ascii_whitespace().next().map(str::to_owned),
        ("io.weight" | "io.bfq.weight", None) => Some(line("default").unwrap_or(text.trim()).to_owned()),
        (_, Some(device)) if name.starts_with("blkio.") => keyed(device, "0"),
        _ => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
    }
}

/// The last step is the first to be restored, so the list stands here in reverse.
fn device_list(step: &Step) -> Vec<Step> {
    let Some(group) = step.path.parent() else { return Vec::new() };
    let Ok(text) = file::try_read(&group.join("devices.list")) else { return Vec::new() };
    let mut steps = device_writes(group, &text);
    steps.reverse();
    steps
}

fn device_writes(group: &Path, list: &str) -> Vec<Step> {
    let step = |file: &str, value: &str| Step {
        path: group.join(file),
        value: value.to_owned(),
        order: Order::Free,
    };
    if list.lines().any(|line| line.starts_with("a ")) {
        return vec![step("devices.allow", "a")];
    }
    let mut steps = vec![step("devices.deny", "a")];
    steps.extend(list.lines().map(|line| step("devices.allow", line)));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_file_has_its_way_back() {
        let table = [
            ("pids.max", "5", "max\n", Some("max")),
            ("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\n", Some("0")),
            (
                "io.max",
                "8:0 rbps=5",
                "8:16 rbps=1 wbps=max\n",
                Some("8:0 rbps=max wbps=max riops=max wiops=max"),
            ),
            (
                "io.max",
                "8:0 rbps=5",
                "8:0 rbps=1 wbps=max riops=max wiops=max\n",
                Some("8:0 rbps=1 wbps=max riops=max wiops=max"),
            ),
            ("io.weight", "200", "default 100\n8:0 50\n", Some("default 100")),
            ("io.bfq.weight", "8:0 200", "default 100\n8:0 50\n", Some("8:0 50")),
            ("blkio.throttle.read_bps_device", "8:0 9", "", Some("8:0 0")),
            ("blkio.throttle.read_bps_device", "8:0 9", "8:0 7\n", Some("8:0 7")),
            ("net_prio.ifpriomap", "eth0 5", "lo 0\neth0 3\n", Some("eth0 3")),
            ("cpuset.cpus", "0", "\n", Some("\n")),
            ("cpu.max", "5 100000", "max 100000\n", Some("max 100000")),
        ];
        for (name, written, text, expected) in table {
            assert_eq!(value(name, written, text).as_deref(), expected, "{name} {written}");
        }
    }

    #[test]
    fn a_device_list_is_restored_by_a_denial_and_its_lines() {
        let values = |list| {
            let steps = device_writes(Path::new("/g"), list);
            steps
                .into_iter()
                .map(|step| format!("{}={}", step.path.display(), step.value))
                .collect::<Vec<_>>()
        };
        assert_eq!(values("a *:* rwm\n"), ["/g/devices.allow=a"]);
        assert_eq!(values("c 1:3 rw\n"), ["/g/devices.deny=a", "/g/devices.allow=c 1:3 rw"]);
    }
}
