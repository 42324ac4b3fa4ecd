//! From an action of a profile to the value a filter returns.

use crate::Error;
use crate::profile::Action;

/// `SECCOMP_RET_KILL_THREAD`
pub(crate) const KILL_THREAD: u32 = 0;
/// `SECCOMP_RET_ERRNO` with `ENOSYS`
pub(crate) const ENOSYS: u32 = 0x0005_0000 | 38;

/// Source: errno(3)
const EPERM: u32 = 1;

/// `SECCOMP_RET_*` of `action`, with the errno or the tracer's data in the low half.
///
/// `place` names the field that holds `errno`, for the error message.
///
/// Compat: runc takes `EPERM` where the profile says nothing. Source: `linux/seccomp.h`
pub(crate) fn returns(action: Action, errno: Option<u32>, place: impl Fn() -> String) -> Result<u32, Error> {
    let data = || match errno.unwrap_or(EPERM) {
        value @ 0..=0xffff => Ok(value),
        value => Err(Error::ErrnoTooLarge { place: place(), value }),
    };
    Ok(match action {
        Action::Kill | Action::KillThread => KILL_THREAD,
        Action::KillProcess => 0x8000_0000,
        Action::Trap => 0x0003_0000,
        Action::Errno => 0x0005_0000 | data()?,
        Action::Notify => 0x7fc0_0000,
        Action::Trace => 0x7ff0_0000 | data()?,
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
    })
}
