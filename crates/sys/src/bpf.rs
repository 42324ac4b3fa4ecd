//! `bpf(2)` for one kind of program: the device filter of a cgroup v2 group.

use core::mem::size_of;

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// Source: `enum bpf_cmd` in include/uapi/linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_PROG_QUERY: libc::c_int = 16;

/// Source: `enum bpf_prog_type` and `enum bpf_attach_type` in include/uapi/linux/bpf.h.
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;

const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
const BPF_F_REPLACE: u32 = 1 << 2;

/// One instruction, `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination in the low, source in the high four bits (little-endian machines only).
    pub registers: u8,
    /// Signed offset of a jump or of a memory access.
    pub offset: i16,
    /// Signed constant.
    pub immediate: i32,
}

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`; the kernel takes what is missing at the end as zero.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replace: u32,
}

#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// Loads a program for device accesses (`BPF_PROG_TYPE_CGROUP_DEVICE`).
///
/// # Errors
/// `EINVAL`, `EACCES`: the verifier rejects it; `EPERM`: `CAP_SYS_ADMIN` is missing or, before Linux 5.11,
/// `RLIMIT_MEMLOCK` is used up.
pub fn load_device_program(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let license = c"Apache-2.0";
    let mut name = [0_u8; 16];
    name[..13].copy_from_slice(b"sluice_device");
    let mut attributes = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
        name,
    };
    bpf_fd(BPF_PROG_LOAD, &mut attributes)
}

/// Attaches a program to a group, beside those of others (`BPF_F_ALLOW_MULTI`), or in the place of one.
///
/// Kernel: replacing came with 5.6.
///
/// # Errors
/// `EPERM`: a group above has a program that allows none below, or one was attached here without
/// `BPF_F_ALLOW_MULTI`; `ENOENT`: the one to replace is not attached.
pub fn attach_device_program(
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replace: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let flags = if replace.is_some() { BPF_F_ALLOW_MULTI | BPF_F_REPLACE } else { BPF_F_ALLOW_MULTI };
    let mut attributes = Attach {
        target: raw(group),
        program: raw(program),
        kind: BPF_CGROUP_DEVICE,
        flags,
        replace: replace.map_or(0, raw),
    };
    bpf(BPF_PROG_ATTACH, &mut attributes).map(drop)
}

/// Takes a program off a group.
///
/// # Errors
/// `ENOENT`: it is not attached.
pub fn detach_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut attributes =
        Attach { target: raw(group), program: raw(program), kind: BPF_CGROUP_DEVICE, flags: 0, replace: 0 };
    bpf(BPF_PROG_DETACH, &mut attributes).map(drop)
}

/// Fills `ids` with the ids of the device programs attached to this very group and returns how many there are.
///
/// # Errors
/// `ENOSPC`: there are more than fit; `EPERM`: `CAP_NET_ADMIN` is missing.
pub fn attached_device_programs(group: BorrowedFd<'_>, ids: &mut [u32]) -> Result<usize, Errno> {
    let mut attributes = Query {
        target: raw(group),
        kind: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: u32::try_from(ids.len()).unwrap_or(u32::MAX),
        padding: 0,
    };
    bpf(BPF_PROG_QUERY, &mut attributes)?;
    Ok(ids.len().min(attributes.count as usize))
}

/// Opens a loaded program.
///
/// # Errors
/// `ENOENT`: there is none of this id (any longer).
pub fn program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    bpf_fd(BPF_PROG_GET_FD_BY_ID, &mut ById { id, next: 0, flags: 0 })
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn bpf_fd<T>(command: libc::c_int, attributes: &mut T) -> Result<OwnedFd, Errno> {
    let fd = bpf(command, attributes)?;
    let fd = i32::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: both callers' commands return a new descriptor (close-on-exec) that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Callers pass the structure that belongs to the command, with pointers that are valid for the call.
fn bpf<T>(command: libc::c_int, attributes: &mut T) -> Result<usize, Errno> {
    let size = size_of::<T>();
    // SAFETY: `attributes` is valid for reads and writes of `size` bytes, its pointers as said above.
    crate::check(unsafe { libc::syscall(libc::SYS_bpf, command, core::ptr::from_mut(attributes), size) })
}
