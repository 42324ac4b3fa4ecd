//! What cannot be written or read costs no answer, and is said with its exit code.
#![expect(clippy::disallowed_methods, reason = "files are the test's own")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn doctor() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sluice-doctor"))
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.file_name()).collect()
}

fn with_listing(listing: &Path, arguments: &[&Path]) -> std::io::Result<Output> {
    doctor().arg("--from-text").arg(listing).args(arguments).output()
}

#[test]
fn a_file_that_is_there_costs_no_diagnosis() {
    let lab = folder("existing");
    std::fs::create_dir_all(&lab).unwrap();
    let (listing, there, other) = (lab.join("ps.txt"), lab.join("there"), lab.join("page.html"));
    std::fs::write(&listing, "nothing of note\n").unwrap();
    std::fs::write(&there, "mine").unwrap();
    for (flag, other_flag) in [("--save", "--html"), ("--html", "--save")] {
        let told = with_listing(&listing, &[flag.as_ref(), &there, other_flag.as_ref(), &other]).unwrap();
        assert_eq!(told.status.code(), Some(64), "{told:?}");
        assert!(text(&told.stdout).contains("nothing found"), "{told:?}");
        assert!(text(&told.stderr).contains("File exists"), "{told:?}");
        assert_eq!(std::fs::read(&there).unwrap(), b"mine");
        assert!(other.is_file(), "the other one is written all the same");
        std::fs::remove_file(&other).unwrap();
    }
    std::fs::remove_dir_all(&lab).unwrap();
}

#[test]
fn a_file_without_room_leaves_nothing_and_costs_no_diagnosis() {
    let lab = folder("no-room");
    std::fs::create_dir_all(lab.join("out")).unwrap();
    let listing = lab.join("ps.txt");
    std::fs::write(&listing, "nothing of note\n").unwrap();
    for flag in ["--save", "--html"] {
        // A limit of the size of files fails as a full disk does: in the middle of a write.
        let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\" | cat";
        let mut shell = Command::new("bash");
        let shell = shell.args(["-o", "pipefail", "-c", script]).arg(doctor().get_program());
        let shell = shell.arg("--from-text").arg(&listing).arg(flag).arg(lab.join("out/file"));
        let told = shell.output().unwrap();
        assert_eq!(told.status.code(), Some(64), "{told:?}");
        assert!(text(&told.stdout).contains("nothing found"), "{told:?}");
        assert!(text(&told.stderr).contains("File too large"), "{told:?}");
        assert_eq!(names(&lab.join("out")), Vec::<std::ffi::OsString>::new());
    }
    std::fs::remove_dir_all(&lab).unwrap();
}

#[test]
fn an_input_without_an_end_is_refused() {
    for (flag, words) in [("--from-text", "more than"), ("--from", "read snapshot /dev/zero")] {
        let told = doctor().arg(flag).arg("/dev/zero").output().unwrap();
        assert_eq!(told.status.code(), Some(64), "{told:?}");
        assert!(text(&told.stderr).contains(words), "{told:?}");
    }
}

#[test]
fn no_dump_is_no_answer() {
    let told = doctor().args(["goroutines", "/dev/null", "--json"]).output().unwrap();
    assert_eq!(told.status.code(), Some(64), "{told:?}");
    assert!(text(&told.stderr).contains("no goroutine dump in /dev/null"), "{told:?}");
    assert!(text(&told.stdout).contains("\"dumps\":[]"), "{told:?}");
}
