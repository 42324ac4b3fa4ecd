//! Out-of-memory events.

use std::os::fd::AsFd;

use cgroup::{OomEvent, OomEvents, Resources};

use crate::fixture::{Fixture, has_ended as is_readable};
use testkit::hang::GUARD;

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

/// The next thing that happens: on v2 the limit is told to be hit before it is told that somebody was killed for it.
fn next(events: &mut OomEvents) -> OomEvent {
    loop {
        assert!(is_readable(events.as_fd(), *GUARD));
        match events.take() {
            OomEvent::Nothing => {}
            happened => return happened,
        }
    }
}

#[test]
fn a_kill_is_told_and_so_is_the_end_of_the_group() {
    let Some(mut fixture) = limited("oomevent", "{}") else { return };
    let mut events = fixture.cgroup.oom_events().unwrap();
    assert_eq!(events.take(), OomEvent::Nothing);
    let pid = fixture.shell(HOG);
    assert_eq!(next(&mut events), OomEvent::Killed { kills: 1 });
    fixture.wait(pid);
    fixture.cgroup.remove(*GUARD).unwrap();
    // On v2 the kernel tells nobody; whoever asks knows.
    let told = fixture.either(true, false);
    assert!(!told || is_readable(events.as_fd(), *GUARD));
    assert_eq!(events.take(), OomEvent::Gone);
}

#[test]
fn processes_that_wait_for_memory_are_told() {
    let why = "memory.oom_control, by which the killer is switched off, is cgroup v1's alone";
    let Some(fixture) = limited("oomwait", "{}").and_then(|fixture| fixture.only_v1(why)) else { return };
    let mut fixture = fixture;
    let off: Resources = serde_json::from_str(r#"{"memory": {"disableOOMKiller": true}}"#).unwrap();
    fixture.cgroup.apply(&off).unwrap();
    let mut events = fixture.cgroup.oom_events().unwrap();
    fixture.shell(HOG);
    assert_eq!(next(&mut events), OomEvent::Waiting);
}
