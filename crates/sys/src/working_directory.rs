//! The working directory as the kernel names it.

use rustix::io::Errno;

/// Where the working directory lies, seen from the process's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Below the root.
    Inside,
    /// Not reachable from the root: a descriptor leaked into the process led there (CVE-2024-21626).
    Outside,
}

/// Asks the kernel whether the working directory can be reached from the root.
///
/// Source: getcwd(2), C library/kernel differences: the path starts with `(unreachable)` when it cannot, and the
/// call answers `ENOENT` when the directory was removed.
///
/// # Errors
/// The kernel's errno other than those two.
pub fn place() -> Result<Place, Errno> {
    let mut buffer = [0_u8; 4096];
    // SAFETY: pointer and length describe one writable buffer.
    let result = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    match crate::check(result) {
        Ok(_) if buffer[0] == b'/' => Ok(Place::Inside),
        // A path longer than a page may hide the mark, so it counts as outside.
        Ok(_) | Err(Errno::NOENT | Errno::NAMETOOLONG | Errno::RANGE) => Ok(Place::Outside),
        Err(errno) => Err(errno),
    }
}
