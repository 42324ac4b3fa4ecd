//! `pids.max` of the container and of the groups above it.

use serde_json::json;

use crate::group::{above, create_refused, exec, exec_refused, limited, text, write};
use crate::ours;

ours! {
    // The reference's helper needs more processes than the limit leaves: sometimes it dies instead of the program.
    fn a_fork_over_the_limit_is_refused_to_the_program(lab) {
        let c = lab.started(&limited(&json!({"pids": {"limit": 3}})));
        c.exec(&["sh", "-c", "sleep 0 & sleep 0 & sleep 0 & wait"]).code(2).says("can't fork");
    }

    fn an_exec_at_the_limit_names_count_limit_and_file(lab) {
        let c = lab.sleeper();
        let file = crate::group::directory(&c).join("pids.max");
        write(&file, "1");
        let expected = format!("exec: the container is at its process limit: pids.current=1 pids.max=1 ({})", file.display());
        exec_refused(lab, &c, &expected);
        write(&file, "2");
        c.exec(&["true"]).ok();
    }

    fn a_limit_two_levels_above_is_named(lab) {
        let c = lab.sleeper();
        let file = above(lab).join("pids.max");
        write(&file, "1");
        let expected = format!("exec: the container is at its process limit: pids.current=1 pids.max=1 ({})", file.display());
        exec_refused(lab, &c, &expected);
        write(&file, "max");
        c.exec(&["true"]).ok();
    }

    fn a_limit_that_is_reached_while_the_exec_starts_is_named_too(lab) {
        let c = lab.sleeper();
        let file = crate::group::directory(&c).join("pids.max");
        write(&file, "2");
        let running: Vec<_> = (0..8).map(|_| exec(lab, &c, &["sh", "-c", "exit 7"]).spawn()).collect();
        for output in running.into_iter().map(testkit::Running::wait) {
            match output.status.code() {
                Some(7) => {}
                _ => assert!(text(&output).starts_with("exec: the container is at its process limit: "), "{output}"),
            }
        }
    }

    fn a_create_below_a_full_group_names_it(lab) {
        let _first = lab.sleeper();
        let file = above(lab).join("pids.max");
        write(&file, "1");
        let (_, text) = create_refused(lab, &testkit::Config::new());
        let expected = format!("the container is at its process limit: pids.current=1 pids.max=1 ({})", file.display());
        assert!(text.contains(&expected), "{text}");
        write(&file, "max");
    }
}
