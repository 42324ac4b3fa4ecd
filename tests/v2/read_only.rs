//! A tree that is mounted read-only, as in a container that runs containers.

use testkit::{Cmd, Config};

use crate::group::{above, directory, limited, logged, text};
use crate::ours;

/// The command in a mount namespace of its own, where the tree is read-only.
fn read_only(command: Cmd) -> Cmd {
    let script =
        "exec unshare --mount sh -c 'mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"' sh \"$@\"";
    command.through_shell(script)
}

ours! {
    fn a_create_says_that_the_tree_is_read_only(lab) {
        std::fs::create_dir_all(above(lab)).unwrap();
        let c = lab.bundle(&Config::new());
        let bundle = c.bundle().to_str().unwrap();
        let output = read_only(logged(lab, "create", &["--bundle", bundle]).args([c.id()])).run().code(1);
        let expected = format!("make cgroup {} (/sys/fs/cgroup is mounted read-only)", directory(&c).display());
        assert!(text(&output).contains(&expected), "{output}");
        assert!(!directory(&c).exists());
    }

    fn an_update_says_that_the_tree_is_read_only(lab) {
        let c = lab.started(&limited(&serde_json::json!({"pids": {"limit": 20}})));
        let output = read_only(logged(lab, "update", &["--pids-limit", "9"]).args([c.id()])).run().code(1);
        let expected = format!("write \"9\" to {}/pids.max (/sys/fs/cgroup is mounted read-only)", directory(&c).display());
        assert!(text(&output).contains(&expected), "{output}");
        assert_eq!(crate::group::value(&c, "pids.max"), "20");
    }

    fn an_exec_works_since_it_writes_nothing(lab) {
        let c = lab.sleeper();
        read_only(c.exec_with(&[], &["echo", "hello"])).ok().prints("hello");
    }

    fn a_delete_that_cannot_remove_the_group_says_so_and_can_be_repeated(lab) {
        let c = lab.sleeper();
        c.stop();
        let output = read_only(logged(lab, "delete", &[]).args([c.id()])).run().code(1);
        let expected = format!("remove cgroup {} (/sys/fs/cgroup is mounted read-only)", directory(&c).display());
        assert!(text(&output).contains(&expected), "{output}");
        c.delete().ok();
        assert!(!directory(&c).exists());
    }
}
