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
