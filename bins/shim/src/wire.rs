//! Small things as they are on the wire.

use protobuf::well_known_types::timestamp::Timestamp;

use crate::journal::Exit;

/// When a process ended.
#[must_use]
pub fn timestamp(exit: &Exit) -> Timestamp {
    Timestamp {
        seconds: exit.seconds,
        nanos: i32::try_from(exit.nanoseconds).unwrap_or(0),
        ..Timestamp::default()
    }
}

/// A pid as it is in an event.
#[must_use]
pub fn pid(pid: i32) -> u32 {
    pid.unsigned_abs()
}
