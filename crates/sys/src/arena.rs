//! A memory allocator for processes that live for a millisecond.
//!
//! The C library asks the kernel for pages and gives them back, call by call; here the first [`SIZE`] bytes come one
//! after the other from one piece of zero pages that is part of the program, so that each page costs one fault and no
//! system call. What was freed is used again only when it was the last piece; when all is used up, the inner
//! allocator goes on.
//!
//! **Invariant:** a byte of the arena belongs to at most one live allocation: `next` only moves back over the piece
//! that ends there.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of the arena; pages that are never touched are never there.
pub const SIZE: usize = 512 << 10;

/// The arena, and what comes after it.
#[derive(Debug)]
pub struct Arena<A> {
    bytes: UnsafeCell<MaybeUninit<[u8; SIZE]>>,
    next: AtomicUsize,
    inner: A,
}

// SAFETY: `next` hands each byte out once, so that no two threads get the same ones.
unsafe impl<A: Sync> Sync for Arena<A> {}

impl<A> Arena<A> {
    /// An arena in front of `inner`.
    pub const fn new(inner: A) -> Self {
        Self { bytes: UnsafeCell::new(MaybeUninit::uninit()), next: AtomicUsize::new(0), inner }
    }

    fn start(&self) -> usize {
        self.bytes.get().addr()
    }

    /// Where in the arena a pointer leads to, if it does.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        pointer.addr().checked_sub(self.start()).filter(|offset| *offset < SIZE)
    }

    fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        let mut found = 0;
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            let address = self.start().checked_add(next)?.checked_next_multiple_of(layout.align())?;
            found = address - self.start();
            found.checked_add(layout.size()).filter(|end| *end <= SIZE)
        });
        taken.ok()?;
        NonNull::new(self.bytes.get().cast::<u8>().wrapping_add(found))
    }

    /// Moves the end of the last piece, which begins at `offset`; says whether it was the last and there was room.
    fn resize(&self, offset: usize, size: usize, wanted: usize) -> bool {
        let Some(end) = offset.checked_add(wanted).filter(|end| *end <= SIZE) else { return false };
        self.next.compare_exchange(offset + size, end, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: `take` gives aligned memory of the size asked for that nobody else has; the rest is the inner allocator's.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Arena<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(piece) => piece.as_ptr(),
            // SAFETY: the caller's promise about the layout is handed on.
            None => unsafe { self.inner.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            Some(offset) => {
                self.resize(offset, layout.size(), 0);
            }
            // SAFETY: what is not of the arena came from the inner allocator, with this layout.
            None => unsafe { self.inner.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(pointer) else {
            // SAFETY: as in `dealloc`; the caller's promise about the size is handed on.
            return unsafe { self.inner.realloc(pointer, layout, size) };
        };
        if size <= layout.size() || self.resize(offset, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the caller promises that the size does not overflow with this alignment.
        let layout_wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the layout is not empty, as the caller promises of `size`.
        let wanted = unsafe { self.alloc(layout_wanted) };
        if !wanted.is_null() {
            // SAFETY: the new piece is larger than the old one and another one.
            unsafe { wanted.copy_from_nonoverlapping(pointer, layout.size()) };
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes after the arena in these tests: nothing.
    struct Empty;

    // SAFETY: null is the answer of an allocator without memory.
    unsafe impl GlobalAlloc for Empty {
        unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
            core::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _pointer: *mut u8, _layout: Layout) {}
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    static ARENA: Arena<Empty> = Arena::new(Empty);

    fn alloc(layout: Layout) -> *mut u8 {
        // SAFETY: no layout of these tests is empty.
        unsafe { ARENA.alloc(layout) }
    }

    fn realloc(pointer: *mut u8, old: Layout, size: usize) -> *mut u8 {
        // SAFETY: the pointer came from `alloc` with this layout.
        unsafe { ARENA.realloc(pointer, old, size) }
    }

    #[test]
    fn pieces_are_aligned_apart_and_grow_in_place_only_at_the_end() {
        let first = alloc(layout(3, 1));
        let second = alloc(layout(64, 64));
        assert_eq!(second.addr() % 64, 0);
        assert!(second.addr() >= first.addr() + 3);
        assert_eq!(realloc(second, layout(64, 64), 128), second);
        let third = alloc(layout(8, 8));
        assert!(third.addr() >= second.addr() + 128);
        // SAFETY: three bytes were asked for.
        unsafe { first.write_bytes(7, 3) };
        let moved = realloc(first, layout(3, 1), 100);
        assert!(moved.addr() >= third.addr() + 8);
        // SAFETY: three bytes were copied there.
        assert_eq!(unsafe { moved.cast::<[u8; 3]>().read() }, [7; 3]);
        // SAFETY: as above; the layout is that of the reallocation.
        unsafe { ARENA.dealloc(moved, layout(100, 1)) };
        assert_eq!(alloc(layout(1, 1)), moved);
        assert!(alloc(layout(SIZE, 1)).is_null());
    }
}
