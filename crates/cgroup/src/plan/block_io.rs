//! `linux.resources.blockIO`.

use super::{Write, invalid, only_v1};
use crate::{BlockIo, Kind, Result, ThrottleDevice, WeightDevice};

pub(super) fn plan(kind: Kind, block_io: &BlockIo, writes: &mut Vec<Write>) -> Result<()> {
    if let Some(weight) = checked(block_io.weight, "blockIO/weight")? {
        writes.push(weight_write(kind, "", weight, "blockIO/weight"));
    }
    if let Some(weight) = checked(block_io.leaf_weight, "blockIO/leafWeight")? {
        leaf(kind, "blkio.leaf_weight", weight.to_string(), "blockIO/leafWeight", writes)?;
    }
    for (number, device) in block_io.weight_device.iter().enumerate() {
        plan_device(kind, device, &format!("blockIO/weightDevice/{number}"), writes)?;
    }
    let tables = [
        (&block_io.throttle_read_bps_device, "read_bps", "rbps", "throttleReadBpsDevice"),
        (&block_io.throttle_write_bps_device, "write_bps", "wbps", "throttleWriteBpsDevice"),
        (&block_io.throttle_read_iops_device, "read_iops", "riops", "throttleReadIOPSDevice"),
        (&block_io.throttle_write_iops_device, "write_iops", "wiops", "throttleWriteIOPSDevice"),
    ];
    for (devices, v1, v2, field) in tables {
        for (number, device) in devices.iter().enumerate() {
            writes.push(throttle(kind, device, (v1, v2), &format!("blockIO/{field}/{number}")));
        }
    }
    Ok(())
}

/// 0 is not set. Source: runtime-spec, config-linux.md: 10 to 1000.
fn checked(weight: Option<u16>, field: &str) -> Result<Option<u16>> {
    match weight {
        None | Some(0) => Ok(None),
        Some(weight) if (10..=1000).contains(&weight) => Ok(Some(weight)),
        Some(weight) => Err(invalid(field, format!("{weight} is not between 10 and 1000"))),
    }
}

fn plan_device(kind: Kind, device: &WeightDevice, field: &str, writes: &mut Vec<Write>) -> Result<()> {
    let prefix = format!("{}:{} ", device.major, device.minor);
    if let Some(weight) = checked(device.weight, field)? {
        writes.push(weight_write(kind, &prefix, weight, field));
    }
    if let Some(weight) = checked(device.leaf_weight, field)? {
        leaf(kind, "blkio.leaf_weight_device", format!("{prefix}{weight}"), field, writes)?;
    }
    Ok(())
}

/// Kernel: before 5.0 the CFQ scheduler took the weight (`blkio.weight`), since then BFQ does
/// (`blkio.bfq.weight`); on v2 BFQ takes it as it is and `io.weight` (io.cost) on a scale from 1 to 10000.
fn weight_write(kind: Kind, device: &str, weight: u16, field: &str) -> Write {
    let value = format!("{device}{weight}");
    match (kind, device.is_empty()) {
        (Kind::V1, true) => Write::new("blkio", "blkio.weight", &value, field).or("blkio.bfq.weight", value),
        (Kind::V1, false) => {
            Write::new("blkio", "blkio.weight_device", &value, field).or("blkio.bfq.weight_device", value)
        }
        (Kind::V2, _) => {
            let scaled = format!("{device}{}", 1 + (u64::from(weight) - 10) * 9999 / 990);
            Write::new("io", "io.bfq.weight", value, field).or("io.weight", scaled)
        }
    }
}

fn leaf(kind: Kind, file: &str, value: String, field: &str, writes: &mut Vec<Write>) -> Result<()> {
    if kind == Kind::V2 {
        return Err(only_v1("blkio", field));
    }
    writes.push(Write::new("blkio", file, value, field));
    Ok(())
}

/// A rate of 0 lifts the limit on v1; on v2 that is written `max`.
fn throttle(kind: Kind, device: &ThrottleDevice, (v1, v2): (&str, &str), field: &str) -> Write {
    let ThrottleDevice { major, minor, rate } = device;
    match kind {
        Kind::V1 => Write::new(
            "blkio",
            &format!("blkio.throttle.{v1}_device"),
            format!("{major}:{minor} {rate}"),
            field,
        ),
        Kind::V2 => {
            let rate = if *rate == 0 { "max".to_owned() } else { rate.to_string() };
            Write::new("io", "io.max", format!("{major}:{minor} {v2}={rate}"), field)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_a_file_for_each_scheduler() {
        let write = weight_write(Kind::V2, "", 1000, "f");
        assert_eq!(write.fallback, Some(("io.weight".to_owned(), "10000".to_owned())));
        let write = weight_write(Kind::V1, "8:0 ", 10, "f");
        assert_eq!(write.fallback, Some(("blkio.bfq.weight_device".to_owned(), "8:0 10".to_owned())));
    }

    #[test]
    fn a_weight_out_of_range_is_refused() {
        for weight in [9, 1001] {
            assert!(checked(Some(weight), "blockIO/weight").is_err());
        }
    }
}
