//! Signal mask and dispositions of a process that is about to run another program.

use rustix::io::Errno;

/// The kernel's `struct sigaction`, which is not glibc's.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

const SIGSET_SIZE: usize = 8;

/// Gives `signal` its default action. Ignored signals stay ignored over `execve`, and the Rust runtime ignores
/// `SIGPIPE`.
///
/// # Errors
/// `EINVAL`: not a signal, or one that cannot be changed.
pub fn set_default(signal: i32) -> Result<(), Errno> {
    let action = KernelAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the struct has the kernel's layout; SIG_DFL runs no code of ours.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, core::ptr::null::<u8>(), SIGSET_SIZE)
    };
    crate::check(result).map(drop)
}

/// Gives every signal its default action.
///
/// # Errors
/// None known.
pub fn set_all_default() -> Result<(), Errno> {
    for signal in 1..=64 {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            set_default(signal)?;
        }
    }
    Ok(())
}

/// Makes `signal` ignored.
///
/// # Errors
/// `EINVAL`: not a signal, or one that cannot be changed.
pub fn set_ignored(signal: i32) -> Result<(), Errno> {
    let action = KernelAction { handler: libc::SIG_IGN, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the struct has the kernel's layout; SIG_IGN runs no code of ours.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, core::ptr::null::<u8>(), SIGSET_SIZE)
    };
    crate::check(result).map(drop)
}

/// Replaces the signal mask by `mask` (bit n-1 = signal n) and gives the former one.
///
/// # Errors
/// None known.
pub fn set_mask(mask: u64) -> Result<u64, Errno> {
    let mut former = 0_u64;
    // SAFETY: both pointers are to 8-byte masks, the size said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut former,
            SIGSET_SIZE,
        )
    };
    crate::check(result).map(|_| former)
}

/// A signal of 1 to 64 as `rustix` takes it, the real-time ones included.
#[must_use]
pub fn from_number(number: i32) -> Option<rustix::process::Signal> {
    if !(1..=64).contains(&number) {
        return None;
    }
    // SAFETY: the number is a signal of the kernel; it is only handed to calls that send it.
    Some(unsafe { rustix::process::Signal::from_raw_unchecked(number) })
}
