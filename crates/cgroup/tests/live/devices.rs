//! Device programs of v2 groups, as `BPF_PROG_QUERY` tells them. Also on a hybrid host: programs need no controller.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cgroup::{Cgroup, Paths, Resources};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::fixture::{Fixture, wait_until};

const NULL_ONLY: &str =
    r#"{"devices": [{"allow": false}, {"allow": true, "type": "c", "major": 1, "minor": 3}]}"#;
const ZERO_TOO: &str = r#"{"devices": [{"allow": false}, {"allow": true, "type": "c", "major": 1, "minor": 3},
                                        {"allow": true, "type": "c", "major": 1, "minor": 5}]}"#;

fn resources(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

/// The same group in the v2 tree alone.
fn unified(cgroup: &Cgroup) -> Option<Cgroup> {
    let unified = Some(cgroup.paths().unified.clone()?);
    Some(Cgroup::new(Paths { unified, ..Paths::default() }))
}

fn open(cgroup: &Cgroup) -> OwnedFd {
    let path: &Path = cgroup.paths().unified.as_deref().unwrap();
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .unwrap()
}

/// Ids of the programs attached to this very group.
fn programs(cgroup: &Cgroup) -> Vec<u32> {
    let mut ids = [0; 64];
    let count = sys::bpf::attached_device_programs(open(cgroup).as_fd(), &mut ids).unwrap();
    ids[..count].to_vec()
}

fn is_loaded(id: u32) -> bool {
    let program = sys::bpf::program_by_id(id);
    assert!(matches!(program, Ok(_) | Err(Errno::NOENT)), "open program {id}: {program:?}");
    program.is_ok()
}

fn run(fixture: &mut Fixture, script: &str) -> bool {
    let pid = fixture.shell(&format!("{{ {script}; }} 2> /dev/null"));
    fixture.wait(pid).success()
}

#[test]
fn there_is_one_program_whatever_is_replaced_and_it_is_unloaded_with_its_group() {
    let Some(fixture) = Fixture::new("programs") else { return };
    let Some(group) = unified(&fixture.cgroup) else { return };
    assert_eq!(programs(&group), Vec::<u32>::new());
    let mut known = Vec::new();
    for json in [NULL_ONLY, ZERO_TOO, NULL_ONLY] {
        let applied = group.apply(&resources(json)).unwrap();
        drop(applied);
        let now = programs(&group);
        assert_eq!(now.len(), 1);
        assert!(!known.contains(&now[0]), "another one was loaded");
        known.extend(now);
    }
    wait_until("the replaced programs are unloaded", || !is_loaded(known[0]) && !is_loaded(known[1]));
    assert!(is_loaded(known[2]));
    group.remove(*testkit::hang::GUARD).unwrap();
    wait_until("the last program is unloaded", || !is_loaded(known[2]));
}

#[test]
fn an_undone_replacement_leaves_the_former_program_alone() {
    let Some(mut fixture) = Fixture::new("undone") else { return };
    let Some(group) = unified(&fixture.cgroup) else { return };
    drop(group.apply(&resources(NULL_ONLY)).unwrap());
    let before = programs(&group);
    assert!(group.apply(&resources(ZERO_TOO)).unwrap().undo().is_empty());
    assert_eq!(programs(&group), before);
    assert!(run(&mut fixture, ": < /dev/null"));
    assert!(!run(&mut fixture, ": < /dev/zero"));
}

#[test]
fn programs_of_all_levels_apply() {
    let Some(mut fixture) = Fixture::new("levels") else { return };
    let (Some(group), Some(above)) = (unified(&fixture.cgroup), unified(fixture.parent())) else { return };
    drop(above.apply(&resources(NULL_ONLY)).unwrap());
    drop(group.apply(&resources(ZERO_TOO)).unwrap());
    assert_eq!((programs(&above).len(), programs(&group).len()), (1, 1));
    assert!(run(&mut fixture, ": < /dev/null"));
    assert!(!run(&mut fixture, ": < /dev/zero"), "allowed here, not above");
    drop(above.apply(&resources(ZERO_TOO)).unwrap());
    assert!(run(&mut fixture, ": < /dev/zero"));
}

/// One attached by somebody else, without leave to be replaced in one step, goes too.
#[test]
fn several_programs_are_replaced_by_one() {
    let Some(mut fixture) = Fixture::new("several") else { return };
    let Some(group) = unified(&fixture.cgroup) else { return };
    let rules = resources(ZERO_TOO).devices;
    for _ in 0..3 {
        let program = sys::bpf::load_device_program(&cgroup::device_program(&rules).unwrap()).unwrap();
        sys::bpf::attach_device_program(open(&group).as_fd(), program.as_fd(), None).unwrap();
    }
    assert_eq!(programs(&group).len(), 3);
    drop(group.apply(&resources(NULL_ONLY)).unwrap());
    assert_eq!(programs(&group).len(), 1);
    assert!(!run(&mut fixture, ": < /dev/zero"));
}
