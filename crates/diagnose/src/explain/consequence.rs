//! Which line is a mere consequence of which other line of the same input.
//!
//! Noise often comes before its cause (a closed fifo, then the exec that failed), so lines are held back a little.

use std::collections::VecDeque;

use super::class::Class;
use super::classify::{Explainer, Explanation};

/// Failure lines held back, and failure lines remembered.
const AHEAD: usize = 24;
const BEHIND: usize = 200;
/// A cause is looked for within so many lines of the input.
const REACH: u64 = 2000;

/// A class that a line can be: its number, the class, and whether another class of that line comes first.
type Place = (u64, usize, bool);

/// Passes explanations on, each with the cause that stands near it.
pub struct Consequences<'a> {
    explainer: &'a Explainer,
    held: VecDeque<Explanation>,
    passed: VecDeque<Place>,
}

impl<'a> Consequences<'a> {
    /// With nothing seen yet.
    #[must_use]
    pub fn new(explainer: &'a Explainer) -> Self {
        Self { explainer, held: VecDeque::new(), passed: VecDeque::new() }
    }

    /// Takes one, and gives back the oldest that was held long enough.
    pub fn push(&mut self, explanation: Explanation) -> Option<Explanation> {
        self.held.push_back(explanation);
        if self.held.len() > AHEAD { self.pop() } else { None }
    }

    /// Gives back the oldest that is held; `None` when all were given back.
    pub fn pop(&mut self) -> Option<Explanation> {
        let mut oldest = self.held.pop_front()?;
        if let Some(place) = oldest.class.as_deref().and_then(|id| self.place(id)) {
            self.relate(&mut oldest, place);
        }
        let places: Vec<Place> = self.places(&oldest).collect();
        self.passed.extend(places);
        while self.passed.len() > BEHIND {
            self.passed.pop_front();
        }
        Some(oldest)
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.explainer.classes().iter().position(|class| class.id == id)
    }

    /// Every class that a line can be.
    fn places(&self, explanation: &Explanation) -> impl Iterator<Item = Place> {
        let number = explanation.number;
        let class = explanation.class.iter().map(|id| (id, false));
        let ids = class.chain(explanation.also.iter().map(|id| (id, true)));
        ids.filter_map(move |(id, is_further)| Some((number, self.place(id)?, is_further)))
    }

    fn relate(&self, explanation: &mut Explanation, place: usize) {
        let Some(class) = self.explainer.classes().get(place) else { return };
        if let Some((cause, line)) = self.cause(explanation, class) {
            explanation.consequence_of = Some(cause);
            explanation.cause_line = Some(line);
        } else if let Some(cause) = in_the_line(explanation, class) {
            explanation.consequence_of = Some(cause);
            explanation.cause_line = Some(explanation.number);
        } else if class.noise {
            explanation.consequence_of =
                class.consequence_of.first().filter(|id| !id.ends_with('*')).cloned();
        }
    }

    /// The nearest line of a class it can follow from; a class named outright comes before a whole area.
    fn cause(&self, explanation: &Explanation, class: &Class) -> Option<(String, u64)> {
        let held = self.held.iter().flat_map(|other| self.places(other));
        let near = self.passed.iter().copied().chain(held);
        near.filter_map(|(line, place, is_further)| {
            let other = self.explainer.classes().get(place)?;
            let rank = follows(class, other)?;
            let distance = line.abs_diff(explanation.number);
            (distance <= REACH).then(|| (rank, is_further, distance, other.id.clone(), line))
        })
        .min()
        .map(|(_, _, _, id, line)| (id, line))
    }
}

/// A further class of the same line, when it is among its causes.
fn in_the_line(explanation: &Explanation, class: &Class) -> Option<String> {
    explanation.also.iter().find(|other| class.consequence_of.contains(other)).cloned()
}

/// Whether a class follows from another: 0 when that one is named, 1 when its area is, 2 when any class will do, and 3
/// when that one is itself only how a failure shows.
fn follows(class: &Class, other: &Class) -> Option<u8> {
    if class.id == other.id {
        return None;
    }
    class
        .consequence_of
        .iter()
        .filter_map(|cause| match cause.strip_suffix('*') {
            None => (*cause == other.id).then_some(0),
            Some(_) if other.noise => None,
            Some("") => Some(2 + u8::from(other.symptom)),
            Some(area) => other.id.starts_with(area).then_some(1),
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn related(lines: &[&str]) -> Vec<(Option<String>, Option<String>)> {
        let explainer = Explainer::new().unwrap();
        let mut consequences = Consequences::new(&explainer);
        let mut out = Vec::new();
        for (number, line) in (1..).zip(lines) {
            let explanation = explainer.explain(line).unwrap();
            out.extend(consequences.push(Explanation { number, ..explanation }));
        }
        out.extend(std::iter::from_fn(|| consequences.pop()));
        out.into_iter().map(|explanation| (explanation.class, explanation.consequence_of)).collect()
    }

    fn row(class: &str, cause: Option<&str>) -> (Option<String>, Option<String>) {
        (Some(class.to_owned()), cause.map(str::to_owned))
    }

    const FIFO: &str = "level=error msg=\"stream copy error: reading from a closed fifo\"";
    const EXEC: &str = "level=error msg=\"Error running exec 8e34 in container: OCI runtime exec failed: \
                        exec failed: EOF: unknown\"";

    #[test]
    fn noise_before_its_cause_is_folded_under_it() {
        assert_eq!(
            related(&[FIFO, FIFO, EXEC]),
            [row("EX-35", Some("EX-01")), row("EX-35", Some("EX-01")), row("EX-01", None)]
        );
    }

    #[test]
    fn noise_alone_says_what_usually_stands_behind_it() {
        assert_eq!(related(&[FIFO]), [row("EX-35", Some("EX-02"))]);
    }

    #[test]
    fn a_timeout_follows_from_a_failure_before_a_symptom_that_is_nearer() {
        let check =
            "level=warning msg=\"Health check for container 3f6f error: context deadline exceeded: unknown\"";
        let timeout = "E1214 17:04:47.303868 5021 remote_runtime.go:319] \"CreateContainer in sandbox from runtime \
                       service failed\" err=\"rpc error: code = DeadlineExceeded desc = context deadline exceeded\"";
        let reserved = "E1214 17:08:47.303868 5021 remote_runtime.go:319] \"CreateContainer in sandbox from runtime \
                        service failed\" err=\"failed to reserve container name \\\"a\\\": name \\\"a\\\" is reserved for \\\"7c\\\"\"";
        assert_eq!(
            related(&[check, timeout, reserved]),
            [row("EX-41", None), row("NO-07", Some("ST-10")), row("ST-10", None)]
        );
    }

    #[test]
    fn a_named_cause_wins_over_a_nearer_one_of_its_area() {
        let reset = "exec failed: read init-p: connection reset by peer";
        let fork = "bash: fork: retry: Resource temporarily unavailable";
        assert_eq!(
            related(&[fork, EXEC, reset]),
            [row("EX-04", None), row("EX-01", None), row("EX-02", Some("EX-04"))]
        );
    }
}
