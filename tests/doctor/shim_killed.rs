//! A shim that was killed in the middle of an exec: the client of the exec waits for ever.

use serde_json::json;
use testkit::{hang, process};

use crate::{id_of, on_stock};

#[test]
fn the_client_that_waits_in_vain_is_named_and_ended() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        let exec = docker.cli(&["exec", &id, "sh", "-c", "echo begun; exec sleep 1000000"]).spawn();
        exec.wait_stdout("begun");
        let init = docker.inspect("one")["State"]["Pid"].as_i64().unwrap();
        let shim = process::stat(i32::try_from(init).unwrap()).unwrap().ppid;
        lab.step("the shim is killed; containerd ends the container");
        process::signal(shim, rustix::process::Signal::KILL);
        docker.wait_inspect("one", "/State/Status", &json!("exited"));
        assert!(!exec.has_ended(), "dockerd lost the exit of the exec");

        lab.step("named");
        let found = doctor.finding("lost_exec_client", &id);
        assert_eq!(found["class"], "IN-05");
        assert!(found["id"].as_str().unwrap().ends_with(&format!("/{}", exec.pid())), "{found:#}");
        assert_eq!(found["blocker"]["name"], "dockerd", "{found:#}");

        lab.step("healed");
        doctor.heal(&found, &[]);
        hang::eventually("the client to have ended", || exec.has_ended());
        docker.ok(&["rm", "--force", "one"]);
    });
}
