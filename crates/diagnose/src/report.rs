//! A diagnosis as one HTML file that needs nothing else: no script, no network, light and dark.
//!
//! **Invariant**: every foreign byte goes through maud, which escapes it; nothing is marked as HTML by hand except the
//! style sheet of this crate. Nothing in it steers a terminal that prints it, or turns the order of what is read.

mod drawing;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use rustix::fs::Mode;

use crate::diagnosis::{Diagnosis, Moment};
use crate::finding::{Blocker, Evidence, Finding, Link};
use crate::harmless;
use crate::remedy::Remedy;
use crate::{Result, new_file};

const STYLE: &str = include_str!("report/style.css");

/// What the page may load: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Writes the page to a new file; one that fails leaves none.
///
/// # Errors
/// When the file is there already (`EEXIST`), or cannot be created or written.
pub fn save(diagnosis: &Diagnosis, path: &Path) -> Result<()> {
    new_file::write(path, html(diagnosis).as_bytes(), Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH)
}

/// The page.
#[must_use]
pub fn html(diagnosis: &Diagnosis) -> String {
    let title = format!("sluice-doctor: {} at {}", diagnosis.host, diagnosis.taken_at);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(diagnosis))
                    (summary(diagnosis))
                    @if !diagnosis.graph.nodes.is_empty() { (drawing::section(diagnosis)) }
                    @for finding in &diagnosis.findings { (section(finding)) }
                    @if !diagnosis.time_line.is_empty() { (time_line(&diagnosis.time_line)) }
                    @if !diagnosis.unseen.is_empty() { (unseen(&diagnosis.unseen)) }
                }
            }
        }
    };
    harmless::text(&page.into_string()).into_owned()
}

fn head(diagnosis: &Diagnosis) -> Markup {
    let verdict = match diagnosis.worst() {
        None => "nothing found",
        Some(severity) => severity.word(),
    };
    html! {
        header {
            p.kicker { "sluice-doctor" }
            h1 { (diagnosis.host) " " span.badge.(verdict.replace(' ', "-")) { (verdict) } }
            p.facts { "taken " time datetime=(diagnosis.taken_at) { (diagnosis.taken_at) } ", Linux " (diagnosis.kernel) }
        }
    }
}

fn summary(diagnosis: &Diagnosis) -> Markup {
    html! {
        @if diagnosis.findings.is_empty() {
            p { "No rule found anything in this snapshot." }
        } @else {
            nav aria-label="findings" {
                ol {
                    @for finding in &diagnosis.findings {
                        li {
                            span.badge.(finding.severity.word()) { (finding.severity) } " "
                            a href={ "#" (finding.id) } { (finding.title) }
                        }
                    }
                }
            }
        }
    }
}

fn section(finding: &Finding) -> Markup {
    html! {
        section.finding id=(finding.id) {
            h2 { span.badge.(finding.severity.word()) { (finding.severity) } " " (finding.title) }
            p.facts {
                "rule " code { (finding.rule) }
                @if let Some(class) = &finding.class { ", class " code { (class) } }
                @if let Some(container) = finding.about() { ", container " code { (container) } }
                @if !finding.confirmed { ", seen once: a healthy node can look so for a moment" }
            }
            @if let Some(blocker) = &finding.blocker { (self::blocker(blocker)) }
            @if !finding.chain.is_empty() { (chain(&finding.chain)) }
            @if !finding.evidence.is_empty() { (evidence(&finding.evidence)) }
            @if !finding.remedies.is_empty() { (remedies(finding)) }
        }
    }
}

fn blocker(blocker: &Blocker) -> Markup {
    html! {
        p.blocker {
            "The blocker: " strong { (blocker.name) @if let Some(pid) = blocker.pid { " (pid " (pid) ")" } }
            ", " (blocker.wait())
        }
    }
}

fn chain(chain: &[Link]) -> Markup {
    html! {
        h3 { "Who waits for whom" }
        ol.chain {
            @for link in chain { li { strong { (link.who) } " " (link.waits_for) } }
        }
    }
}

fn evidence(evidence: &[Evidence]) -> Markup {
    html! {
        h3 { "Evidence" }
        table {
            thead { tr { th scope="col" { "from" } th scope="col" { "what stands there" } } }
            tbody {
                @for fact in evidence { tr { td { code { (fact.from) } } td { (fact.text) } } }
            }
        }
    }
}

fn remedies(finding: &Finding) -> Markup {
    html! {
        h3 { "Remedies, mildest first" }
        ol.remedies {
            @for remedy in &finding.remedies { li { (self::remedy(finding, remedy)) } }
        }
    }
}

fn remedy(finding: &Finding, remedy: &Remedy) -> Markup {
    html! {
        p { strong { (remedy.name) } ": " (remedy.what) }
        dl {
            dt { "costs" } dd { (remedy.cost) }
            dt { "may follow" } dd { (remedy.may_follow) }
            @if remedy.action.is_some() {
                dt { "command" }
                dd { code { "sluice-doctor heal --apply " (finding.id) " --remedy " (remedy.name) } }
            }
        }
    }
}

fn time_line(moments: &[Moment]) -> Markup {
    html! {
        section {
            h2 { "Time line" }
            table.times {
                thead { tr { th scope="col" { "when" } th scope="col" { "log" } th scope="col" { "line" } } }
                tbody {
                    @for moment in moments {
                        tr {
                            td { (moment.at) }
                            td { (moment.from) }
                            td {
                                @if let Some(class) = &moment.class { code { (class) } " " }
                                (moment.text)
                            }
                        }
                    }
                }
            }
        }
    }
}

fn unseen(unseen: &[String]) -> Markup {
    html! {
        section {
            h2 { "What could not be seen" }
            ul { @for line in unseen { li { (line) } } }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::diagnosis::SCHEMA;
    use crate::finding::Severity;
    use crate::graph;
    use crate::remedy::{Action, Identity};

    pub(crate) const HOSTILE: &str = "\"><script>alert(1)</script>' onload=x \") level=error";

    pub(crate) fn example(name: &str) -> Diagnosis {
        let kill = Action::Kill { process: Identity { pid: 4, start_time: 7 } };
        let finding = Finding::new("full_pipe", name, Severity::Critical, format!("{name} is blocked"))
            .class("EX-03")
            .container(Some(name))
            .blocker(Some(4), name, format!("write(2) to {name}"))
            .chain(graph::tests::example().chain_to("pid:4"))
            .evidence(name, name)
            .remedy(Remedy::act("kill", name, kill).costs(name).may_follow(name));
        let mut graph = graph::tests::example();
        graph.nodes[4].label = name.to_owned();
        graph.nodes[4].detail = name.to_owned();
        let moment =
            Moment { at: name.into(), from: name.into(), text: name.into(), class: Some(name.into()) };
        Diagnosis {
            schema: SCHEMA.to_owned(),
            taken_at: String::from("2026-01-02T03:04:05Z"),
            host: name.to_owned(),
            kernel: name.to_owned(),
            findings: vec![finding],
            graph,
            blockers: vec![String::from("pid:4")],
            time_line: vec![moment],
            unseen: vec![name.to_owned()],
        }
    }

    #[test]
    fn a_hostile_name_stays_text() {
        let page = html(&example(HOSTILE));
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"));
        assert!(!page.contains("onload=x \" "), "no attribute is broken out of");
    }

    #[test]
    fn no_control_character_comes_into_the_page() {
        let page = html(&example("a\u{1b}[31m\u{9b}2J\0\u{202e}b"));
        assert!(!page.contains(|it| harmless::steers(it) && it != '\n'), "{page:?}");
        assert!(page.contains("a\u{fffd}[31m"));
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = html(&example("runc"));
        for outside in ["src=", "href=\"h", "url(h", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn an_empty_diagnosis_says_so() {
        let mut diagnosis = example("runc");
        diagnosis.findings.clear();
        diagnosis.graph = graph::Graph::default();
        let page = html(&diagnosis);
        assert!(page.contains("nothing found") && !page.contains("<svg"));
    }
}
