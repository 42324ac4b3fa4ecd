//! One line of each kind, and lines that only look like one.

use proptest::prelude::*;

use super::*;

fn seen(line: &str) -> (Speaker, Level, String) {
    let record = Record::of(line);
    (record.speaker, record.level, record.text.into_owned())
}

#[test]
fn every_envelope_is_taken_off() {
    use Level::{Debug, Error, Info, Notice, Unknown as Silent, Warning};
    use Speaker::{Container, Kernel, Other, Road, Unknown};
    let cases: &[(&str, Speaker, Level, &str)] = &[
        (
            "May 12 09:08:40 h dockerd[4085]: time=\"2021-05-12T09:08:40+08:00\" level=error msg=\"a \\\"b\\\"\"",
            Road,
            Error,
            "a \"b\"",
        ),
        ("Apr 28 16:48:31 s kernel: audit: type=1400", Kernel, Silent, "audit: type=1400"),
        ("conmon 77aa <nwarn>: a <b>: c", Road, Warning, "a <b>: c"),
        ("[conmon:d]: a", Road, Notice, "a"),
        ("conmon is <b>: c", Unknown, Silent, "conmon is <b>: c"),
        ("[  551.981297] audit: x", Kernel, Silent, "audit: x"),
        (
            "<4>[450528.013688] INFO: task dockerd:1810 blocked",
            Kernel,
            Silent,
            "INFO: task dockerd:1810 blocked",
        ),
        ("err [129398.233826] INFO: task exe:1 blocked", Kernel, Silent, "INFO: task exe:1 blocked"),
        (
            "E0413 10:53:52.844381    3263 kubelet.go:2055] \"Skipping\" err=\"x\"",
            Road,
            Error,
            "\"Skipping\" err=\"x\"",
        ),
        ("I0507 03:43:28.310630  57003 prober.go:112] y", Road, Notice, "y"),
        ("level=error msg=\"not logged\" error=\"x\" message=\"said\"", Unknown, Error, "not logged: x"),
        ("level=error message=\"said\"", Unknown, Error, "said"),
        ("ERRO[0000] unable   error=\"x\"", Unknown, Error, "unable   error=\"x\""),
        (
            "{\"log\":\"level=error msg=\\\"x\\\"\\n\",\"stream\":\"stderr\",\"time\":\"t\"}",
            Container,
            Error,
            "x",
        ),
        ("2024-06-01T10:00:00.1Z stderr F boom", Container, Silent, "boom"),
        ("{\"level\":\"debug\",\"msg\":\"m\",\"time\":\"t\"}", Unknown, Debug, "m"),
        (
            "{\"timestamp\":\"1529\",\"source\":\"guardian\",\"message\":\"guardian.run.failed\",\"log_level\":2,\"data\":{\"error\":\"exit status 22\",\"handle\":\"h\"}}",
            Unknown,
            Error,
            "guardian.run.failed: exit status 22",
        ),
        (
            "{\"level\":\"info\",\"message\":\"m\",\"log_level\":3,\"data\":{\"handle\":\"h\"}}",
            Unknown,
            Info,
            "m",
        ),
        ("{\"MESSAGE\":[104,105],\"SYSLOG_IDENTIFIER\":\"containerd\"}", Road, Silent, "hi"),
        (
            "{\"MESSAGE\":\"m\",\"SYSLOG_IDENTIFIER\":\"dockerd\",\"CONTAINER_ID\":\"c\"}",
            Container,
            Silent,
            "m",
        ),
        (
            "  Warning  Unhealthy  9s (x2 over 1m)  kubelet, n1  Readiness probe failed: x",
            Road,
            Warning,
            "Readiness probe failed: x",
        ),
        ("2018-11-13 18:13:39 ERROR: boom", Unknown, Error, "boom"),
        ("INFO  all is well", Unknown, Info, "all is well"),
        ("Jan  1 00:00:00 h nginx[1]: boom", Other, Silent, "boom"),
        ("docker: Error response from daemon: x", Unknown, Silent, "docker: Error response from daemon: x"),
    ];
    for &(line, speaker, level, text) in cases {
        assert_eq!(seen(line), (speaker, level, text.to_owned()), "{line}");
    }
}

#[test]
fn a_container_cannot_pass_for_a_daemon() {
    let line =
        r#"{"log":"May 12 09:08:40 h dockerd[1]: level=error msg=\"x\"\n","stream":"stdout","time":"t"}"#;
    assert_eq!(Record::of(line).speaker, Speaker::Container);
}

#[test]
fn a_field_that_was_cut_is_read_to_the_end() {
    assert_eq!(seen("time=\"t\" level=error msg=\"failed\" error=\"rpc er>").2, "failed: rpc er>");
}

proptest! {
    #[test]
    fn any_line_is_read(line in "\\PC{0,200}") {
        let _ = Record::of(&line);
    }

    #[test]
    fn any_line_in_an_envelope_is_read(line in "\\PC{0,80}") {
        for outer in ["time=\"t\" level=error msg=\"", "{\"log\":\"", "[ 1.1] ", "E0413 10:53:52.8 1 a.go:1] ", "Warning  Reason  "] {
            let _ = Record::of(&format!("{outer}{line}"));
        }
    }
}
