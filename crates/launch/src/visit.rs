//! A stay of the calling thread in other namespaces, for the birth of one child.
//!
//! A child inherits them at `clone3`, also when it gets a new user namespace in the same call, from which it could not
//! join them any more.

use crate::Error;
use proc::Procfs;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use sys::clone::new;

/// The way back. The visit ends when this is dropped; [`Visit::end`] also says whether that worked.
#[derive(Debug)]
pub struct Visit {
    /// Own namespaces, the first one left last.
    own: Vec<(OwnedFd, u64)>,
}

impl Visit {
    /// Sets the pid namespace for children to that of a process.
    ///
    /// # Errors
    /// [`Error::PidNamespace`]; `ESRCH` when the process or its namespace is dead.
    pub fn pid_namespace_of(process: BorrowedFd<'_>) -> Result<Self, Error> {
        let flags = rustix::process::PidfdFlags::empty();
        let own =
            rustix::process::pidfd_open(rustix::process::getpid(), flags).map_err(Error::PidNamespace)?;
        sys::namespace::join(process, new::PID).map_err(Error::PidNamespace)?;
        Ok(Visit { own: vec![(own, new::PID)] })
    }

    /// Enters namespaces by their files: pairs of the file and its kind ([`sys::clone::new`]); the kinds are those
    /// that can be left again, which user and mount namespaces cannot.
    ///
    /// # Errors
    /// [`Error::Visit`] with the index of the file; the thread is back where it was.
    pub fn enter(proc: &Procfs, targets: &[(BorrowedFd<'_>, u64)]) -> Result<Self, Error> {
        let mut visit = Visit { own: Vec::new() };
        for (index, (target, kind)) in targets.iter().enumerate() {
            let wrap = |source| Error::Visit { index, source };
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let path = format!("thread-self/ns/{}", file_name(*kind));
            let own = rustix::fs::openat(proc.as_fd(), path, flags, Mode::empty()).map_err(wrap)?;
            sys::namespace::join(*target, *kind).map_err(wrap)?;
            visit.own.push((own, *kind));
        }
        Ok(visit)
    }

    /// Goes back.
    ///
    /// # Errors
    /// [`Error::Return`].
    pub fn end(mut self) -> Result<(), Error> {
        self.go_back()
    }

    fn go_back(&mut self) -> Result<(), Error> {
        while let Some((own, kind)) = self.own.pop() {
            sys::namespace::join(own.as_fd(), kind).map_err(Error::Return)?;
        }
        Ok(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Err(error) = self.go_back() {
            log::error!("{error}");
        }
    }
}

fn file_name(kind: u64) -> &'static str {
    match kind {
        new::NET => "net",
        new::IPC => "ipc",
        new::UTS => "uts",
        new::CGROUP => "cgroup",
        new::TIME => "time",
        _ => "pid",
    }
}
