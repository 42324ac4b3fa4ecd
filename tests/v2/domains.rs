//! Threaded groups, and domains that a threaded group has made invalid.

use std::fs;

use serde_json::json;
use testkit::Config;

use crate::group::{above, create_refused, directory, logged, text, value, write};
use crate::ours;

ours! {
    fn an_exec_into_a_threaded_group_of_the_container_works(lab) {
        let c = lab.sleeper();
        let inner = directory(&c).join("inner");
        fs::create_dir(&inner).unwrap();
        write(&inner.join("cgroup.type"), "threaded");
        assert_eq!(value(&c, "cgroup.type"), "domain threaded");
        c.exec(&["true"]).ok();
        let output = c.exec_with(&["--cgroup", "inner"], &["cat", "/proc/self/cgroup"]).ok();
        output.prints(&format!("0::{}/inner", c.group()));
    }

    fn an_exec_into_an_invalid_domain_names_group_and_type(lab) {
        let c = lab.sleeper();
        for (name, kind) in [("threaded", Some("threaded")), ("invalid", None)] {
            let inner = directory(&c).join(name);
            fs::create_dir(&inner).unwrap();
            kind.into_iter().for_each(|kind| write(&inner.join("cgroup.type"), kind));
        }
        assert_eq!(value(&c, "invalid/cgroup.type"), "domain invalid");
        let output = logged(lab, "exec", &["--cgroup", "invalid"]).args([c.id(), "true"]).run().code(255);
        let expected = format!("exec: cgroup {}/invalid is not a valid domain (cgroup.type)", directory(&c).display());
        assert_eq!(text(&output), expected);
        c.exec(&["true"]).ok();
    }

    fn a_create_below_a_threaded_group_names_it(lab) {
        let threaded = threaded_group(lab);
        let path = json!(format!("{}/threaded/c", lab.group()));
        let (_, text) = create_refused(lab, &Config::new().set("/linux/cgroupsPath", path));
        let expected = format!(
            "cgroup {0}/c takes no process: its cgroup.type is domain invalid, because {0} above it is threaded; \
             linux/cgroupsPath must lead below a domain",
            threaded.display()
        );
        assert!(text.contains(&expected), "{text}");
        assert!(!threaded.join("c").exists());
        fs::remove_dir(&threaded).unwrap();
    }
}

/// A threaded group below that of the lab.
fn threaded_group(lab: &testkit::Lab) -> std::path::PathBuf {
    let threaded = above(lab).join("threaded");
    fs::create_dir_all(&threaded).unwrap();
    write(&threaded.join("cgroup.type"), "threaded");
    threaded
}
