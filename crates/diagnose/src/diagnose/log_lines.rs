//! The log lines of a snapshot that read as failures: the time line, and for texts taken by hand findings of their own.
//!
//! On a live node an old line may be of yesterday, so there lines only stand beside findings.

use std::collections::BTreeMap;

use crate::diagnosis::Moment;
use crate::explain::Explainer;
use crate::finding::{Finding, Severity, one_line};
use crate::listing::BY_HAND;
use crate::remedy::Remedy;
use crate::snapshot::{LogLine, Snapshot};
use crate::time::rfc3339;

/// Most lines of a time line: the last ones.
const MOST: usize = 200;

/// Most lines that are shown for one class.
const SHOWN: usize = 3;

/// What the lines say.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Those that read as failures.
    pub(super) moments: Vec<Moment>,
    /// A finding per class, of texts taken by hand alone.
    pub(super) findings: Vec<Finding>,
    /// Classes from which those of `findings` may follow, with the number of the finding.
    causes: Vec<(String, usize)>,
}

impl Lines {
    /// Puts what lines and rules say together: a line that is evidence of a rule's finding is none of its own, and a
    /// version that is known to break is more than a notice when a failure that it causes stands in the lines.
    pub(super) fn join(&mut self, found: &mut [Finding]) {
        for finding in found.iter_mut().filter(|finding| finding.rule == "known_bad") {
            let follows = |cause: &&(String, usize)| Some(&cause.0) == finding.class.as_ref();
            if let Some((_, at)) = self.causes.iter().find(follows) {
                finding.severity = Severity::Warning;
                finding.evidence.extend(self.findings[*at].evidence.first().cloned());
            }
        }
        let told: Vec<&str> = found
            .iter()
            .filter(|finding| finding.rule != "known_bad")
            .flat_map(|finding| finding.evidence.iter().map(|it| it.text.as_str()))
            .collect();
        self.findings.retain(|finding| !finding.evidence.iter().all(|it| told.contains(&it.text.as_str())));
    }
}

/// Reads every line; without classes in this build nothing is said.
pub(super) fn read(snapshot: &Snapshot) -> Lines {
    let Ok(explainer) = Explainer::new() else { return Lines::default() };
    let mut moments: Vec<Moment> = snapshot
        .logs
        .iter()
        .filter_map(|line| moment(&explainer, line))
        .filter(|it| it.class.is_some())
        .collect();
    let findings =
        if snapshot.taken.version == BY_HAND { findings(&explainer, &moments) } else { Vec::new() };
    moments.drain(..moments.len().saturating_sub(MOST));
    let causes = causes(&explainer, &findings);
    Lines { moments, findings, causes }
}

fn causes(explainer: &Explainer, findings: &[Finding]) -> Vec<(String, usize)> {
    let classes = findings.iter().enumerate().filter_map(|(at, finding)| {
        let class = explainer.class(finding.class.as_deref()?)?;
        Some(class.consequence_of.iter().map(move |cause| (cause.clone(), at)))
    });
    classes.flatten().collect()
}

fn moment(explainer: &Explainer, line: &LogLine) -> Option<Moment> {
    let explanation = explainer.explain(&line.text)?;
    let at = line.at_ms.map(rfc3339).or(explanation.time).unwrap_or_default();
    Some(Moment {
        at: one_line(&at),
        from: one_line(line.unit.as_deref().unwrap_or(&line.source)),
        text: one_line(&line.text),
        class: explanation.class,
    })
}

/// One per class that is neither noise nor a mere symptom.
fn findings(explainer: &Explainer, moments: &[Moment]) -> Vec<Finding> {
    let mut lines: BTreeMap<&str, Vec<&Moment>> = BTreeMap::new();
    for moment in moments {
        lines.entry(moment.class.as_deref().unwrap_or_default()).or_default().push(moment);
    }
    let mut findings = Vec::new();
    for (id, moments) in lines {
        let Some(class) = explainer.class(id).filter(|class| !class.noise) else { continue };
        let severity = if class.symptom { Severity::Notice } else { Severity::Warning };
        let mut finding = Finding::new("log_lines", id, severity, class.title.clone()).class(id);
        for moment in moments.iter().take(SHOWN) {
            finding = finding.evidence(moment.from.clone(), moment.text.clone());
        }
        if moments.len() > SHOWN {
            finding = finding.evidence("lines", format!("{} in all", moments.len()));
        }
        findings.push(finding.remedy(Remedy::advise("class", class.remedy.clone())));
    }
    findings
}
