//! Memory taken ahead of need, to learn whether there is any.

use core::ffi::c_void;
use core::ptr::NonNull;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Pages of the calling process that are there already; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    start: NonNull<c_void>,
    bytes: usize,
}

impl Reservation {
    /// Maps and touches `bytes` of private memory (`MAP_POPULATE`).
    ///
    /// Kernel: when the cgroup has no room, the out-of-memory killer acts before this returns. Where it is off, or
    /// finds nobody, some pages stay untouched and nothing tells.
    ///
    /// # Errors
    /// `ENOMEM`: `RLIMIT_AS`, or overcommit is forbidden.
    pub fn take(bytes: usize) -> Result<Self, Errno> {
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
        // SAFETY: a new anonymous mapping replaces nothing.
        let start = unsafe {
            mmap_anonymous(core::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags)
        }?;
        NonNull::new(start).map(|start| Reservation { start, bytes }).ok_or(Errno::NOMEM)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the pages were mapped by `take` with this size and nothing refers to them.
        let unmapped = unsafe { munmap(self.start.as_ptr(), self.bytes) };
        debug_assert!(unmapped.is_ok());
    }
}
