//! From a line to its class: every pattern whose words are there is tried, and the most specific one wins.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::class::{Class, classes};
use super::exit_status::{Meaning, meanings};
use super::nearest::Nearest;
use super::pattern::{Context, Pattern, Threshold, Voice};
use super::record::{Level, Record, Speaker};
use super::routine;
use super::text::normalised;
use crate::Error;

/// Words by which a line reads as a failure although no class knows it.
const FAILURE_WORDS: &[&str] = &[
    "fail",
    "error",
    "cannot ",
    "can't ",
    "unable to",
    "denied",
    "panic",
    "fatal",
    "timed out",
    "refused",
    "no space left",
    "deadline exceeded",
    "reset by peer",
    "broken pipe",
    "no such file",
    "not permitted",
    "oom-kill",
    "killed process",
    "transport is closing",
    "container does not exist",
    "could not ",
    "errored",
    "no buffer space",
    // Levels as a terminal shows them: what follows may have none of these words.
    "erro[",
    "fata[",
];
/// Words that show that a line is about the road to a container. All are lower case.
const ROAD_WORDS: &[&str] = &[
    "oci runtime",
    "runc",
    "crun",
    "container_linux.go",
    "process_linux.go",
    "error response from daemon",
    "containerd",
    "dockerd",
    "docker:",
    "/docker/",
    "kubelet",
    "failed to exec in container",
    "podsandbox",
    "sandbox container",
    "cri-o",
    "crio",
    "kubepods",
    "/sys/fs/cgroup",
    "/run/docker",
    "docker.sock",
    "moby",
    "k8s.io",
    "shim",
    "runtime service failed",
    "libcontainer",
    "container init",
    "running exec",
    "container runtime",
    "from runtime",
    "snapshotter",
    "fsnotify",
    "inotify",
    "starting container process",
    "bpf_cgroup",
];
/// Words of the same kind that other programs of a host use, too: enough to call a line that no class knows a failure, not
/// to give it one. All are lower case.
const NEAR_WORDS: &[&str] = &[
    "container ",
    "cgroup",
    "docker",
    "podman",
    "nsenter",
    "conmon",
    "rootlesskit",
    "ttrpc",
    "probe errored",
    "syncing pod",
];
/// Probes that reached the application: what they report is its own failure.
const PROBES: &[&str] = &["probe failed: get \"http", "probe failed: get http", "probe failed: dial tcp"];
/// A message of which this part is the pattern says nothing else: in hundredths.
const WHOLE: usize = 70;
/// Further classes that a line may be, at most.
const FURTHER: usize = 3;

/// Knows every class, and finds the class of a line.
pub struct Explainer {
    classes: Vec<Class>,
    patterns: Vec<Pattern>,
    /// Every word of a pattern, then the failure words.
    search: AhoCorasick,
    /// For each word, the patterns that have it; none for failure words.
    owners: Vec<Vec<usize>>,
    nearest: Nearest,
}

/// What a line that reads as a failure is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Which line of the input, from 1.
    pub number: u64,
    /// The line as it stood there.
    pub line: String,
    /// When it was written, as it says.
    pub time: Option<String>,
    /// Its class; `None` when unknown.
    pub class: Option<String>,
    /// Other classes whose patterns are in it too.
    pub also: Vec<String>,
    /// For an unknown line up to three classes that sound alike, the nearest first.
    pub nearest: Vec<String>,
    /// The class of which it is a mere consequence.
    pub consequence_of: Option<String>,
    /// The line on which that cause stands; `None` when it is not in the input.
    pub cause_line: Option<u64>,
    /// What an `exit status N` in it means, for each version it can be from.
    pub meanings: Vec<Meaning>,
}

/// A pattern found in a line: what decides between several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    rank: u8,
    /// Later in the line is nearer to the cause: negated, so that the smallest wins.
    before: std::cmp::Reverse<usize>,
    class: usize,
}

impl Explainer {
    /// Reads the classes and builds the search.
    ///
    /// # Errors
    /// When the data in this build is broken, which the tests exclude.
    pub fn new() -> Result<Self, Error> {
        let classes = classes()?;
        let mut patterns = Vec::new();
        for (at, class) in classes.iter().enumerate() {
            for line in &class.lines {
                patterns.push(Pattern::new(at, &class.id, line.clone())?);
            }
        }
        let (words, owners) = dictionary(&patterns);
        let search = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(&words)
            .map_err(|source| Error::Search { literals: words.len(), source: Box::new(source) })?;
        let nearest = Nearest::of(&classes);
        Ok(Self { classes, patterns, search, owners, nearest })
    }

    /// Every class.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The class with this id.
    #[must_use]
    pub fn class(&self, id: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.id == id)
    }

    /// What a line is; `None` when it does not read as a failure.
    #[must_use]
    pub fn explain(&self, line: &str) -> Option<Explanation> {
        let record = Record::of(line);
        let text = normalised(&record.text);
        if routine::is(&text) {
            return None;
        }
        let found = self.found(&record, &text, line);
        let mut explanation = Explanation {
            number: 1,
            line: line.trim_end().to_owned(),
            time: record.time.clone(),
            class: None,
            also: Vec::new(),
            nearest: Vec::new(),
            consequence_of: None,
            cause_line: None,
            meanings: Vec::new(),
        };
        if let Some(first) = found.first() {
            self.name(&mut explanation, &found, first.class);
            return Some(explanation);
        }
        (reads_as_failure(&record, &text) && !routine::passes(&text)).then(|| {
            explanation.nearest = self.nearest.to(&text, &self.classes);
            explanation
        })
    }

    fn name(&self, explanation: &mut Explanation, found: &[Found], class: usize) {
        explanation.class = self.id(class);
        explanation.meanings = meanings(&explanation.line, None);
        for other in found.iter().skip(1).filter_map(|other| self.id(other.class)) {
            let is_new = explanation.class.as_ref() != Some(&other) && !explanation.also.contains(&other);
            if is_new && explanation.also.len() < FURTHER {
                explanation.also.push(other);
            }
        }
    }

    fn id(&self, class: usize) -> Option<String> {
        self.classes.get(class).map(|class| class.id.clone())
    }

    /// The patterns in the text that count on such a record, the deciding one first.
    fn found(&self, record: &Record<'_>, text: &str, line: &str) -> Vec<Found> {
        let mut found: Vec<Found> = self
            .candidates(text)
            .into_iter()
            .filter_map(|at| self.patterns.get(at))
            .filter(|pattern| may_say(record, pattern))
            .filter_map(|pattern| {
                let (start, end) = pattern.find(text)?;
                let is_known = pattern.line.context == Context::Free
                    || is_about_containers(record, text, (line, end - start));
                is_known.then_some(Found {
                    rank: pattern.line.rank,
                    before: std::cmp::Reverse(end),
                    class: pattern.class,
                })
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// Patterns of which a word is in the text.
    fn candidates(&self, text: &str) -> Vec<usize> {
        let mut candidates: Vec<usize> = self
            .search
            .find_overlapping_iter(text)
            .filter_map(|word| self.owners.get(word.pattern().as_usize()))
            .flatten()
            .copied()
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// The search for every word that matters, for the first look at raw bytes.
    pub(super) fn search(&self) -> &AhoCorasick {
        &self.search
    }
}

fn dictionary(patterns: &[Pattern]) -> (Vec<String>, Vec<Vec<usize>>) {
    let mut words: Vec<String> = Vec::new();
    let mut owners: Vec<Vec<usize>> = Vec::new();
    for (at, pattern) in patterns.iter().enumerate() {
        for word in &pattern.words {
            match words.iter().position(|known| known == word) {
                Some(place) => owners[place].push(at),
                None => {
                    words.push(word.clone());
                    owners.push(vec![at]);
                }
            }
        }
    }
    for word in FAILURE_WORDS {
        words.push((*word).to_owned());
        owners.push(Vec::new());
    }
    (words, owners)
}

/// Whether such a record counts for a pattern: by who says it, and how loud.
fn may_say(record: &Record<'_>, pattern: &Pattern) -> bool {
    if record.speaker == Speaker::Container && pattern.line.voice != Voice::Container {
        return false;
    }
    let is_context_free = pattern.line.context == Context::Free;
    match record.level {
        Level::Unknown | Level::Warning | Level::Error => true,
        Level::Notice => is_context_free,
        Level::Debug | Level::Info => pattern.line.level == Threshold::Any,
    }
}

/// Whether a common phrase is said on the road to a container: `line` is as it stood, with the length of the match.
fn is_about_containers(record: &Record<'_>, text: &str, (line, length): (&str, usize)) -> bool {
    let is_answer = PROBES.iter().any(|probe| text.contains(probe));
    match record.speaker {
        Speaker::Other | Speaker::Container => false,
        _ if is_answer => false,
        Speaker::Road => true,
        _ => covers(text, length) || has_road_words(line),
    }
}

/// Whether a match of this length is the whole message, but for a few words.
fn covers(text: &str, length: usize) -> bool {
    let text = text.trim_end_matches(": unknown").trim_end_matches(['.', '"']);
    length * 100 >= text.len() * WHOLE
}

fn has_road_words(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ROAD_WORDS.iter().any(|word| line.contains(word))
}

fn reads_as_failure(record: &Record<'_>, text: &str) -> bool {
    if record.speaker == Speaker::Container {
        return false;
    }
    let has_words = FAILURE_WORDS.iter().any(|word| text.contains(word));
    match record.level {
        Level::Error => true,
        Level::Debug | Level::Info | Level::Notice => false,
        Level::Unknown => {
            has_words && (is_complaint(text) || is_of_the_road(record, text)) && !is_source(text)
        }
        Level::Warning => has_words,
    }
}

/// Whether a line of unknown loudness is from the road to a container, or about it.
fn is_of_the_road(record: &Record<'_>, text: &str) -> bool {
    let may_mean_it = matches!(record.speaker, Speaker::Unknown | Speaker::Road);
    let is_near = may_mean_it && NEAR_WORDS.iter().any(|word| text.contains(word));
    is_near || has_road_words(text)
}

/// Whether the first words say that it is an error, or are those of a client of the road.
fn is_complaint(text: &str) -> bool {
    const FIRST: &[&str] = &[
        "error",
        "fatal",
        "panic",
        "failed",
        "cannot",
        "unable",
        "connection error: desc",
        "ctr: ",
        "exec failed: ",
    ];
    FIRST.iter().any(|words| text.starts_with(words))
}

/// Whether it is a line of a program, as reports quote them.
fn is_source(text: &str) -> bool {
    text.starts_with("func ") || text.ends_with([';', '{', '}', ',']) || text.contains(":= ")
}

#[cfg(test)]
mod tests;
