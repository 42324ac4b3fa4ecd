//! Many explanations as few groups: each class once, with what follows from it folded under it.

use std::collections::{BTreeMap, BTreeSet};

use super::classify::Explanation;

/// Unknown lines are told apart by their words; so many kinds are kept, and the rest only counted.
const UNKNOWN_KINDS: usize = 50;
/// Words of an unknown line that make its kind.
const KIND_WORDS: usize = 12;

/// What an input holds, by class.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    groups: Vec<Group>,
    /// Where the group of a class, or of a kind of unknown line, stands.
    places: BTreeMap<String, usize>,
    /// For each cause, how many lines of which class follow from it.
    folded: BTreeMap<String, BTreeMap<String, u64>>,
    /// Unknown lines beyond the kinds that are kept.
    pub uncounted: u64,
}

/// Lines of one class, or unknown lines that differ in numbers and ids only.
#[derive(Debug, Clone)]
pub struct Group {
    /// The first of them.
    pub first: Explanation,
    /// How many there are.
    pub count: u64,
    /// The last line's number.
    pub last: u64,
    /// Classes that lines of this group were a consequence of.
    pub causes: BTreeSet<String>,
    /// How many of the lines have their cause in the same input.
    pub explained: u64,
}

impl Summary {
    /// Takes one more line.
    pub fn add(&mut self, explanation: Explanation) {
        let key = key(&explanation);
        let is_seen = explanation.cause_line.is_some();
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if explanation.class.is_none() && self.places.len() >= UNKNOWN_KINDS + 104 => {
                self.uncounted += 1;
                return;
            }
            None => self.open(key, explanation.clone()),
        };
        if let Some(group) = self.groups.get_mut(place) {
            group.count += 1;
            group.last = explanation.number;
            group.explained += u64::from(is_seen);
            group.causes.extend(explanation.consequence_of.clone());
        }
        if let (true, Some(cause), Some(class)) = (is_seen, explanation.consequence_of, explanation.class) {
            *self.folded.entry(cause).or_default().entry(class).or_default() += 1;
        }
    }

    fn open(&mut self, key: String, first: Explanation) -> usize {
        self.places.insert(key, self.groups.len());
        let last = first.number;
        self.groups.push(Group { first, count: 0, last, causes: BTreeSet::new(), explained: 0 });
        self.groups.len() - 1
    }

    /// Lines of other classes that follow from this group: class and count.
    #[must_use]
    pub fn folded(&self, group: &Group) -> Vec<(&str, u64)> {
        let folded = group.first.class.as_ref().and_then(|class| self.folded.get(class));
        folded.into_iter().flatten().map(|(class, count)| (class.as_str(), *count)).collect()
    }

    /// The groups that stand for themselves, causes first and unknown lines last. Left out are symptoms of which each
    /// line has its cause in another group.
    #[must_use]
    pub fn groups(&self, is_symptom: &dyn Fn(&str) -> bool) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self
            .groups
            .iter()
            .filter(|group| {
                let is_symptom = group.first.class.as_deref().is_some_and(is_symptom);
                let is_told = group.causes.iter().all(|cause| self.places.contains_key(cause));
                !(is_symptom && is_told && group.explained == group.count)
            })
            .collect();
        groups
            .sort_by_key(|group| (group.first.class.is_none(), !group.causes.is_empty(), group.first.number));
        groups
    }
}

fn key(explanation: &Explanation) -> String {
    match &explanation.class {
        Some(class) => class.clone(),
        None => explanation
            .line
            .split(|character: char| !character.is_ascii_alphabetic())
            .filter(|word| word.len() > 3)
            .take(KIND_WORDS)
            .collect::<Vec<_>>()
            .join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Consequences, Explainer};
    use super::*;

    fn summary(lines: &[&str]) -> Summary {
        let explainer = Explainer::new().unwrap();
        let mut consequences = Consequences::new(&explainer);
        let mut summary = Summary::default();
        for (number, line) in (1..).zip(lines) {
            let explanation = explainer.explain(line).unwrap();
            if let Some(held) = consequences.push(Explanation { number, ..explanation }) {
                summary.add(held);
            }
        }
        while let Some(held) = consequences.pop() {
            summary.add(held);
        }
        summary
    }

    #[test]
    fn noise_stands_under_its_cause_and_not_for_itself() {
        let noise = "level=error msg=\"stream copy error: reading from a closed fifo\"";
        let cause = "OCI runtime exec failed: exec failed: EOF: unknown";
        let summary = summary(&[noise, noise, cause]);
        let groups = summary.groups(&|_| true);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].first.class.as_deref(), Some("EX-01"));
        assert_eq!(summary.folded(groups[0]), [("EX-35", 2)]);
    }

    #[test]
    fn unknown_lines_that_differ_in_ids_are_one_group() {
        let summary = summary(&[
            "level=error msg=\"frobnicate task 12 failed\"",
            "level=error msg=\"frobnicate task 9 failed\"",
        ]);
        assert_eq!(summary.groups(&|_| true).len(), 1);
        assert_eq!(summary.groups(&|_| true)[0].count, 2);
    }
}
