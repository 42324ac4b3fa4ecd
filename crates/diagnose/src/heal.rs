//! Carrying out a remedy, and looking whether it helped.
//!
//! **Invariant**: only what a fresh finding's own action names is touched. A process is held by a pidfd before its start
//! time is compared, a pipe is compared by inode after it was taken, a control file lies in a control group; when any
//! of that differs, nothing is done.

mod evidence;
mod group;
mod pipe;
mod process;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::diagnosis::Diagnosis;
use crate::finding::Finding;
use crate::remedy::{Action, Remedy};

/// Why a remedy was not carried out, or did not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No finding has this id now; what could not be looked at may be why.
    #[error("heal {finding}: there is no such finding now{}", besides(unseen))]
    NoFinding {
        /// The id.
        finding: String,
        /// What could not be looked at.
        unseen: Vec<String>,
    },
    /// The finding has no such remedy.
    #[error("heal {finding}: it has no remedy {remedy}")]
    NoRemedy {
        /// Id of the finding.
        finding: String,
        /// What was asked for.
        remedy: String,
    },
    /// Nothing can be done by program.
    #[error("heal {0}: its remedies are for a person to carry out")]
    OnlyAdvice(String),
    /// The process is gone, or its pid is another's now.
    #[error("pid {pid}: it is not the process that was found: {why}")]
    Changed {
        /// The pid.
        pid: i32,
        /// What differs.
        why: String,
    },
    /// A call failed.
    #[error("{what}")]
    Call {
        /// The operation with its operands.
        what: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The control file is not where control groups are, or holds another value than was found.
    #[error("{file}: {why}")]
    NotAsFound {
        /// The file.
        file: String,
        /// What differs.
        why: String,
    },
    /// It lives on after SIGKILL.
    #[error("pid {pid}: it has not ended {seconds} s after SIGKILL: it sleeps in the kernel")]
    StillThere {
        /// The pid.
        pid: i32,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl Error {
    /// For `map_err`: the operation with its operands, and what the kernel said.
    pub(crate) fn call(what: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let what = what.into();
        move |errno| Self::Call { what, source: errno.into() }
    }
}

/// What was done, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Steps in words, in order.
    pub steps: Vec<String>,
    /// Where the drained bytes are.
    pub evidence: Option<PathBuf>,
    /// Whether the finding is gone.
    pub healed: bool,
}

/// How long the finding may take to go away while nothing else changes.
const EFFECT: Duration = Duration::from_secs(10);

/// How long it may take at most, however long the queue behind it was.
const LONGEST: Duration = Duration::from_secs(60);

/// Looks that are taken at least: on a slow machine one can take longer than the finding may.
const LOOKS: u32 = 3;

/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(100);

/// The finding and the remedy that are meant: by name, or the mildest that a program can carry out.
///
/// # Errors
/// When there is no such finding or remedy.
pub fn choose<'a>(
    diagnosis: &'a Diagnosis,
    id: &str,
    remedy: Option<&str>,
) -> Result<(&'a Finding, &'a Remedy), Error> {
    let found = diagnosis.findings.iter().find(|finding| finding.id == id);
    let none = || Error::NoFinding { finding: id.to_owned(), unseen: diagnosis.unseen.clone() };
    let finding = found.ok_or_else(none)?;
    let remedy = match remedy {
        None => finding.remedies.iter().find(|remedy| remedy.action.is_some()),
        Some(name) => Some(
            finding
                .remedies
                .iter()
                .find(|remedy| remedy.name == name)
                .ok_or_else(|| Error::NoRemedy { finding: id.to_owned(), remedy: name.to_owned() })?,
        ),
    };
    let remedy = remedy.filter(|remedy| remedy.action.is_some());
    Ok((finding, remedy.ok_or_else(|| Error::OnlyAdvice(id.to_owned()))?))
}

/// Carries out `action` of the finding `id` of `diagnosis`, and looks with `look` until the finding is gone, or for ten
/// seconds nothing has become less: neither those who wait nor what could not be seen. After a minute it ends in any
/// case. A look that could not see what the diagnosis saw proves nothing.
///
/// What is drained goes into a new file in `directory`, which is made when it is needed.
///
/// # Errors
/// When the action cannot be carried out on exactly what was found; nothing was done then.
pub fn apply(
    diagnosis: &Diagnosis,
    id: &str,
    action: &Action,
    directory: &Path,
    mut look: impl FnMut() -> Diagnosis,
) -> Result<Done, Error> {
    let mut done = carry_out(id, action, directory)?;
    let start = Instant::now();
    let mut patience = Patience::from(start);
    loop {
        let now = look();
        done.healed = is_gone(id, diagnosis, &now);
        let left = now.graph.nodes.len() + now.unseen.len();
        if done.healed || !patience.goes_on(Instant::now(), left) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let verdict = if done.healed { "the finding is gone" } else { "the finding is still there" };
    done.steps.push(format!("{verdict} after {:.1} s", start.elapsed().as_secs_f64()));
    Ok(done)
}

/// How long it is worth waiting for an effect.
struct Patience {
    begun: Instant,
    /// When it last became less.
    moved: Instant,
    fewest: usize,
    looks: u32,
}

impl Patience {
    fn from(begun: Instant) -> Self {
        Self { begun, moved: begun, fewest: usize::MAX, looks: 0 }
    }

    /// Whether to look again after a look that ended `now` and saw `left` of those who wait.
    fn goes_on(&mut self, now: Instant, left: usize) -> bool {
        self.looks += 1;
        if left < self.fewest {
            (self.fewest, self.moved) = (left, now);
        }
        let still = now.duration_since(self.moved);
        now.duration_since(self.begun) < LONGEST && (still < EFFECT || self.looks < LOOKS)
    }
}

fn is_gone(id: &str, before: &Diagnosis, now: &Diagnosis) -> bool {
    let kinds: BTreeSet<String> = before.unseen.iter().map(|it| kind(it)).collect();
    let sees_as_much = now.unseen.iter().all(|it| kinds.contains(&kind(it)));
    sees_as_much && !now.findings.iter().any(|finding| finding.id == id)
}

/// What was not seen, whoever's it was and however many: without pids and counts.
fn kind(unseen: &str) -> String {
    unseen.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// For the end of a sentence.
fn besides(unseen: &[String]) -> String {
    if unseen.is_empty() { String::new() } else { format!("; not looked at: {}", unseen.join("; ")) }
}

fn carry_out(id: &str, action: &Action, directory: &Path) -> Result<Done, Error> {
    let (steps, evidence) = match action {
        Action::DrainPipe { writer, fd, inode } => {
            let held = process::hold(*writer)?;
            let drained = pipe::drain(&held, *fd, *inode, || evidence::file(directory, id))?;
            (vec![drained.text], drained.evidence)
        }
        Action::Kill { process } => (vec![process::hold(*process)?.kill()?], None),
        Action::Continue { process } => (vec![process::hold(*process)?.go_on()?], None),
        Action::Thaw { group } => (vec![group::thaw(Path::new(group))?], None),
        Action::EnableOomKiller { group } => (vec![group::enable_oom_killer(Path::new(group))?], None),
        Action::RaiseLimit { file, from, to } => (vec![group::replace(Path::new(file), from, to)?], None),
    };
    Ok(Done { steps, evidence, healed: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    #[test]
    fn the_mildest_remedy_is_chosen_unless_another_is_named() {
        let diagnosis = example("runc");
        let id = diagnosis.findings[0].id.clone();
        assert_eq!(choose(&diagnosis, &id, None).unwrap().1.name, "kill");
        assert!(matches!(choose(&diagnosis, &id, Some("drain")), Err(Error::NoRemedy { .. })));
        assert!(matches!(choose(&diagnosis, "full_pipe/other", None), Err(Error::NoFinding { .. })));
    }

    #[test]
    fn a_queue_that_becomes_shorter_is_waited_for() {
        let begun = Instant::now();
        let ended = |looks: &[(u64, usize)]| {
            let mut patience = Patience::from(begun);
            let mut goes_on =
                |look: &&(u64, usize)| !patience.goes_on(begun + Duration::from_secs(look.0), look.1);
            looks.iter().find(|look| goes_on(look)).map(|look| look.0)
        };
        assert_eq!(ended(&[(1, 5), (6, 5), (11, 5), (12, 5)]), Some(11), "nothing moves");
        assert_eq!(
            ended(&[(5, 200), (12, 120), (21, 60), (30, 0), (41, 0)]),
            Some(41),
            "it moved until 30 s"
        );
        assert_eq!(ended(&[(14, 9), (28, 9), (42, 9)]), Some(42), "three looks that are slow");
        assert_eq!(ended(&[(30, 200), (45, 100), (60, 50)]), Some(60), "a minute is enough");
    }

    #[test]
    fn what_was_not_looked_at_is_no_proof_that_a_finding_is_gone() {
        let before = example("runc");
        let id = before.findings[0].id.clone();
        let mut now = Diagnosis { findings: Vec::new(), ..before.clone() };
        assert!(is_gone(&id, &before, &now) && !is_gone(&id, &before, &before));
        let (mut before, stat) = (before, |pid| format!("/proc/{pid}/wchan: not tried"));
        before.unseen.push(stat(7));
        now.unseen.push(stat(8));
        assert!(is_gone(&id, &before, &now));
        now.unseen.push("pipes: no answer within 500 ms".to_owned());
        assert!(!is_gone(&id, &before, &now));
        let text = choose(&now, &id, None).unwrap_err().to_string();
        assert!(text.contains("no such finding now; not looked at: "), "{text}");
        assert!(text.ends_with("pipes: no answer within 500 ms"), "{text}");
    }
}
