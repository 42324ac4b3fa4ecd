//! Groups nested in the container's (cgroup v2): those of a manager inside, and those that take no process.

use std::fs;
use std::path::PathBuf;

use testkit::{Container, Lab, hierarchy, partner};

use crate::refusal::{exec, refused, text, write};
use crate::truth;

/// The container's group in the v2 tree where that has the controllers; else says why there is nothing to run.
fn unified(c: &Container<'_>) -> Option<PathBuf> {
    if hierarchy::is_v1("pids") {
        partner::not_run("groups of cgroup v1 take processes whatever is nested in them");
        return None;
    }
    Some(hierarchy::directory("pids", &c.group()))
}

fn nest(group: &std::path::Path, name: &str) -> PathBuf {
    let nested = group.join(name);
    fs::create_dir(&nested).unwrap();
    nested
}

/// Makes a container as systemd inside of it would: init in a leaf, controllers in the children of the group.
fn managed(lab: &Lab) -> Option<(Container<'_>, PathBuf)> {
    let c = lab.sleeper();
    let group = unified(&c)?;
    let leaf = nest(&group, "init.scope");
    write(&leaf.join("cgroup.procs"), &c.pid().to_string());
    write(&group.join("cgroup.subtree_control"), "+memory +pids");
    Some((c, leaf))
}

truth! {
    fn an_exec_goes_where_init_is(lab) {
        let Some((c, _)) = managed(lab) else { return };
        let output = exec(lab, &c, &[], &["cat", "/proc/self/cgroup"]).ok();
        assert_eq!(output.stdout.trim(), format!("0::{}/init.scope", c.group()));
    }

    fn the_limit_of_inits_leaf_is_named(lab) {
        let Some((c, leaf)) = managed(lab) else { return };
        let file = leaf.join("pids.max");
        write(&file, "1");
        let full = format!("exec: the container is at its process limit: pids.current=1 pids.max=1 ({})", file.display());
        refused(lab, &c, &[], &["true"], &full);
        write(&file, "max");
        exec(lab, &c, &[], &["true"]).ok();
    }

    fn the_frozen_leaf_of_init_is_named(lab) {
        let Some((c, leaf)) = managed(lab) else { return };
        write(&leaf.join("cgroup.freeze"), "1");
        let output = exec(lab, &c, &[], &["true"]).run().code(255);
        assert_eq!(text(&output), format!("exec: the container is paused ({} is frozen); resume it first", leaf.display()));
        write(&leaf.join("cgroup.freeze"), "0");
        exec(lab, &c, &[], &["true"]).ok();
    }

    fn a_named_group_with_controllers_below_it_is_told(lab) {
        let Some((c, leaf)) = managed(lab) else { return };
        let slice = nest(leaf.parent().unwrap(), "slice");
        nest(&slice, "below");
        write(&slice.join("cgroup.subtree_control"), "+memory");
        let busy = format!("exec: cgroup {} has child cgroups with controllers and takes no process", slice.display());
        refused(lab, &c, &["--cgroup", "slice"], &["true"], &busy);
    }

    fn an_invalid_domain_is_told_and_a_threaded_group_takes_a_process(lab) {
        let c = lab.sleeper();
        let Some(group) = unified(&c) else { return };
        let threaded = nest(&group, "threaded");
        write(&threaded.join("cgroup.type"), "threaded");
        let invalid = nest(&group, "invalid");
        assert_eq!(fs::read_to_string(invalid.join("cgroup.type")).unwrap(), "domain invalid\n");
        let text = format!("exec: cgroup {} is not a valid domain (cgroup.type)", invalid.display());
        refused(lab, &c, &["--cgroup", "invalid"], &["true"], &text);
        for place in ["/", "threaded"] {
            exec(lab, &c, &["--cgroup", place], &["true"]).ok();
        }
        // Its processes are listed above it only: reading cgroup.procs of a threaded group is refused.
        let held = exec(lab, &c, &["--cgroup", "threaded", "--detach"], &["sleep", "1000000"]).ok();
        assert_eq!(c.verb("ps", &["--format", "json"], &[]).ok().json().as_array().unwrap().len(), 2, "{held}");
    }
}
