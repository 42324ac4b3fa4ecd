//! Scheduling attributes of the calling thread: policy, I/O priority.

use core::mem::size_of;
use rustix::io::Errno;

/// `struct sched_attr` of `sched_setattr(2)`.
///
/// Source: include/uapi/linux/sched/types.h, first published size (48 bytes); times in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Size of this struct in bytes; filled in by [`set_attributes`].
    pub size: u32,
    /// `SCHED_*` number.
    pub policy: u32,
    /// `SCHED_FLAG_*` bits.
    pub flags: u64,
    /// Nice value for `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// Static priority for `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// `SCHED_DEADLINE` runtime, ns.
    pub runtime: u64,
    /// `SCHED_DEADLINE` deadline, ns.
    pub deadline: u64,
    /// `SCHED_DEADLINE` period, ns.
    pub period: u64,
}

/// Sets policy and parameters of the calling thread.
///
/// # Errors
/// `EPERM`, `EINVAL`, `EBUSY` (no bandwidth left for `SCHED_DEADLINE`).
pub fn set_attributes(attributes: &Attributes) -> Result<(), Errno> {
    let sized = Attributes { size: size_of::<Attributes>() as u32, ..*attributes };
    // SAFETY: the struct says its own size and outlives the call.
    crate::check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const sized, 0_u32) }).map(drop)
}

/// Sets the I/O priority of the calling thread: class in bits 13-15, level in bits 0-12.
///
/// # Errors
/// `EPERM`: the real-time class without right.
pub fn set_io_priority(class_and_level: u32) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: no pointer is passed.
    crate::check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, class_and_level) })
        .map(drop)
}

/// Words of a mask that covers every processor Linux can be built for, 8192 on x86-64.
const ALL_WORDS: usize = 128;

/// Lets the calling thread run on every processor that its cpuset permits.
///
/// # Errors
/// `EINVAL`: the cpuset permits none.
pub fn spread() -> Result<(), Errno> {
    set_affinity(&[u64::MAX; ALL_WORDS])
}

/// Restricts the calling thread to the processors whose bits are set in `mask` (bit 0 of word 0 = processor 0).
///
/// # Errors
/// `EINVAL`: none of them may be used here.
pub fn set_affinity(mask: &[u64]) -> Result<(), Errno> {
    // SAFETY: pointer and length in bytes describe one slice.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, core::mem::size_of_val(mask), mask.as_ptr()) };
    crate::check(result).map(drop)
}
