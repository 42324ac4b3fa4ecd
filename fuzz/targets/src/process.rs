//! `/proc/PID/stat`: a process may call itself anything, and still its numbers are read from the right fields.

use proc::pid::Stat;

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Stat::parse(&text);
    let name = text.replace('\0', "");
    let line = format!("7 ({name}) S 1 7 7 0 -1 64 1 0 0 0 0 0 0 0 20 0 3 0 4711 0 0\n");
    let stat = Stat::parse(&line).unwrap_or_else(|| unreachable!("not read: {line:?}"));
    assert_eq!((stat.pid, stat.ppid, stat.num_threads, stat.start_time), (7, 1, 3, 4711), "{line:?}");
    assert!(stat.has_never_executed(), "{line:?}");
}
