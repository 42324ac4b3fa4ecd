//! The cgroup of a container, as far as the demonstration and the benchmark touch it. v1, hybrid and v2.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// Where hierarchies are mounted.
const MOUNTS: &str = "/sys/fs/cgroup";

/// How long a process that was killed may take to leave its group.
const ENDING: Duration = Duration::from_secs(5);

/// A cgroup by its path below the hierarchies' roots.
pub(crate) struct Group {
    path: String,
}

impl Group {
    /// The group of a path without a leading slash.
    pub(crate) fn new(path: &str) -> Self {
        Self { path: path.to_owned() }
    }

    /// The path as config.json wants it.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.path)
    }

    /// A control file's number: `v1` is "controller/file", `v2` the file's name there.
    pub(crate) fn number(&self, v1: &str, v2: &str) -> Option<u64> {
        std::fs::read_to_string(self.file(v1, v2)?).ok()?.trim().parse().ok()
    }

    /// Writes a number into a control file; tells whether the kernel took it.
    pub(crate) fn set(&self, v1: &str, v2: &str, value: u64) -> bool {
        let file = self.file(v1, v2).and_then(|path| OpenOptions::new().write(true).open(path).ok());
        file.is_some_and(|mut file| write!(file, "{value}").is_ok())
    }

    fn file(&self, v1: &str, v2: &str) -> Option<PathBuf> {
        let (controller, name) = v1.split_once('/')?;
        let places = [
            Path::new(MOUNTS).join(controller).join(&self.path).join(name),
            Path::new(MOUNTS).join(&self.path).join(v2),
        ];
        places.into_iter().find(|place| place.exists())
    }

    /// Sends SIGKILL to every process in the group: the last resort when a runtime cannot.
    pub(crate) fn kill(&self) {
        for folder in hierarchies() {
            let list =
                std::fs::read_to_string(folder.join(&self.path).join("cgroup.procs")).unwrap_or_default();
            for pid in list.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Removes an own group and its children in every hierarchy; processes in them are on their way out.
pub(crate) fn remove(name: &str) {
    for folder in hierarchies().into_iter().map(|folder| folder.join(name)) {
        let children = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for child in children.filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove_once_empty(&child.path());
        }
        remove_once_empty(&folder);
    }
}

fn remove_once_empty(folder: &Path) {
    let begun = Instant::now();
    while rustix::fs::rmdir(folder) == Err(Errno::BUSY) && begun.elapsed() < ENDING {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Makes the group `name` in every hierarchy; gives the paths of a group `below` it, which are not made.
pub(crate) fn below_all(name: &str, below: &str) -> Vec<PathBuf> {
    let roots = hierarchies().into_iter().filter(|folder| folder.join("cgroup.procs").exists());
    let groups: Vec<PathBuf> = roots.map(|folder| folder.join(name)).collect();
    for group in &groups {
        let _ = std::fs::create_dir_all(group);
        fill_cpuset(group);
    }
    groups.into_iter().map(|group| group.join(below)).collect()
}

/// On v1 a group takes no process before it has processors and memory.
fn fill_cpuset(group: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let above = group.parent().and_then(|above| std::fs::read_to_string(above.join(file)).ok());
        let value = above.filter(|_| group.join("tasks").exists());
        let target = OpenOptions::new().write(true).open(group.join(file));
        if let (Some(value), Ok(mut target)) = (value, target) {
            let _ = target.write_all(value.trim().as_bytes());
        }
    }
}

/// The root of v2, and every folder beside it that could be a v1 hierarchy.
fn hierarchies() -> Vec<PathBuf> {
    let inside = std::fs::read_dir(MOUNTS).into_iter().flatten().flatten().map(|entry| entry.path());
    [PathBuf::from(MOUNTS)]
        .into_iter()
        .chain(inside.filter(|path| path.join("cgroup.procs").exists()))
        .collect()
}
