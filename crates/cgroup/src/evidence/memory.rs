//! Memory of each level.

use std::path::{Path, PathBuf};

use proc::kv::{self, Amount};

use super::{Cause, Depth, Evidence, Look, levels};
use crate::{file, procs};

/// A limit counts as reached when less than this is free. Kernel: charges are taken in batches of 64 pages.
const NEARLY_FULL: u64 = 512 << 10;

/// `memory.limit_in_bytes` of a v1 group without limit: `PAGE_COUNTER_MAX` pages, whatever the page size.
const NO_LIMIT_V1: u64 = i64::MAX as u64 - (1 << 20);

/// One limit of a level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryLimit {
    /// Control file: `memory.limit_in_bytes`, `memory.memsw.limit_in_bytes` or `memory.max`.
    pub file: &'static str,
    /// How often it was hit (v1 `failcnt`, v2 `max` of `memory.events.local`); in the quick form only where there is a
    /// limit.
    pub hits: Option<u64>,
    /// How often nothing below it could be reclaimed (v2, `oom` of `memory.events.local`), read as `hits` is.
    ///
    /// Kernel: a limit that is written below the usage makes victims, which is no hit of it.
    pub exhausted: Option<u64>,
    /// Bytes in use; in the quick form only where there is a limit.
    pub usage: Option<u64>,
    /// Most bytes, none is no limit.
    pub limit: Option<u64>,
    /// Most bytes that were ever in use (v1 `max_usage_in_bytes`); only in the full form.
    pub peak: Option<u64>,
}

/// One level of the memory controller. Counters are those of the level alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryLevel {
    /// Directory.
    pub path: PathBuf,
    /// Its limits: one on v2; memory, and memory and swap together, on v1. In the quick form a level without any has only
    /// the first: v1 takes no limit of the second that is lower.
    ///
    /// Kernel: v1 checks memory and swap together first, so with equal limits only that one counts hits.
    pub limits: Vec<MemoryLimit>,
    /// Processes of this level itself that were killed (in the quick form: the own group, and on v2 those with a limit).
    pub kills: Option<u64>,
    /// Times all processes of the level were killed together (v2, `memory.oom.group`).
    pub group_kills: Option<u64>,
    /// v1: the OOM killer is off.
    pub oom_disabled: bool,
    /// v1: a process waits for memory at this level or one above.
    pub under_oom: bool,
}

/// Hits, usage, limit and peak of memory, and of memory and swap together.
const FILES_V1: [[&str; 4]; 2] = [
    ["memory.failcnt", "memory.usage_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes"],
    [
        "memory.memsw.failcnt",
        "memory.memsw.usage_in_bytes",
        "memory.memsw.limit_in_bytes",
        "memory.memsw.max_usage_in_bytes",
    ],
];

fn limit_v1(level: &Path, files: &[&'static str; 4], look: Look<'_>) -> Option<MemoryLimit> {
    let [hits, usage, limit, peak] = *files;
    let mut found = MemoryLimit { file: limit, ..MemoryLimit::default() };
    found.limit = Some(look.number(level, limit)?).filter(|limit| *limit < NO_LIMIT_V1);
    if look.depth == Depth::Full || found.limit.is_some() {
        found.hits = look.number(level, hits);
        found.usage = look.number(level, usage);
    }
    if look.depth == Depth::Full {
        found.peak = look.number(level, peak);
    }
    Some(found)
}

fn limits_v1(level: &Path, look: Look<'_>) -> Vec<MemoryLimit> {
    let [memory, with_swap] = FILES_V1.each_ref().map(|files| move || limit_v1(level, files, look));
    let Some(memory) = memory() else { return Vec::new() };
    let more = look.depth == Depth::Full || memory.limit.is_some();
    std::iter::once(memory).chain(more.then(with_swap).flatten()).collect()
}

pub(super) fn read_v1(group: &Path, look: Look<'_>) -> Vec<MemoryLevel> {
    let mut found = levels(Some(group), |level| {
        let limits = limits_v1(level, look);
        if limits.is_empty() {
            return None;
        }
        let mut found = MemoryLevel { limits, ..at(level) };
        if look.depth == Depth::Full || level == group {
            found.read_oom_control(look);
        }
        Some(found)
    });
    // Waiting is marked in the whole subtree, the switched-off killer only where it is.
    if look.depth == Depth::Quick && found.first().is_some_and(|own| own.under_oom) {
        found.iter_mut().for_each(|level| level.read_oom_control(look));
    }
    found
}

pub(super) fn read_v2(group: &Path, look: Look<'_>) -> Vec<MemoryLevel> {
    levels(Some(group), |level| {
        let text = look.read(level, "memory.max").ok()?;
        let mut limit = MemoryLimit { file: "memory.max", ..MemoryLimit::default() };
        limit.limit = text.parse::<Amount>().ok()?.number();
        let mut found = at(level);
        if look.depth == Depth::Full || limit.limit.is_some() {
            limit.usage = look.number(level, "memory.current");
        }
        if look.depth == Depth::Full || limit.limit.is_some() || level == group {
            let events = look.read(level, "memory.events.local").unwrap_or_default();
            let count = |key| kv::lookup(&events, key);
            (limit.hits, limit.exhausted) = (count("max"), count("oom"));
            (found.kills, found.group_kills) = (count("oom_kill"), count("oom_group_kill"));
        }
        found.limits.push(limit);
        Some(found)
    })
}

fn at(level: &Path) -> MemoryLevel {
    MemoryLevel { path: level.to_owned(), ..MemoryLevel::default() }
}

impl MemoryLevel {
    fn read_oom_control(&mut self, look: Look<'_>) {
        let Ok(text) = look.read(&self.path, "memory.oom_control") else { return };
        self.oom_disabled = kv::lookup(&text, "oom_kill_disable") == Some(1);
        self.under_oom = kv::lookup(&text, "under_oom") == Some(1);
        self.kills = kv::lookup(&text, "oom_kill");
    }
}

impl MemoryLimit {
    fn is_nearly_full(&self) -> bool {
        self.is_reached_by(self.usage)
    }

    fn is_reached_by(&self, bytes: Option<u64>) -> bool {
        let free = self.limit.zip(bytes).map(|(limit, bytes)| limit.saturating_sub(bytes));
        free.is_some_and(|free| free < NEARLY_FULL)
    }
}

impl Evidence {
    /// Bytes that are free below the tightest limit of all levels; none without a limit. What the kernel could reclaim
    /// counts as in use.
    #[must_use]
    pub fn memory_room(&self) -> Option<u64> {
        let free = |hit: Hit<'_>| Some(hit.limit.limit?.saturating_sub(hit.limit.usage?));
        limits(self).filter_map(free).min()
    }

    /// The tightest limit that leaves less than `bytes` even when all file pages and kernel caches of its group are
    /// reclaimed.
    ///
    /// Swap counts as room without end for a limit that it helps: not for that of memory and swap together (v1).
    #[must_use]
    pub fn memory_short(&self, bytes: u64) -> Option<Shortage> {
        let swap = rustix::system::sysinfo();
        let may_swap = swap.freeswap.saturating_mul(swap.mem_unit.into()) >= bytes;
        let short = |hit: Hit<'_>| {
            let (limit, usage) = (hit.limit.limit?, hit.limit.usage?);
            let free = limit.saturating_sub(usage);
            if free >= bytes || (may_swap && !hit.limit.file.contains("memsw")) {
                return None;
            }
            let path = hit.level.path.clone();
            let stat = file::try_read(&path.join("memory.stat")).unwrap_or_default();
            let (file_pages, kernel_caches) = (file_pages(&stat), kernel_caches(&path, &stat, usage));
            let room = free.saturating_add(file_pages).saturating_add(kernel_caches);
            (room < bytes).then_some(Shortage {
                path,
                file: hit.limit.file,
                limit,
                usage,
                file_pages,
                kernel_caches,
            })
        };
        limits(self).filter_map(short).min_by_key(|short| short.limit.saturating_sub(short.usage))
    }

    /// A level that is out of memory with its OOM killer off: a process that needs memory waits there for ever.
    #[must_use]
    pub fn is_out_of_memory(&self) -> Option<Cause> {
        let waits = |level: &&MemoryLevel| level.under_oom && level.oom_disabled;
        self.memory.iter().find(waits).map(|level| Cause::OomDisabled { path: level.path.clone() })
    }

    /// A kill in the own group in between, at the nearest level whose limit was hit.
    #[must_use]
    pub fn memory_kill(before: &Self, after: &Self) -> Option<Cause> {
        let (old, new) = (before.memory.first()?, after.memory.first()?);
        let kills = moved(old.kills, new.kills).max(moved(old.group_kills, new.group_kills));
        if kills == 0 {
            return None;
        }
        let path = |level: &MemoryLevel| level.path.clone();
        Some(match hits(before, after).next().or_else(|| uncounted_hit(after)) {
            Some(Hit { level, limit: MemoryLimit { file, limit, usage, .. }, .. }) => {
                Cause::OomKilled { path: path(level), file, limit: *limit, usage: *usage, kills }
            }
            None => Cause::HostOutOfMemory { path: path(new), kills },
        })
    }

    /// After `ENOMEM` or a SIGKILL: a kill in the own group, else a limit that was hit and still is, else one
    /// that is reached now.
    #[must_use]
    pub fn memory_limit(before: &Self, after: &Self) -> Option<Cause> {
        let full = || limits(after).find(|hit| hit.limit.is_nearly_full()).map(|hit| hit.without_kill());
        Self::memory_kill(before, after).or_else(|| Self::memory_hit(before, after)).or_else(full)
    }

    /// A limit (v2) below which nothing could be reclaimed in between, and nobody was killed: whoever touches a page there
    /// tries for ever.
    #[must_use]
    pub fn memory_exhausted(before: &Self, after: &Self) -> Option<Cause> {
        if Self::memory_kill(before, after).is_some() {
            return None;
        }
        let is_exhausted = |hit: &Hit<'_>| hit.exhausted > 0;
        hits(before, after).find(is_exhausted).map(|hit| hit.without_kill())
    }

    /// A limit that was hit without a kill: that of the own group, or that of one above which is still full
    /// (else a neighbour may have hit it).
    pub(super) fn memory_hit(before: &Self, after: &Self) -> Option<Cause> {
        let own = after.memory.first()?;
        let is_ours = |hit: &Hit<'_>| hit.level.path == own.path || hit.limit.is_nearly_full();
        hits(before, after).find(is_ours).map(|hit| hit.without_kill())
    }
}

/// A limit that leaves too little for one more process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The level.
    pub path: PathBuf,
    /// The control file of the limit.
    pub file: &'static str,
    /// Most bytes.
    pub limit: u64,
    /// Bytes in use.
    pub usage: u64,
    /// Bytes of file pages that the kernel could give back.
    pub file_pages: u64,
    /// Bytes of its own caches (names and inodes of files) that the kernel could give back: the half of them that is
    /// counted as room; on v1 an estimate.
    pub kernel_caches: u64,
}

/// File pages of a group and the groups below it, in bytes, after its `memory.stat`.
fn file_pages(stat: &str) -> u64 {
    let value =
        |key: &str| kv::lookup(stat, &format!("total_{key}")).or_else(|| kv::lookup(stat, key)).unwrap_or(0);
    value("inactive_file").saturating_add(value("active_file"))
}

/// Dentries, inodes and the like, of a group and the groups below it, in bytes, as far as they count as room: one half.
///
/// Kernel: v2 counts what can be reclaimed of them (`slab_reclaimable`), among it what open files and sockets hold on to;
/// v1 knows the whole of the kernel's memory only.
fn kernel_caches(level: &Path, stat: &str, usage: u64) -> u64 {
    let all = kv::lookup(stat, "slab_reclaimable").unwrap_or_else(|| {
        let number = |name| file::try_read_short(&level.join(name)).ok()?.trim().parse().ok();
        number("memory.kmem.usage_in_bytes")
            .map_or(0, |kernel| beyond_need(kernel, usage, tasks_below(level)))
    });
    all / 2
}

/// What is left of the kernel's memory after what tasks and page tables need, which nobody gives back.
///
/// A task of a small program takes 48 KiB (measured on 6.18); page tables take a page for each 2 MiB, twice that where
/// memory is sparse.
const fn beyond_need(kernel: u64, usage: u64, tasks: u64) -> u64 {
    const TASK: u64 = 64 << 10;
    const PAGE_TABLES: u64 = 256;
    kernel.saturating_sub(tasks.saturating_mul(TASK)).saturating_sub(usage / PAGE_TABLES)
}

/// How many tasks are in a v1 group and the groups below it.
fn tasks_below(level: &Path) -> u64 {
    let count = |group: &PathBuf| {
        file::try_read(&group.join("tasks"))
            .map_or(0, |text| text.bytes().filter(|byte| *byte == b'\n').count())
    };
    procs::subtree(level).iter().map(count).sum::<usize>() as u64
}

/// A limit that was hit in between.
struct Hit<'a> {
    level: &'a MemoryLevel,
    limit: &'a MemoryLimit,
    count: u64,
    exhausted: u64,
}

impl Hit<'_> {
    fn without_kill(&self) -> Cause {
        let MemoryLimit { file, limit, usage, .. } = *self.limit;
        Cause::MemoryLimit { path: self.level.path.clone(), file, limit, usage, hits: self.count }
    }
}

fn limits(evidence: &Evidence) -> impl Iterator<Item = Hit<'_>> {
    evidence
        .memory
        .iter()
        .flat_map(|level| level.limits.iter().map(move |limit| Hit { level, limit, count: 0, exhausted: 0 }))
}

/// The nearest limit that was reached once, where the counters of hits stand still.
///
/// Kernel: seen on 6.18, v1: `failcnt` stays 0 for ever, `max_usage_in_bytes` still moves.
fn uncounted_hit(after: &Evidence) -> Option<Hit<'_>> {
    let counts = limits(after).any(|hit| hit.limit.hits.unwrap_or(0) > 0);
    limits(after).find(|hit| !counts && hit.limit.is_reached_by(hit.limit.peak))
}

/// The limits that were hit, the nearest first.
fn hits<'a>(before: &'a Evidence, after: &'a Evidence) -> impl Iterator<Item = Hit<'a>> {
    let levels = before.memory.iter().zip(&after.memory).filter(|(old, new)| old.path == new.path);
    levels.flat_map(|(old, new)| {
        let limits = old.limits.iter().zip(&new.limits).filter(|(old, new)| old.file == new.file);
        let counted = limits.map(move |(old, limit)| {
            let exhausted = moved(old.exhausted, limit.exhausted);
            Hit { level: new, limit, count: moved(old.hits, limit.hits).max(exhausted), exhausted }
        });
        counted.filter(|hit| hit.count > 0)
    })
}

fn moved(old: Option<u64>, new: Option<u64>) -> u64 {
    old.zip(new).map_or(0, |(old, new)| new.saturating_sub(old))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 64 << 20;

    fn evidence(own: (u64, u64), parent: (u64, u64, u64)) -> Evidence {
        let level = |path: &str, hits, kills, usage| MemoryLevel {
            path: path.into(),
            limits: vec![MemoryLimit {
                file: "memory.max",
                hits: Some(hits),
                exhausted: None,
                usage: Some(usage),
                limit: Some(LIMIT),
                peak: None,
            }],
            kills: Some(kills),
            ..MemoryLevel::default()
        };
        let memory = vec![level("/p/own", own.0, own.1, 1 << 20), level("/p", parent.0, parent.1, parent.2)];
        Evidence { memory, ..Evidence::default() }
    }

    #[test]
    fn the_level_whose_counter_moved_is_named() {
        let before = evidence((5, 1), (7, 0, 0));
        let blamed = |after: &Evidence| match Evidence::memory_limit(&before, after) {
            Some(Cause::OomKilled { path, kills, .. }) => format!("killed {kills} at {}", path.display()),
            Some(Cause::MemoryLimit { path, hits, .. }) => format!("hit {hits} at {}", path.display()),
            Some(Cause::HostOutOfMemory { kills, .. }) => format!("killed {kills} by the host"),
            other => format!("{other:?}"),
        };
        assert_eq!(blamed(&evidence((6, 2), (7, 0, 0))), "killed 1 at /p/own");
        assert_eq!(blamed(&evidence((5, 2), (8, 0, 0))), "killed 1 at /p");
        assert_eq!(blamed(&evidence((5, 2), (7, 0, 0))), "killed 1 by the host");
        assert_eq!(blamed(&evidence((9, 1), (7, 0, 0))), "hit 4 at /p/own");
        assert_eq!(blamed(&evidence((5, 1), (9, 0, LIMIT - 4096))), "hit 2 at /p");
    }

    #[test]
    fn a_limit_written_below_the_usage_is_the_cause_of_its_kill() {
        let (mut before, mut after) = (evidence((5, 1), (7, 0, 0)), evidence((5, 2), (7, 0, 0)));
        before.memory[0].limits[0].exhausted = Some(3);
        after.memory[0].limits[0].exhausted = Some(4);
        let cause = Evidence::memory_kill(&before, &after);
        assert!(
            matches!(&cause, Some(Cause::OomKilled { path, kills: 1, .. }) if path.ends_with("own")),
            "{cause:?}"
        );
    }

    #[test]
    fn only_a_limit_that_fails_without_a_kill_is_tried_for_ever() {
        let (mut before, mut after) = (evidence((5, 1), (7, 0, 0)), evidence((9, 1), (7, 0, 0)));
        assert_eq!(Evidence::memory_exhausted(&before, &after), None, "what was reclaimed is no lack");
        before.memory[0].limits[0].exhausted = Some(3);
        after.memory[0].limits[0].exhausted = Some(4);
        let cause = Evidence::memory_exhausted(&before, &after);
        assert!(
            matches!(&cause, Some(Cause::MemoryLimit { path, .. }) if path.ends_with("own")),
            "{cause:?}"
        );
        after.memory[0].kills = Some(2);
        assert_eq!(Evidence::memory_exhausted(&before, &after), None, "a kill makes room");
    }

    #[test]
    fn file_pages_and_kernel_caches_can_be_reclaimed() {
        let v2 = "anon 4096\nfile 9\ninactive_file 100\nactive_file 20\nslab_reclaimable 3000\nslab 7000\n";
        let nowhere = Path::new("/no/such/group");
        assert_eq!((file_pages(v2), kernel_caches(nowhere, v2, 0)), (120, 1500));
        let v1 = "inactive_file 1\nactive_file 2\ntotal_inactive_file 100\ntotal_active_file 20\n";
        assert_eq!((file_pages(v1), kernel_caches(nowhere, v1, 0)), (120, 0));
    }

    #[test]
    fn what_tasks_and_page_tables_need_is_no_cache() {
        for (kernel, usage, tasks, caches) in [
            (49_152, 524_288, 1, 0),
            (4_210_688, 4_800_512, 2, 4_210_688 - 131_072 - 18_752),
            (8 << 20, 2 << 30, 10, 0),
        ] {
            assert_eq!(beyond_need(kernel, usage, tasks), caches, "{kernel} {usage} {tasks}");
        }
    }

    #[test]
    fn a_noisy_neighbour_is_not_our_cause() {
        let before = evidence((5, 1), (7, 0, 0));
        // The neighbour hit the limit of the parent and was killed there; the parent has room again.
        let after = evidence((5, 1), (99, 3, 1 << 20));
        assert_eq!(Evidence::explain(&before, &after), None);
    }

    #[test]
    fn a_level_without_oom_killer_is_named() {
        let mut now = evidence((0, 0), (0, 0, 0));
        now.memory[0].under_oom = true;
        assert_eq!(now.obstacle(), None);
        now.memory[1].under_oom = true;
        now.memory[1].oom_disabled = true;
        assert_eq!(now.obstacle(), Some(Cause::OomDisabled { path: "/p".into() }));
    }
}
