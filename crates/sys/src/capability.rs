//! Capability sets of the calling thread, as 64-bit masks (bit n = capability n).

use rustix::io::Errno;

/// The three sets that `capset(2)` writes at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What counts now.
    pub effective: u64,
    /// What may become effective.
    pub permitted: u64,
    /// What survives an `execve` of a file that asks for it.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Source: include/uapi/linux/capability.h, `_LINUX_CAPABILITY_VERSION_3`.
const VERSION_3: u32 = 0x2008_0522;

/// Reads the sets of the calling thread.
///
/// # Errors
/// None known.
pub fn get() -> Result<Sets, Errno> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: the header and the two data records are of the layout that version 3 says.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
    crate::check(result)?;
    let join = |low: u32, high: u32| u64::from(low) | (u64::from(high) << 32);
    Ok(Sets {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

/// Writes the sets of the calling thread.
///
/// # Errors
/// `EPERM`: more than the caller may have.
pub fn set(sets: &Sets) -> Result<(), Errno> {
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: the header and the two data records are of the layout that version 3 says.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    crate::check(result).map(drop)
}

/// Takes one capability out of the bounding set.
///
/// # Errors
/// `EINVAL`: the kernel has no capability of this number; `EPERM`: `CAP_SETPCAP` is missing.
pub fn drop_bounding(capability: u32) -> Result<(), Errno> {
    let number = libc::c_ulong::from(capability);
    // SAFETY: plain numbers.
    crate::check(unsafe {
        libc::syscall(libc::SYS_prctl, libc::PR_CAPBSET_DROP, number, 0_u64, 0_u64, 0_u64)
    })
    .map(drop)
}

/// Whether a capability is in the bounding set.
///
/// # Errors
/// `EINVAL`: the kernel has no capability of this number.
pub fn is_bounding(capability: u32) -> Result<bool, Errno> {
    let number = libc::c_ulong::from(capability);
    // SAFETY: plain numbers.
    crate::check(unsafe {
        libc::syscall(libc::SYS_prctl, libc::PR_CAPBSET_READ, number, 0_u64, 0_u64, 0_u64)
    })
    .map(|set| set == 1)
}

/// Empties the ambient set.
///
/// # Errors
/// None known since 4.3.
pub fn clear_ambient() -> Result<(), Errno> {
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    // SAFETY: plain numbers.
    crate::check(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_CAP_AMBIENT, clear, 0_u64, 0_u64, 0_u64) })
        .map(drop)
}

/// Adds one capability to the ambient set; it must be permitted and inheritable already.
///
/// # Errors
/// `EPERM`: it is not.
pub fn raise_ambient(capability: u32) -> Result<(), Errno> {
    let raise = libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong;
    let number = libc::c_ulong::from(capability);
    // SAFETY: plain numbers.
    crate::check(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_CAP_AMBIENT, raise, number, 0_u64, 0_u64) })
        .map(drop)
}
