//! Resource limits and an `oom_score_adj` that cannot be set.

use std::fs;

use rustix::process::{Resource, getrlimit};
use serde_json::json;
use testkit::Config;

use crate::refusal::{create_refused, process, refused_process};
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
        let Some(own) = getrlimit(Resource::Nproc).maximum else {
            testkit::partner::skip("RLIMIT_NPROC of this process is unlimited");
            return;
        };
        let c = lab.sleeper();
        let mut description = process(&["true"]);
        description["rlimits"] = json!([{"type": "RLIMIT_NPROC", "soft": 10, "hard": own + 1}]);
        if lab.rt(&["exec"]).args([c.id(), "true"]).run().status.success() && has_cap_sys_resource() {
            testkit::partner::skip("this process has CAP_SYS_RESOURCE");
            return;
        }
        let text = format!(
            "exec: RLIMIT_NPROC {} is above the runtime's own hard limit of {own}, and it has no CAP_SYS_RESOURCE to raise it",
            own + 1
        );
        refused_process(lab, &c, &description, &text);
    }

    fn an_oom_score_below_the_floor_names_both(lab) {
        if has_cap_sys_resource() {
            testkit::partner::skip("this process has CAP_SYS_RESOURCE");
            return;
        }
        let c = lab.sleeper();
        let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let wanted = own.trim().parse::<i32>().unwrap() - 1;
        let mut description = process(&["true"]);
        description["oomScoreAdj"] = json!(wanted);
        let text = format!(
            "exec: oom_score_adj {wanted} is below the runtime's own floor (oom_score_adj {}), and it has no CAP_SYS_RESOURCE to go lower",
            own.trim()
        );
        refused_process(lab, &c, &description, &text);
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

fn has_cap_sys_resource() -> bool {
    let own = i32::try_from(std::process::id()).unwrap();
    let mask = testkit::process::status_line(own, "CapEff");
    u64::from_str_radix(&mask, 16).unwrap() & (1 << 24) != 0
}
