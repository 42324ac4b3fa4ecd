//! `/proc/PID/cgroup` and the control files of cgroups: any text is read, and no line counts twice.

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().count();
    assert!(proc::cgroup_file::parse(&text).len() <= lines, "more memberships than lines");
    let flat = proc::kv::flat_keyed(&text);
    assert!(flat.len() <= lines, "more keys than lines");
    assert!(proc::kv::nested_keyed(&text).len() <= lines, "more nested keys than lines");
    for (key, _) in flat {
        // A key that occurs twice is looked up as its first number.
        let _ = proc::kv::lookup(&text, key);
    }
    let _ = proc::psi::parse(&text);
}
