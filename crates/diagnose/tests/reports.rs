//! Lines of published post-mortems: explain says what their authors found after days.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use diagnose::explain::{Consequences, Explainer, Explanation};

/// Class and cause of each line that reads as a failure.
fn said(text: &str) -> Vec<(Option<String>, Option<String>)> {
    let explainer = Explainer::new().unwrap();
    let mut consequences = Consequences::new(&explainer);
    let mut out: Vec<Explanation> = Vec::new();
    explainer.read(&mut text.as_bytes(), &mut |found| out.extend(consequences.push(found))).unwrap();
    out.extend(std::iter::from_fn(|| consequences.pop()));
    out.into_iter().map(|explanation| (explanation.class, explanation.consequence_of)).collect()
}

fn row(class: &str, cause: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(class.to_owned()), cause.map(str::to_owned))
}

/// A FIPS host with docker 1.13.1-84: the message says only that the helper died, the package says why.
#[test]
fn a_docker_package_that_breaks_under_fips_is_the_cause_of_the_reset() {
    let text = "rpc error: code = 2 desc = oci runtime error: exec failed: container_linux.go:247: starting container process \
                caused \u{201c}process_linux.go:110: decoding init error from pipe caused \\\u{201c}read parent: connection \
                reset by peer\\\u{201c}\u{201d} command terminated with exit code 126\n\
                $ rpm -qa | grep -i docker\n\
                docker-1.13.1-84.git07f3374.el7.centos.x86_64\n";
    assert_eq!(said(text), [row("EX-02", Some("EX-39")), row("EX-39", None)]);
}

/// The same message as a terminal wrapped it.
#[test]
fn a_message_over_several_lines_is_known_by_the_line_with_its_end() {
    let text = "process caused \u{201c}process_linux.go:110: decoding init error from pipe\n\
                caused \\\u{201c}read parent: connection reset by peer\\\u{201c}\n";
    assert!(said(text).contains(&row("EX-02", None)));
}

/// The kubelet's CPU manager rewrites state.json while a probe reads it.
#[test]
fn a_torn_state_file_is_the_cause_and_the_closed_fifo_its_noise() {
    let text = "\
I0507 03:43:28.310630  57003 prober.go:112] Readiness probe for \"web(d1aab5f0):c0\" failed (failure): OCI runtime exec failed: exec failed: EOF: unknown
I0507 07:08:49.834093  57003 prober.go:112] Readiness probe for \"web(a89a158e):c0\" failed (failure): OCI runtime exec failed: exec failed: unexpected EOF: unknown
time=\"2021-05-06T16:51:40.009989451+08:00\" level=error msg=\"stream copy error: reading from a closed fifo\"
time=\"2021-05-06T16:51:40.010054596+08:00\" level=error msg=\"stream copy error: reading from a closed fifo\"
time=\"2021-05-06T16:51:40.170676532+08:00\" level=error msg=\"Error running exec 8e34e8b910694abe95a467b2936b37635fdabd2f7b7c464dfef952fa5732aa4e in container: OCI runtime exec failed: exec failed: EOF: unknown\"
";
    let noise = row("EX-35", Some("EX-01"));
    let torn = row("EX-01", None);
    assert_eq!(said(text), [torn.clone(), torn.clone(), noise.clone(), noise, torn]);
}

/// A container at its process limit: what `runc exec` prints by hand names the cause of what dockerd logged.
#[test]
fn no_pids_left_is_the_cause_of_the_reset() {
    let text = "\
May 12 09:08:40 host dockerd[4085]: time=\"2021-05-12T09:08:40.642410594+08:00\" level=error msg=\"stream copy error: reading from a closed fifo\"
May 12 09:08:40 host dockerd[4085]: time=\"2021-05-12T09:08:40.663754355+08:00\" level=error msg=\"Error running exec 110deb1c1b2a2d2671d7368bd02bfc18a968e4712a3c771dedf0b362820e73cb in container: OCI runtime exec failed: exec failed: container_linux.go:348: starting container process caused \\\"read init-p: connection reset by peer\\\": unknown\"
# docker-runc --root /var/run/docker/runtime-runc/moby/ exec aa1e331ec24f sleep
runtime/cgo: pthread_create failed: Resource temporarily unavailable
SIGABRT: abort
exec failed: container_linux.go:348: starting container process caused \"read init-p: connection reset by peer\"
";
    assert_eq!(
        said(text),
        [
            row("EX-35", Some("EX-02")),
            row("EX-02", Some("EX-04")),
            row("EX-03", Some("EX-04")),
            row("EX-02", Some("EX-04")),
        ]
    );
}

/// The helper ran out of memory, its dump filled the pipe that nobody read, and the node became NotReady.
#[test]
fn the_helper_without_memory_is_behind_the_full_pipe_and_the_runtime_that_is_down() {
    let text = "\
I0715 10:43:28.049240   16315 kubelet.go:1835] skipping pod synchronization - [container runtime is down]
goroutine profile: total 722373
runtime/cgo: pthread_create failed: Resource temporarily unavailable
exec failed: container_linux.go:348: starting container process caused \"read init-p: connection reset by peer\"
Jun 17 03:18:17 host kernel: runc:[2:INIT] invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=997
Jun 17 03:18:17 host kernel: Killed process 12788 (runc:[2:INIT]) total-vm:600736kB, anon-rss:3296kB, file-rss:276kB, shmem-rss:1012kB
";
    let said = said(text);
    assert_eq!(said[0], row("IN-02", Some("IN-03")));
    assert_eq!(said[1], row("IN-03", Some("EX-03")));
    assert_eq!(said[2], row("EX-03", Some("EX-45")));
    assert_eq!(said[3], row("EX-02", Some("EX-45")));
    assert_eq!(said[4], row("EX-45", None));
}
