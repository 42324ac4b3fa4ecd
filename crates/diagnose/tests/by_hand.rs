//! Listings that people took by hand, in the field and here: the doctor says what their authors found.

use diagnose::diagnose::diagnose;
use diagnose::diagnosis::Diagnosis;
use diagnose::finding::{Finding, Severity};
use diagnose::graph::{Shape, lines};
use diagnose::listing::import;

fn judged(texts: &[&str]) -> Diagnosis {
    diagnose(&import(texts.iter().copied()))
}

fn of_class<'a>(diagnosis: &'a Diagnosis, class: &str) -> Option<&'a Finding> {
    diagnosis.findings.iter().find(|finding| finding.class.as_deref() == Some(class))
}

#[test]
fn the_report_of_a_hanging_docker_ends_at_runc_init_and_its_second_descriptor() {
    let diagnosis = judged(&[include_str!("../fixtures/report-004.txt")]);
    let found = of_class(&diagnosis, "EX-03").unwrap();
    let blocker = found.blocker.as_ref().unwrap();
    assert_eq!(blocker.pid, Some(15638), "{found:#?}");
    assert!(blocker.waits_for.contains("descriptor 2: pipe:[1070361747]"), "{}", blocker.waits_for);
    assert!(blocker.waits_for.contains("(11646)"), "the shim has the read end: {}", blocker.waits_for);
    let who: Vec<&str> = found.chain.iter().map(|link| link.who.as_str()).collect();
    let pids: Vec<&str> = who.iter().map(|who| &who[who.find('(').unwrap()..]).collect();
    assert_eq!(pids, ["(11646)", "(15581)", "(15638)"], "shim, runc exec, runc init: {who:?}");
    let container = found.container.as_deref().unwrap();
    assert!(container.starts_with("bbd5e4b5f9c1"), "{container}");
    let tree = lines(&diagnosis.graph, &diagnosis.blockers);
    let marked: Vec<&str> =
        tree.iter().filter(|line| line.1 == Shape::Blocker).map(|line| line.0.trim()).collect();
    assert!(marked[0].contains("(15638)") && marked[1].contains("write(2) to descriptor 2"), "{tree:?}");
    assert!(tree[0].0.contains("(11646)"), "the outermost that was listed: {tree:?}");
}

#[test]
fn the_report_of_a_reset_pipe_ends_at_the_limit_of_processes() {
    let diagnosis = judged(&[include_str!("../fixtures/report-003.txt")]);
    let found = of_class(&diagnosis, "EX-04").unwrap();
    assert!(found.evidence.iter().any(|it| it.text.contains("pthread_create failed")), "{found:#?}");
    assert_eq!(of_class(&diagnosis, "EX-03"), None, "the dump went to a terminal and blocked nobody");
    assert_eq!(diagnosis.findings[0].class.as_deref(), Some("EX-04"), "{:#?}", diagnosis.findings);
}

#[test]
fn the_report_of_an_eof_ends_at_the_torn_state() {
    let diagnosis = judged(&[include_str!("../fixtures/report-002.txt")]);
    assert!(of_class(&diagnosis, "EX-01").is_some(), "{:#?}", diagnosis.findings);
}

#[test]
fn the_reports_of_a_build_that_crashes_name_the_build_before_what_follows_from_it() {
    for report in [include_str!("../fixtures/report-000.txt"), include_str!("../fixtures/report-001.txt")] {
        let diagnosis = judged(&[report]);
        let found = &diagnosis.findings[0];
        assert_eq!(
            (found.class.as_deref(), found.severity),
            (Some("EX-39"), Severity::Warning),
            "{found:#?}"
        );
        assert!(found.title.contains("1.13.1-84"), "{}", found.title);
        assert!(found.evidence.iter().any(|it| it.text.contains("connection reset by peer")), "{found:#?}");
        assert!(of_class(&diagnosis, "EX-02").is_some(), "{:#?}", diagnosis.findings);
    }
}

#[test]
fn a_build_without_a_failure_in_sight_is_a_notice() {
    let diagnosis = judged(&["docker-1.13.1-84.git07f3374.el7.centos.x86_64\n"]);
    let found = of_class(&diagnosis, "EX-39").unwrap();
    assert_eq!(found.severity, Severity::Notice);
}

#[test]
fn a_process_list_and_descriptors_taken_here_name_the_writer() {
    let flood = [
        include_str!("../fixtures/flood-ps.txt"),
        include_str!("../fixtures/flood-proc.txt"),
        include_str!("../fixtures/flood-lsof.txt"),
    ];
    let diagnosis = judged(&flood);
    let found = of_class(&diagnosis, "EX-03").unwrap();
    assert_eq!(found.blocker.as_ref().unwrap().pid, Some(3780), "{found:#?}");
}

#[test]
fn stacks_taken_here_name_who_sleeps_for_memory() {
    let diagnosis = judged(&[include_str!("../fixtures/oom-proc.txt")]);
    let sleeping = diagnosis.findings.iter().filter(|finding| finding.rule == "d_state_helper");
    let mut blockers = sleeping.filter_map(|finding| finding.blocker.as_ref());
    let blocker = blockers.find(|blocker| blocker.pid == Some(8114)).unwrap();
    assert!(blocker.waits_for.contains("mem_cgroup_oom_synchronize"), "{}", blocker.waits_for);
}

#[test]
fn prose_and_noise_are_no_findings() {
    let prose =
        "root cause: nobody knows\n1 2 S 3\n== not a pid\nProcess x attached\n[pid abc] write(2\nlr-x -> \n";
    assert_eq!(judged(&[prose]).findings, Vec::new());
}
