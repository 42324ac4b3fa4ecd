//! Out-of-memory events.

use std::os::fd::AsFd;

use cgroup::{OomEvent, Resources};

use crate::fixture::{Fixture, LONG, has_ended as is_readable};

const EIGHT_MEGABYTES: &str = r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#;
const HOG: &str = "exec tail /dev/zero";

fn limited(name: &str, json: &str) -> Option<Fixture> {
    let fixture = Fixture::new(name)?;
    for json in [EIGHT_MEGABYTES, json] {
        let resources: Resources = serde_json::from_str(json).unwrap();
        fixture.cgroup.apply(&resources).unwrap();
    }
    Some(fixture)
}

#[test]
fn a_kill_is_told_and_so_is_the_end_of_the_group() {
    let Some(mut fixture) = limited("oomevent", "{}") else { return };
    let mut events = fixture.cgroup.oom_events().unwrap();
    assert_eq!(events.take(), OomEvent::Nothing);
    let pid = fixture.shell(HOG);
    assert!(is_readable(events.as_fd(), LONG));
    assert_eq!(events.take(), OomEvent::Killed { kills: 1 });
    fixture.wait(pid);
    fixture.cgroup.remove(LONG).unwrap();
    assert!(is_readable(events.as_fd(), LONG));
    assert_eq!(events.take(), OomEvent::Gone);
}

#[test]
fn processes_that_wait_for_memory_are_told() {
    let Some(mut fixture) = limited("oomwait", r#"{"memory": {"disableOOMKiller": true}}"#) else { return };
    let mut events = fixture.cgroup.oom_events().unwrap();
    fixture.shell(HOG);
    assert!(is_readable(events.as_fd(), LONG));
    assert_eq!(events.take(), OomEvent::Waiting);
}
