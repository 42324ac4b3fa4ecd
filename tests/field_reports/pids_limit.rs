//! Report 003: `read init-p: connection reset by peer`, because the helper could not make its threads at `pids.max`.

use std::fs;

use serde_json::json;
use testkit::{Config, Container, Lab, conformance, hang};

const EXECS: usize = 10;
const RUNNING: u32 = 15;

conformance! {
    fn an_exec_needs_one_free_pid_and_says_when_there_is_none(lab) {
        let c = crowded(lab);
        for free in 0..=5 {
            limit(&c, RUNNING + free);
            let outputs: Vec<_> = (0..EXECS).map(|_| c.exec(&["true"])).collect();
            let longest = outputs.iter().map(|output| output.stderr.len()).max().unwrap();
            eprintln!(
                "{} with {free} free of {}, stderr up to {longest} bytes:\n{}",
                lab.runtime().name(),
                RUNNING + free,
                crate::tally(&outputs)
            );
            if lab.is_reference() {
                continue;
            }
            for output in outputs {
                assert!(output.stderr.len() <= 4096, "no dump: {output}");
                if free == 0 {
                    output.code(255).says("pids.max").says(&RUNNING.to_string());
                } else {
                    output.ok();
                }
            }
        }
        assert_eq!(c.status(), "running");
    }

    fn a_limit_of_an_ancestor_is_named_with_its_place(lab) {
        let c = crowded(lab);
        limit(&c, 1000);
        let parent = testkit::hierarchy::directory("pids", lab.group()).join("pids.max");
        write(&parent, RUNNING);
        let output = c.exec(&["true"]);
        eprintln!("{output}");
        if !lab.is_reference() {
            output.code(255).says("pids.max").says(parent.parent().unwrap().to_str().unwrap());
        }
        write(&parent, 1000);
        c.exec(&["true"]).ok();
    }
}

/// A container in which exactly [`RUNNING`] processes run.
fn crowded(lab: &Lab) -> Container<'_> {
    let script =
        format!("i=1; while [ $i -lt {RUNNING} ]; do sleep 1000000 & i=$((i+1)); done; touch /ready; wait");
    let c = lab.started(&Config::new().set("/linux/resources/pids", json!({"limit": 1000})).script(&script));
    hang::eventually("all processes", || {
        c.rootfs("/ready").exists() && c.read_control("pids", "pids.current") == RUNNING.to_string()
    });
    c
}

fn limit(c: &Container, pids: u32) {
    write(&c.control("pids", "pids.max"), pids);
}

fn write(path: &std::path::Path, value: u32) {
    let file = fs::File::options().write(true).open(path).unwrap();
    rustix::io::write(file, value.to_string().as_bytes()).unwrap();
}
