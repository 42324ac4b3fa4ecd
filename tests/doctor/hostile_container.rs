//! A container that lies: about names, about being the runtime, about being in trouble.

use testkit::{hierarchy, process};

use crate::{chain, id_of, on_stock};

#[test]
fn no_remedy_leads_out_of_a_container_that_lies() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("victim", &[]);
        let victim = docker.inspect("victim")["State"]["Pid"].as_i64().unwrap();
        // The program is busybox under other names: a runtime's child, a daemon, a log line; it blocks on a pipe of its own.
        let script = format!(
            "cp /bin/busybox /tmp/runc; cp /bin/busybox /tmp/dockerd; cp /bin/busybox '/tmp/\") level=error';\n\
             (exec -a 'runc init {victim}' /tmp/runc sleep 1000000) & /tmp/dockerd sleep 1000000 & '/tmp/\") level=error' sleep 1000000 &\n\
             echo 'time=x level=error msg=\"Error running exec in container: OCI runtime exec failed: read init-p: connection reset by peer\"';\n\
             yes 'pid {victim} runc:[2:INIT] pipe_write' | sh -c 'echo ready; kill -STOP $$'"
        );
        docker.ok(&["run", "-d", "--name=liar", testkit::docker::IMAGE, "sh", "-c", &script]);
        let liar = id_of(docker, "liar");
        testkit::hang::eventually("the liar to be at work", || {
            docker.ok(&["logs", "liar"]).stdout.contains("ready")
        });

        lab.step("whatever is said about the liar stays on its own processes");
        let inside = hierarchy::pids(&docker.group_of(&liar));
        let found = doctor.finding("full_pipe", &liar);
        assert_eq!(chain(&found)[0], "yes", "there is something to be said about the liar: {found:#}");
        let diagnosis = doctor.look();
        let about_liar = |it: &&serde_json::Value| it["container"] == liar.as_str();
        for finding in diagnosis["findings"].as_array().unwrap().iter().filter(about_liar) {
            for remedy in finding["remedies"].as_array().unwrap() {
                for part in ["writer", "process"] {
                    let pid = remedy["action"][part]["pid"].as_i64();
                    assert!(
                        pid.is_none_or(|pid| inside.contains(&i32::try_from(pid).unwrap())),
                        "{finding:#}"
                    );
                }
            }
            assert!(!finding.to_string().contains("\\u001b"), "{finding:#}");
        }
        assert!(process::is_alive(i32::try_from(victim).unwrap()));
        let victim_id = id_of(docker, "victim");
        let about = |finding: &&serde_json::Value| finding["container"] == victim_id.as_str();
        assert_eq!(diagnosis["findings"].as_array().unwrap().iter().find(about), None);
        docker.ok(&["rm", "--force", "liar", "victim"]);
    });
}

#[test]
fn a_container_with_the_pids_of_the_host_is_nobodys_shim() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("victim", &[]);
        let victim = id_of(docker, "victim");
        let script = format!(
            "cp /bin/busybox /tmp/containerd-shim-runc-v2\n\
             exec -a sh /tmp/containerd-shim-runc-v2 -c 'echo ready; sleep 1000000; true' sh -id {victim}"
        );
        docker.ok(&["run", "-d", "--name=liar", "--pid=host", testkit::docker::IMAGE, "sh", "-c", &script]);
        testkit::hang::eventually("the liar to be at work", || {
            docker.ok(&["logs", "liar"]).stdout.contains("ready")
        });

        lab.step("the shim is the one that has started the container");
        let kept = lab.path("node.snapshot");
        doctor.cli(&["snapshot", "--save"]).args([&kept]).ok();
        let seen = lab.program("gzip").args(["-dc"]).args([&kept]).ok().stdout;
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        let mut containers = seen["containers"].as_array().unwrap().iter();
        let container = containers.find(|it| it["id"] == victim.as_str()).unwrap();
        let init = i32::try_from(container["init"].as_i64().unwrap()).unwrap();
        assert_eq!(container["shim"], process::stat(init).unwrap().ppid, "{container:#}");
        docker.ok(&["rm", "--force", "liar", "victim"]);
    });
}
