//! A containerd of its own with one shim, as on a node: own socket, own folders, own groups.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::lab::{Lab, write_file};
use crate::bench::shim::account::Account;
use crate::bench::shim::grpc::Containerd;
use crate::cgroups::{self, Group};
use crate::failure::Failure;
use crate::workspace::FOLDERS;

/// containerd's namespace here.
pub(super) const NAMESPACE: &str = "bench";

/// The name by which containerd looks for the shim of its default runtime.
const STOCK: &str = "containerd-shim-runc-v2";

/// How long a daemon may take until it answers, or ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running containerd; dropping it ends it, and what its group still holds.
pub(super) struct Node<'a> {
    lab: &'a Lab,
    name: &'static str,
    account: Account,
    daemon: Option<Child>,
}

/// Whether all that it takes is there.
pub(super) fn is_installed() -> bool {
    let found = |name: &&str| FOLDERS.iter().any(|folder| Path::new(folder).join(name).exists());
    ["containerd", "ctr", STOCK].iter().all(found)
}

impl<'a> Node<'a> {
    /// Starts containerd and waits until it answers. A `shim` stands before the stock one in its `PATH`.
    ///
    /// # Errors
    /// When it cannot be started, or ends.
    pub(super) fn start(lab: &'a Lab, name: &'static str, shim: Option<&Path>) -> Result<Self, Failure> {
        lab.interrupted()?;
        let account = Account::new(&format!("{}/{name}", lab.name()))?;
        let mut node = Self { lab, name, account, daemon: None };
        let folder = node.folder();
        let made = std::fs::create_dir_all(folder.join("bin"))
            .and_then(|()| write_file(&folder.join("config.toml"), node.config().as_bytes(), 0o644))
            .and_then(|()| shim.map_or(Ok(()), |shim| stand_in(shim, &folder.join("bin"))));
        made.map_err(|source| Failure::File { operation: "fill", path: folder, source })?;
        let log = std::fs::File::create_new(node.log());
        let log = log.map_err(|source| Failure::File { operation: "make", path: node.log(), source })?;
        let daemon = node.command().stderr(log).spawn();
        node.daemon =
            Some(daemon.map_err(|source| Failure::Start { program: "containerd".to_owned(), source })?);
        node.answers()?;
        Ok(node)
    }

    /// Where everything is made.
    pub(super) fn lab(&self) -> &'a Lab {
        self.lab
    }

    /// How it is called.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Its processor time.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// `ctr` of this containerd.
    pub(super) fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.socket()).args(["--namespace", NAMESPACE]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// A connection to it.
    ///
    /// # Errors
    /// When it does not listen.
    pub(super) fn connect(&self) -> Result<Containerd, Failure> {
        Containerd::connect(&self.socket())
    }

    /// The bundle that containerd makes for a container.
    pub(super) fn bundle(&self, container: &str) -> PathBuf {
        self.state().join("io.containerd.runtime.v2.task").join(NAMESPACE).join(container)
    }

    fn folder(&self) -> PathBuf {
        self.lab.path(&format!("node-{}", self.name))
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("sock")
    }

    /// What containerd and the shims say.
    fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    /// In memory, as `/run` is.
    fn state(&self) -> PathBuf {
        self.lab.state_of(&format!("node-{}", self.name))
    }

    fn config(&self) -> String {
        let path = |path: PathBuf| path.display().to_string();
        CONFIG
            .replace("SOCKET", &path(self.socket()))
            .replace("ROOT", &path(self.folder().join("root")))
            .replace("STATE", &path(self.state()))
    }

    /// The daemon goes into its group before it starts.
    fn command(&self) -> Command {
        let folder = self.folder();
        let path = format!("{}:{}", folder.join("bin").display(), FOLDERS.join(":"));
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec containerd --log-level error --config \"$1\""]);
        command.arg(self.account.daemon().join("cgroup.procs")).arg(folder.join("config.toml"));
        command.env("PATH", path);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn answers(&mut self) -> Result<(), Failure> {
        let (begun, socket) = (Instant::now(), self.socket());
        while UnixStream::connect(&socket).is_err() {
            self.lab.interrupted()?;
            let ended = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().ok()).flatten();
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let status = ended.map_or("no answer".to_owned(), |status| status.to_string());
                let text = std::fs::read_to_string(self.log()).unwrap_or_default();
                return Err(Failure::Ended { program: "containerd".to_owned(), status, text });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn stand_in(shim: &Path, folder: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(std::fs::canonicalize(shim)?, folder.join(STOCK))
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let begun = Instant::now();
        if let Some(pid) = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        while matches!(daemon.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let group = format!("{}/{}", self.lab.name(), self.name);
        for part in ["containerd", "shims"] {
            Group::new(&format!("{group}/{part}")).kill();
        }
        let _ = daemon.wait();
        cgroups::remove(&group);
    }
}

const CONFIG: &str = r#"
version = 2
root = "ROOT"
state = "STATE"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "SOCKET"
"#;
