//! The host's `/dev/null` on a standard stream, exchanged for the container's own.

use crate::stage::{Failure, Report, Stage};
use core::ffi::CStr;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, OFlags};
use rustix::io::Errno;

/// Puts the container's `/dev/null` in the place of the host's on 0, 1 and 2.
///
/// What the program does to the file behind a stream (`fchmod`) must stay in the container. A container without a
/// `/dev/null` keeps what it was given. `proc` is the host's.
///
/// # Errors
/// The refusal of a `dup3`.
pub fn exchange(report: Report<'_>, proc: BorrowedFd<'_>) -> Result<(), Failure> {
    let [input, output, error] = sys::stdio::streams().map(is_null);
    if !(input || output || error) {
        return Ok(());
    }
    report.step(Stage::Null, || {
        let Ok(null) = open(proc) else { return Ok(()) };
        if input {
            rustix::stdio::dup2_stdin(&null)?;
        }
        if output {
            rustix::stdio::dup2_stdout(&null)?;
        }
        if error {
            rustix::stdio::dup2_stderr(&null)?;
        }
        Ok(())
    })
}

/// Source: Documentation/admin-guide/devices.txt: character device 1:3.
fn is_null(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == rustix::fs::makedev(1, 3)
    })
}

/// Looks at what lies there before it is opened: the open of another device could have effects.
fn open(proc: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let place = sys::open::at(CWD, c"/dev/null", OFlags::PATH | OFlags::NOFOLLOW)?;
    if !is_null(place.as_fd()) {
        return Err(Errno::NODEV);
    }
    let path = link_of(place.as_raw_fd().unsigned_abs());
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::INVAL)?;
    sys::open::at(proc, path, OFlags::RDWR)
}

/// `self/fd/NUMBER` with NULs to the end; the kernel takes no leading zeros.
fn link_of(number: u32) -> [u8; 20] {
    let mut path = *b"self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut digits = [0_u8; 10];
    let mut rest = number;
    let mut length = 0;
    for slot in &mut digits {
        let [digit, ..] = (rest % 10).to_le_bytes();
        *slot = b'0' + digit;
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    let slots = path.iter_mut().skip(8);
    for (slot, digit) in slots.zip(digits.iter().take(length).rev()) {
        *slot = *digit;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_no_leading_zeros() {
        for (number, text) in [(0, "self/fd/0"), (10, "self/fd/10"), (u32::MAX, "self/fd/4294967295")] {
            let path = link_of(number);
            assert_eq!(CStr::from_bytes_until_nul(&path).map(CStr::to_bytes), Ok(text.as_bytes()));
        }
    }
}
