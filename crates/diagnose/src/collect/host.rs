//! Settings, limits and counters of the whole host.

use rustix::fs::inotify;
use rustix::io::Errno;

use super::Source;
use super::folder::Folder;
use super::piece::Piece;
use super::places::Places;
use super::worker::Visit;
use crate::snapshot::Host;
use crate::snapshot::host::{FileSystem, Inotify, KeyLimits, KeyUser, Pressure, Tasks, Usage};

const SMALL: usize = 64 << 10;

/// Where container services write, besides what daemons can be told.
const WRITTEN: &[&str] = &["run", "var/lib/containers", "var/log", "tmp", "."];

/// Reads everything; the unit is `proc`, below which the kernel tells.
pub(super) fn read(root: &Folder, source: &Source, visit: &Visit<'_>) -> Vec<Piece> {
    let files = Files { root, visit };
    let mut host = files.names();
    host.load = load(&files.text("proc/loadavg")).unwrap_or_default();
    host.tasks = files.tasks();
    (host.files, host.nr_open) = files.open_files();
    host.inotify = Inotify {
        max_instances: files.number("proc/sys/fs/inotify/max_user_instances"),
        max_watches: files.number("proc/sys/fs/inotify/max_user_watches"),
        instances: Vec::new(),
        is_refused: inotify_is_refused(source),
    };
    host.keys = key_users(&files.text("proc/key-users"));
    host.key_limits = files.key_limits("max");
    host.root_key_limits = files.key_limits("root_max");
    host.conntrack = Usage {
        used: files.number("proc/sys/net/netfilter/nf_conntrack_count"),
        max: files.number("proc/sys/net/netfilter/nf_conntrack_max"),
    };
    host.memory = memory(&files.text("proc/meminfo"));
    host.pressure = files.pressure();
    vec![Piece::Host(Box::new(host))]
}

/// Asks for an instance and gives it back: the kernel counts them per user and tells nobody.
fn inotify_is_refused(source: &Source) -> Option<bool> {
    match source {
        Source::Live => Some(inotify::init(inotify::CreateFlags::CLOEXEC).err() == Some(Errno::MFILE)),
        Source::Tree(_) => None,
    }
}

/// Space of the file systems that container services write to; the unit is one directory. A saved tree lies in another
/// file system than its files did.
pub(super) fn file_system(root: &Folder, source: &Source, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    let Ok(stat) = root.folder(visit.unit).and_then(|folder| folder.space()) else { return Vec::new() };
    let path = if visit.unit == "." { "/".to_owned() } else { format!("/{}", visit.unit) };
    if matches!(source, Source::Tree(_)) {
        return vec![Piece::FileSystem(FileSystem { path, ..FileSystem::default() })];
    }
    let usage = |total: u64, free: u64| Usage { used: Some(total.saturating_sub(free)), max: Some(total) };
    vec![Piece::FileSystem(FileSystem {
        path,
        id: stat.f_fsid,
        bytes: usage(stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bfree.saturating_mul(stat.f_frsize)),
        inodes: usage(stat.f_files, stat.f_ffree),
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })]
}

/// The units for [`file_system`].
pub(super) fn file_systems(places: &Places) -> Vec<String> {
    let told = places.data_roots.iter().chain(&places.containerd_roots).cloned();
    let states = places.exec_roots.iter().chain(&places.containerd_states).cloned();
    told.chain(WRITTEN.iter().map(|&path| path.to_owned())).chain(states).collect()
}

struct Files<'a> {
    root: &'a Folder,
    visit: &'a Visit<'a>,
}

impl Files<'_> {
    /// The text; empty when there is none.
    fn text(&self, path: &str) -> String {
        self.visit.about("file");
        self.root.kernel_text(path, SMALL).unwrap_or_default()
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.text(path).trim().parse().ok()
    }

    fn names(&self) -> Host {
        let system = rustix::system::uname();
        let or = |path: &str, known: &std::ffi::CStr| {
            let text = self.text(path).trim().to_owned();
            if text.is_empty() { known.to_string_lossy().into_owned() } else { text }
        };
        let os = self.root.text("etc/os-release", SMALL).unwrap_or_default();
        let pretty = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        Host {
            name: or("proc/sys/kernel/hostname", system.nodename()),
            kernel: or("proc/sys/kernel/osrelease", system.release()),
            machine: system.machine().to_string_lossy().into_owned(),
            boot_id: self.text("proc/sys/kernel/random/boot_id").trim().to_owned(),
            os: pretty.unwrap_or_default().trim_matches('"').to_owned(),
            processors: processors(&self.text("proc/stat")),
            fips: self.number("proc/sys/crypto/fips_enabled").map(|value| value != 0),
            ..Host::default()
        }
    }

    fn tasks(&self) -> Tasks {
        let loadavg = self.text("proc/loadavg");
        let count = loadavg.split_ascii_whitespace().nth(3).and_then(|word| word.split_once('/'));
        Tasks {
            count: count.and_then(|(_, all)| all.parse().ok()),
            pid_max: self.number("proc/sys/kernel/pid_max"),
            threads_max: self.number("proc/sys/kernel/threads-max"),
        }
    }

    fn open_files(&self) -> (Usage, Option<u64>) {
        let text = self.text("proc/sys/fs/file-nr");
        let mut words = text.split_ascii_whitespace().map(|word| word.parse().ok());
        let used = words.next().flatten();
        (Usage { used, max: words.nth(1).flatten() }, self.number("proc/sys/fs/nr_open"))
    }

    fn key_limits(&self, prefix: &str) -> KeyLimits {
        let limit = |name| self.number(&format!("proc/sys/kernel/keys/{prefix}{name}"));
        KeyLimits { keys: limit("keys"), bytes: limit("bytes") }
    }

    fn pressure(&self) -> Pressure {
        let some = |name: &str| {
            let text = self.text(&format!("proc/pressure/{name}"));
            proc::psi::parse(&text).0.map(|line| line.avg10)
        };
        Pressure { cpu: some("cpu"), memory: some("memory"), io: some("io") }
    }
}

/// Load averages of `/proc/loadavg`: `0.52 0.58 0.59 2/1234 5678`.
#[must_use]
pub fn load(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_ascii_whitespace().map(|word| word.parse().ok());
    Some([words.next()??, words.next()??, words.next()??])
}

/// How many processors are online: lines `cpu0`, `cpu1`, ... of `/proc/stat`.
#[must_use]
pub fn processors(text: &str) -> u32 {
    let is_one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    u32::try_from(text.lines().filter(is_one).count()).unwrap_or_default()
}

/// `MemTotal` and `MemAvailable` of `/proc/meminfo`, kilobytes there, in bytes.
#[must_use]
pub fn memory(text: &str) -> Usage {
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let (total, available) = (bytes("MemTotal"), bytes("MemAvailable"));
    Usage { used: total.zip(available).map(|(total, free)| total.saturating_sub(free)), max: total }
}

/// `    0:   110 109/109 81/1000000 1801/25000000` a line. Source: proc_key-users(5).
#[must_use]
pub fn key_users(text: &str) -> Vec<KeyUser> {
    text.lines().filter_map(key_user).collect()
}

fn key_user(line: &str) -> Option<KeyUser> {
    let (uid, rest) = line.split_once(':')?;
    let pairs = rest.split_ascii_whitespace().skip(2).map(|pair| {
        let (used, max) = pair.split_once('/')?;
        Some(Usage { used: used.parse().ok(), max: max.parse().ok() })
    });
    let pairs: Vec<Usage> = pairs.collect::<Option<_>>()?;
    Some(KeyUser { uid: uid.trim().parse().ok()?, keys: *pairs.first()?, bytes: *pairs.get(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_tasks_are_kept_comes_after_the_place_that_stands_for_it() {
        let file_systems = file_systems(&Places::well_known());
        let at = |path: &str| file_systems.iter().position(|it| it == path);
        assert!(at("run/containerd") > at("run") && at("run/docker") > at("run"), "{file_systems:?}");
        assert!(at("run").is_some());
    }

    #[test]
    fn key_users_have_two_quotas() {
        let users = key_users(
            "    0:   110 109/109 81/1000000 1801/25000000\nnonsense\n 1000: 5 5/5 3/200 60/20000\n",
        );
        assert_eq!(users.len(), 2);
        assert_eq!(users[1].keys, Usage { used: Some(3), max: Some(200) });
        assert_eq!(users[0].bytes, Usage { used: Some(1801), max: Some(25_000_000) });
    }

    #[test]
    fn counters_are_read_from_their_lines() {
        assert_eq!(load("0.52 0.58 0.59 2/1234 5678\n"), Some([0.52, 0.58, 0.59]));
        assert_eq!(processors("cpu  1 2\ncpu0 1\ncpu11 1\nctxt 5\n"), 2);
        let memory = memory("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   400 kB\n");
        assert_eq!((memory.used, memory.max), (Some(600 << 10), Some(1000 << 10)));
    }
}
