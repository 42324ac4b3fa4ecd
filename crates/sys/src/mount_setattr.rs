//! `mount_setattr(2)`: attributes of one mount or of a whole tree.
//!
//! Kernel: 5.12; earlier kernels answer `ENOSYS`.

use core::ffi::CStr;
use core::mem::size_of;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// `struct mount_attr`: what is set, what is cleared, how the mount propagates, whose ids it maps.
///
/// Source: include/uapi/linux/mount.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `MOUNT_ATTR_*` bits to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` bits to clear, before `set` is applied.
    pub clear: u64,
    /// One of `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`, or 0 = unchanged.
    pub propagation: u64,
    /// A user namespace for `MOUNT_ATTR_IDMAP`.
    pub user_namespace: u64,
}

/// `MOUNT_ATTR_RDONLY`.
pub const READ_ONLY: u64 = 0x1;

/// Whether the mounts below are changed too (`AT_RECURSIVE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only the mount itself.
    One,
    /// The whole tree, or nothing when one mount refuses.
    Tree,
}

/// Changes the mount whose root is `path` below `directory`; an empty path means `directory` itself.
///
/// # Errors
/// `EPERM` (a locked flag), `EINVAL` (not the root of a mount), `EBUSY` (open for writing), `ENOSYS` before 5.12.
pub fn mount_setattr(
    directory: BorrowedFd<'_>,
    path: &CStr,
    depth: Depth,
    attributes: &Attributes,
) -> Result<(), Errno> {
    const AT_RECURSIVE: libc::c_int = 0x8000;
    let mut flags = libc::AT_SYMLINK_NOFOLLOW;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH;
    }
    if depth == Depth::Tree {
        flags |= AT_RECURSIVE;
    }
    // SAFETY: `path` is a C string and the struct has the kernel's layout and the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
            core::ptr::from_ref(attributes),
            size_of::<Attributes>(),
        )
    };
    crate::check(result).map(drop)
}

/// Makes one mount read-only.
///
/// # Errors
/// As [`mount_setattr`].
pub fn set_read_only(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    let attributes = Attributes { set: READ_ONLY, ..Attributes::default() };
    mount_setattr(mount, c"", Depth::One, &attributes)
}
