//! Sockets that a daemon has left behind: whoever ends in order takes the file away before it stops listening.
//!
//! **Invariant:** nobody is connected to. A file counts only if it was there before the snapshot was begun, and so before
//! the kernel was asked who listens.

use std::collections::BTreeSet;

use rustix::fs::FileType;

use super::folder::Folder;
use super::piece::Piece;
use super::places::Places;
use super::worker::Visit;
use crate::snapshot::socket::{METRICS, SocketState, plain};
use crate::snapshot::{Process, Snapshot, UnixSocket, role};

/// Where containerd and dockerd may have listened: what shims were told, and dockerd's exec-roots. Only those on which
/// nobody listens. Paths below `/`.
pub(super) fn units(snapshot: &Snapshot, places: &Places) -> Vec<String> {
    let is_shim = |it: &&Process| it.uid == Some(0) && role::is_keeper(it);
    let told = snapshot.processes.iter().filter(is_shim).filter_map(|it| it.option("-address"));
    let roots = places.exec_roots.iter().map(|root| format!("/{root}"));
    let roots = roots.chain(snapshot.tasks.iter().filter_map(|task| Some(task.exec_root()?.to_owned())));
    let doors = roots.map(|root| format!("{root}/{METRICS}"));
    let paths: BTreeSet<String> = told.map(plain).map(str::to_owned).chain(doors).collect();
    let shut = paths.into_iter().filter(|path| !has_listener(&snapshot.sockets, path));
    shut.filter_map(|path| Some(path.strip_prefix('/')?.to_owned())).collect()
}

/// Asks for one file, the unit.
pub(super) fn read(root: &Folder, since_ms: u64, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    let is_socket = || root.inode(visit.unit).is_ok_and(|(_, kind)| kind == FileType::Socket);
    let is_older = root.dates(visit.unit).is_ok_and(|(_, modified_ms)| modified_ms < since_ms);
    let is_one = is_older && is_socket();
    is_one.then(|| Piece::SocketFile(format!("/{}", visit.unit))).into_iter().collect()
}

/// Whether somebody listens there, under any spelling of its path.
fn has_listener(sockets: &[UnixSocket], path: &str) -> bool {
    let is_its = |it: &&UnixSocket| it.path.as_deref().map(plain) == Some(plain(path));
    sockets.iter().filter(is_its).any(|it| it.state == SocketState::Listening)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

    use super::*;
    use crate::{Source, collect::collect};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn a_socket_without_a_listener_was_left_and_a_file_was_not() {
        let lab = tempfile::tempdir().unwrap();
        let exec_root = lab.path().join("run/docker");
        std::fs::create_dir_all(&exec_root).unwrap();
        std::fs::create_dir(lab.path().join("proc")).unwrap();
        let left = || collect(&Source::Tree(lab.path().to_owned())).unwrap().left_sockets;
        assert_eq!(left(), Vec::<String>::new());
        std::fs::write(exec_root.join(METRICS), "").unwrap();
        assert_eq!(left(), Vec::<String>::new(), "a file");
        std::fs::remove_file(exec_root.join(METRICS)).unwrap();
        drop(UnixListener::bind(exec_root.join(METRICS)).unwrap());
        let long_ago = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: long_ago, last_modification: long_ago };
        rustix::fs::utimensat(CWD, exec_root.join(METRICS), &times, AtFlags::empty()).unwrap();
        assert_eq!(left(), ["/run/docker/metrics.sock"]);
    }

    #[test]
    fn a_socket_with_a_listener_is_not_asked_for() {
        let socket = |path: &str| UnixSocket {
            path: Some(path.to_owned()),
            state: SocketState::Listening,
            ..UnixSocket::default()
        };
        let mut snapshot = Snapshot::default();
        let well_known = Places::well_known();
        assert_eq!(units(&snapshot, &well_known), ["run/docker/metrics.sock", "var/run/docker/metrics.sock"]);
        snapshot.sockets.push(socket("/var/run/docker/metrics.sock"));
        assert_eq!(units(&snapshot, &well_known), Vec::<String>::new());
    }
}
