//! `pids.max` at every level, `RLIMIT_NPROC`, and whose affair a limit is.

use serde_json::json;
use testkit::{Config, hang, hierarchy};

use crate::refusal::{exec, process, refused, refused_process, text, write};
use crate::truth;

truth! {
    fn no_free_slot_is_refused_with_count_limit_and_file(lab) {
        let c = lab.sleeper();
        let file = c.control("pids", "pids.max");
        write(&file, "1");
        let text = format!(
            "exec: the container is at its process limit: pids.current=1 pids.max=1 ({})",
            file.display()
        );
        for _ in 0..5 {
            refused(lab, &c, &[], &["true"], &text);
        }
        write(&file, "max");
        c.exec(&["true"]).ok();
    }

    fn a_limit_below_the_count_is_refused_too(lab) {
        let c = lab.sleeper();
        let file = c.control("pids", "pids.max");
        write(&file, "0");
        let text = format!(
            "exec: the container is at its process limit: pids.current=1 pids.max=0 ({})",
            file.display()
        );
        refused(lab, &c, &[], &["true"], &text);
    }

    fn one_to_five_free_slots_are_enough(lab) {
        let c = lab.sleeper();
        for free in 1..=5 {
            write(&c.control("pids", "pids.max"), &(1 + free).to_string());
            for _ in 0..10 {
                c.exec(&["true"]).ok();
            }
        }
    }

    fn the_limit_of_the_level_above_is_named(lab) {
        let c = lab.sleeper();
        let file = hierarchy::directory("pids", lab.group()).join("pids.max");
        write(&file, "1");
        let text = format!(
            "exec: the container is at its process limit: pids.current=1 pids.max=1 ({})",
            file.display()
        );
        refused(lab, &c, &[], &["true"], &text);
        write(&file, "2");
        c.exec(&["true"]).ok();
    }

    fn a_noisy_neighbour_is_not_blamed(lab) {
        let noisy = lab.started(&Config::new().script("while :; do sleep 1 & wait; done"));
        write(&noisy.control("pids", "pids.max"), "1");
        let refusals = || noisy.read_control("pids", "pids.events");
        let c = lab.sleeper();
        let before = refusals();
        hang::eventually("the neighbour to hit its limit", || {
            let _refused = noisy.exec(&["true"]);
            noisy.read_control("pids", "pids.current") == "1" || refusals() != before
        });
        c.exec(&["true"]).ok();
        refused(lab, &c, &[], &["/no/such"], "exec: \"/no/such\": no such file or directory");
    }

    fn a_user_over_rlimit_nproc_is_named_with_the_limit(lab) {
        const UID: u32 = 61_231;
        let c = lab.sleeper();
        for _ in 0..2 {
            c.exec_with(&["--detach", "--user", &UID.to_string()], &["sleep", "1000000"]).ok();
        }
        let mut wanted = process(&["true"]);
        wanted["user"] = json!({"uid": UID, "gid": 0});
        wanted["rlimits"] = json!([{"type": "RLIMIT_NPROC", "soft": 1, "hard": 1}]);
        let text = format!("exec: \"true\": uid {UID} is over its RLIMIT_NPROC of 1 processes");
        refused_process(lab, &c, &wanted, &text);
        wanted["rlimits"] = json!([{"type": "RLIMIT_NPROC", "soft": 3, "hard": 3}]);
        let file = lab.write("process.json", &wanted.to_string());
        c.exec_with(&["--process", file.to_str().unwrap()], &[]).ok();
    }

    fn a_program_at_the_limit_is_its_own_affair(lab) {
        let c = lab.sleeper();
        write(&c.control("pids", "pids.max"), "2");
        let output = exec(lab, &c, &[], &["sh", "-c", "true & wait; echo never"]).run();
        assert!(output.stderr.contains("can't fork"), "{output}");
        assert!(!output.stderr.contains("\"level\""), "the runtime has nothing to say: {output}");
        assert_eq!(output.status.code(), Some(2), "busybox's own status: {output}");
    }

    fn many_execs_race_for_one_slot_and_each_knows_why(lab) {
        let c = lab.sleeper();
        write(&c.control("pids", "pids.max"), "3");
        let running: Vec<_> =
            (0..16).map(|_| exec(lab, &c, &[], &["sh", "-c", "exit 7"]).spawn()).collect();
        for running in running {
            let output = running.wait();
            match output.status.code() {
                Some(7) => {}
                Some(255) => {
                    let text = text(&output);
                    assert!(text.starts_with("exec: the container is at its process limit: "), "{text}");
                }
                _ => panic!("{output}"),
            }
        }
        hang::eventually("init to be alone", || hierarchy::pids(&c.group()) == [c.pid()]);
    }
}
