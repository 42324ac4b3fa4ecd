//! `sluice update`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Arg;
use container::update::{self, Resources};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::flag::value;
use crate::invocation::{Invocation, invalid};
use crate::size;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `update`.
pub(crate) const VERB: Verb = Verb {
    name: "update",
    group: Group::Control,
    about: "Change the limits of a container",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "update --memory 512m --pids-limit 200 web",
    options,
    run,
};

/// The most that is read from the file of `--resources`, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// One limit: its option, and where its value stands in OCI `linux.resources`.
struct Limit {
    option: &'static str,
    object: &'static str,
    field: &'static str,
    unit: Unit,
    help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// A whole number, negative ones too.
    Signed,
    /// A whole number from 0.
    Unsigned,
    /// Bytes, with a unit if wanted; -1 is no limit.
    Bytes,
    /// Any text.
    Text,
}

const fn limit(
    option: &'static str,
    at: (&'static str, &'static str),
    unit: Unit,
    help: &'static str,
) -> Limit {
    Limit { option, object: at.0, field: at.1, unit, help }
}

const LIMITS: &[Limit] = &[
    limit(
        "memory",
        ("memory", "limit"),
        Unit::Bytes,
        "Memory limit in bytes, or with a unit (512m); -1: none",
    ),
    limit("memory-reservation", ("memory", "reservation"), Unit::Bytes, "Memory reservation (soft limit)"),
    limit("memory-swap", ("memory", "swap"), Unit::Bytes, "Memory and swap together; -1: no limit"),
    limit("cpu-period", ("cpu", "period"), Unit::Unsigned, "CFS period in microseconds"),
    limit("cpu-quota", ("cpu", "quota"), Unit::Signed, "CFS quota in microseconds a period; -1: none"),
    limit("cpu-burst", ("cpu", "burst"), Unit::Unsigned, "CFS burst in microseconds"),
    limit("cpu-share", ("cpu", "shares"), Unit::Unsigned, "CPU shares, relative to other containers"),
    limit("cpu-rt-period", ("cpu", "realtimePeriod"), Unit::Unsigned, "Real-time period in microseconds"),
    limit("cpu-rt-runtime", ("cpu", "realtimeRuntime"), Unit::Signed, "Real-time runtime in microseconds"),
    limit("cpu-idle", ("cpu", "idle"), Unit::Signed, "SCHED_IDLE for the whole cgroup: 0 or 1"),
    limit("cpuset-cpus", ("cpu", "cpus"), Unit::Text, "CPUs to use, such as 0-3,7"),
    limit("cpuset-mems", ("cpu", "mems"), Unit::Text, "Memory nodes to use"),
    limit("blkio-weight", ("blockIO", "weight"), Unit::Unsigned, "Block I/O weight, 10 to 1000"),
    limit("pids-limit", ("pids", "limit"), Unit::Signed, "Most processes and threads; -1: no limit"),
];

fn options() -> Vec<Arg> {
    let mut options = vec![
        value("resources", "FILE", "Take OCI resources as JSON from FILE, - is standard input").short('r'),
    ];
    options.extend(LIMITS.iter().map(|limit| value(limit.option, limit.unit.placeholder(), limit.help)));
    options.extend([
        value("l3-cache-schema", "SCHEMA", "Intel RDT cache schema (not supported yet)"),
        value("mem-bw-schema", "SCHEMA", "Intel RDT memory bandwidth schema (not supported yet)"),
        // Compat: runc accepts and ignores both; the kernel removed the limit in 5.16.
        value("kernel-memory", "BYTES", "").hide(true),
        value("kernel-memory-tcp", "BYTES", "").hide(true),
    ]);
    options
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let resources = resources(call)?;
    update::update(&call.store()?, &id, &resources)?;
    Ok(0)
}

/// The JSON of `--resources`, with the other options put over it.
fn resources(call: &Invocation<'_>) -> Result<Resources, Failure> {
    for option in ["l3-cache-schema", "mem-bw-schema"] {
        if call.value(option).is_some() {
            return Err(Failure::Unsupported { option, why: "Intel RDT is not supported yet" });
        }
    }
    let from = call.path("resources");
    let mut tree = from.as_deref().map(read).transpose()?.unwrap_or_default();
    for limit in LIMITS {
        if let Some(text) = call.text(limit.option)? {
            put(&mut tree, limit, limit.unit.parse(limit.option, &text)?);
        }
    }
    let path = from.as_deref().map_or_else(|| "the options".into(), named);
    serde_path_to_error::deserialize(Value::Object(tree)).map_err(|error| Failure::Json {
        path,
        place: format!("/{}", error.path().to_string().replace('.', "/")),
        reason: error.inner().to_string(),
    })
}

fn put(tree: &mut Map<String, Value>, limit: &Limit, value: Value) {
    let object = tree.entry(limit.object).or_insert(Value::Null);
    if object.is_null() {
        *object = Value::Object(Map::new());
    }
    // Anything else is no object: the conversion to types refuses it by name.
    if let Value::Object(fields) = object {
        fields.insert(limit.field.into(), value);
    }
}

/// The file as a message names it.
fn named(path: &Path) -> PathBuf {
    if path == Path::new("-") { "standard input".into() } else { path.into() }
}

fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let mut text = String::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
    };
    let path = named(path);
    result.map_err(|error| Failure::Read(path.clone(), error))?;
    let wrong = |reason| Failure::Json { path, place: String::new(), reason };
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

impl Unit {
    fn placeholder(self) -> &'static str {
        match self {
            Self::Signed | Self::Unsigned => "N",
            Self::Bytes => "BYTES",
            Self::Text => "LIST",
        }
    }

    fn parse(self, option: &str, text: &str) -> Result<Value, Failure> {
        let (value, wanted) = match self {
            Self::Signed => (text.parse::<i64>().ok().map(Value::from), "must be a whole number"),
            Self::Unsigned => (text.parse::<u64>().ok().map(Value::from), "must be a whole number from 0"),
            Self::Bytes => {
                (size::parse(text).map(Value::from), "must be bytes, such as 4096, 512m, 2g or -1")
            }
            Self::Text => (Some(Value::from(text)), ""),
        };
        value.ok_or_else(|| invalid(option, text, wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_lands_in_its_field() {
        let mut tree = Map::new();
        for limit in LIMITS {
            let text = if limit.unit == Unit::Text { "0-1" } else { "1" };
            put(&mut tree, limit, limit.unit.parse(limit.option, text).expect("valid"));
        }
        let want = serde_json::json!({
            "memory": {"limit": 1, "reservation": 1, "swap": 1},
            "cpu": {
                "period": 1, "quota": 1, "burst": 1, "shares": 1, "realtimePeriod": 1, "realtimeRuntime": 1,
                "idle": 1, "cpus": "0-1", "mems": "0-1"
            },
            "blockIO": {"weight": 1},
            "pids": {"limit": 1}
        });
        assert_eq!(Value::Object(tree), want);
    }

    #[test]
    fn an_option_goes_over_the_file() {
        let file = serde_json::json!({"memory": {"limit": 5, "swap": 7}, "pids": null});
        let Value::Object(mut tree) = file else { return };
        put(&mut tree, &LIMITS[0], Value::from(6));
        assert_eq!(Value::Object(tree), serde_json::json!({"memory": {"limit": 6, "swap": 7}, "pids": null}));
    }

    #[test]
    fn wrong_values_are_named() {
        for (unit, text, wanted) in [
            (Unit::Signed, "x", "must be a whole number"),
            (Unit::Unsigned, "-1", "must be a whole number from 0"),
            (Unit::Bytes, "1x", "must be bytes, such as 4096, 512m, 2g or -1"),
        ] {
            let error = unit.parse("memory", text).expect_err("invalid").to_string();
            assert_eq!(error, format!("invalid --memory {text:?}: {wanted}"));
        }
    }
}
