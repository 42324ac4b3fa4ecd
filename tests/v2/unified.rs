//! The `unified` map of the resources: raw files of the group.

use serde_json::json;
use testkit::hierarchy;

use crate::both;
use crate::group::{create_refused, limited, update, value};
use crate::ours;

both! {
    fn a_known_file_is_written(lab) {
        let c = lab.created(&limited(&json!({"unified": {"memory.high": "50331648", "pids.max": "99"}})));
        assert_eq!((value(&c, "memory.high"), value(&c, "pids.max")), ("50331648".into(), "99".into()));
    }

    fn it_wins_over_the_resource_of_the_same_file(lab) {
        let c = lab.created(&limited(&json!({"pids": {"limit": 5}, "unified": {"pids.max": "99"}})));
        assert_eq!(value(&c, "pids.max"), "99");
    }

    fn a_name_with_a_slash_is_refused(lab) {
        for name in ["../pids.max", "a/b.c", "/pids.max"] {
            let c = lab.bundle(&limited(&json!({"unified": {name: "1"}})));
            c.create().code(1).says("unified").says(name);
            assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
        }
    }

    fn a_refused_value_is_an_error(lab) {
        let c = lab.bundle(&limited(&json!({"unified": {"pids.max": "many"}})));
        c.create().code(1).says("pids.max");
        assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
    }
}

ours! {
    fn an_unknown_file_is_told_with_those_of_its_controller(lab) {
        let (group, text) = create_refused(lab, &limited(&json!({"unified": {"pids.most": "5"}})));
        let expected = format!(
            "linux/resources/unified/pids.most: there is no {}/pids.most to write \"5\" to (the pids controller has pids.max)",
            group.display()
        );
        assert!(text.ends_with(&expected), "{text}");
    }

    fn a_file_of_an_unknown_controller_is_told_with_the_controllers_there_are(lab) {
        let (group, text) = create_refused(lab, &limited(&json!({"unified": {"colour.max": "5"}})));
        let top = group.parent().unwrap().parent().unwrap();
        let controllers = crate::group::read(&top.join("cgroup.controllers")).replace(' ', ", ");
        let expected = format!("linux/resources/unified/colour.max: the colour controller is not available (there are {controllers})");
        assert!(text.ends_with(&expected), "{text}");
    }

    fn a_refused_value_is_told_with_key_file_and_what_would_be_right(lab) {
        if !testkit::partner::has_linux((5, 15), "an idle group") {
            return;
        }
        let table = [
            ("pids.max", "many", "a number or max"),
            ("memory.high", "lots", "a number of bytes or max"),
            ("memory.oom.group", "2", "0 or 1"),
            ("cpu.weight", "0", "1 to 10000"),
            ("cpu.weight", "10001", "1 to 10000"),
            ("cpu.idle", "7", "0 or 1"),
            ("io.max", "much", "rbps=, wbps=, riops=, wiops="),
        ];
        for (file, refused, right) in table {
            let (group, text) = create_refused(lab, &limited(&json!({"unified": {file: refused}})));
            assert!(text.contains(&format!("write {refused:?} to {}/{file}", group.display())), "{text}");
            assert!(text.contains(right), "{file}: {right} in {text}");
        }
    }

    fn a_file_of_the_group_itself_is_refused(lab) {
        for file in ["cgroup.procs", "cgroup.kill", "cgroup.freeze", "cgroup.subtree_control", "cgroup.type"] {
            let (_, text) = create_refused(lab, &limited(&json!({"unified": {file: "1"}})));
            let expected = format!("linux/resources/unified/{file}: is no limit but a switch of the group itself; a file of a controller is expected, such as memory.high");
            assert!(text.ends_with(&expected), "{text}");
        }
    }

    fn a_read_only_file_is_told(lab) {
        let (group, text) = create_refused(lab, &limited(&json!({"unified": {"memory.current": "1"}})));
        let expected = format!("write \"1\" to {}/memory.current (the file is read-only)", group.display());
        assert!(text.contains(&expected), "{text}");
    }

    fn an_update_writes_and_restores_them_too(lab) {
        let c = lab.started(&limited(&json!({"unified": {"memory.high": "50331648"}})));
        update(&c, &json!({"unified": {"memory.high": "41943040"}})).ok();
        assert_eq!(value(&c, "memory.high"), "41943040");
        // Written in the order of the names: the first is taken, the second refused, the first restored.
        update(&c, &json!({"unified": {"memory.high": "max", "pids.max": "many"}})).run().code(1).says("pids.max");
        assert_eq!((value(&c, "memory.high"), value(&c, "pids.max")), ("41943040".into(), "max".into()));
    }
}
