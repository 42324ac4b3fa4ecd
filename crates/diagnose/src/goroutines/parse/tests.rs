//! Each form of a dump, and each place where one is found.

use proptest::prelude::*;

use super::*;
use crate::goroutines::Wait;

const TEXT: &str = "goroutine 7 [semacquire, 17 minutes]:\n\
    sync.runtime_SemacquireMutex(0x4?, 0xb8?)\n\t/usr/lib/go/src/runtime/sema.go:77 +0x25\n\
    sync.(*Mutex).lockSlow(0xc001745b80)\n\t/usr/lib/go/src/sync/mutex.go:171 +0x165\n\
    github.com/docker/docker/daemon.(*Daemon).ContainerInspect(0xc000001)\n\t/src/daemon/inspect.go:40 +0x1\n\
    created by net/http.(*Server).Serve in goroutine 1\n\t/usr/lib/go/src/net/http/server.go:3102 +0x4db\n";

fn dumps(text: &str) -> Vec<Dump> {
    read(&mut text.as_bytes()).unwrap()
}

fn only(text: &str) -> (Dump, Group) {
    let mut dumps = dumps(text);
    assert_eq!(dumps.len(), 1, "{dumps:?}");
    let dump = dumps.remove(0);
    let group = dump.groups[0].clone();
    (dump, group)
}

#[test]
fn a_goroutine_is_read_with_its_state_lock_and_calls() {
    let (dump, group) = only(TEXT);
    assert_eq!((dump.program, dump.form, dump.goroutines), (Program::Dockerd, Form::Text, 1));
    assert_eq!((group.first, group.state.as_str(), group.longest_minutes), (Some(7), "semacquire", 17));
    assert_eq!(group.mutex.as_deref(), Some("0xc001745b80"));
    let calls: Vec<&str> = group.frames.iter().map(Frame::short).collect();
    assert_eq!(
        calls,
        [
            "sync.runtime_SemacquireMutex",
            "sync.(*Mutex).lockSlow",
            "daemon.(*Daemon).ContainerInspect",
            "http.(*Server).Serve"
        ]
    );
    assert_eq!(group.frames[2].place, "/src/daemon/inspect.go:40");
    assert!(
        matches!(Wait::of(&group), Wait::Lock { caller, .. } if caller == "daemon.(*Daemon).ContainerInspect")
    );
}

#[test]
fn equal_stacks_with_other_arguments_and_minutes_are_one_group() {
    let other = TEXT
        .replace("goroutine 7", "goroutine 8")
        .replace("17 min", "99 min")
        .replace("0xc000001", "0xc000002");
    let (dump, group) = only(&format!("{TEXT}\n{other}"));
    assert_eq!((dump.goroutines, dump.groups.len(), group.count, group.longest_minutes), (2, 1, 2, 99));
}

#[test]
fn counts_are_read_with_their_calls() {
    let text = "goroutine profile: total 722373\n717594 @ 0x7f 0x8f\n\
        #\t0x7fe8bc2132ee\tsync.runtime_SemacquireMutex+0x3e\t\t/usr/local/go/src/runtime/sema.go:71\n\
        #\t0x7fe8bd56f7fd\tgithub.com/docker/docker/vendor/github.com/x/y.(*Z).Get+0x8d\t/z.go:4\n\n";
    let (dump, group) = only(text);
    assert_eq!((dump.form, dump.declared, dump.goroutines), (Form::Counts, Some(722_373), 717_594));
    assert_eq!(group.frames[1].function, "github.com/x/y.(*Z).Get");
    assert_eq!(group.frames[1].place, "/z.go:4");
}

#[test]
fn a_dump_is_found_inside_log_lines() {
    let (_, plain) = only(TEXT);
    let escaped = TEXT.replace('\n', "\\n").replace('\t', "\\t");
    let logrus =
        format!("time=\"t\" level=info msg=\"=== BEGIN goroutine stack dump ===\\n{escaped}\\n*** END ***\"");
    let journal: String =
        TEXT.lines().map(|line| format!("May 12 09:08:40 h dockerd[4085]: {line}\n")).collect();
    let docker: String = TEXT
        .lines()
        .map(|line| {
            format!("{{\"log\":\"{}\\n\",\"stream\":\"stderr\",\"time\":\"t\"}}\n", line.replace('\t', "\\t"))
        })
        .collect();
    let cri: String = TEXT.lines().map(|line| format!("2024-06-01T10:00:00.1Z stderr F {line}\n")).collect();
    for text in [logrus, journal, docker, cri] {
        assert_eq!(only(&text).1, plain, "{text}");
    }
}

#[test]
fn two_dumps_in_one_file_are_two() {
    let text = format!("{TEXT}\n\ngoroutine profile: total 2\n2 @ 0x1 0x2\n#\t0x1\tmain.main+0x1\t/m.go:1\n");
    assert_eq!(dumps(&text).len(), 2);
    assert_eq!(dumps("some prose about goroutine dumps\n[and so on]:\n").len(), 0);
}

#[test]
fn memory_does_not_grow_with_repetition() {
    let many = 20_000;
    let text: String = (0..many)
        .map(|id| {
            format!(
                "{}\n",
                TEXT.replace("goroutine 7", &format!("goroutine {id}"))
                    .replace("0xc000001", &format!("{id:#x}"))
            )
        })
        .collect();
    let (dump, group) = only(&text);
    assert_eq!((dump.goroutines, dump.groups.len(), group.count), (many, 1, many));
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&mut bytes.as_slice());
    }

    #[test]
    fn any_lines_of_a_dump_are_read(lines in proptest::collection::vec(
        prop_oneof![
            Just("goroutine 1 [select]:"), Just("\t/x.go:1 +0x1"), Just("a.b(...)"), Just(""), Just("2 @ 0x1"),
            Just("#\t0x1\tf+0x1\t\tx.go:1"), Just("goroutine profile: total 9"), Just("created by x"), Just("#"),
        ],
        0..40,
    )) {
        for dump in read(&mut lines.join("\n").as_bytes()).unwrap() {
            let sum: u64 = dump.groups.iter().map(|group| group.count).sum();
            prop_assert_eq!(sum + dump.uncounted, dump.goroutines);
            let _ = crate::goroutines::queues(&dump);
        }
    }
}
