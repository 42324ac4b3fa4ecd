//! A memory limit that is too small to start in: the kernel kills the runtime's child, and the group is gone at once.

use serde_json::{Value, json};
use testkit::{Config, Doctor, Runtime, case, hierarchy, partner};

#[test]
fn a_start_that_its_own_limit_kills_is_named_from_the_kernels_log() {
    if hierarchy::is_v1("memory") {
        partner::not_run("a v1 group refuses a limit below what is in use, and runc says so; v2 kills");
        return;
    }
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        let config = Config::new().args(&["true"]).set("/linux/resources/memory/limit", json!(1 << 20));
        lab.step("runc's child needs more than a mebibyte");
        let output = lab.run_once(&config);
        assert!(!output.status.success(), "{output}");

        lab.step("named: the group that there is no more");
        let diagnosis = doctor.look();
        let is_ours = |it: &&Value| it["class"] == "ST-01" && it.to_string().contains(lab.group());
        let found = diagnosis["findings"].as_array().unwrap().iter().find(is_ours);
        let found = found.unwrap_or_else(|| panic!("{diagnosis:#}"));
        assert_eq!((&found["rule"], &found["severity"]), (&"memory_limit".into(), &"warning".into()));
        assert!(found["evidence"].to_string().contains("task=runc:["), "{found:#}");
    });
}
