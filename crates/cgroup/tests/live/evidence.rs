//! Which level was hit, told from the real counters.

use cgroup::{Cause, Cgroup, Evidence, Paths, Resources};

use crate::fixture::{Fixture, wait_until};
use testkit::hang::GUARD;

fn limit(cgroup: &Cgroup, json: &str) {
    let resources: Resources = serde_json::from_str(json).unwrap();
    cgroup.apply(&resources).unwrap();
}

const EIGHT_MEGABYTES: &str = r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#;

/// Why there is no such test on cgroup v2.
const NO_SWITCH: &str = "memory.oom_control, by which the killer is switched off, is cgroup v1's alone";

/// Fills memory until it is stopped.
const HOG: &str = "exec tail /dev/zero";

fn sibling(fixture: &Fixture) -> Cgroup {
    let beside = |path: &std::path::PathBuf| path.with_file_name("sibling");
    let paths = fixture.cgroup.paths();
    let v1 = paths.v1.iter().map(|(key, path)| (key.clone(), beside(path))).collect();
    Cgroup::new(Paths { unified: paths.unified.as_ref().map(beside), v1 })
}

#[test]
fn quiet_groups_have_no_obstacle_and_no_cause() {
    let Some(mut fixture) = Fixture::new("quiet") else { return };
    fixture.sleeper();
    let before = Evidence::quick(&fixture.cgroup);
    assert_eq!(before.obstacle(), None);
    assert_eq!(before.pids.len(), 2, "the group and the one above, not the root: {before:?}");
    let after = Evidence::full(&fixture.cgroup);
    assert_eq!(Evidence::explain(&before, &after), None);
    assert!(after.memory[0].limits[0].usage.is_some() && after.pids[0].refused == Some(0), "{after:?}");
}

#[test]
fn a_reached_pids_limit_is_found_at_its_level() {
    let Some(mut fixture) = Fixture::new("pidslevel") else { return };
    fixture.sleeper();
    limit(&fixture.cgroup, r#"{"pids": {"limit": 1}}"#);
    let own = fixture.directory("pids");
    let now = Evidence::quick(&fixture.cgroup).obstacle();
    assert_eq!(now, Some(Cause::PidsLimit { path: own.clone(), current: 1, max: 1 }));
    limit(&fixture.cgroup, r#"{"pids": {"limit": -1}}"#);
    limit(fixture.parent(), r#"{"pids": {"limit": 1}}"#);
    let now = Evidence::quick(&fixture.cgroup).obstacle();
    assert_eq!(now, Some(Cause::PidsLimit { path: own.parent().unwrap().to_owned(), current: 1, max: 1 }));
}

#[test]
fn an_out_of_memory_kill_is_found_at_the_level_of_the_limit() {
    for (name, own) in [("oomown", true), ("oomabove", false)] {
        let Some(mut fixture) = Fixture::new(name) else { return };
        limit(if own { &fixture.cgroup } else { fixture.parent() }, EIGHT_MEGABYTES);
        let before = Evidence::quick(&fixture.cgroup);
        let pid = fixture.shell(HOG);
        assert!(!fixture.wait(pid).success());
        let cause = Evidence::explain(&before, &Evidence::full(&fixture.cgroup));
        let group = fixture.directory("memory");
        let expected = if own { group } else { group.parent().unwrap().to_owned() };
        let Some(Cause::OomKilled { path, limit, file, kills, .. }) = cause else { panic!("{cause:?}") };
        assert_eq!((path, limit, kills), (expected, Some(8_388_608), 1));
        assert!(file.ends_with(fixture.either("limit_in_bytes", "memory.max")), "{file}");
    }
}

#[test]
fn the_kill_of_a_noisy_sibling_is_not_ours() {
    let Some(mut fixture) = Fixture::new("noisy") else { return };
    limit(fixture.parent(), EIGHT_MEGABYTES);
    let sibling = sibling(&fixture);
    sibling.create().unwrap();
    let before = Evidence::quick(&fixture.cgroup);
    let ours = std::mem::replace(&mut fixture.cgroup, sibling);
    let pid = fixture.shell(HOG);
    assert!(!fixture.wait(pid).success());
    let after = Evidence::full(&ours);
    assert_eq!(Evidence::full(&fixture.cgroup).memory[0].kills, Some(1), "the neighbour was killed");
    assert_eq!(Evidence::explain(&before, &after), None);
}

#[test]
fn a_group_out_of_memory_without_killer_is_an_obstacle() {
    let fixture = Fixture::new("oomoff").and_then(|fixture| fixture.only_v1(NO_SWITCH));
    let Some(mut fixture) = fixture else { return };
    limit(&fixture.cgroup, EIGHT_MEGABYTES);
    limit(&fixture.cgroup, r#"{"memory": {"disableOOMKiller": true}}"#);
    fixture.shell(HOG);
    let path = fixture.directory("memory");
    wait_until("the group is out of memory", || {
        Evidence::quick(&fixture.cgroup).obstacle() == Some(Cause::OomDisabled { path: path.clone() })
    });
    fixture.cgroup.kill(*GUARD).unwrap();
}

#[test]
fn frozen_and_gone_are_obstacles() {
    let Some(mut fixture) = Fixture::new("obstacle") else { return };
    fixture.sleeper();
    fixture.parent().freeze(*GUARD).unwrap();
    let above = fixture.directory("freezer").parent().unwrap().to_owned();
    assert_eq!(Evidence::quick(&fixture.cgroup).obstacle(), Some(Cause::Frozen { path: above }));
    fixture.parent().thaw(*GUARD).unwrap();
    fixture.cgroup.kill(*GUARD).unwrap();
    fixture.cgroup.remove(*GUARD).unwrap();
    let gone = Evidence::quick(&fixture.cgroup).obstacle();
    assert!(matches!(gone, Some(Cause::Gone { .. })), "{gone:?}");
}
