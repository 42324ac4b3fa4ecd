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
