//! A held container tells the truth: what changes between two execs is seen by the second.
//!
//! The library forks, so the story runs in a process of its own: this very binary once more. Needs root and busybox;
//! says so when it skips.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use container::create::{CreateRequest, Keyring, Pivot, Terminal};
use container::delete::Force;
use container::exec::{ExecProcess, ExecRequest, Overrides};
use container::held::Held;
use container::{ContainerId, Error, Status, Store};
use launch::process::{Reap, ended, wait_dead};
use launch::{Ended, Process};
use serde_json::json;

const FOLDER: &str = "SLUICE_TEST_FOLDER";

/// What the kernel may take for the end of a killed or told process.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn what_changes_between_two_execs_is_seen_by_the_second() {
    if !rustix::process::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
        eprintln!("SKIPPED: root and /bin/busybox are needed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut story = Command::new(std::env::current_exe().unwrap());
    story.args(["--exact", "story", "--ignored", "--nocapture", "--test-threads=1"]);
    assert!(story.env(FOLDER, folder.path()).status().unwrap().success());
}

/// Not a test by itself.
#[test]
#[ignore = "run by the test, in a process of its own"]
fn story() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let lab = Lab::new(&folder);
    let mut held = Held::open(&lab.store, &lab.id).unwrap();
    assert_eq!(lab.exec(&mut held, "exit 7").unwrap(), Ended::Exited(7));

    // Somebody replaces the record, as `update` does: the next exec is one by the new record.
    let entry = lab.store.entry(&lab.id).unwrap();
    let mut record = entry.read().unwrap();
    record.process.env.push("NEWS=read".to_owned());
    entry.write(&record).unwrap();
    assert_eq!(lab.exec(&mut held, "[ \"$NEWS\" = read ]").unwrap(), Ended::Exited(0));

    // A limit that is written past the runtime, as a node's agent may: the record stays, the files are open already.
    lab.write_pids_max(&record, "1");
    let refused = lab.exec(&mut held, "true").map_err(|error| container::chain(&error));
    assert!(refused.as_ref().is_err_and(|text| text.contains("process limit")), "{refused:?}");
    lab.write_pids_max(&record, "max");
    assert_eq!(lab.exec(&mut held, "true").unwrap(), Ended::Exited(0));

    lab.exec_in_a_nested_group(&mut held, &record);

    container::pause::pause(&lab.store, &lab.id).unwrap();
    let refused = lab.exec(&mut held, "true");
    assert!(matches!(refused, Err(Error::CannotExec { status: Status::Paused })), "{refused:?}");
    container::resume::resume(&lab.store, &lab.id).unwrap();
    assert_eq!(lab.exec(&mut held, "true").unwrap(), Ended::Exited(0));

    lab.kill_init(&record);
    let refused = lab.exec(&mut held, "true");
    assert!(matches!(refused, Err(Error::CannotExec { status: Status::Stopped })), "{refused:?}");
    container::delete::delete(&lab.store, &lab.id, Force::Yes).unwrap();
    let refused = lab.exec(&mut held, "true");
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
}

/// A running container; dropping it deletes it.
struct Lab {
    store: Store,
    id: ContainerId,
}

impl Lab {
    fn new(folder: &Path) -> Self {
        let root = folder.join("rootfs/bin");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir(folder.join("rootfs/proc")).unwrap();
        std::fs::copy("/bin/busybox", root.join("busybox")).unwrap();
        let id = ContainerId::parse(&format!("sluice-test-held-{}", std::process::id())).unwrap();
        let namespaces = ["pid", "mount", "ipc", "uts"].map(|kind| json!({ "type": kind }));
        let config = json!({
            "ociVersion": "1.0.2",
            "root": { "path": "rootfs" },
            "process": {
                "user": { "uid": 0, "gid": 0 }, "cwd": "/", "env": ["PATH=/bin"],
                "args": ["/bin/busybox", "sleep", "1000"]
            },
            "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
            "linux": {
                "cgroupsPath": format!("/{id}"),
                "namespaces": namespaces,
                "seccomp": { "defaultAction": "SCMP_ACT_ALLOW" }
            }
        });
        #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let lab = Self { store: Store::make(&folder.join("state")).unwrap(), id };
        container::run::detached(&lab.store, &lab.creation(folder)).unwrap();
        lab
    }

    fn creation(&self, bundle: &Path) -> CreateRequest {
        CreateRequest {
            id: self.id.clone(),
            bundle: bundle.to_owned(),
            console_socket: None,
            pidfd_socket: None,
            pid_file: None,
            pivot: Pivot::PivotRoot,
            keyring: Keyring::Inherit,
            preserve_fds: 0,
            listen_fds: 0,
            inherited: 0,
            notify_socket: None,
            terminal: Terminal::Socket,
            rootless: container::Rootless::No,
            driver: container::placement::Driver::Cgroupfs,
        }
    }

    fn exec_in_a_nested_group(&self, held: &mut Held, record: &container::record::Record) {
        let Some(group) = record.cgroup.unified.as_ref().map(|group| group.join("one")) else { return };
        std::fs::create_dir(&group).unwrap();
        let directory = Arc::new(std::fs::File::open(&group).unwrap().into());
        let found = "grep -q '^0::.*/one$' /proc/self/cgroup";
        let ended = self.exec_nested(held, found, Some(directory)).unwrap();
        assert_eq!(ended, Ended::Exited(0));
        assert_eq!(self.exec(held, found).unwrap(), Ended::Exited(1));
        std::fs::remove_dir(&group).unwrap();
    }

    fn exec(&self, held: &mut Held, script: &str) -> Result<Ended, Error> {
        self.exec_nested(held, script, None)
    }

    fn exec_nested(
        &self,
        held: &mut Held,
        script: &str,
        nested: Option<Arc<OwnedFd>>,
    ) -> Result<Ended, Error> {
        let args = ["/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec();
        let process = ExecProcess::Derived(Overrides { args, ..Overrides::default() });
        let running = held.exec(&ExecRequest { nested, ..ExecRequest::new(self.id.clone(), process) })?;
        let process = Process { pid: running.pid, pidfd: running.pidfd };
        assert!(wait_dead(process.pidfd.as_fd(), LIMIT).unwrap());
        Ok(ended(&process, Reap::Yes).unwrap().unwrap())
    }

    fn write_pids_max(&self, record: &container::record::Record, value: &str) {
        let group = record.cgroup.v1("pids").or(record.cgroup.unified.as_deref()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a control file of the test's own group")]
        std::fs::write(group.join("pids.max"), value).unwrap();
    }

    fn kill_init(&self, record: &container::record::Record) {
        const KILL: i32 = 9;
        let proc = proc::Procfs::host().unwrap();
        let init = container::status::find(&proc, record.init.unwrap()).unwrap().unwrap();
        container::kill::kill(&self.store, &self.id, KILL, container::kill::Scope::Init).unwrap();
        assert!(wait_dead(init.pidfd.as_fd(), LIMIT).unwrap());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = container::delete::delete(&self.store, &self.id, Force::Yes) {
            eprintln!("{}", container::chain(&error));
        }
    }
}
