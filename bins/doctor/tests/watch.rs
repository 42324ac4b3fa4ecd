//! `watch` into a pipe, as in `sluice-doctor watch | head -1`.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How it ended; `None` when it had to be killed.
fn end(mut child: Child) -> Option<ExitStatus> {
    let pid = child.id().to_string();
    let (told, end) = mpsc::channel();
    std::thread::spawn(move || told.send(child.wait()));
    let ended = end.recv_timeout(Duration::from_secs(60)).ok();
    if ended.is_none() {
        let _killed = Command::new("kill").args(["-KILL", &pid]).status();
    }
    ended?.ok()
}

#[test]
fn it_ends_when_its_reader_has_gone_although_nothing_happens() {
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watch");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-doctor"));
    let watch = command.arg("watch").arg("--state").arg(&state).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = watch.spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(end(child).and_then(|status| status.code()), Some(0));
    std::fs::remove_dir_all(&state).unwrap();
}
