//! Classes that sound like an unknown line: by the rare words that both have.

use std::collections::{BTreeMap, BTreeSet};

use super::class::Class;

/// Classes that are offered.
const OFFERED: usize = 3;
/// Below this likeness (1 is equal) a class is not offered.
const FLOOR: f64 = 0.06;
/// Shorter words say nothing.
const SHORTEST: usize = 3;

/// The words of each class, and how rare each word is.
pub(super) struct Nearest {
    /// For each word the classes that have it, with its weight there.
    index: BTreeMap<String, Vec<(usize, f64)>>,
    rarity: BTreeMap<String, f64>,
    lengths: Vec<f64>,
}

impl Nearest {
    pub(super) fn of(classes: &[Class]) -> Self {
        let bags: Vec<BTreeMap<String, f64>> = classes.iter().map(bag).collect();
        let rarity = rarity(&bags);
        let mut index: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
        let mut lengths = Vec::new();
        for (class, bag) in bags.iter().enumerate() {
            let mut square = 0.0;
            for (word, count) in bag {
                let weight = count * rarity.get(word).copied().unwrap_or(0.0);
                square += weight * weight;
                index.entry(word.clone()).or_default().push((class, weight));
            }
            lengths.push(f64::max(square.sqrt(), 1.0));
        }
        Self { index, rarity, lengths }
    }

    /// The ids of the classes that it points at, then of those that sound most like it, the nearest first.
    pub(super) fn to(&self, text: &str, classes: &[Class]) -> Vec<String> {
        let hinted =
            classes.iter().filter(|class| class.hints.iter().any(|hint| text.contains(hint.as_str())));
        let mut nearest: Vec<String> = hinted.map(|class| class.id.clone()).collect();
        for id in self.alike(text, classes) {
            if !nearest.contains(&id) {
                nearest.push(id);
            }
        }
        nearest.truncate(OFFERED);
        nearest
    }

    fn alike(&self, text: &str, classes: &[Class]) -> Vec<String> {
        let words: BTreeSet<String> = words(text).collect();
        let mut scores = vec![0.0_f64; classes.len()];
        let mut square = 0.0;
        for word in &words {
            let rarity = self.rarity.get(word).copied().unwrap_or(0.0);
            square += rarity * rarity;
            for &(class, weight) in self.index.get(word).into_iter().flatten() {
                if let (Some(score), Some(length)) = (scores.get_mut(class), self.lengths.get(class)) {
                    *score += rarity * weight / length;
                }
            }
        }
        let length = f64::max(square.sqrt(), 1.0);
        let mut ranked: Vec<(f64, &Class)> =
            scores.iter().map(|score| score / length).zip(classes).filter(|row| row.0 >= FLOOR).collect();
        ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
        ranked.into_iter().take(OFFERED).map(|(_, class)| class.id.clone()).collect()
    }
}

/// What a class is called and how it shows counts more than why it happens.
fn bag(class: &Class) -> BTreeMap<String, f64> {
    let mut bag = BTreeMap::new();
    let mut add = |text: &str, weight: f64| {
        for word in words(text) {
            let count: &mut f64 = bag.entry(word).or_default();
            *count = f64::max(*count, weight);
        }
    };
    add(&class.title, 1.0);
    add(&class.cause, 0.5);
    add(&class.confirm, 0.4);
    for line in &class.lines {
        add(&line.pattern.replace("\\b", " ").replace("(?:", " "), 1.0);
    }
    bag
}

fn rarity(bags: &[BTreeMap<String, f64>]) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for word in bags.iter().flat_map(BTreeMap::keys) {
        *counts.entry(word.clone()).or_default() += 1;
    }
    let all = u32::try_from(bags.len()).map_or(f64::MAX, f64::from);
    counts.into_iter().map(|(word, count)| (word, (all / f64::from(count)).ln() + 0.1)).collect()
}

/// Words without numbers and ids.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| word.len() >= SHORTEST && !word.bytes().any(|byte| byte.is_ascii_digit()))
        .map(str::to_ascii_lowercase)
}
