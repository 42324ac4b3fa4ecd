//! `seccomp.bpf` as kept on disk: what is read is written back the same, and running it ends.

use seccomp::interpret::{Data, run as interpret};
use seccomp::{ByteOrder, from_bytes, to_bytes};

pub(crate) fn run(bytes: &[u8]) {
    let Ok(program) = from_bytes(bytes) else { return };
    assert_eq!(to_bytes(&program), bytes, "a filter changed by being read");
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let _ = interpret(&program, &Data::default(), order);
    }
}
