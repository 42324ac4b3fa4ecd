//! The doctor in the hands of a user who may not see everything.

use std::os::unix::fs::PermissionsExt as _;

use testkit::{Doctor, Runtime, case};

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

#[test]
fn who_is_out_of_sight_is_told() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        let program = lab.path("sluice-doctor");
        std::fs::copy(&doctor.cli(&[]).words()[0], &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A `/proc` of its own: a remount would change that of the host.
        let script = "mount -t proc -o hidepid=2 proc /proc\n\
             exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$0\"";
        let apart = lab.program("unshare").args(["--pid", "--fork", "--mount", "--", "sh", "-ec", script]);
        let told = apart.args([&program]).ok();
        assert!(told.stdout.contains("only those of pid namespace"), "{told}");
        assert!(told.stdout.contains("mounted with hidepid"), "{told}");
        let host = doctor.cli(&[]).run();
        assert!(!host.stdout.contains("pid namespace") && !host.stdout.contains("hidepid"), "{host}");
    });
}
