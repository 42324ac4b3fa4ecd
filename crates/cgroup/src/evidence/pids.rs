//! Tasks of each level.

use std::path::{Path, PathBuf};

use proc::kv::{self, Amount};

use super::{Cause, Depth, Evidence, Look, levels};

/// One level of the pids controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidsLevel {
    /// Directory.
    pub path: PathBuf,
    /// Tasks in use.
    pub current: u64,
    /// Most tasks; none is no limit.
    pub max: Option<u64>,
    /// Refused forks so far (`pids.events`); only in the full form.
    pub refused: Option<u64>,
}

pub(super) fn read(group: Option<&Path>, look: Look<'_>) -> Vec<PidsLevel> {
    levels(group, |level| read_level(level, look))
}

fn read_level(level: &Path, look: Look<'_>) -> Option<PidsLevel> {
    let max = look.read(level, "pids.max").ok()?.parse::<Amount>().ok()?;
    let current = look.number(level, "pids.current")?;
    let events = || kv::lookup(&look.read(level, "pids.events").ok()?, "max");
    let refused = if look.depth == Depth::Full { events() } else { None };
    Some(PidsLevel { path: level.to_owned(), current, max: max.number(), refused })
}

impl Evidence {
    /// The nearest level whose limit on tasks is reached.
    #[must_use]
    pub fn is_out_of_pids(&self) -> Option<Cause> {
        self.pids.iter().find_map(|level| {
            let max = level.max.filter(|max| level.current >= *max)?;
            Some(Cause::PidsLimit { path: level.path.clone(), current: level.current, max })
        })
    }

    /// The level at its limit after a fork was refused, or else before it: some task may have ended since. Was it at
    /// neither moment, then a refusal that was counted in between (both in the full form) is put down to the level
    /// with the least room, which was full for that moment.
    #[must_use]
    pub fn pids_limit(before: &Self, after: &Self) -> Option<Cause> {
        let for_a_moment = || after.has_refused_since(before).then(|| after.least_room()).flatten();
        after.is_out_of_pids().or_else(|| before.is_out_of_pids()).or_else(for_a_moment)
    }

    /// Whether some level sets a limit, and none has reached it.
    #[must_use]
    pub fn has_room_for_pids(&self) -> bool {
        self.is_out_of_pids().is_none() && self.least_room().is_some()
    }

    fn has_refused_since(&self, before: &Self) -> bool {
        let counted = |level: &PidsLevel| Some((level.path.clone(), level.refused?));
        let former: std::collections::BTreeMap<_, _> = before.pids.iter().filter_map(counted).collect();
        let mut now = self.pids.iter().filter_map(counted);
        now.any(|(path, refused)| former.get(&path).is_some_and(|former| refused > *former))
    }

    fn least_room(&self) -> Option<Cause> {
        let limited = self.pids.iter().filter_map(|level| Some((level, level.max?)));
        let (level, max) = limited.min_by_key(|(level, max)| max.saturating_sub(level.current))?;
        Some(Cause::PidsLimit { path: level.path.clone(), current: max, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(path: &str, current: u64, max: Option<u64>) -> PidsLevel {
        PidsLevel { path: path.into(), current, max, refused: None }
    }

    fn blamed(levels: &[PidsLevel]) -> Option<String> {
        let evidence = Evidence { pids: levels.to_vec(), ..Evidence::default() };
        evidence.is_out_of_pids().map(|cause| cause.to_string())
    }

    #[test]
    fn the_nearest_level_at_its_limit_is_named() {
        let text = |path| Some(format!("20 of 20 pids are in use (pids.max of {path})"));
        assert_eq!(blamed(&[level("/a/b", 20, Some(20)), level("/a", 30, Some(30))]), text("/a/b"));
        assert_eq!(blamed(&[level("/a/b", 1, None), level("/a", 20, Some(20))]), text("/a"));
        assert_eq!(blamed(&[level("/a/b", 1, Some(5)), level("/a", 20, None)]), None);
    }

    #[test]
    fn a_limit_that_was_reached_before_counts_when_tasks_have_ended_since() {
        let full = Evidence { pids: vec![level("/a", 5, Some(5))], ..Evidence::default() };
        let free = Evidence { pids: vec![level("/a", 4, Some(5))], ..Evidence::default() };
        assert!(Evidence::pids_limit(&full, &free).is_some());
        assert!(Evidence::pids_limit(&free, &free).is_none());
    }

    #[test]
    fn a_limit_that_was_reached_for_a_moment_is_the_one_with_the_least_room() {
        let counted = |refused| {
            let own = PidsLevel { refused: Some(refused), ..level("/a/b", 1, Some(2)) };
            Evidence { pids: vec![own, level("/a", 1, Some(9))], ..Evidence::default() }
        };
        let text = Evidence::pids_limit(&counted(3), &counted(4)).map(|cause| cause.to_string());
        assert_eq!(text.as_deref(), Some("2 of 2 pids are in use (pids.max of /a/b)"));
        assert!(Evidence::pids_limit(&counted(4), &counted(4)).is_none());
        assert!(counted(4).has_room_for_pids());
        assert!(!Evidence { pids: vec![level("/a", 1, None)], ..Evidence::default() }.has_room_for_pids());
    }
}
