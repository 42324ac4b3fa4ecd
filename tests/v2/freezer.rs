//! `cgroup.freeze` of the container and of the groups above it.

use testkit::{hang, hierarchy, process};

use crate::group::{above, directory, exec, exec_refused, logged, read, text, value, write};
use crate::{both, ours};

const PAUSED: &str = "cannot exec in a paused container (use --ignore-paused to override)";

both! {
    fn pause_and_resume_are_cgroup_freeze(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        assert_eq!((value(&c, "cgroup.freeze"), c.status()), ("1".into(), "paused".into()));
        assert!(value(&c, "cgroup.events").contains("frozen 1"));
        c.resume().ok();
        assert_eq!((value(&c, "cgroup.freeze"), c.status()), ("0".into(), "running".into()));
        c.exec(&["true"]).ok();
    }

    fn a_paused_container_is_killed_and_deleted(lab) {
        let c = lab.sleeper();
        let init = process::pidfd(c.pid()).unwrap();
        c.pause().ok();
        c.delete_force().ok();
        process::wait_exit(&init, "init");
        assert!(!directory(&c).exists());
    }
}

ours! {
    fn a_group_frozen_behind_our_back_is_a_paused_container(lab) {
        let c = lab.sleeper();
        write(&directory(&c).join("cgroup.freeze"), "1");
        hang::eventually("the container to be paused", || c.status() == "paused");
        exec_refused(lab, &c, PAUSED);
        write(&directory(&c).join("cgroup.freeze"), "0");
        c.exec(&["true"]).ok();
    }

    fn an_exec_below_a_frozen_group_names_it(lab) {
        let c = lab.sleeper();
        let file = above(lab).join("cgroup.freeze");
        write(&file, "1");
        hang::eventually("the container to stand still", || value(&c, "cgroup.events").contains("frozen 1"));
        let expected = format!("exec: the container stands still: {} above its cgroup is frozen; thaw that first", above(lab).display());
        exec_refused(lab, &c, &expected);
        write(&file, "0");
        c.exec(&["true"]).ok();
    }

    fn resume_below_a_frozen_group_names_it(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        let file = above(lab).join("cgroup.freeze");
        write(&file, "1");
        let output = logged(lab, "resume", &[]).args([c.id()]).run().code(1);
        let text = text(&output);
        assert!(text.contains(&format!("{} above", above(lab).display())), "{text}");
        // Its own part is done, so that nothing but the thaw above is missing.
        write(&file, "0");
        c.wait_status("running");
        c.exec(&["true"]).ok();
    }

    fn a_container_below_a_frozen_group_is_killed_and_deleted(lab) {
        let c = lab.sleeper();
        let init = process::pidfd(c.pid()).unwrap();
        write(&above(lab).join("cgroup.freeze"), "1");
        c.delete_force().ok();
        process::wait_exit(&init, "init");
        assert_eq!(read(&above(lab).join("cgroup.freeze")), "1", "not ours to thaw");
        write(&above(lab).join("cgroup.freeze"), "0");
    }

    fn a_create_below_a_frozen_group_names_it(lab) {
        let _first = lab.sleeper();
        write(&above(lab).join("cgroup.freeze"), "1");
        let (_, text) = crate::group::create_refused(lab, &testkit::Config::new());
        let expected = format!("{} above its cgroup is frozen; thaw that first", above(lab).display());
        assert!(text.contains(&expected), "{text}");
        write(&above(lab).join("cgroup.freeze"), "0");
    }

    fn a_freeze_that_catches_the_exec_ends_in_words(lab) {
        let c = lab.sleeper();
        let init = c.pid();
        let trace = lab.path("trace");
        let hold = format!(
            "exec strace -f -qq -o '{}' -e trace=execve -e inject=execve:delay_enter=6000000:when=2 \"$@\"",
            trace.display()
        );
        let running = exec(lab, &c, &["true"]).through_shell(&hold).spawn();
        hang::eventually("the child to be in the group", || {
            hierarchy::pids(&c.group()).len() > 1 || running.has_ended()
        });
        write(&directory(&c).join("cgroup.freeze"), "1");
        let output = running.wait().code(255);
        let expected = format!("exec: the container is paused ({} is frozen); resume it first", directory(&c).display());
        assert_eq!(text(&output), expected);
        assert_eq!(hierarchy::pids(&c.group()), [init], "the child is gone though the container is frozen");
        write(&directory(&c).join("cgroup.freeze"), "0");
        c.exec(&["true"]).ok();
    }
}
