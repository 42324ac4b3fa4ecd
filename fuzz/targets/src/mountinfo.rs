//! `/proc/PID/mountinfo`: any text is read, and no line becomes two mounts.

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mounts = proc::mountinfo::parse(&text);
    assert!(mounts.len() <= text.lines().count(), "more mounts than lines");
}
