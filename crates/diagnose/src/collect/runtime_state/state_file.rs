//! The state files of runc, crun, youki and Sluice, as far as a diagnosis needs them.

use serde::Deserialize;
use serde_json::Value;

use crate::snapshot::StateFile;
use crate::snapshot::runtime_state::RuntimeKind;

/// Every name that one of them gives to the same thing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    // Compat: runc 1.x, libcontainer/container_linux.go.
    init_process_pid: Option<i32>,
    init_process_start: Option<u64>,
    cgroup_paths: Value,
    config: Option<Config>,
    // Compat: crun 1.x, libcrun/status.c; youki and Sluice use `pid` too.
    pid: Option<i32>,
    #[serde(rename = "process-start-time")]
    process_start_time: Option<u64>,
    #[serde(rename = "cgroup-path")]
    cgroup_path: Option<String>,
    bundle: Option<String>,
    // Ours.
    format: Option<u32>,
    init: Value,
    groups: Value,
    // Compat: youki, `state.json`.
    #[serde(rename = "ociVersion")]
    oci_version: Option<String>,
}

/// Of the specification that runc keeps, which is the most of its file: nothing else is kept while it is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    labels: Value,
}

/// What a state file says, and whose it is. `expected` is the kind that its name speaks for.
#[must_use]
pub fn parse(text: &str, expected: RuntimeKind) -> (RuntimeKind, StateFile) {
    let fields: Fields = match serde_json::from_str(text) {
        Ok(fields) => fields,
        Err(error) => return (expected, StateFile::Torn { error: error.to_string() }),
    };
    let kind = kind(&fields, expected);
    let inner = |key: &str| fields.init.get(key).and_then(Value::as_u64);
    let pid = inner("pid").and_then(|pid| i32::try_from(pid).ok());
    let start = inner("startTime").or_else(|| inner("start_time"));
    let file = StateFile::Whole {
        init: fields.init_process_pid.or(fields.pid).or(pid).filter(|pid| *pid > 0),
        init_start_time: fields.init_process_start.or(fields.process_start_time).or(start),
        bundle: fields.bundle.clone().or_else(|| bundle_label(fields.config.as_ref()?)),
        cgroups: cgroups(&fields),
    };
    (kind, file)
}

fn kind(fields: &Fields, expected: RuntimeKind) -> RuntimeKind {
    if fields.format.is_some() {
        RuntimeKind::Sluice
    } else if fields.oci_version.is_some()
        && fields.init_process_pid.is_none()
        && expected == RuntimeKind::Runc
    {
        RuntimeKind::Youki
    } else {
        expected
    }
}

/// `config.labels` holds `bundle=DIR`.
fn bundle_label(config: &Config) -> Option<String> {
    let labels = config.labels.as_array()?;
    labels.iter().find_map(|label| Some(label.as_str()?.strip_prefix("bundle=")?.to_owned()))
}

fn cgroups(fields: &Fields) -> Vec<String> {
    let values = |value: &Value| -> Vec<String> {
        let texts: Vec<&Value> = match value {
            Value::Object(map) => map.values().collect(),
            Value::Array(list) => list.iter().collect(),
            _ => Vec::new(),
        };
        texts.into_iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    let mut all = values(&fields.cgroup_paths);
    all.extend(values(&fields.groups));
    all.extend(fields.cgroup_path.clone());
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_a_file_is_torn_and_says_where() {
        let (_, file) = parse("{\"init_process_pid\": 4", RuntimeKind::Runc);
        let StateFile::Torn { error } = file else { panic!("{file:?}") };
        assert!(error.contains("line 1 column"), "{error}");
    }

    #[test]
    fn the_status_of_crun() {
        let text = r#"{"pid":7,"process-start-time":9,"cgroup-path":"/x","bundle":"/b","created":"2026"}"#;
        let (kind, file) = parse(text, RuntimeKind::Crun);
        assert_eq!(kind, RuntimeKind::Crun);
        let (bundle, cgroups) = (Some("/b".to_owned()), vec!["/x".to_owned()]);
        assert_eq!(file, StateFile::Whole { init: Some(7), init_start_time: Some(9), bundle, cgroups });
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text, RuntimeKind::Runc);
        }
    }
}
