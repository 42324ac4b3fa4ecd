//! Create, join, list, freeze, kill, remove.

use std::time::Duration;

use cgroup::{Cgroup, Error, Freezer, Paths};
use rustix::process::Signal;

use crate::fixture::{Fixture, has_ended, pidfd, wait_until};
use testkit::hang::GUARD;

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn create_makes_groups_everywhere_and_remove_takes_them_away() {
    let Some(fixture) = Fixture::new("create") else { return };
    for path in fixture.cgroup.paths().all() {
        assert!(path.is_dir(), "{}", path.display());
    }
    let nested = fixture.directory("pids").join("x/y");
    std::fs::create_dir_all(&nested).unwrap();
    fixture.cgroup.create().unwrap();
    fixture.cgroup.remove(*GUARD).unwrap();
    assert!(!fixture.cgroup.exists());
    fixture.cgroup.remove(*GUARD).unwrap();
}

#[test]
fn a_new_cpuset_can_be_joined() {
    let Some(mut fixture) = Fixture::new("cpuset") else { return };
    let file = fixture.either("cpuset.cpus", "cpuset.cpus.effective");
    let cpus = std::fs::read_to_string(fixture.directory("cpuset").join(file)).unwrap();
    assert!(!cpus.trim().is_empty());
    fixture.sleeper();
}

#[test]
fn a_create_that_fails_leaves_nothing_behind() {
    let Some(fixture) = Fixture::not_created("rollback") else { return };
    let mut paths: Paths = fixture.cgroup.paths().clone();
    // No group's name may hold a newline; `unified` comes after all the others.
    paths.unified = paths.unified.map(|path| path.join("x/a\nb"));
    let error = Cgroup::new(paths).create().unwrap_err();
    assert!(matches!(error, Error::Make { .. }), "{error}");
    assert!(!fixture.parent().exists());
}

#[test]
fn the_processes_of_nested_groups_are_listed_only_when_asked_for() {
    let Some(mut fixture) = Fixture::new("pids") else { return };
    let pid = fixture.sleeper();
    assert_eq!(fixture.cgroup.pids().unwrap(), [pid]);
    assert!(fixture.parent().pids().unwrap().is_empty());
    assert_eq!(fixture.parent().all_pids().unwrap(), [pid]);
}

#[test]
fn join_opens_every_v1_group_and_the_v2_directory() {
    let Some(fixture) = Fixture::new("join") else { return };
    let join = fixture.cgroup.join().unwrap();
    assert_eq!(join.tasks.len(), fixture.cgroup.paths().v1.len());
    assert_eq!(join.directory.is_some(), fixture.cgroup.paths().unified.is_some());
}

#[test]
fn freeze_and_thaw_are_seen() {
    let Some(mut fixture) = Fixture::new("freeze") else { return };
    fixture.sleeper();
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Thawed);
    fixture.cgroup.freeze(*GUARD).unwrap();
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Frozen);
    fixture.cgroup.thaw(*GUARD).unwrap();
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Thawed);
}

#[test]
fn a_group_that_forks_all_the_time_is_frozen() {
    let Some(mut fixture) = Fixture::new("forks") else { return };
    fixture.shell("while :; do sh -c 'sleep 0.001' & done");
    wait_until("it forks", || fixture.cgroup.all_pids().unwrap().len() > 5);
    fixture.cgroup.freeze(*GUARD).unwrap();
    let frozen = fixture.cgroup.all_pids().unwrap();
    assert_eq!(fixture.cgroup.all_pids().unwrap(), frozen);
    fixture.cgroup.thaw(*GUARD).unwrap();
}

#[test]
fn a_frozen_group_above_is_named() {
    let Some(mut fixture) = Fixture::new("above") else { return };
    fixture.sleeper();
    fixture.parent().freeze(*GUARD).unwrap();
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Frozen);
    assert_eq!(fixture.cgroup.frozen_ancestor(), fixture.directory("freezer").parent());
    let error = fixture.cgroup.thaw(*GUARD).unwrap_err();
    assert!(matches!(error, Error::AncestorFrozen { .. }), "{error}");
    assert!(error.to_string().ends_with("above it is frozen"), "{error}");
}

#[test]
fn a_v2_freeze_beside_v1_is_noticed_and_thawed() {
    let Some(mut fixture) = Fixture::new("freeze2") else { return };
    let Some(unified) = fixture.cgroup.paths().unified.clone() else { return };
    fixture.sleeper();
    let only_v2 = Cgroup::new(Paths { unified: Some(unified), ..Paths::default() });
    only_v2.freeze(*GUARD).unwrap();
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Frozen);
    fixture.cgroup.thaw(*GUARD).unwrap();
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Thawed);
}

#[test]
fn kill_ends_everything_also_when_frozen_nested_or_below_a_frozen_group() {
    for (name, freeze) in [("kill0", 0), ("kill1", 1), ("kill2", 2)] {
        let Some(mut fixture) = Fixture::new(name) else { return };
        let pid = fixture.sleeper();
        fixture.shell("for i in 1 2 3 4 5; do sleep 1000 & done; wait");
        wait_until("all have joined", || fixture.cgroup.all_pids().unwrap().len() == 7);
        match freeze {
            1 => fixture.cgroup.freeze(*GUARD).unwrap(),
            2 => fixture.parent().freeze(*GUARD).unwrap(),
            _ => {}
        }
        fixture.cgroup.kill(*GUARD).unwrap();
        assert!(fixture.cgroup.all_pids().unwrap().is_empty());
        assert!(has_ended(pidfd(pid), *GUARD));
    }
}

#[test]
fn kill_without_v2_freezes_and_signals_each() {
    let fixture = Fixture::new("killv1")
        .and_then(|fixture| fixture.only_v1("in a tree of v2 alone there is no group without it"));
    let Some(mut fixture) = fixture else { return };
    fixture.sleeper();
    fixture.shell("while :; do sh -c 'sleep 0.001' & done");
    wait_until("it forks", || fixture.cgroup.all_pids().unwrap().len() > 5);
    let only_v1 = Paths { unified: None, ..fixture.cgroup.paths().clone() };
    Cgroup::new(only_v1).kill(*GUARD).unwrap();
    assert!(fixture.cgroup.all_pids().unwrap().is_empty());
}

#[test]
fn kill_and_freeze_reach_more_processes_than_are_held_at_once() {
    let Some(mut fixture) = Fixture::new("many") else { return };
    fixture.shell("for i in $(seq 300); do sleep 1000 & done; wait");
    wait_until("all have joined", || fixture.cgroup.all_pids().unwrap().len() == 301);
    fixture.cgroup.freeze(*GUARD).unwrap();
    let without_v2 = Cgroup::new(Paths { unified: None, ..fixture.cgroup.paths().clone() });
    fixture.either(&without_v2, &fixture.cgroup).kill(*GUARD).unwrap();
    assert!(fixture.cgroup.all_pids().unwrap().is_empty());
}

#[test]
fn a_killed_process_in_a_frozen_group_is_freed_by_moving_it_and_the_group_stays_frozen() {
    let fixture = Fixture::new("free")
        .and_then(|fixture| fixture.only_v1("a frozen process of cgroup v2 dies of a SIGKILL where it is"));
    let Some(mut fixture) = fixture else { return };
    let (victim, other) = (fixture.sleeper(), fixture.sleeper());
    fixture.cgroup.freeze(*GUARD).unwrap();
    let held = pidfd(victim);
    // With v2 joined too, only the v1 freezer holds it.
    rustix::process::pidfd_send_signal(&held, Signal::KILL).unwrap();
    assert!(!has_ended(&held, SHORT));
    fixture.cgroup.free_frozen(victim).unwrap();
    assert!(has_ended(&held, *GUARD));
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Frozen);
    assert!(!has_ended(pidfd(other), SHORT));
}

#[test]
fn remove_of_a_group_with_processes_ends_at_the_deadline_and_names_them() {
    let Some(mut fixture) = Fixture::new("busy") else { return };
    let pid = fixture.sleeper();
    let error = fixture.cgroup.remove(SHORT).unwrap_err();
    assert!(matches!(&error, Error::Deadline { stage: "remove", pids, .. } if *pids == [pid]), "{error}");
    assert!(error.to_string().contains(&format!("waits for pid {pid}")), "{error}");
}

#[test]
fn a_group_that_is_gone_has_no_processes_and_is_not_frozen() {
    let Some(fixture) = Fixture::not_created("gone") else { return };
    assert!(fixture.cgroup.all_pids().unwrap().is_empty());
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Thawed);
    fixture.cgroup.kill(*GUARD).unwrap();
    assert_eq!(fixture.cgroup.join().unwrap_err().errno(), Some(rustix::io::Errno::NOENT));
}

#[test]
fn kill_reaches_what_is_frozen_in_a_nested_group() {
    let Some(mut fixture) = Fixture::new("nested") else { return };
    let nested = Cgroup::new(fixture.cgroup.paths().nested(None, "inner").unwrap());
    nested.create().unwrap();
    let outer = std::mem::replace(&mut fixture.cgroup, nested);
    let pid = fixture.sleeper();
    fixture.cgroup.freeze(*GUARD).unwrap();
    let held = pidfd(pid);
    outer.kill(*GUARD).unwrap();
    assert!(has_ended(held, *GUARD));
    outer.remove(*GUARD).unwrap();
    assert!(!fixture.cgroup.exists());
}

#[test]
fn a_tree_of_v2_alone_is_frozen_killed_and_removed() {
    let Some(mut fixture) = Fixture::new("only2") else { return };
    let Some(unified) = fixture.cgroup.paths().unified.clone() else { return };
    fixture.cgroup.remove(*GUARD).unwrap();
    fixture.cgroup = Cgroup::new(Paths { unified: Some(unified), ..Paths::default() });
    fixture.cgroup.create().unwrap();
    assert_eq!(fixture.cgroup.kind(), cgroup::Kind::V2);
    let pid = fixture.sleeper();
    assert!(fixture.cgroup.join().unwrap().directory.is_some());
    fixture.cgroup.freeze(*GUARD).unwrap();
    assert_eq!(fixture.cgroup.freezer().unwrap(), Freezer::Frozen);
    let held = pidfd(pid);
    fixture.cgroup.kill(*GUARD).unwrap();
    assert!(has_ended(held, *GUARD));
    fixture.cgroup.remove(*GUARD).unwrap();
    assert!(!fixture.cgroup.exists());
}

#[test]
fn a_process_is_found_in_the_groups_it_has_joined() {
    let Some(mut fixture) = Fixture::new("ofpid") else { return };
    let pid = fixture.sleeper();
    let entries = proc::Procfs::host().unwrap().cgroups(pid).unwrap();
    assert_eq!(Paths::of_process(&cgroup::Layout::discover().unwrap(), &entries), *fixture.cgroup.paths());
}
