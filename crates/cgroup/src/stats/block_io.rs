//! Block devices.

use proc::kv;
use serde::Serialize;

use super::{Group, Pressure, is_zero};

/// Counters of block devices.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockIoStats {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlockIoEntry>,
    /// Operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlockIoEntry>,
    /// Operations in the queue.
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlockIoEntry>,
    /// Nanoseconds from dispatch to completion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlockIoEntry>,
    /// Nanoseconds in the queue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlockIoEntry>,
    /// Merged operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlockIoEntry>,
    /// Milliseconds of the device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlockIoEntry>,
    /// Sectors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlockIoEntry>,
    /// Time waited for block devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One counter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BlockIoEntry {
    /// Major number.
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    /// Minor number.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`; empty where there is no distinction.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// The counter.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// The scheduler that counts: CFQ (before 5.0) has all files, BFQ and the throttler only two each.
pub(super) fn read_v1(group: &Group<'_>) -> BlockIoStats {
    let table =
        |name: &str| group.text(&format!("blkio.{name}")).map(|text| entries(&text)).unwrap_or_default();
    let first =
        |names: [&str; 3]| names.into_iter().map(table).find(|found| !found.is_empty()).unwrap_or_default();
    BlockIoStats {
        io_service_bytes_recursive: first([
            "io_service_bytes_recursive",
            "bfq.io_service_bytes_recursive",
            "throttle.io_service_bytes_recursive",
        ]),
        io_serviced_recursive: first([
            "io_serviced_recursive",
            "bfq.io_serviced_recursive",
            "throttle.io_serviced_recursive",
        ]),
        io_queued_recursive: table("io_queued_recursive"),
        io_service_time_recursive: table("io_service_time_recursive"),
        io_wait_time_recursive: table("io_wait_time_recursive"),
        io_merged_recursive: table("io_merged_recursive"),
        io_time_recursive: table("time_recursive"),
        sectors_recursive: table("sectors_recursive"),
        psi: None,
    }
}

/// `8:0 Read 4096` a line; a last line `Total N` has no device and is left out.
fn entries(text: &str) -> Vec<BlockIoEntry> {
    let row = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let (op, value) = match (words.next()?, words.next()) {
            (op, Some(value)) => (op, value),
            (value, None) => ("", value),
        };
        Some(BlockIoEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: op.to_owned(),
            value: value.parse().ok()?,
        })
    };
    text.lines().filter_map(row).collect()
}

pub(super) fn read_v2(group: &Group<'_>) -> BlockIoStats {
    let text = group.text("io.stat").unwrap_or_default();
    let (bytes, operations) = counters(&text);
    BlockIoStats {
        io_service_bytes_recursive: bytes,
        io_serviced_recursive: operations,
        psi: group.pressure("io.pressure"),
        ..BlockIoStats::default()
    }
}

/// Bytes and operations of `io.stat`.
fn counters(text: &str) -> (Vec<BlockIoEntry>, Vec<BlockIoEntry>) {
    let (mut bytes, mut operations) = (Vec::new(), Vec::new());
    for (device, pairs) in kv::nested_keyed(text) {
        let Some((major, minor)) = device.split_once(':') else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (name, value) in pairs {
            let (list, op) = match name {
                "rbytes" => (&mut bytes, "Read"),
                "wbytes" => (&mut bytes, "Write"),
                "dbytes" => (&mut bytes, "Discard"),
                "rios" => (&mut operations, "Read"),
                "wios" => (&mut operations, "Write"),
                "dios" => (&mut operations, "Discard"),
                _ => continue,
            };
            list.push(BlockIoEntry { major, minor, op: op.to_owned(), value: value.number().unwrap_or(0) });
        }
    }
    (bytes, operations)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn v1_and_v2_give_the_same_entries() {
        let v1 = entries("8:0 Read 4096\n8:0 Write 0\n8:0 Discard 7\nTotal 4103\n");
        let (v2, operations) = counters("8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=7 dios=0\n");
        assert_eq!(v1, v2);
        assert_eq!(operations.len(), 3);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([0-9:= ]|Read|rbytes|\\PC|\n){0,30}") {
            let _ = (entries(&text), counters(&text));
        }
    }
}
