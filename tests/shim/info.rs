//! `-info`, which containerd 2.x asks before it runs anything. The stock shim of containerd 1.6 does not know the flag.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use containerd_shim_protos::shim::oci::Options;
use containerd_shim_protos::types::introspection::RuntimeInfo;
use protobuf::Message as _;
use serde_json::{Value, json};
use testkit::{Lab, Runtime};

use crate::ctr::ours;
use crate::session::any;

const OPTIONS: &str = "containerd.runc.v1.Options";

fn lab() -> Option<Lab> {
    Some(Lab::new(Runtime::Sluice, Runtime::Sluice.find()?))
}

/// The answer to options for this runtime; `""` is none.
fn ask(lab: &Lab, shim: &Path, binary_name: &str) -> RuntimeInfo {
    let options = Options { binary_name: binary_name.to_owned(), systemd_cgroup: true, ..Options::default() };
    let input = any(OPTIONS, &options).write_to_bytes().unwrap();
    // The answer is no text.
    let script = "exec \"$0\" -info > answer";
    lab.program("sh").args(["-c", script]).args([shim]).cwd(lab.path("")).stdin_bytes(&input).ok();
    let info = RuntimeInfo::parse_from_bytes(&fs::read(lab.path("answer")).unwrap()).unwrap();
    assert_eq!(info.name, "io.containerd.sluice.v2");
    assert!(!info.version.version.is_empty());
    let told = Options::parse_from_bytes(&info.options.value).unwrap();
    assert_eq!((info.options.type_url.as_str(), told), (OPTIONS, options));
    info
}

fn features(info: &RuntimeInfo) -> Value {
    assert!(info.features.type_url.ends_with("/features/Features"), "{}", info.features.type_url);
    serde_json::from_slice(&info.features.value).unwrap()
}

fn runtime(lab: &Lab, body: &str) -> String {
    let path = lab.write("runtime", &format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn the_features_are_those_of_the_runtime_in_the_shim() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let own: Value = lab.program(lab.binary()).args(["features"]).ok().json();
    let mut told = features(&ask(&lab, &shim, ""));
    // The commit is known to one of both at most.
    told["annotations"] = own["annotations"].clone();
    assert_eq!(told, own);
}

#[test]
fn the_features_of_a_runtime_that_is_named_are_its_own() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let wrapper = runtime(&lab, "[ \"$*\" = features ] && echo '{\"ociVersionMin\": \"0.9.9\"}'");
    assert_eq!(features(&ask(&lab, &shim, &wrapper)), json!({"ociVersionMin": "0.9.9"}));
}

/// A runtime without the verb, one that prints no JSON, one that does not exist: no features, and no failure.
#[test]
fn a_runtime_that_tells_nothing_has_no_features() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    for body in ["exit 1", "echo usage: no such verb"] {
        let info = ask(&lab, &shim, &runtime(&lab, body));
        assert!(info.features.is_none(), "{body}: {}", info.features.type_url);
    }
    assert!(ask(&lab, &shim, "/no/such/runtime").features.is_none());
}

#[test]
fn options_of_an_unknown_type_are_refused() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let input = any("x.Options", &Options::default()).write_to_bytes().unwrap();
    lab.program(&shim).args(["-info"]).stdin_bytes(&input).run().code(1).says("x.Options");
}
