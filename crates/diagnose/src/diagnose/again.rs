//! A second look at what a healthy node can show for a moment: nobody there, because a daemon is being restarted.
//!
//! A snapshot has no before. What *is* there (a full pipe, a sleeping process) says itself how long it has been; what
//! is *not* there cannot. Nor can two things that must be true at once and were seen one after the other.

use std::time::Duration;

use super::diagnose;
use crate::diagnosis::Diagnosis;
use crate::finding::Finding;
use crate::{Result, Snapshot, Source, collect};

/// Rules that find something missing.
const MISSING: &[&str] = &["engine_gone", "lost_shim"];

/// Classes that tell of a process and of its groups, which are read later.
const CLASSES: &[&str] = &["EX-11"];

/// From the first look to the second. Long enough for an init system to start what it has just ended, short enough to
/// answer within two seconds.
const MOMENT: Duration = Duration::from_secs(1);

/// Takes a snapshot and judges it; when something seems to be missing, does both once more and believes what it has
/// seen twice.
///
/// # Errors
/// When no snapshot can be taken.
pub fn observe(source: &Source) -> Result<(Snapshot, Diagnosis)> {
    let snapshot = collect(source)?;
    let first = diagnose(&snapshot);
    if matches!(source, Source::Tree(_)) || missing(&first).is_empty() {
        return Ok((snapshot, first));
    }
    std::thread::sleep(MOMENT);
    let snapshot = collect(source)?;
    let second = believed(&first, diagnose(&snapshot));
    Ok((snapshot, second))
}

fn missing(diagnosis: &Diagnosis) -> Vec<&str> {
    let found = diagnosis.findings.iter().filter(|it| is_momentary(it));
    found.map(|it| it.id.as_str()).collect()
}

/// The second diagnosis without what was not missing before.
fn believed(first: &Diagnosis, mut second: Diagnosis) -> Diagnosis {
    let before = missing(first);
    second.findings.retain(|it| !is_momentary(it) || before.contains(&it.id.as_str()));
    second
}

fn is_momentary(finding: &Finding) -> bool {
    let class = finding.class.as_deref();
    MISSING.contains(&finding.rule.as_str()) || class.is_some_and(|class| CLASSES.contains(&class))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use crate::rules::RULES;

    fn diagnosis(findings: &[(&str, &str)]) -> Diagnosis {
        let finding = |(rule, subject): &(&str, &str)| Finding::new(rule, subject, Severity::Critical, "t");
        Diagnosis { findings: findings.iter().map(finding).collect(), ..diagnose(&Snapshot::default()) }
    }

    #[test]
    fn what_is_missing_only_once_is_not_told() {
        let first = diagnosis(&[("engine_gone", "5"), ("full_pipe", "a")]);
        let second = diagnosis(&[("engine_gone", "6"), ("full_pipe", "b")]);
        let told = believed(&first, second.clone());
        assert_eq!(told.findings, diagnosis(&[("full_pipe", "b")]).findings);
        assert_eq!(believed(&second, second.clone()), second);
        let mut frozen = diagnosis(&[("frozen_exec", "7")]);
        frozen.findings[0].class = Some("EX-11".to_owned());
        assert_eq!(believed(&first, frozen.clone()).findings, []);
        assert_eq!(believed(&frozen, frozen.clone()), frozen);
    }

    #[test]
    fn the_rules_that_are_asked_twice_exist() {
        assert!(MISSING.iter().all(|name| RULES.iter().any(|rule| rule.name == *name)));
    }
}
