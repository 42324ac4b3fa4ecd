//! The doctor at real stock stacks: each failure staged, found with the right blocker, and healed.
//!
//! Each test starts a dockerd and a containerd of its own, breaks one thing, and asks the doctor, which sees the whole
//! host; so it is asked only about the test's own container. Each test is a flat script of named steps.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is a failed assertion, files are the lab's own"
)]

mod blocked_restart;
mod containerd_killed;
mod dockerd_killed;
mod explain;
mod grandchild_stdout;
mod healthy_node;
mod host_limits;
mod hostile_container;
mod memory_start;
mod oom_killer_off;
mod page;
mod paused_exec;
mod pids_limit;
mod podman;
mod shim_killed;
mod slow_runtime;
mod stderr_flood;
mod stopped_engine;
mod torn_state;
mod unit;
mod waiting_inspects;
mod watch;
mod without_root;

use serde_json::{Value, json};
use testkit::docker::Docker;
use testkit::{Doctor, Lab, Runtime, case, partner};

/// Runs a body on dockerd with stock runc, and with the runtimes `flood` (see [`flooding_runtime`]) and `slow` (see
/// [`slow_runtime`]).
fn on_stock(body: impl FnOnce(&Lab, &mut Docker<'_>, &Doctor<'_>)) {
    case::run(Runtime::Runc, |lab| {
        let (Some(doctor), Some(_)) = (Doctor::find(lab), partner::find("dockerd")) else { return };
        let mut docker = Docker::with(lab, &settings(lab));
        body(lab, &mut docker, &doctor);
    });
}

fn settings(lab: &Lab) -> Value {
    json!({"runtimes": {"flood": {"path": flooding_runtime(lab)}, "slow": {"path": slow_runtime(lab)}}})
}

/// A wrapper that writes 66,000 bytes of a crash dump to standard error before each exec, and then is runc.
fn flooding_runtime(lab: &Lab) -> String {
    wrapper(lab, "runc-flood", "yes 'goroutine 1 [running]:' | head -c 66000 >&2")
}

/// A wrapper that waits for nothing in particular before each exec, and then is runc.
fn slow_runtime(lab: &Lab) -> String {
    wrapper(lab, "runc-slow", "sleep 1000000")
}

/// A script that does something before each exec, and then is runc.
fn wrapper(lab: &Lab, name: &str, first: &str) -> String {
    let runc = lab.binary();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' exec '*)\n  {first};;\nesac\nexec {} \"$@\"\n",
        runc.display()
    );
    let path = lab.write(name, &script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    path.display().to_string()
}

/// Full id of a container.
fn id_of(docker: &Docker<'_>, name: &str) -> String {
    docker.inspect(name)["Id"].as_str().unwrap().to_owned()
}

/// Pid of a finding's blocker.
fn blocker(finding: &Value) -> i32 {
    let pid = finding["blocker"]["pid"].as_i64().unwrap_or_else(|| panic!("no blocker in {finding:#}"));
    i32::try_from(pid).unwrap()
}

/// Names along the chain, without pids.
fn chain(finding: &Value) -> Vec<String> {
    let links = finding["chain"].as_array().unwrap().iter();
    let names = links.map(|link| link["who"].as_str().unwrap().split(" (").next().unwrap().to_owned());
    names.collect()
}
