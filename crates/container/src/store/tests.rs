//! What comes back from a state directory is what was written, or an error; no bytes make the reader panic.

use super::*;
use crate::record::{Phase, ProcessId, RunningHook};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) fn record() -> Record {
    Record {
        format: FORMAT,
        writer: "sluice test".into(),
        generation: 3,
        boot_id: "b0".into(),
        id: "web".into(),
        oci_version: "1.2.0".into(),
        bundle: "/bundle".into(),
        rootfs: "/bundle/rootfs".into(),
        created: "2026-01-01T00:00:00.000000000Z".into(),
        owner: 0,
        phase: Phase::Created,
        creator: ProcessId { pid: 7, start_time: 70 },
        init: Some(ProcessId { pid: 8, start_time: 80 }),
        hook: None,
        cgroup: cgroup::Paths::default(),
        unit: None,
        resources: None,
        namespaces: Vec::new(),
        personality: None,
        keyring: Some("_ses.web".into()),
        filter: None,
        process: crate::config::Process::default(),
        hooks: crate::config::Hooks::default(),
        annotations: BTreeMap::new(),
    }
}

prop_compose! {
    fn any_record()(
        generation: u64,
        bundle in "(/\\PC{1,8}){1,3}",
        annotations in proptest::collection::btree_map("\\PC{0,8}", "\\PC{0,20}", 0..4),
        init in proptest::option::of((1..i32::MAX, any::<u64>())),
        hook in proptest::option::of((1..i32::MAX, any::<u64>(), "\\PC{0,8}")),
        args in proptest::collection::vec("\\PC{0,12}", 0..4),
        creating: bool,
    ) -> Record {
        let id = |pid, start_time| ProcessId { pid, start_time };
        let mut record = Record { generation, bundle: bundle.into(), annotations, ..record() };
        record.init = init.map(|(pid, start)| id(pid, start));
        record.hook = hook.map(|(pid, start, name)| RunningHook { leader: id(pid, start), name });
        record.process.args = args;
        record.phase = if creating { Phase::Creating } else { Phase::Created };
        record
    }
}

fn path() -> &'static Path {
    Path::new("/run/sluice/web/state.json")
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in any_record()) {
        prop_assert_eq!(parse(path(), &text(&record).unwrap()).unwrap(), record);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(path(), &bytes);
    }

    #[test]
    fn a_changed_byte_is_another_record_or_an_error_with_its_place(at: prop::sample::Index, to: u8) {
        let mut bytes = text(&record()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Err(Error::DamagedState { place, .. }) = parse(path(), &bytes) {
            prop_assert!(place.starts_with("byte "), "{}", place);
        }
    }

    #[test]
    fn a_cut_record_is_damaged(at: prop::sample::Index) {
        let bytes = text(&record()).unwrap();
        let cut = parse(path(), &bytes[..at.index(bytes.len())]);
        let damaged = matches!(cut, Err(Error::DamagedState { .. }));
        prop_assert!(damaged);
    }
}

/// A state root with one container.
fn root() -> (tempfile::TempDir, Store, Entry) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::make(directory.path()).unwrap();
    let entry = store.insert(&ContainerId::parse("web").unwrap(), &record()).unwrap();
    (directory, store, entry)
}

#[test]
fn a_state_root_that_is_not_there_is_empty_and_stays_away() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing/root");
    let store = Store::open(&missing).unwrap();
    assert_eq!(store.ids().unwrap(), []);
    assert!(matches!(store.entry(&ContainerId::parse("web").unwrap()), Err(Error::NotFound { .. })));
    assert!(!missing.parent().unwrap().exists());
    Store::make(&missing).unwrap();
    assert!(missing.is_dir());
}

#[test]
fn an_id_is_taken_once() {
    let (_directory, store, entry) = root();
    assert!(matches!(store.insert(entry.id(), &record()), Err(Error::Exists { .. })));
    assert_eq!(store.ids().unwrap(), [entry.id().clone()]);
    assert_eq!(entry.read().unwrap(), record());
    assert_eq!(entry.read_rescue().unwrap(), record());
}

#[test]
fn what_was_retired_does_not_exist_for_those_who_hold_it() {
    let (directory, store, entry) = root();
    let temporary = store.retire(&entry).unwrap();
    assert!(!entry.is_current());
    store.discard(&temporary);
    assert!(matches!(entry.read(), Err(Error::NotFound { .. })));
    assert!(matches!(entry.write(&record()), Err(Error::NotFound { .. })));
    assert!(matches!(store.retire(&entry), Err(Error::NotFound { .. })));
    // The same name again is another container.
    store.insert(entry.id(), &record()).unwrap();
    assert!(!entry.is_current());
    assert!(matches!(store.retire(&entry), Err(Error::NotFound { .. })));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn only_abandoned_directories_are_swept() {
    let (directory, store, entry) = root();
    entry.unlock().unwrap();
    std::fs::create_dir(directory.path().join("=new-a-1")).unwrap();
    let held = store.make_locked("=new-b-1").unwrap();
    let lock = entry.lock(Duration::ZERO).unwrap();
    store.retire(&entry).unwrap();
    let names = || {
        let mut names = store.names().unwrap();
        names.sort_unstable();
        names
    };
    store.sweep(|_| ());
    assert_eq!(names(), ["=new-b-1".to_owned(), format!("=old-web-{}", std::process::id())]);
    drop((held, lock, entry));
    let last = std::cell::RefCell::new(Vec::new());
    store.sweep(|record| last.borrow_mut().push(record.id.clone()));
    assert_eq!(*last.borrow(), ["web"]);
    assert_eq!(names(), Vec::<String>::new());
}

#[test]
fn a_lock_is_waited_for_and_then_given_up() {
    let (_directory, _store, entry) = root();
    assert!(matches!(entry.lock(Duration::ZERO), Err(Error::Busy { .. })), "whoever made it has it");
    entry.unlock().unwrap();
    let lock = entry.lock(Duration::ZERO).unwrap();
    assert!(matches!(entry.lock(Duration::from_millis(5)), Err(Error::Busy { .. })));
    drop(lock);
    entry.lock(Duration::ZERO).unwrap();
}
