//! What a diagnosis says: one finding per thing that is wrong, with the process it hangs on, evidence and remedies.
//!
//! These types are the `findings` of `--json`, so a field once published keeps its name and its meaning
//! (`docs/doctor.md` has the schema).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::remedy::Remedy;

/// How bad it is, mildest first; the exit code of `sluice-doctor` is the worst [`Finding::exit_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is broken now, but this is how it begins: a known-bad version, a limit nearly reached.
    Notice,
    /// Something fails or leaks, and the rest of the node goes on.
    Warning,
    /// Somebody waits and will wait for ever.
    Critical,
}

impl Severity {
    /// The exit code: 0 for a notice, 1 for a warning, 2 for what is critical.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Notice => 0,
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }

    /// The word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The one process, or the one thing of the kernel, that everybody else of a finding waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// Its pid on the host; none when it is no process, such as a file or a limit.
    pub pid: Option<i32>,
    /// Its name as the kernel has it (`comm`), or what it is.
    pub name: String,
    /// What it waits for, in words, with the descriptor, the file or the counter.
    pub waits_for: String,
}

impl Blocker {
    /// What it does, as a part of a sentence: `waits for its tracer`, `waits to be started`.
    #[must_use]
    pub fn wait(&self) -> String {
        let preposition = if self.waits_for.starts_with("to ") { "" } else { "for " };
        format!("waits {preposition}{}", self.waits_for)
    }
}

/// One step of the chain from the one who asks to the blocker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Who waits, such as `dockerd (1234)`.
    pub who: String,
    /// For what, in words; the next link is whoever should give it.
    pub waits_for: String,
}

/// A fact of the snapshot that a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it was read: a path, a process, a log.
    pub from: String,
    /// What stood there.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Names this finding for `--apply`: the rule and what it is about; the same in every snapshot of the same trouble.
    pub id: String,
    /// The rule that found it: the name of its file in `crates/diagnose/src/rules`.
    pub rule: String,
    /// Failure class, such as `EX-03`; none when there is no class for it.
    pub class: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// False when it was seen in one look only, and a healthy node can look so for a moment.
    #[serde(default = "yes")]
    pub confirmed: bool,
    /// Whether what is missing has come to a sudden end, as in no restart in order: one further look is enough.
    #[serde(skip)]
    pub is_abrupt: bool,
    /// What is wrong, in one sentence without line breaks.
    pub title: String,
    /// Id of the container it is about.
    pub container: Option<String>,
    /// Name that people use for it, which its owner chose; none when it has none beside its id.
    pub container_name: Option<String>,
    /// Whom or what everybody waits for.
    pub blocker: Option<Blocker>,
    /// From the one who asks down to the blocker; empty when nobody waits.
    pub chain: Vec<Link>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What can be done, cheapest and least invasive first.
    pub remedies: Vec<Remedy>,
}

impl Finding {
    /// A finding of `rule` about `subject`, with nothing else told yet.
    #[must_use]
    pub fn new(rule: &str, subject: &str, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            id: format!("{rule}/{}", plain(subject)),
            rule: rule.to_owned(),
            class: None,
            severity,
            confirmed: true,
            is_abrupt: false,
            title: one_line(&title.into()),
            container: None,
            container_name: None,
            blocker: None,
            chain: Vec::new(),
            evidence: Vec::new(),
            remedies: Vec::new(),
        }
    }

    /// Something is missing, or a state says nothing of its age: a further look has to confirm it.
    #[must_use]
    pub fn momentary(mut self) -> Self {
        self.confirmed = false;
        self
    }

    /// What is missing left this socket behind, if there is one.
    #[must_use]
    pub fn left(mut self, socket: Option<&str>) -> Self {
        let Some(path) = socket else { return self };
        self.is_abrupt = true;
        self.evidence(path, "left behind without a listener: whoever ends in order takes it away")
    }

    /// The exit code for this one: that of its severity, but 1 at most until it is confirmed.
    ///
    /// Whoever pages a person on 2 must not do so whenever a daemon is restarted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let worst = if self.confirmed { Severity::Critical } else { Severity::Warning };
        self.severity.min(worst).exit_code()
    }

    /// Of this failure class.
    #[must_use]
    pub fn class(mut self, class: &str) -> Self {
        self.class = Some(class.to_owned());
        self
    }

    /// About this container.
    #[must_use]
    pub fn container(mut self, id: Option<impl Into<String>>) -> Self {
        self.container = id.map(|id| one_line(&id.into()));
        self
    }

    /// The container as people know it: `web (1e26...)`, or its id.
    #[must_use]
    pub fn about(&self) -> Option<String> {
        let id = self.container.as_deref()?;
        Some(self.container_name.as_ref().map_or_else(|| id.to_owned(), |name| format!("{name} ({id})")))
    }

    /// Everybody waits for this.
    #[must_use]
    pub fn blocker(mut self, pid: Option<i32>, name: &str, waits_for: impl Into<String>) -> Self {
        self.blocker = Some(Blocker { pid, name: one_line(name), waits_for: one_line(&waits_for.into()) });
        self
    }

    /// With the chain from the one who asks.
    #[must_use]
    pub fn chain(mut self, chain: Vec<Link>) -> Self {
        self.chain = chain;
        self
    }

    /// Rests also on this.
    #[must_use]
    pub fn evidence(mut self, from: impl Into<String>, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence { from: one_line(&from.into()), text: one_line(&text.into()) });
        self
    }

    /// This can be done, after what was added before.
    #[must_use]
    pub fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedies.push(remedy);
        self
    }
}

/// What findings were before they could say otherwise.
fn yes() -> bool {
    true
}

/// Foreign text on one line, without anything a terminal or a log obeys; at most 300 characters.
///
/// Names of processes, groups and containers are chosen by whoever is inside of them.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST).map(crate::harmless::shown).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('\u{2026}');
    }
    line
}

const LONGEST: usize = 300;

/// A word for ids: what is no letter, digit, `.`, `_`, `:`, `/` or `-` becomes `_`.
fn plain(text: &str) -> String {
    let word = |character: char| {
        if character.is_ascii_alphanumeric() || "._:/-".contains(character) { character } else { '_' }
    };
    text.chars().take(LONGEST).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_is_called_cannot_break_a_line_or_steer_a_terminal() {
        let finding =
            Finding::new("full_pipe", "x\") level=error\n", Severity::Critical, "a\nb\u{1b}[2J\u{202e}");
        assert_eq!(finding.id, "full_pipe/x___level_error_");
        assert_eq!(finding.title, "a\u{fffd}b\u{fffd}[2J\u{fffd}");
        assert_eq!(one_line(&"a".repeat(400)).chars().count(), 301);
    }

    #[test]
    fn a_finding_has_the_fields_that_programs_were_promised() {
        let remedy = Remedy::advise("start", "start it");
        let finding = Finding::new("full_pipe", "a", Severity::Critical, "t").blocker(Some(7), "n", "w");
        let json = serde_json::to_value(finding.evidence("f", "t").remedy(remedy)).unwrap();
        let fields = |value: &serde_json::Value| {
            let fields = value.as_object().unwrap().keys().cloned();
            fields.collect::<Vec<String>>().join(" ")
        };
        assert_eq!(
            fields(&json),
            "blocker chain class confirmed container container_name evidence id remedies rule severity title"
        );
        assert_eq!(fields(&json["blocker"]), "name pid waits_for");
        assert_eq!(fields(&json["evidence"][0]), "from text");
        assert_eq!(fields(&json["remedies"][0]), "action cost may_follow name what");
    }

    #[test]
    fn what_a_blocker_waits_for_reads_as_a_sentence() {
        let wait = |what| {
            Finding::new("r", "s", Severity::Notice, "t").blocker(None, "n", what).blocker.unwrap().wait()
        };
        assert_eq!(wait("to be started"), "waits to be started");
        assert_eq!(wait("the freezer /x to thaw"), "waits for the freezer /x to thaw");
    }

    #[test]
    fn the_worst_severity_is_the_largest() {
        assert!(Severity::Critical > Severity::Warning && Severity::Warning > Severity::Notice);
        assert_eq!(
            [Severity::Notice, Severity::Warning, Severity::Critical].map(Severity::exit_code),
            [0, 1, 2]
        );
    }

    #[test]
    fn what_is_not_confirmed_counts_as_a_warning_at_most() {
        let found = |severity| Finding::new("engine_gone", "5", severity, "no dockerd");
        let all = [Severity::Notice, Severity::Warning, Severity::Critical];
        assert_eq!(all.map(|it| found(it).exit_code()), [0, 1, 2]);
        assert_eq!(all.map(|it| found(it).momentary().exit_code()), [0, 1, 1]);
    }
}
