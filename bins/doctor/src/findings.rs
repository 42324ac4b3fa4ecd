//! A diagnosis as text for people.

use std::fmt::Write as _;

use diagnose::diagnosis::Diagnosis;
use diagnose::finding::Finding;
use diagnose::graph::{self, Shape};
use diagnose::heal::Done;
use diagnose::remedy::Remedy;

/// Everything that was found: the tree of waits, then each finding with evidence and remedies.
pub(crate) fn text(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    if diagnosis.findings.is_empty() {
        let all = diagnosis.unseen.is_empty();
        text.push_str(if all { "nothing found\n" } else { "nothing found in what could be seen\n" });
    }
    for finding in &diagnosis.findings {
        text.push_str(&self::finding(finding));
    }
    if diagnosis.findings.iter().flat_map(|it| &it.remedies).any(|it| it.action.is_some()) {
        text.push_str("on that node, `sluice-doctor heal` tells costs and commands of the remedies\n\n");
    }
    if !diagnosis.graph.nodes.is_empty() {
        let several = diagnosis.blockers.len() > 1;
        let who = if several { "what those above it wait for" } else { "the one everybody waits for" };
        line_of(&mut text, &format!("who waits for whom (> is {who})"));
        for (line, shape) in graph::lines(&diagnosis.graph, &diagnosis.blockers) {
            let mark = if shape == Shape::Blocker { '>' } else { ' ' };
            line_of(&mut text, &format!("{mark} {line}"));
        }
        text.push('\n');
    }
    text.push_str(&not_seen(diagnosis));
    text
}

fn not_seen(diagnosis: &Diagnosis) -> String {
    diagnosis.unseen.iter().map(|unseen| format!("not seen: {unseen}\n")).collect()
}

/// What the first look found and further looks are to confirm; the rest is in the answer.
pub(crate) fn so_far(diagnosis: &Diagnosis) -> String {
    let mut text = String::from(
        "so far; looking again for some seconds, since a healthy node can look so for a moment\n",
    );
    for finding in diagnosis.findings.iter().filter(|it| !it.confirmed) {
        text.push_str(&self::finding(finding));
    }
    text.push_str("looking again\n");
    text
}

fn finding(finding: &Finding) -> String {
    let mut text = String::new();
    let class = finding.class.as_deref().map_or_else(String::new, |class| format!(" [{class}]"));
    line_of(&mut text, &format!("{}{class} {}", finding.severity.word().to_uppercase(), finding.title));
    line_of(&mut text, &format!("  id        {}", finding.id));
    if !finding.confirmed {
        line_of(
            &mut text,
            "  seen      once: a healthy node can look so for a moment, while a daemon is restarted",
        );
    }
    if let Some(container) = finding.about() {
        line_of(&mut text, &format!("  container {container}"));
    }
    if let Some(blocker) = &finding.blocker {
        let pid = blocker.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        line_of(&mut text, &format!("  blocker   {}{pid}, {}", blocker.name, blocker.wait()));
    }
    for evidence in &finding.evidence {
        line_of(&mut text, &format!("  evidence  {}: {}", evidence.from, evidence.text));
    }
    for remedy in &finding.remedies {
        line_of(&mut text, &format!("  remedy    {}: {}", remedy.name, remedy.what));
    }
    text.push('\n');
    text
}

/// What could be done, with its price and the command that does it.
pub(crate) fn remedies(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    if diagnosis.findings.is_empty() {
        let all = diagnosis.unseen.is_empty();
        text.push_str(if all {
            "nothing found, nothing to heal\n"
        } else {
            "nothing found in what could be seen\n"
        });
        text.push_str(&not_seen(diagnosis));
    }
    for finding in &diagnosis.findings {
        line_of(&mut text, &format!("{} {}", finding.severity.word().to_uppercase(), finding.title));
        if let Some(container) = finding.about() {
            line_of(&mut text, &format!("  container {container}"));
        }
        for remedy in &finding.remedies {
            text.push_str(&plan(remedy));
            let by_hand = "    by hand: the doctor does not do this";
            let command =
                format!("    command: sluice-doctor heal --apply {} --remedy {}", finding.id, remedy.name);
            line_of(&mut text, if remedy.action.is_some() { &command } else { by_hand });
        }
        text.push('\n');
    }
    text
}

/// One remedy with its price.
pub(crate) fn plan(remedy: &Remedy) -> String {
    let mut text = String::new();
    line_of(&mut text, &format!("  {}: {}", remedy.name, remedy.what));
    line_of(&mut text, &format!("    costs: {}", remedy.cost));
    line_of(&mut text, &format!("    may follow: {}", remedy.may_follow));
    text
}

/// What was done, and whether it helped.
pub(crate) fn done(done: &Done) -> String {
    let mut text = String::new();
    for step in &done.steps {
        line_of(&mut text, &format!("  {step}"));
    }
    text
}

fn line_of(text: &mut String, line: &str) {
    let _infallible = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use diagnose::finding::Severity;

    use super::*;

    #[test]
    fn nothing_is_said_only_of_what_could_be_seen() {
        let mut diagnosis = diagnose::diagnose::diagnose(&diagnose::Snapshot::default());
        diagnosis.unseen = vec![String::from("kernel log: permission denied")];
        let partly = text(&diagnosis);
        assert_eq!(partly, "nothing found in what could be seen\nnot seen: kernel log: permission denied\n");
        assert_eq!(remedies(&diagnosis), partly);
        diagnosis.unseen.clear();
        assert_eq!(text(&diagnosis), "nothing found\n");
    }

    #[test]
    fn a_container_is_shown_with_its_name_before_its_id() {
        let mut diagnosis = diagnose::diagnose::diagnose(&diagnose::Snapshot::default());
        let finding =
            Finding::new("full_pipe", "a", Severity::Critical, "a pipe is full").container(Some("1e26"));
        diagnosis.findings = vec![Finding { container_name: Some("web".into()), ..finding }];
        for text in [text(&diagnosis), remedies(&diagnosis)] {
            assert!(text.lines().any(|line| line == "  container web (1e26)"), "{text}");
        }
        diagnosis.findings[0].container_name = None;
        assert!(text(&diagnosis).lines().any(|line| line == "  container 1e26"));
    }

    #[test]
    fn what_can_be_applied_says_how() {
        let mut diagnosis = diagnose::diagnose::diagnose(&diagnose::Snapshot::default());
        let finding = Finding::new("full_pipe", "a", Severity::Critical, "a pipe is full");
        diagnosis.findings = vec![finding.clone().remedy(Remedy::advise("upgrade", "use another shim"))];
        assert!(!text(&diagnosis).contains("sluice-doctor heal"));
        let process = diagnose::remedy::Identity { pid: 1, start_time: 1 };
        let kill = Remedy::act("kill", "end it", diagnose::remedy::Action::Kill { process });
        diagnosis.findings = vec![finding.remedy(kill)];
        assert!(text(&diagnosis).contains("`sluice-doctor heal`"));
    }

    #[test]
    fn what_was_seen_once_says_so() {
        let mut diagnosis = diagnose::diagnose::diagnose(&diagnose::Snapshot::default());
        let sure = Finding::new("full_pipe", "a", Severity::Critical, "a pipe is full");
        let open = Finding::new("engine_gone", "5", Severity::Critical, "no dockerd").momentary();
        diagnosis.findings = vec![sure, open];
        let text = so_far(&diagnosis);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(lines[0], "  id        engine_gone/5");
        assert!(lines.len() == 2 && lines[1].starts_with("  seen      once"), "{text}");
    }
}
