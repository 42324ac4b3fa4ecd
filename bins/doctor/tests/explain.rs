//! `explain` between two pipes, of which the first stays open, as with `journalctl -f | sluice-doctor explain | head`.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const LINE: &[u8] =
    b"Oct 11 12:15:52 node1 dockerd[812]: OCI runtime exec failed: exec failed: EOF: unknown\n";

fn explain(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-doctor"));
    command.arg("explain").args(flags).stdin(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How it ended; `None` when it hangs.
fn end(mut child: Child) -> Option<ExitStatus> {
    let (told, end) = mpsc::channel();
    std::thread::spawn(move || told.send(child.wait()));
    end.recv_timeout(Duration::from_secs(60)).ok()?.ok()
}

#[test]
fn it_ends_when_its_reader_has_had_enough() {
    for flags in [&[] as &[&str], &["--json"]] {
        let mut child = explain(flags).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(LINE).unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        assert!(first.contains("EX-01"), "{first}");
        drop(output);
        input.write_all(LINE).unwrap();
        assert_eq!(end(child).and_then(|status| status.code()), Some(0), "{flags:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_said_to_be_so() {
    for flags in [&[] as &[&str], &["--json"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut child = explain(flags).stdout(full).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(LINE).unwrap();
        let mut stderr = child.stderr.take().unwrap();
        assert_eq!(end(child).and_then(|status| status.code()), Some(64), "{flags:?}");
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        assert!(text.contains("write the answer: No space left on device"), "{text}");
        assert!(!text.contains("read"), "{text}");
    }
}

#[test]
fn a_path_that_leads_nowhere_is_no_log_line() {
    let told = explain(&["/var/log/no-such-log"]).output().unwrap();
    assert_eq!(told.status.code(), Some(64), "{told:?}");
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(text.contains("open /var/log/no-such-log: No such file"), "{text}");
    let told = explain(&["/bin/sh: fork: retry: No child processes"]).output().unwrap();
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(String::from_utf8(told.stdout).unwrap().contains("EX-04"));
}
