//! podman with conmon: no daemon and no shim, the same findings.

use testkit::podman::Podman;
use testkit::{Doctor, Runtime, case, hang, hierarchy, partner, process};

#[test]
fn a_full_group_of_a_podman_container_is_named_and_raising_heals() {
    case::run(Runtime::Runc, |lab| {
        let (Some(doctor), Some(_)) = (Doctor::find(lab), partner::find("podman")) else { return };
        let podman = Podman::new(lab);
        let script = "i=1; while [ $i -lt 20 ]; do sleep 1000000 & i=$((i+1)); done; wait";
        let run = podman.run(&["-d", "--name=one", "--pids-limit=20"], &["sh", "-c", script]).ok();
        let id = run.stdout.trim().to_owned();
        let sleeps = |pid: &i32| process::status_line(*pid, "Name") == "sleep";
        hang::eventually("all to sleep", || {
            let pids = hierarchy::pids(&podman.group_of(&id));
            pids.len() == 20 && pids.iter().filter(|pid| sleeps(pid)).count() == 19
        });
        let found = doctor.finding("pids_limit", &id);

        lab.step("named: the level, the numbers, who fills it");
        assert_eq!(
            (&found["class"], &found["container"]),
            (&"EX-04".into(), &id.as_str().into()),
            "{found:#}"
        );
        let text = found.to_string();
        assert!(text.contains("20 of 20") && text.contains("19 sleep"), "{found:#}");

        lab.step("healed");
        doctor.heal(&found, &[]);
        let limit = hierarchy::directory("pids", &podman.group_of(&id)).join("pids.max");
        assert_ne!(std::fs::read_to_string(limit).unwrap(), "20\n");
        podman.cli(&["exec", "one", "true"]).ok();
        podman.cli(&["rm", "--force", "--time=0", "one"]).ok();
    });
}
