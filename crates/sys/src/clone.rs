//! `clone3(2)` as a fork that can choose namespaces, a cgroup and a pidfd.
//!
//! **Invariant:** never `CLONE_VM`. A child that shares memory and dies of the container's out-of-memory kill
//! takes its parent with it (docs/decisions/0003-fork-never-clone-vm.md).

use core::mem::size_of;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// `CLONE_*` bits that make new namespaces; the kernel's own values.
///
/// Source: include/uapi/linux/sched.h.
pub mod new {
    /// New mount namespace.
    pub const MOUNT: u64 = 0x0002_0000;
    /// New cgroup namespace; take it by `unshare` after the cgroup was joined, never in `clone3`.
    pub const CGROUP: u64 = 0x0200_0000;
    /// New UTS namespace.
    pub const UTS: u64 = 0x0400_0000;
    /// New IPC namespace.
    pub const IPC: u64 = 0x0800_0000;
    /// New user namespace.
    pub const USER: u64 = 0x1000_0000;
    /// New pid namespace.
    pub const PID: u64 = 0x2000_0000;
    /// New network namespace.
    pub const NET: u64 = 0x4000_0000;
    /// New time namespace.
    ///
    /// Kernel: 5.6.
    pub const TIME: u64 = 0x0000_0080;
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Whose child the new process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// The caller's child.
    Caller,
    /// The caller's sibling (`CLONE_PARENT`): the caller may end and the caller's parent reaps the child.
    Grandparent,
}

/// What the new process gets.
#[derive(Clone, Copy, Debug)]
pub struct Clone3<'a> {
    /// Bits of [`new`].
    pub namespaces: u64,
    /// A cgroup v2 directory in which the child is born (`CLONE_INTO_CGROUP`).
    ///
    /// Kernel: 5.7.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Whose child it is.
    pub parent: Parent,
}

/// Which side of the fork this is.
#[derive(Debug)]
pub enum Side {
    /// The new process.
    Child,
    /// The caller, with the child's pid in the caller's pid namespace and its pidfd (close-on-exec).
    Parent {
        /// The child's process id as the caller sees it.
        pid: i32,
        /// The child's identity; stays true when the pid is used again.
        pidfd: OwnedFd,
    },
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks. The child has a copy of the address space and only the calling thread.
///
/// In a process with several threads the child may call nothing that allocates or locks (another thread may
/// have held the lock at the time of the fork): run only the crate `child` there.
///
/// # Errors
/// The kernel's errno; `exec-limits` in docs/errors.md tells what each means (`EAGAIN`: `pids.max` or a host
/// limit, `ENOENT`: the cgroup is gone, `EBUSY`: it has controllers in its children, `EOPNOTSUPP`: invalid domain).
pub fn clone3(how: &Clone3<'_>) -> Result<Side, Errno> {
    let mut pidfd: libc::c_int = -1;
    let mut args = CloneArgs {
        flags: how.namespaces | CLONE_PIDFD,
        pidfd: core::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if how.parent == Parent::Grandparent {
        // Kernel: CLONE_PARENT takes the exit signal of the caller and refuses one of its own.
        args.flags |= CLONE_PARENT;
        args.exit_signal = 0;
    }
    if let Some(cgroup) = how.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid struct clone_args of the size given, `pidfd` outlives the call, no stack is
    // given and CLONE_VM is not set, so the child runs on its own copy of this stack.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    let pid = match crate::check(result) {
        // Compat: Docker's default seccomp profile answers ENOSYS to clone3, whose arguments no filter can see.
        Err(Errno::NOSYS) if how.cgroup.is_none() => clone(args.flags | args.exit_signal, &mut pidfd)?,
        other => other?,
    };
    match pid {
        0 => {
            if how.cgroup.is_some() {
                // Kernel: before 6.3 (and what it was carried back to) a child born in a cgroup keeps the processors of
                // its parent, whatever the cpuset says. The kernel cuts what is asked for to the cpuset.
                let _as_it_was = crate::sched::spread();
            }
            Ok(Side::Child)
        }
        pid => {
            // A descriptor is never negative. Written as a mask, the compiler sees it and drops the panic for -1, which a
            // child that makes another must not have.
            let pidfd = pidfd & libc::c_int::MAX;
            // SAFETY: the kernel stored a fresh descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// `clone(2)`, which takes the exit signal in the low byte of the flags and the place of the pidfd as `parent_tid`.
fn clone(flags: u64, pidfd: &mut libc::c_int) -> Result<usize, Errno> {
    if flags & new::TIME != 0 {
        // The bit belongs to the exit signal here.
        return Err(Errno::NOSYS);
    }
    // SAFETY: `pidfd` outlives the call; no stack is given and CLONE_VM is not set, so the child runs on its own copy
    // of this stack. `child_tid` and `tls`, which architectures order differently, are both 0 and unused.
    let result =
        unsafe { libc::syscall(libc::SYS_clone, flags, 0_u64, core::ptr::from_mut(pidfd), 0_u64, 0_u64) };
    crate::check(result)
}

/// Ends the calling process at once, without destructors or `atexit` handlers.
///
/// A seccomp filter may forbid even that; the process then ends by an illegal instruction.
pub fn exit(status: u8) -> ! {
    // SAFETY: `exit_group` takes no pointer and does not return unless a filter refuses it.
    unsafe { libc::syscall(libc::SYS_exit_group, libc::c_int::from(status)) };
    loop {
        // SAFETY: the instruction is undefined on purpose: the kernel answers it with a fatal SIGILL.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!("ud2", options(nomem, nostack));
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            core::arch::asm!("udf #0", options(nomem, nostack));
        }
    }
}
