//! `list`: the table for people, the array for programs.

use serde_json::json;
use testkit::conformance;

conformance! {
    fn an_empty_root_lists_nothing(lab) {
        let table = lab.run(&["list"]).ok().stdout;
        assert_eq!(columns(&table), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
        assert_eq!(table.lines().count(), 1);
        let array = lab.run(&["list", "--format", "json"]).ok();
        assert!(matches!(array.stdout.trim(), "null" | "[]"), "{array}");
    }

    fn the_json_holds_every_container(lab) {
        let (one, two) = (lab.sleeper(), lab.created(&testkit::Config::new()));
        let list = lab.run(&["list", "--format=json"]).ok().json();
        let mut found: Vec<_> = list.as_array().unwrap().iter().map(|c| (&c["id"], &c["status"])).collect();
        found.sort_by_key(|(id, _)| id.as_str());
        let mut expected = [(json!(one.id()), json!("running")), (json!(two.id()), json!("created"))];
        expected.sort_by_key(|(id, _)| id.as_str().map(str::to_owned));
        assert_eq!(found, expected.iter().map(|(id, status)| (id, status)).collect::<Vec<_>>());
        assert_eq!(list[0]["owner"], "root");
    }

    fn a_list_element_has_the_fields_of_the_state(lab) {
        let c = lab.sleeper();
        let list = lab.run(&["list", "-f", "json"]).ok().json();
        let state = c.state();
        for field in ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created"] {
            assert_eq!(list[0][field], state[field], "{field}");
        }
    }

    fn a_table_row_holds_id_pid_status_and_bundle(lab) {
        let c = lab.sleeper();
        let table = lab.run(&["list"]).ok().stdout;
        let row = columns(table.lines().nth(1).unwrap()).join(" ");
        assert!(
            row.starts_with(&format!("{} {} running {}", c.id(), c.pid(), c.bundle().display())),
            "{row}"
        );
        assert!(row.ends_with("root"), "{row}");
    }

    fn quiet_prints_ids_only(lab) {
        let c = lab.sleeper();
        lab.run(&["list", "--quiet"]).ok().prints(c.id());
        lab.run(&["list", "-q"]).ok().prints(c.id());
    }

    fn an_unknown_format_is_refused(lab) {
        lab.run(&["list", "--format", "xml"]).code(1).says("invalid");
    }

    fn a_root_that_does_not_exist_lists_nothing(lab) {
        let output =
            lab.program(lab.binary()).args(["--root", "/tmp/no-such-root-of-sluice", "list", "-q"]).run();
        output.ok().prints("");
    }
}

fn columns(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
