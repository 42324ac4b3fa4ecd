//! The lab of one test: everything a runtime needs, and the guard that takes it all away again.
//!
//! **Invariant**: after drop nothing of the lab exists: no process, cgroup, mount or file; also after a panic.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;

use crate::cgroup_driver::CgroupDriver;
use crate::command::{Cmd, Output};
use crate::config::Config;
use crate::container::Container;
use crate::daemons::Daemons;
use crate::hang::eventually;
use crate::hierarchy;
use crate::process;
use crate::runtime::Runtime;
use crate::systemd;

static SEQUENCE: AtomicU32 = AtomicU32::new(0);

/// Environment variable by which a process started for a lab is known again.
const MARK: &str = "SLUICE_TEST_LAB";

/// State root, cgroup parent and temporary directory of one test.
#[derive(Debug)]
pub struct Lab {
    runtime: Runtime,
    binary: PathBuf,
    directory: PathBuf,
    group: String,
    driver: CgroupDriver,
    daemons: Mutex<Daemons>,
}

impl Lab {
    /// An empty lab for a runtime. This process becomes a subreaper, as every caller of a runtime is.
    ///
    /// # Panics
    /// When the temporary directory cannot be made.
    #[must_use]
    pub fn new(runtime: Runtime, binary: PathBuf) -> Self {
        let number = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let directory = PathBuf::from(format!("/tmp/st-{name}"));
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let lab = Self {
            runtime,
            binary,
            directory,
            group: format!("/sluice-test-{name}"),
            driver: CgroupDriver::of_this_host(),
            daemons: Mutex::default(),
        };
        fs::create_dir(&lab.directory).unwrap();
        for part in ["io", "root"] {
            fs::create_dir(lab.directory.join(part)).unwrap();
        }
        lab
    }

    /// Which runtime is under test.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// True when the reference is under test.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.runtime == Runtime::Runc
    }

    /// True when the reference is under test, after saying aloud what that version lacks.
    #[must_use]
    pub fn reference_lacks(&self, what: &str) -> bool {
        if self.is_reference() {
            eprintln!("NOT COMPARED: the reference lacks {what}");
        }
        self.is_reference()
    }

    /// Path of the runtime's binary.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// A path in the lab's temporary directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The runtime's state root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// The lab's group, such as `/sluice-test-123-0`; containers live below it.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Which cgroup driver the engines of this lab use: their default on this host.
    #[must_use]
    pub fn driver(&self) -> CgroupDriver {
        self.driver
    }

    /// The lab's slice, such as `sluice_test_123_0.slice`: in it live the containers whose groups systemd makes.
    #[must_use]
    pub fn slice(&self) -> String {
        format!("{}.slice", self.group.trim_start_matches('/').replace('-', "_"))
    }

    /// What an engine is told by `--cgroup-parent`, in its driver's form: the lab's group or its slice.
    #[must_use]
    pub fn cgroup_parent(&self) -> String {
        if self.driver.is_systemd() { self.slice() } else { self.group.clone() }
    }

    /// How many processes of the lab's containers have a command line that ends in these words.
    #[must_use]
    pub fn running(&self, words: &[&str]) -> usize {
        let wanted: String = words.iter().flat_map(|word| [word, "\0"]).collect();
        let line = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        self.in_groups().iter().filter(|pid| line(pid).ends_with(&wanted)).count()
    }

    /// Writes a file of the lab; returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path
    }

    /// Any program, with its output kept in the lab.
    #[must_use]
    pub fn program(&self, program: impl AsRef<Path>) -> Cmd {
        Cmd::new(program.as_ref(), &self.path("io")).env(MARK, &self.directory)
    }

    /// A program that stays, with everything it starts kept in the group `daemons` of the lab.
    ///
    /// Daemons and shims leave their parent and their environment, but not their group.
    ///
    /// # Panics
    /// When the group cannot be made.
    #[must_use]
    pub fn daemon(&self, program: impl AsRef<Path>) -> Cmd {
        self.daemons.lock().unwrap().command(&self.group, program.as_ref(), |program| self.program(program))
    }

    /// Says which step of a long script comes now, so that a failure shows where it stands.
    pub fn step(&self, name: &str) {
        eprintln!("[{}] {name}", self.runtime.name());
    }

    /// Packs a busybox root as a tar file for engines to import; returns its path.
    ///
    /// # Panics
    /// When `tar` is missing.
    #[track_caller]
    pub fn image(&self) -> PathBuf {
        let (tree, archive) = (self.path("image"), self.path("image.tar"));
        if !archive.exists() {
            crate::rootfs::build(&tree);
            self.program("tar").args(["-C"]).args([&tree]).args(["-cf"]).args([&archive]).args(["."]).ok();
        }
        archive
    }

    /// The runtime with `--root` given, and these arguments.
    #[must_use]
    pub fn rt(&self, arguments: &[&str]) -> Cmd {
        self.program(&self.binary).args(["--root"]).args([self.root()]).args(arguments)
    }

    /// Runs the runtime to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.rt(arguments).run()
    }

    /// A container whose bundle is written but which the runtime does not know yet.
    #[must_use]
    #[track_caller]
    pub fn bundle(&self, config: &Config) -> Container<'_> {
        Container::new(self, config)
    }

    /// A container that is created but not started.
    #[must_use]
    #[track_caller]
    pub fn created(&self, config: &Config) -> Container<'_> {
        let container = self.bundle(config);
        container.create().ok();
        container
    }

    /// A container that runs.
    #[must_use]
    #[track_caller]
    pub fn started(&self, config: &Config) -> Container<'_> {
        let container = self.created(config);
        container.start().ok();
        container
    }

    /// A container that sleeps for ever, and does so already.
    ///
    /// `start` may return before init has called `execve`.
    #[must_use]
    #[track_caller]
    pub fn sleeper(&self) -> Container<'_> {
        let container = self.started(&Config::new());
        let pid = container.pid();
        eventually("init to sleep", || process::status_line(pid, "Name") == "sleep");
        container
    }

    /// Runs a container in the foreground until it ends.
    #[track_caller]
    pub fn run_once(&self, config: &Config) -> Output {
        self.bundle(config).run()
    }

    /// Removes every container left, as a careful caller would, and asserts that nothing of them stays.
    ///
    /// # Panics
    /// When a process, cgroup, mount or state directory is left.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        self.daemons.lock().unwrap_or_else(std::sync::PoisonError::into_inner).end();
        // The last of them may be on its way out.
        let daemons = Daemons::directory(&self.group);
        let gone = || fs::remove_dir(&daemons).is_ok() || !daemons.exists();
        for _ in 0..200 * crate::hang::patience() {
            if gone() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        for id in self.ids() {
            self.run(&["delete", "--force", &id]).ok();
        }
        assert_eq!(self.ids(), Vec::<String>::new(), "state directories left");
        assert_eq!(self.mounts(), Vec::<PathBuf>::new(), "mounts left");
        let groups: Vec<PathBuf> = hierarchy::existing(&self.group)
            .iter()
            .flat_map(|directory| hierarchy::subtree(directory).split_off(1))
            .collect();
        assert_eq!(groups, Vec::<PathBuf>::new(), "control groups left");
        assert_eq!(systemd::below(&self.slice()), Vec::<PathBuf>::new(), "scopes left");
        let left: Vec<String> = self.processes().into_iter().map(process::describe).collect();
        assert!(left.is_empty(), "processes left:\n{}", left.concat());
    }

    /// Names in the state root, except a runtime's own dot files.
    fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).map_or_else(|_| Vec::new(), |entries| entries.collect());
        let names = entries.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// Mount points below the lab, innermost last.
    ///
    /// # Panics
    /// When mountinfo cannot be read.
    #[must_use]
    pub fn mounts(&self) -> Vec<PathBuf> {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
        points.filter(|point| point.starts_with(&self.directory)).collect()
    }

    /// The entry of an environment by which a process is known as the lab's, for programs that inherit none.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{MARK}={}", self.directory.display())
    }

    /// Living processes that carry the lab's mark or sit in its groups.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let mark = [MARK.as_bytes(), b"=", self.directory.as_os_str().as_bytes(), b"\0"].concat();
        let marked = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|window| window == mark)
        };
        let mut pids: Vec<i32> = process::all().into_iter().filter(marked).collect();
        pids.extend(self.in_groups());
        pids.retain(|pid| process::is_alive(*pid));
        pids
    }

    fn in_groups(&self) -> Vec<i32> {
        [hierarchy::pids(&self.group), hierarchy::pids(&format!("/{}", self.slice()))].concat()
    }

    /// Ends what is in the lab's groups and removes them; a slice goes by systemd, which made it.
    fn destroy_groups(&self) {
        hierarchy::destroy(&self.group);
        let group = format!("/{}", self.slice());
        if !hierarchy::existing(&group).is_empty() {
            hierarchy::kill(&group);
            systemd::stop(self, &self.slice());
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let keep = std::env::var_os("SLUICE_TEST_KEEP").is_some();
        eventually("processes of the lab to die", || {
            self.destroy_groups();
            let pids = self.processes();
            pids.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
            pids.is_empty()
        });
        for point in self.mounts().iter().rev() {
            let _gone = unmount(point, UnmountFlags::DETACH);
        }
        if !keep && self.mounts().is_empty() {
            let _left = fs::remove_dir_all(&self.directory);
        }
    }
}
