//! The doctor in the hands of a user who may not see everything.

use std::os::unix::fs::PermissionsExt as _;

use testkit::{Cmd, Doctor, Lab, Runtime, case};

#[test]
fn a_user_is_told_what_was_not_seen() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        // The built one may lie in a folder of root's own.
        let program = lab.path("sluice-doctor");
        std::fs::copy(&doctor.cli(&[]).words()[0], &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let user = lab.program("setpriv").args(nobody).args([&program]).args(["--json"]).run();
        assert!(user.status.code().is_some_and(|code| code <= 2), "a severity: {user}");
        let unseen = user.json()["unseen"].to_string();
        assert!(unseen.contains("/fd") && unseen.contains("permission denied; root would see it"), "{user}");
        let root = doctor.look()["unseen"].to_string();
        assert!(!root.contains("permission denied"), "{root}");
    });
}

/// The doctor in a pid namespace of its own, as nobody, with a `/proc` that hides whom one may not trace.
fn out_of_sight(lab: &Lab, doctor: &Doctor<'_>) -> Cmd {
    let program = lab.path("sluice-doctor");
    std::fs::copy(&doctor.cli(&[]).words()[0], &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A `/proc` of its own: a remount would change that of the host.
    let script = "mount -t proc -o hidepid=2 proc /proc\n\
         exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$0\" \"$@\"";
    let apart = lab.program("unshare").args(["--pid", "--fork", "--mount", "--", "sh", "-ec", script]);
    apart.args([&program])
}

#[test]
fn who_is_out_of_sight_is_told() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        let told = out_of_sight(lab, &doctor).ok();
        assert!(told.stdout.contains("only those of pid namespace"), "{told}");
        assert!(told.stdout.contains("mounted with hidepid"), "{told}");
        let host = doctor.cli(&[]).run();
        assert!(!host.stdout.contains("pid namespace") && !host.stdout.contains("hidepid"), "{host}");
    });
}

#[test]
fn a_watch_tells_who_is_out_of_sight() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        let (state, metrics) = (lab.path("watch"), lab.path("watch/doctor.prom"));
        std::fs::create_dir(&state).unwrap();
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
        let watch = |program: Cmd| {
            let program = program.args(["watch", "--looks", "1", "--state"]).args([&state]);
            let said = program.args(["--metrics"]).args([&metrics]).ok().stderr;
            let text = std::fs::read_to_string(&metrics).unwrap();
            std::fs::remove_file(&metrics).unwrap();
            let metric = text.lines().find(|line| line.starts_with("sluice_doctor_out_of_sight ")).unwrap();
            (said, metric.to_owned())
        };
        let (said, metric) = watch(out_of_sight(lab, &doctor));
        assert!(said.contains("not seen: the host's processes: only those of pid namespace"), "{said}");
        assert!(said.contains("mounted with hidepid"), "{said}");
        assert_eq!(metric, "sluice_doctor_out_of_sight 2");
        let (said, metric) = watch(doctor.cli(&[]));
        assert!(!said.contains("not seen: "), "{said}");
        assert_eq!(metric, "sluice_doctor_out_of_sight 0");
    });
}
