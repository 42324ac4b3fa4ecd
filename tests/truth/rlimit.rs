//! Resource limits and an `oom_score_adj` that cannot be set.

use std::fs;

use serde_json::json;
use testkit::{Config, hang, hierarchy, partner};

use crate::refusal::{create_refused, exec, hold_before, process, refused_process, text, verb};
use crate::truth;

fn nr_open() -> u64 {
    fs::read_to_string("/proc/sys/fs/nr_open").unwrap().trim().parse().unwrap()
}

truth! {
    fn open_files_above_nr_open_name_the_ceiling(lab) {
        let c = lab.sleeper();
        let (wanted, ceiling) = (nr_open() + 1, nr_open());
        let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 10, "hard": wanted}]);
        let text = format!("exec: RLIMIT_NOFILE {wanted} is above fs.nr_open={ceiling}");
        let mut description = process(&["true"]);
        description["rlimits"] = limits.clone();
        refused_process(lab, &c, &description, &text);
        create_refused(lab, &lab.bundle(&Config::new().set("/process/rlimits", limits)), &text);
    }

    fn a_limit_above_our_own_without_the_right_names_ours(lab) {
        let c = lab.sleeper();
        let mut description = process(&["true"]);
        description["rlimits"] = json!([{"type": "RLIMIT_NPROC", "soft": 10, "hard": 4001}]);
        let file = lab.write("process.json", &description.to_string());
        let without = format!("exec prlimit --nproc=4000 {WITHOUT_THE_RIGHT}");
        let output = exec(lab, &c, &["--process", file.to_str().unwrap()], &[]).through_shell(&without).run();
        let expected = "exec: RLIMIT_NPROC 4001 is above the runtime's own hard limit of 4000, and it has no CAP_SYS_RESOURCE to raise it";
        assert_eq!(text(&output.code(255)), expected);
    }

    fn a_limit_above_our_own_is_set_with_the_right(lab) {
        if !partner::has_sys_resource() {
            return;
        }
        let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 2000, "hard": 3000}]);
        let low = "exec prlimit --nofile=1000 \"$@\"";
        let show = ["sh", "-c", "ulimit -Sn; ulimit -Hn"];
        let c = lab.bundle(&Config::new().set("/process/rlimits", limits.clone()).args(&show));
        c.run_with(&[]).through_shell(low).ok().prints("2000\n3000");
        let c = lab.sleeper();
        let mut description = process(&show);
        description["rlimits"] = limits;
        let file = lab.write("process.json", &description.to_string());
        c.exec_with(&["--process", file.to_str().unwrap()], &[]).through_shell(low).ok().prints("2000\n3000");
    }

    fn an_oom_score_below_the_floor_names_both(lab) {
        let c = lab.sleeper();
        let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
        let wanted = own - 1;
        let mut description = process(&["true"]);
        description["oomScoreAdj"] = json!(wanted);
        let file = lab.write("process.json", &description.to_string());
        // Whoever has the right moves the floor by writing.
        let without = format!("echo {own} > /proc/self/oom_score_adj; exec {WITHOUT_THE_RIGHT}");
        let output = exec(lab, &c, &["--process", file.to_str().unwrap()], &[]).through_shell(&without).run();
        let expected = format!(
            "exec: oom_score_adj {wanted} is below the runtime's own floor (oom_score_adj {own}), and it has no CAP_SYS_RESOURCE to go lower"
        );
        assert_eq!(text(&output.code(255)), expected);
    }

    fn a_containers_oom_score_below_the_floor_names_both(lab) {
        let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
        let wanted = own - 1;
        let config = Config::new().set("/process/oomScoreAdj", json!(wanted));
        let expected = format!(
            "exec: oom_score_adj {wanted} is below the runtime's own floor (oom_score_adj {own}), and it has no CAP_SYS_RESOURCE to go lower"
        );
        let without = format!("echo {own} > /proc/self/oom_score_adj; exec {WITHOUT_THE_RIGHT}");
        for config in [config.clone(), config.user_namespace(100_000)] {
            let c = lab.bundle(&config);
            let bundle = c.bundle().to_str().unwrap();
            let create = verb(lab, "create", &["--bundle", bundle]).args([c.id()]);
            assert_eq!(text(&create.through_shell(&without).run().code(1)), expected);
        }
    }

    fn an_oom_score_set_with_the_right_is_the_programs_floor(lab) {
        if !partner::has_sys_resource() {
            return;
        }
        let c = lab.sleeper();
        let show = "cat /proc/self/oom_score_adj; echo 700 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj";
        for (score, lower) in [(-500, -501), (300, 299)] {
            let script = format!("{show}; echo {lower} > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj");
            let mut description = process(&["sh", "-c", &script]);
            description["oomScoreAdj"] = json!(score);
            let file = lab.write("score.json", &description.to_string());
            let output = c.exec_with(&["--process", file.to_str().unwrap()], &[]).run();
            assert_eq!(output.stdout, format!("{score}\n700\n700\n"), "{output}");
        }
    }

    fn an_exec_offers_itself_as_the_victim_until_its_program(lab) {
        let c = lab.sleeper();
        let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let init = c.pid();
        let hold = hold_before(lab, "chdir", 4_000_000);
        let running = exec(lab, &c, &[], &["cat", "/proc/self/oom_score_adj"]).through_shell(&hold).spawn();
        let score = hang::eventually_some("the child to be the preferred victim", || {
            assert!(!running.has_ended(), "{}", running.stderr());
            let child = hierarchy::pids(&c.group()).into_iter().find(|pid| *pid != init)?;
            let score = fs::read_to_string(format!("/proc/{child}/oom_score_adj")).ok()?;
            (score == "1000\n").then_some(score)
        });
        assert_eq!(score, "1000\n");
        running.wait().ok().prints(own.trim());
    }

    fn the_program_has_the_oom_score_that_was_asked_for(lab) {
        let c = lab.started(&Config::new().set("/process/oomScoreAdj", json!(300)));
        let show = ["cat", "/proc/self/oom_score_adj"];
        c.exec(&show).ok().prints("300");
        let mut description = process(&show);
        for score in [0, 300, 1000] {
            description["oomScoreAdj"] = json!(score);
            let file = lab.write("score.json", &description.to_string());
            c.exec_with(&["--process", file.to_str().unwrap()], &[]).ok().prints(&score.to_string());
        }
    }
}

/// The words before a command that take `CAP_SYS_RESOURCE` from it.
const WITHOUT_THE_RIGHT: &str = "setpriv --bounding-set -sys_resource \"$@\"";
