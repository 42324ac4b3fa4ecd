//! One page of memory shared between a parent and its fork child: a word of progress, and a last word.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

const SIZE: usize = 4096;

/// What a child writes and its parent reads, also after the child was killed.
#[derive(Debug)]
pub struct SharedWord(NonNull<Words>);

#[repr(C)]
struct Words {
    progress: AtomicU32,
    detail: AtomicU32,
    errno: AtomicU32,
}

// SAFETY: the pointee is atomic and lives until the value is dropped.
unsafe impl Send for SharedWord {}
// SAFETY: as above.
unsafe impl Sync for SharedWord {}

impl SharedWord {
    /// Maps a page (`MAP_SHARED`) with the word at 0.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Self, Errno> {
        let flags = MapFlags::SHARED;
        // SAFETY: a new anonymous mapping replaces nothing.
        let page = unsafe {
            mmap_anonymous(core::ptr::null_mut(), SIZE, ProtFlags::READ | ProtFlags::WRITE, flags)
        }?;
        NonNull::new(page.cast::<Words>()).map(SharedWord).ok_or(Errno::NOMEM)
    }

    /// As it was when it was new. No child that may still write to it may live.
    pub fn clear(&self) {
        let Words { progress, detail, errno } = self.words();
        for word in [progress, detail, errno] {
            word.store(0, Ordering::Release);
        }
    }

    /// Stores a value.
    pub fn set(&self, value: u32) {
        self.words().progress.store(value, Ordering::Release);
    }

    /// Leaves a last word: an errno, which is not 0, and its detail.
    pub fn leave(&self, errno: u32, detail: u32) {
        self.words().detail.store(detail, Ordering::Relaxed);
        self.words().errno.store(errno, Ordering::Release);
    }

    /// The last word, if one was left: errno and detail.
    #[must_use]
    pub fn left(&self) -> Option<(u32, u32)> {
        let errno = self.words().errno.load(Ordering::Acquire);
        (errno != 0).then(|| (errno, self.words().detail.load(Ordering::Relaxed)))
    }

    /// The value stored last.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.words().progress.load(Ordering::Acquire)
    }

    fn words(&self) -> &Words {
        // SAFETY: the mapping is page aligned, zero-initialised and lives as long as `self`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: the page was mapped by `new` with this size and no reference to it is left.
        let unmapped = unsafe { munmap(self.0.as_ptr().cast(), SIZE) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_cleared_says_nothing_of_what_was_before() {
        let word = SharedWord::new().unwrap();
        word.set(7);
        word.leave(2, 3);
        assert_eq!((word.get(), word.left()), (7, Some((2, 3))));
        word.clear();
        assert_eq!((word.get(), word.left()), (0, None));
    }
}
