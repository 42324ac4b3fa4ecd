//! Which pattern wins, and which line counts for none.

use super::*;

fn class_of(line: &str) -> Option<String> {
    Explainer::new().unwrap().explain(line).and_then(|explanation| explanation.class)
}

#[test]
fn the_cause_wins_over_what_wraps_it() {
    let line = "Readiness probe failed: OCI runtime exec failed: exec failed: EOF: unknown";
    let explanation = Explainer::new().unwrap().explain(line).unwrap();
    assert_eq!(explanation.class.as_deref(), Some("EX-01"));
    assert_eq!(explanation.also, ["EX-40"]);
}

#[test]
fn the_same_words_in_a_containers_output_are_the_containers_own() {
    let words = "OCI runtime exec failed: exec failed: EOF: unknown";
    assert_eq!(class_of(words).as_deref(), Some("EX-01"));
    let wrapped = format!("{{\"log\":\"{words}\\n\",\"stream\":\"stderr\",\"time\":\"2024\"}}");
    assert_eq!(Explainer::new().unwrap().explain(&wrapped), None);
}

#[test]
fn a_common_phrase_needs_to_be_about_containers() {
    let phrase = "context deadline exceeded";
    assert_eq!(class_of(phrase).as_deref(), Some("NO-07"));
    let daemons = format!(
        "time=\"t\" level=error msg=\"StopContainer\" error=\"{phrase}\" runtime=io.containerd.runc.v2"
    );
    assert_eq!(class_of(&daemons).as_deref(), Some("NO-07"));
    let applications = format!("level=error msg=\"query of the orders database\" error=\"{phrase}\"");
    assert_eq!(class_of(&applications), None);
}

#[test]
fn an_unknown_failure_is_said_to_be_unknown_and_has_neighbours() {
    let line = "OCI runtime exec failed: exec failed: unable to create new parent process: namespace NEWIPC is not supported";
    let explanation = Explainer::new().unwrap().explain(line).unwrap();
    assert_eq!(explanation.class, None);
    assert!(!explanation.nearest.is_empty() && explanation.nearest.len() <= 3);
}

#[test]
fn information_is_no_failure() {
    let explainer = Explainer::new().unwrap();
    assert_eq!(explainer.explain("time=\"t\" level=info msg=\"no error in failed test\""), None);
}

#[test]
fn what_the_kubelet_calls_information_is_an_unknown_failure_to_nobody() {
    let explainer = Explainer::new().unwrap();
    for line in [
        "I1122 05:28:18.193078    2301 kubelet.go:2124] \"SyncLoop (PLEG): event for pod\" err=\"<nil>\"",
        "I1122 05:28:18.193078    2301 generic.go:334] \"Generic (PLEG): container finished\" err=\"context deadline exceeded\"",
        "I1122 05:28:18.193078    2301 kubelet.go:2124] \"SyncLoop\" err=\"connection refused\"",
    ] {
        assert_eq!(explainer.explain(line), None, "{line}");
        let loud = line.replacen('I', "E", 1);
        assert!(explainer.explain(&loud).is_some(), "{loud}");
    }
    let probe = "I0507 03:43:28.310630  57003 prober.go:112] Readiness probe failed: OCI runtime exec failed: exec failed: EOF: unknown";
    assert_eq!(class_of(probe).as_deref(), Some("EX-01"));
}

#[test]
fn what_clients_print_of_a_daemon_that_is_gone_points_at_where_to_look() {
    let explainer = Explainer::new().unwrap();
    let dial = |path: &str| {
        format!(
            "connection error: desc = \"transport: Error while dialing dial unix {path}: connect: connection refused\": unavailable"
        )
    };
    let lines = [
        (dial("/run/containerd/containerd.sock"), ["IN-02", "IN-07"]),
        (dial("/var/lib/node/c.sock"), ["IN-02", "IN-07"]),
        (String::from("ctr: rpc error: code = Unavailable desc = transport is closing"), ["IN-02", "IN-07"]),
        (String::from("exec failed: container does not exist"), ["ST-12", "ST-15"]),
        (
            String::from(
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            ),
            ["IN-02", "IN-07"],
        ),
    ];
    for (line, nearest) in lines {
        let mut found = Vec::new();
        explainer.read(&mut line.as_bytes(), &mut |explanation| found.push(explanation)).unwrap();
        assert_eq!(found.len(), 1, "{line}");
        assert_eq!(
            (found[0].class.as_deref(), &found[0].nearest[..2]),
            (None, &nearest.map(str::to_owned)[..]),
            "{line}"
        );
    }
}

#[test]
fn a_kubelet_that_has_just_started_tells_of_no_failure() {
    let explainer = Explainer::new().unwrap();
    let starting = "E0911 10:57:09.673575 9919 kubelet.go:2327] \"Skipping pod synchronization\" err=\"PLEG is not \
                    healthy: pleg has yet to be successful\"";
    assert_eq!(explainer.explain(starting), None);
    let down = starting.replace("PLEG is", "[container runtime is down, PLEG is");
    assert_eq!(explainer.explain(&down).unwrap().class.as_deref(), Some("IN-02"));
    let more = starting.replace("successful\"", "successful, network plugin: stub refused\"");
    assert!(explainer.explain(&more).is_some(), "a reason of another kind beside it");
}

#[test]
fn an_error_on_a_terminal_is_one_whatever_its_words() {
    assert!(Explainer::new().unwrap().explain("ERRO[0000] the container is busy").is_some());
    let mut seen = Vec::new();
    let line = b"ERRO[0000] oci runtime \"runc\" is too old for CGroups V2\n";
    Explainer::new().unwrap().read(&mut &line[..], &mut |explanation| seen.push(explanation)).unwrap();
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_failure_of_the_road_that_no_class_knows_is_told_and_that_of_another_program_is_not() {
    let explainer = Explainer::new().unwrap();
    let is_told = |line: &str| explainer.explain(line).is_some_and(|it| it.class.is_none());
    assert!(is_told("nsenter: cannot open /proc/1/ns/mnt: Permission denied"));
    assert!(is_told(
        "Mar 25 12:06:00 h conmon[9]: conmon 77aa <error>: Failed to create container: exit status 1"
    ));
    assert!(is_told("Sep 13 10:34:20 n systemd[1]: docker.service: Failed with result 'exit-code'."));
    for line in [
        "Sep 13 10:34:20 n systemd[1]: nginx.service: Failed with result 'exit-code'.",
        "Sep 13 10:34:20 n app[7]: the container bean could not be created",
        "conmon 77aa <ndebug>: failed to write to /proc/self/oom_score_adj: Permission denied",
        "GET /containers/json 200 OK in 10 milliseconds, 0 errors",
        "kernel: Memory cgroup out of memory: Killed process 77 (python3) total-vm:11892kB",
    ] {
        assert!(explainer.explain(line).is_none(), "{line}");
    }
}
