//! Versions as packages and `uname` write them.

use std::cmp::Ordering;

/// A version: numbers, then a candidate's number, then a package's release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: Vec<u64>,
    /// Of `-rc91`, `~rc91`; a release is after all of its candidates.
    candidate: u64,
    /// Of `-109`; what has none is before what has.
    release: u64,
}

impl Version {
    /// Reads the leading part of `5:18.06.3~ce~3`, `1.0.0~rc91+ds1-1`, `1.13.1-84.git07f3374`, `4.4.0-109-generic`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split_once(':').map_or(text, |(_epoch, rest)| rest).trim_start_matches('v');
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (head, rest) = text.split_at(end);
        let numbers: Option<Vec<u64>> =
            head.trim_end_matches('.').split('.').map(|part| part.parse().ok()).collect();
        let mut numbers = numbers?;
        numbers.resize(numbers.len().max(3), 0);
        let candidate = rest.get(1..).and_then(|rest| rest.strip_prefix("rc")).map(leading_number);
        let release = if candidate.is_some() { 0 } else { rest.strip_prefix('-').map_or(0, leading_number) };
        Some(Self { numbers, candidate: candidate.unwrap_or(u64::MAX), release })
    }
}

fn leading_number(text: &str) -> u64 {
    let text = text.trim_start_matches('.');
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |version: &Self| (version.numbers.clone(), version.candidate, version.release);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_would() {
        let ascending = [
            "1.0.0-rc9",
            "1.0.0~rc91+ds1",
            "1.0.0",
            "1.1.5+ds1-1",
            "1.13.1-75.git8633870",
            "1.13.1-84.git07f3374",
            "4.4.0-109-generic",
            "5:18.06.3~ce~3",
            "v20.10.24",
        ];
        for pair in ascending.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::parse("unknown"), None);
        assert_eq!(Version::parse(""), None);
        assert_eq!(Version::parse("17.6"), Version::parse("17.06.0"));
    }
}
