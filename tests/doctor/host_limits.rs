//! Limits that are reached for one user or in one namespace, so that nobody else is disturbed.

use std::ffi::OsStr;

use serde_json::Value;
use testkit::{Doctor, Lab, Runtime, case};

/// What the doctor finds about limits when it is started by `words`.
fn limits(lab: &Lab, words: &[&str], doctor: impl AsRef<OsStr>) -> Vec<Value> {
    let command = lab.program(words[0]).args(&words[1..]).args([doctor]);
    let answer = command.args(["--json", "--at-once"]).run();
    assert!(answer.status.code().is_some_and(|code| code <= 2), "a severity: {answer}");
    let findings = answer.json()["findings"].as_array().unwrap().clone();
    findings.into_iter().filter(|found| found["rule"] == "host_limits").collect()
}

#[test]
fn a_user_without_an_inotify_instance_left_is_told() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        let program = doctor.cli(&[]).words()[0].clone();
        let set = |most: u32| format!("echo {most} > /proc/sys/user/max_inotify_instances; exec \"$@\"");
        for (most, found) in [(1, 0), (0, 1)] {
            let words = ["unshare", "--user", "--map-root-user", "sh", "-c", &set(most), "sh"];
            let mut told = limits(lab, &words, &program);
            told.retain(|it| it["class"] == "ST-11");
            assert_eq!(told.len(), found, "{most}: {told:#?}");
        }
    });
}

#[test]
fn a_doctor_that_may_start_no_process_says_so_instead_of_finding_nothing() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        // The built one may lie in a folder of root's own.
        let program = lab.path("sluice-doctor");
        std::fs::copy(&doctor.cli(&[]).words()[0], &program).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let user = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"];
        let words = [&["prlimit", "--nproc=1"], &user[..]].concat();
        let told = limits(lab, &words, &program);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!((&told[0]["class"], &told[0]["blocker"]["name"]), (&"EX-04".into(), &"fork".into()));
    });
}
