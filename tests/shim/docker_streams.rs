//! `docker exec` over our shim: containerd killed and started again in the middle, and the flood of field report 004.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::json;
use testkit::docker::{Docker, IMAGE};
use testkit::hang::eventually;
use testkit::{Lab, Running, partner};

use crate::ctr::{end_shims, lab, ours};

fn docker(test: impl FnOnce(&Lab, &mut Docker<'_>)) {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    if partner::find("dockerd").is_none() {
        return;
    }
    let mut docker = Docker::start_with_shim(&lab, &shim);
    test(&lab, &mut docker);
    docker.ok(&["rm", "--force", "box"]);
    end_shims(&lab);
    drop(docker);
    lab.assert_nothing_left();
}

/// A script that says `ready`, waits for `/shared/go`, and goes on with `rest`.
fn script(rest: &str) -> String {
    format!("echo ready; while [ ! -e /shared/go ]; do sleep 0.05; done; {rest}")
}

/// The program is faster than the answer to its start, without which dockerd says 126; a later answer is behind it.
fn wait_ready(docker: &Docker<'_>, client: &Running) {
    client.wait_stdout("ready");
    docker.ok(&["exec", "box", "true"]);
}

fn with_shared_folder(lab: &Lab, docker: &Docker<'_>) {
    let folder = lab.path("shared");
    fs::create_dir_all(&folder).unwrap();
    docker.sleeper("box", &["--volume", &format!("{}:/shared", folder.display())]);
}

#[test]
fn a_restart_of_containerd_in_the_middle_of_output_loses_no_byte() {
    docker(|lab, docker| {
        with_shared_folder(lab, docker);
        let text = script("head -c 300000 /dev/zero | tr '\\0' x; exit 7");
        let client = docker.cli(&["exec", "box", "sh", "-c", &text]).spawn();
        wait_ready(docker, &client);
        docker.containerd.kill();
        lab.write("shared/go", "");
        eventually("output to arrive while containerd is down", || client.stdout().len() > 100_000);
        docker.containerd.start_again();
        let output = client.wait().code(7);
        assert_eq!(output.stdout.len(), "ready\n".len() + 300_000);
    });
}

/// With the stock shim so only when containerd is back within seconds; after more than fifteen the client waits for ever.
#[test]
fn an_exec_that_ends_while_containerd_is_down_is_reported_after_its_start() {
    docker(|lab, docker| {
        with_shared_folder(lab, docker);
        let text = script("echo last words; touch /shared/ended; exit 7");
        let client = docker.cli(&["exec", "box", "sh", "-c", &text]).spawn();
        wait_ready(docker, &client);
        docker.containerd.kill();
        lab.write("shared/go", "");
        eventually("the program to end", || lab.path("shared/ended").exists());
        docker.containerd.start_again();
        let output = client.wait().code(7);
        assert_eq!(output.stdout, "ready\nlast words\n");
    });
}

/// With the stock shim `exec`, then `inspect`, `stats`, `top` and `stop` hang, and so does the next start of dockerd.
#[test]
fn a_runtime_that_floods_its_stderr_holds_nobody_up() {
    docker(|lab, docker| {
        let text = "#!/bin/sh\ncase \" $* \" in *\" exec \"*) head -c 66000 /dev/zero | tr '\\0' f >&2;; esac\n\
                    exec runc \"$@\"\n";
        let flood = lab.write("runc-flood", text);
        fs::set_permissions(&flood, fs::Permissions::from_mode(0o755)).unwrap();
        docker.stop_daemon(Signal::TERM);
        docker.start_daemon(&json!({"runtimes": {"flood": {"path": flood}}, "default-runtime": "flood"}));
        docker.sleeper("box", &[]);
        docker.cli(&["exec", "box", "sh", "-c", "echo through; exit 7"]).run().code(7).prints("through");
        docker.ok(&["inspect", "box"]);
        docker.ok(&["stats", "--no-stream", "box"]);
        docker.ok(&["top", "box"]);
        docker.ok(&["exec", "box", "true"]);
        docker.ok(&["stop", "--time=1", "box"]);
        docker.stop_daemon(Signal::KILL);
        docker.start_daemon(&json!({"runtimes": {"flood": {"path": flood}}, "default-runtime": "flood"}));
        docker.ok(&["run", "--rm", IMAGE, "true"]);
    });
}
