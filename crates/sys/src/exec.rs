//! `execve(2)` from arrays that were built before the fork.

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU8, Ordering};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// One entry of an argument vector: a pointer to a C string that lives at least as long as `'a`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a>(*const c_char, PhantomData<&'a CStr>);

// SAFETY: an entry is a shared reference to immutable or atomic bytes, or null.
unsafe impl Sync for Entry<'_> {}
// SAFETY: as above.
unsafe impl Send for Entry<'_> {}

impl<'a> Entry<'a> {
    /// The entry that ends a vector.
    pub const END: Entry<'static> = Entry(core::ptr::null(), PhantomData);

    /// Points at a text that is still to be written.
    #[must_use]
    pub fn late(text: &'a Late) -> Self {
        Entry(text.0.as_ptr().cast(), PhantomData)
    }

    /// Points at `text`.
    #[must_use]
    pub fn new(text: &'a CStr) -> Self {
        Entry(text.as_ptr(), PhantomData)
    }
}

/// An entry whose text is written after the vector was built.
#[derive(Debug)]
pub struct Late([AtomicU8; Late::SIZE]);

impl Late {
    /// Room in bytes, with the NUL.
    pub const SIZE: usize = 5 + 4096;

    /// An empty text.
    #[must_use]
    pub const fn new() -> Self {
        Late([const { AtomicU8::new(0) }; Late::SIZE])
    }

    /// Replaces the byte at `index`; the last byte stays NUL. Says whether there was room.
    #[must_use]
    pub fn put(&self, index: usize, byte: u8) -> bool {
        match self.0.get(index) {
            Some(slot) if index < Late::SIZE - 1 => {
                slot.store(byte, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }
}

impl Default for Late {
    fn default() -> Self {
        Late::new()
    }
}

/// A vector of entries that is known to end with [`Entry::END`].
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a>(&'a [Entry<'a>]);

impl<'a> Vector<'a> {
    /// Takes the entries if the last one is [`Entry::END`].
    #[must_use]
    pub fn new(entries: &'a [Entry<'a>]) -> Option<Self> {
        entries.last().is_some_and(|last| last.0.is_null()).then_some(Vector(entries))
    }
}

/// Replaces the program of this process; returns only the errno of a refusal.
#[must_use]
pub fn execve(path: &CStr, arguments: Vector<'_>, environment: Vector<'_>) -> Errno {
    // SAFETY: `path` is a C string; both vectors are arrays of C strings that end with a null pointer.
    let result = unsafe {
        libc::syscall(libc::SYS_execve, path.as_ptr(), arguments.0.as_ptr(), environment.0.as_ptr())
    };
    crate::check(result).err().unwrap_or(Errno::NOEXEC)
}

/// Replaces the program of this process by the file behind `program` (`AT_EMPTY_PATH`); returns only the errno.
#[must_use]
pub fn fexecve(program: BorrowedFd<'_>, arguments: Vector<'_>, environment: Vector<'_>) -> Errno {
    // SAFETY: as in `execve`; the empty path is a C string.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            arguments.0.as_ptr(),
            environment.0.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    crate::check(result).err().unwrap_or(Errno::NOEXEC)
}
