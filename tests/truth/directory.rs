//! Working directories that are missing, closed, or outside the container.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use testkit::Config;

use crate::refusal::{exec, refused, text};
use crate::truth;

truth! {
    fn a_working_directory_that_cannot_be_entered_says_why(lab) {
        let c = lab.sleeper();
        symlink("/round", c.rootfs("/round")).unwrap();
        for (directory, reason) in [
            ("/nowhere", "is missing in the container"),
            ("/etc/passwd", "is a file in the container"),
            ("/round", "leads through symbolic links that go in a circle"),
        ] {
            let text = format!("exec: working directory \"{directory}\" {reason}");
            refused(lab, &c, &["--user", "1000", "--cwd", directory], &["pwd"], &text);
        }
    }

    fn a_working_directory_closed_to_the_user_is_told(lab) {
        let c = lab.bundle(&Config::new().user_namespace(100_000));
        fs::create_dir(c.rootfs("/closed")).unwrap();
        fs::set_permissions(c.rootfs("/closed"), fs::Permissions::from_mode(0o700)).unwrap();
        c.create().ok();
        c.start().ok();
        let text = "exec: working directory \"/closed\" is closed to uid 1000";
        refused(lab, &c, &["--user", "1000", "--cwd", "/closed"], &["pwd"], text);
    }

    fn no_descriptor_leads_out_of_the_container(lab) {
        let c = lab.sleeper();
        let outside = lab.path("io");
        for number in 3..24 {
            let directory = format!("/proc/self/fd/{number}");
            let arguments = exec(lab, &c, &["--cwd", &directory], &["pwd"]).through_shell(
                &format!("exec 7<'{0}' 8<'{0}' 9<'{0}'", outside.display()),
            );
            let output = arguments.run().code(255);
            let text = text(&output);
            let named = format!("exec: working directory \"{directory}\" ");
            let reasons = ["is missing in the container", "is a file in the container"];
            assert!(reasons.iter().any(|reason| text == format!("{named}{reason}")), "{text}");
        }
    }

    fn a_preserved_directory_of_the_host_is_refused(lab) {
        let c = lab.sleeper();
        let outside = lab.path("io");
        let arguments = exec(lab, &c, &["--preserve-fds", "1", "--cwd", "/proc/self/fd/3"], &["pwd"])
            .through_shell(&format!("exec 3<'{}'", outside.display()));
        let output = arguments.run().code(255);
        assert_eq!(text(&output), "preserved descriptor 3 leads to a directory outside the container");
    }
}
