//! Protection of the own executable against being overwritten from a container (CVE-2019-5736).
//!
//! A process in a container can make the runtime execute `/proc/self/exe` and open that file for writing. Here the
//! process runs from a read-only detached mount of its binary: such an open answers `EROFS`. The page cache stays
//! shared with every other process of the same binary, which a copy in a memfd would lose.

use crate::Error;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use std::ffi::{CStr, CString};
use sys::exec::{Entry, Vector};
use sys::start::Given;

/// Makes sure that this process runs from a read-only mount; executes itself once more when it does not.
///
/// Comes back when the process is protected. `arguments` and `environment` are handed to the new self.
///
/// # Errors
/// [`Error::Seal`] with the step that was refused.
pub fn ensure(arguments: &[CString], environment: &[CString]) -> Result<(), Error> {
    let (arguments, environment) = (entries(arguments), entries(environment));
    ensure_by(|program| match (Vector::new(&arguments), Vector::new(&environment)) {
        (Some(arguments), Some(environment)) => sys::exec::fexecve(program, arguments, environment),
        _ => Errno::INVAL,
    })
}

/// As [`ensure`]; the new self gets what this one was given. Allocates nothing, so that it can come first in a process.
///
/// # Errors
/// [`Error::Seal`] with the step that was refused.
pub fn ensure_first(given: &Given) -> Result<(), Error> {
    ensure_by(|program| given.execute(program))
}

/// `execute` gives the errno of its refusal.
fn ensure_by(execute: impl FnOnce(BorrowedFd<'_>) -> Errno) -> Result<(), Error> {
    if is_sealed()? {
        return Ok(());
    }
    let program = read_only_self().or_else(|_| copy_of_self())?;
    Err(Error::Seal { step: "execveat", source: execute(program.as_fd()) })
}

fn entries(texts: &[CString]) -> Vec<Entry<'_>> {
    texts.iter().map(|text| Entry::new(text)).chain([Entry::END]).collect()
}

/// Whether the executable can be written through `/proc/self/exe`: asks the kernel, not the environment.
fn is_sealed() -> Result<bool, Error> {
    let seal = |source| Error::Seal { step: "look at /proc/self/exe", source };
    let flags = rustix::fs::statvfs(SELF).map_err(seal)?.f_flag;
    if flags.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    let open = rustix::fs::openat(
        CWD,
        SELF,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    let seals = open.and_then(|file| rustix::fs::fcntl_get_seals(&file));
    Ok(seals.is_ok_and(|seals| seals.contains(rustix::fs::SealFlags::WRITE)))
}

const SELF: &CStr = c"/proc/self/exe";

/// Kernel: `mount_setattr` came with 5.12; before, [`copy_of_self`] is used.
fn read_only_self() -> Result<OwnedFd, Error> {
    let seal = |step| move |source| Error::Seal { step, source };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, SELF, flags).map_err(seal("open_tree"))?;
    sys::mount_setattr::set_read_only(tree.as_fd()).map_err(seal("mount_setattr"))?;
    Ok(tree)
}

fn copy_of_self() -> Result<OwnedFd, Error> {
    use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
    let seal = |step| move |source| Error::Seal { step, source };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernel: MFD_EXEC came with 6.3, EINVAL before; with vm.memfd_noexec a memfd made without it cannot be executed.
    let copy = rustix::fs::memfd_create(c"sluice", flags | MemfdFlags::EXEC)
        .or_else(|errno| match errno {
            Errno::INVAL => rustix::fs::memfd_create(c"sluice", flags),
            other => Err(other),
        })
        .map_err(seal("memfd_create"))?;
    let source = rustix::fs::openat(CWD, SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(seal("open /proc/self/exe"))?;
    while rustix::fs::sendfile(&copy, &source, None, 1 << 30).map_err(seal("sendfile"))? > 0 {}
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, all).map_err(seal("add the seals"))?;
    Ok(copy)
}
