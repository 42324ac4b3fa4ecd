//! A group that was removed from under its container.

use std::fs;
use std::path::PathBuf;

use testkit::{Container, Lab, hang};

use crate::group::{above, directory, exec_refused, logged, text, write};
use crate::ours;

/// Moves init to a group beside its own, removes that, and returns the new one.
fn removed(lab: &Lab, c: &Container<'_>) -> PathBuf {
    let away = above(lab).join("away");
    fs::create_dir(&away).unwrap();
    write(&away.join("cgroup.procs"), &c.pid().to_string());
    fs::remove_dir(directory(c)).unwrap();
    away
}

ours! {
    fn an_exec_names_the_group(lab) {
        let c = lab.sleeper();
        let away = removed(lab, &c);
        let expected = format!("exec: the container's cgroup is gone ({}): it is being deleted", directory(&c).display());
        exec_refused(lab, &c, &expected);
        c.delete_force().ok();
        hang::eventually("init's group to be empty", || fs::remove_dir(&away).is_ok());
    }

    fn an_update_names_the_group_and_a_delete_works(lab) {
        let c = lab.sleeper();
        let away = removed(lab, &c);
        let output = logged(lab, "update", &["--pids-limit", "9"]).args([c.id()]).run().code(1);
        assert!(text(&output).contains(&format!("{} is gone", directory(&c).display())), "{output}");
        c.delete_force().ok();
        hang::eventually("init's group to be empty", || fs::remove_dir(&away).is_ok());
    }
}
