//! The shim's socket: its path, and who gets it when several ask.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where sockets are. Compat: containerd looks nowhere, but its administrators do.
const DIRECTORY: &str = "/run/containerd/s";

/// How many connections may wait to be taken.
const BACKLOG: i32 = 128;

/// How long another process may claim a socket: it makes a few calls in a directory that lies in memory.
const TURN: Duration = Duration::from_secs(10);

/// When it is looked again.
const AGAIN: Duration = Duration::from_millis(2);

/// What [`claim`] found.
#[derive(Debug)]
pub enum Claim {
    /// The socket is ours and listens.
    Ours(OwnedFd),
    /// A shim answers at it.
    Theirs,
}

/// The socket cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step was refused.
    #[error("{step} {}", path.display())]
    Step {
        /// What was to be done.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// Another process claims a socket there and does not come to an end.
    #[error("lock {}: another process has kept it for {} ms", path.display(), waited.as_millis())]
    Busy {
        /// The directory.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// The socket of a group of containers below containerd at `address`.
///
/// Compat: the stock shim's rule, so that both find the same shim for a pod.
#[must_use]
pub fn path(directory: Option<&Path>, address: &str, namespace: &str, group: &str) -> PathBuf {
    let name = PathBuf::from(address).join(namespace).join(group);
    let digest = Sha256::digest(name.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    directory.unwrap_or_else(|| Path::new(DIRECTORY)).join(name)
}

/// Listens at `path`, unless a live shim does.
///
/// A socket at which nobody listens is what a killed shim left; it is taken away and tried again once. Meanwhile no other
/// process may claim one in that directory: who has bound and does not listen yet looks like a dead shim, too.
///
/// # Errors
/// [`Error::Step`]; [`Error::Busy`] after ten seconds.
pub fn claim(path: &Path) -> Result<Claim, Error> {
    if let Some(directory) = path.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).create(directory);
        made.map_err(|error| refused("make", directory)(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        rustix::fs::chmod(directory, Mode::RWXU).map_err(refused("change the mode of", directory))?;
    }
    let _turn = path.parent().map(|directory| turn(directory, TURN)).transpose()?;
    match listen(path) {
        Err(Errno::ADDRINUSE) if answers(path) => Ok(Claim::Theirs),
        Err(Errno::ADDRINUSE) => {
            rustix::fs::unlink(path).or_else(absent).map_err(refused("remove", path))?;
            listen(path).map(Claim::Ours).map_err(refused("listen at", path))
        }
        other => other.map(Claim::Ours).map_err(refused("listen at", path)),
    }
}

/// Waits until nobody else claims a socket in this directory, at most `limit`; it is over when the descriptor is closed.
fn turn(directory: &Path, limit: Duration) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened =
        rustix::fs::openat(CWD, directory, flags, Mode::empty()).map_err(refused("open", directory))?;
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(opened),
            Err(Errno::WOULDBLOCK) if begun.elapsed() < limit => std::thread::sleep(AGAIN),
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::Busy { path: directory.to_owned(), waited: begun.elapsed() });
            }
            Err(errno) => return Err(refused("lock", directory)(errno)),
        }
    }
}

fn refused(step: &'static str, path: &Path) -> impl FnOnce(Errno) -> Error {
    move |source| Error::Step { step, path: path.to_owned(), source }
}

fn absent(errno: Errno) -> Result<(), Errno> {
    if errno == Errno::NOENT { Ok(()) } else { Err(errno) }
}

fn stream() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn listen(path: &Path) -> Result<OwnedFd, Errno> {
    let socket = stream()?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::fs::chmodat(CWD, path, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Whether somebody listens: a full backlog is somebody, too.
fn answers(path: &Path) -> bool {
    let connected = stream().and_then(|socket| rustix::net::connect(&socket, &SocketAddrUnix::new(path)?));
    matches!(connected, Ok(()) | Err(Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_that_of_the_stock_shim_and_fits_into_an_address() {
        let path = path(None, "/run/containerd/containerd.sock", "moby", "abc");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(name.len(), 64);
        assert!(path.as_os_str().len() <= 106);
    }

    #[test]
    fn a_live_shim_keeps_its_socket_and_a_dead_one_loses_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s").join("x");
        let Claim::Ours(first) = claim(&path).expect("free") else { panic!("nobody else is there") };
        assert!(matches!(claim(&path).expect("taken"), Claim::Theirs));
        drop(first);
        assert!(path.exists());
        assert!(matches!(claim(&path).expect("free again"), Claim::Ours(_)));
    }

    #[test]
    fn who_never_gets_its_turn_says_where_and_how_long_it_waited() {
        let directory = tempfile::tempdir().expect("a directory");
        let limit = Duration::from_millis(20);
        let held = turn(directory.path(), limit).expect("free");
        let Err(error) = turn(directory.path(), limit) else { panic!("somebody else has it") };
        assert!(matches!(&error, Error::Busy { waited, .. } if *waited >= limit), "{error}");
        assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
        drop(held);
        turn(directory.path(), limit).expect("free again");
    }

    #[test]
    fn of_many_who_find_a_dead_shim_one_gets_its_socket() {
        let directory = tempfile::tempdir().expect("a directory");
        for round in 0..50 {
            let path = directory.path().join(round.to_string());
            drop(claim(&path).expect("free"));
            let claims = std::thread::scope(|scope| {
                let all = [(); 4].map(|()| scope.spawn(|| claim(&path).expect("claimed")));
                all.map(|one| one.join().expect("no panic"))
            });
            let ours = claims.iter().filter(|claim| matches!(claim, Claim::Ours(_))).count();
            assert_eq!(ours, 1, "in round {round}");
        }
    }
}
