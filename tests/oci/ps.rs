//! `ps`: pids for programs, the host's table for people.

use serde_json::json;
use testkit::{conformance, hierarchy};

conformance! {
    fn the_json_is_an_array_of_host_pids(lab) {
        let c = lab.sleeper();
        let output = c.verb("ps", &["--format", "json"], &[]).ok();
        assert_eq!(output.json(), json!([c.pid()]));
        assert_eq!(output.stderr, "", "callers read both streams as one");
    }

    fn execed_processes_are_listed(lab) {
        let c = lab.sleeper();
        c.exec_with(&["--detach"], &["sleep", "1000000"]).ok();
        let mut pids: Vec<i64> = c
            .verb("ps", &["-f", "json"], &[])
            .ok()
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|pid| pid.as_i64().unwrap())
            .collect();
        pids.sort_unstable();
        assert_eq!(pids, hierarchy::pids(&c.group()).into_iter().map(i64::from).collect::<Vec<_>>());
        assert_eq!(pids.len(), 2);
    }

    fn the_table_is_the_hosts_ps_cut_to_the_container(lab) {
        let c = lab.sleeper();
        let table = c.verb("ps", &[], &[]).ok().stdout;
        assert!(table.lines().next().unwrap().contains("PID"), "{table}");
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(table.contains("sleep 1000000"), "{table}");
    }

    fn arguments_go_to_the_hosts_ps(lab) {
        let c = lab.sleeper();
        let table = c.verb("ps", &[], &["-e", "-o", "pid,comm"]).ok().stdout;
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [vec!["PID", "COMMAND"], vec![c.pid().to_string().as_str(), "sleep"]]);
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["ps", "nobody"]).code(1).says("does not exist");
    }

    fn a_created_container_has_its_init(lab) {
        let c = lab.created(&testkit::Config::new());
        assert_eq!(c.verb("ps", &["--format", "json"], &[]).ok().json(), json!([c.pid()]));
    }
}
