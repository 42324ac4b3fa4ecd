//! The start of a program: the C `main`, before anything of the Rust runtime.
//!
//! The runtime asks the kernel some thirty things before Rust's `main`, among them the bounds of the stack, page by
//! page. A program that executes itself once more, to be protected, would pay for that twice.

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// What the kernel gave this process: arguments and environment, each ended by a null pointer.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    arguments: *const *const c_char,
    environment: *const *const c_char,
    lifetime: PhantomData<&'static CStr>,
}

// SAFETY: what the kernel put on the stack of a new process is read only.
unsafe impl Sync for Given {}
// SAFETY: as above.
unsafe impl Send for Given {}

/// The empty vector.
struct Nothing([*const c_char; 1]);

// SAFETY: a null pointer leads nowhere.
unsafe impl Sync for Nothing {}

static NOTHING: Nothing = Nothing([core::ptr::null()]);

impl Default for Given {
    /// No argument and no environment.
    fn default() -> Self {
        Self { arguments: NOTHING.0.as_ptr(), environment: NOTHING.0.as_ptr(), lifetime: PhantomData }
    }
}

impl Given {
    /// Takes what `main` was called with.
    ///
    /// # Safety
    /// Both are arrays of C strings with a null pointer at the end, which stay as they are for the life of the process.
    #[must_use]
    pub unsafe fn new(arguments: *const *const c_char, environment: *const *const c_char) -> Self {
        Self { arguments, environment, lifetime: PhantomData }
    }

    /// The arguments, the program's own name first.
    pub fn arguments(&self) -> impl Iterator<Item = &'static CStr> {
        let mut next = self.arguments;
        core::iter::from_fn(move || {
            // SAFETY: `next` stays within the array: it is not moved beyond the null pointer.
            let text = unsafe { next.read() };
            if text.is_null() {
                return None;
            }
            next = next.wrapping_add(1);
            // SAFETY: the entry is a C string that lives as long as the process.
            Some(unsafe { CStr::from_ptr(text) })
        })
    }

    /// Executes the file behind `program` with the same arguments and environment; returns only the errno.
    #[must_use]
    pub fn execute(&self, program: BorrowedFd<'_>) -> Errno {
        // SAFETY: both vectors are arrays of C strings that end with a null pointer; the empty path is a C string.
        let result = unsafe {
            libc::syscall(
                libc::SYS_execveat,
                program.as_raw_fd(),
                c"".as_ptr(),
                self.arguments,
                self.environment,
                libc::AT_EMPTY_PATH,
            )
        };
        crate::check(result).err().unwrap_or(Errno::NOEXEC)
    }
}

/// Makes `$run`, a `fn(Given) -> u8`, the program: what it gives is the exit status. The crate is `no_main`.
///
/// What the Rust runtime does before its own `main` is left to `$run`: see [`crate::stdio::fill`] and
/// [`crate::signal::set_ignored`] for `SIGPIPE`.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(
            _count: ::core::ffi::c_int,
            arguments: *const *const ::core::ffi::c_char,
            environment: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            // SAFETY: glibc and musl hand over what the kernel put on the stack, the environment as third argument.
            let given = unsafe { $crate::start::Given::new(arguments, environment) };
            ::core::ffi::c_int::from($run(given))
        }
    };
}
