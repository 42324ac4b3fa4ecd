//! The same conditions met by `create`, `start` and `run`: exit code 1, the same words, nothing half-made.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use testkit::freezer::Freezer;
use testkit::{Config, Container, Lab, hierarchy};

use crate::refusal::{create_refused, text, verb, write};
use crate::truth;

truth! {
    fn a_program_that_cannot_run_is_found_at_create(lab) {
        for (program, reason) in [
            ("no-such", "executable file not found in $PATH"),
            ("/no/such", "no such file or directory"),
            ("/etc", "is a directory"),
            ("/etc/passwd", "permission denied: the file is not executable (mode 0644)"),
            ("/etc/passwd/x", "not a directory: /etc/passwd is a file"),
            ("/dev/null", "permission denied: it is a character device, not a program"),
        ] {
            let c = lab.bundle(&Config::new().args(&[program]));
            create_refused(lab, &c, &format!("exec: \"{program}\": {reason}"));
        }
    }

    fn a_program_that_only_execve_refuses_is_found_at_start(lab) {
        for (bytes, reason) in [
            ("", "exec format error (permission denied to run it): the file is empty"),
            ("#!/no/such\n", "no such file or directory: the script wants /no/such, which the image lacks"),
        ] {
            let c = lab.bundle(&Config::new().args(&["/program"]));
            fs::write(c.rootfs("/program"), bytes).unwrap();
            fs::set_permissions(c.rootfs("/program"), fs::Permissions::from_mode(0o755)).unwrap();
            c.create().ok();
            let output = verb(lab, "start", &[]).args([c.id()]).run().code(1);
            assert_eq!(text(&output), format!("exec: \"/program\": {reason}"));
            c.wait_status("stopped");
        }
    }

    fn run_says_the_same_and_leaves_nothing(lab) {
        let c = lab.bundle(&Config::new().args(&["/no/such"]));
        let bundle = c.bundle().to_str().unwrap();
        let output = verb(lab, "run", &["--bundle", bundle]).args([c.id()]).run().code(1);
        assert_eq!(text(&output), "exec: \"/no/such\": no such file or directory");
        verb(lab, "state", &[]).args([c.id()]).run().code(1);
    }

    fn a_working_directory_that_is_a_file_is_named(lab) {
        let c = lab.bundle(&Config::new().set("/process/cwd", json!("/etc/passwd")));
        create_refused(lab, &c, "config.json/process/cwd: /etc/passwd: make directory /etc/passwd: a part of the path is no directory (ENOTDIR)");
    }

    fn a_level_above_at_its_limit_is_named(lab) {
        let neighbour = lab.sleeper();
        let above = hierarchy::directory("pids", lab.group());
        write(&above.join("pids.max"), "1");
        let c = lab.bundle(&Config::new());
        let text = format!(
            "exec: the container is at its process limit: pids.current=1 pids.max=1 ({}/pids.max)",
            above.display()
        );
        create_refused(lab, &c, &text);
        drop(neighbour);
    }

    fn a_frozen_level_above_is_named(lab) {
        let neighbour = lab.sleeper();
        let above = Freezer::of(lab.group());
        above.freeze();
        let c = lab.bundle(&Config::new());
        let text = format!("exec: the container stands still: {} above its cgroup is frozen; thaw that first", above.directory().display());
        create_refused(lab, &c, &text);
        above.thaw();
        drop(neighbour);
    }

    fn a_pid_namespace_without_init_is_named_and_not_memory(lab) {
        let (_kept, path) = namespace_of_a_former(lab.sleeper(), "pid");
        let c = lab.bundle(&Config::new().namespace("pid", Some(&path)));
        refused_for_an_ended_namespace(lab, &c, &path);
    }

    fn a_pid_namespace_without_init_is_named_through_a_joined_user_namespace_too(lab) {
        let users = lab.started(&Config::new().user_namespace(100_000));
        let (_kept, path) = namespace_of_a_former(lab.sleeper(), "pid");
        let config = Config::new()
            .namespace("user", Some(&format!("/proc/{}/ns/user", users.pid())))
            .namespace("pid", Some(&path));
        refused_for_an_ended_namespace(lab, &lab.bundle(&config), &path);
    }

    fn a_limit_too_small_for_init_is_named(lab) {
        let c = lab.bundle(&Config::new().set("/linux/resources/memory", json!({"limit": 4096, "swap": 4096})));
        let bundle = c.bundle().to_str().unwrap();
        let output = verb(lab, "create", &["--bundle", bundle]).args([c.id()]).run().code(1);
        let text = text(&output);
        assert!(text.starts_with("container init ended while it had to "), "{text}");
        assert!(text.contains("out of memory: memory."), "{text}");
        assert!(text.contains(&c.group()), "{text}");
        assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
    }

    fn start_in_a_frozen_cgroup_is_refused_at_once_and_works_after_the_thaw(lab) {
        let c = lab.created(&Config::new());
        let above = Freezer::of(lab.group());
        above.freeze();
        let output = verb(lab, "start", &[]).args([c.id()]).run().code(1);
        let expected = format!("exec: the container stands still: {} above its cgroup is frozen; thaw that first", above.directory().display());
        assert_eq!(text(&output), expected);
        above.thaw();
        testkit::hang::eventually("the container to be thawed", || c.status() == "created");
        c.start().ok();
        assert_eq!(c.status(), "running");
    }

    fn a_paused_container_is_started_only_after_resume(lab) {
        let c = lab.created(&Config::new());
        c.pause().ok();
        let output = verb(lab, "start", &[]).args([c.id()]).run().code(1);
        assert_eq!(text(&output), "cannot start a paused container");
        c.resume().ok();
        c.start().ok();
    }
}

/// A namespace that nothing is in any more, held open by this process, and the path to it.
fn namespace_of_a_former(c: Container<'_>, kind: &str) -> (fs::File, String) {
    let file = fs::File::open(format!("/proc/{}/ns/{kind}", c.pid())).unwrap();
    c.delete_force().ok();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    (file, path)
}

fn refused_for_an_ended_namespace(lab: &Lab, c: &Container<'_>, path: &str) {
    let bundle = c.bundle().to_str().unwrap();
    let output = verb(lab, "create", &["--bundle", bundle]).args([c.id()]).run().code(1);
    let text = text(&output);
    assert!(text.starts_with("config.json/linux/namespaces/"), "{text}");
    let expected = format!("the pid namespace {path} has no init any more, so no process can be made in it");
    assert!(text.ends_with(&expected), "{text}");
    assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
}
