//! A state directory that takes no more: full, read-only, or no descriptor left. The file is named, the former state is
//! whole, and nothing half-made stays.

use std::fs;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use serde_json::json;
use testkit::{Cmd, Config, Container, Lab, hang, hierarchy};

use crate::ours;

/// A state root on a small file system of its own.
struct SmallRoot<'lab> {
    lab: &'lab Lab,
    root: PathBuf,
}

impl<'lab> SmallRoot<'lab> {
    fn new(lab: &'lab Lab) -> Self {
        let root = lab.path("small");
        fs::create_dir(&root).unwrap();
        mount("none", &root, "tmpfs", MountFlags::empty(), Some(c"size=256k,nr_inodes=64")).unwrap();
        SmallRoot { lab, root }
    }

    fn rt(&self, arguments: &[&str]) -> Cmd {
        self.lab.program(self.lab.binary()).args(["--root"]).args([&self.root]).args(arguments)
    }

    fn create(&self, container: &Container<'_>) -> Cmd {
        self.rt(&["create", "--bundle", container.bundle().to_str().unwrap(), container.id()])
    }

    /// Fills it up to the last byte.
    fn fill(&self) {
        let path = self.root.join(".ballast");
        let full = fs::write(&path, vec![1; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(self.root.join(".ballast")).unwrap();
    }

    fn remount(&self, flags: MountFlags) {
        // Kernel: read-only is refused while a removed file is still open, and a process that has just called execve
        // closes its last ones a moment after it is seen to have done so.
        let remount = || match mount_remount(&self.root, flags, "") {
            Err(Errno::BUSY) => false,
            other => other.map(|()| true).unwrap(),
        };
        hang::eventually("the remount", remount);
    }

    /// Names of the state root but for the ballast.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.root).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".ballast").collect()
    }

    fn files_of(&self, id: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.join(id))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    fn status(&self, id: &str) -> String {
        self.rt(&["state", id]).ok().json()["status"].as_str().unwrap().to_owned()
    }
}

impl Drop for SmallRoot<'_> {
    fn drop(&mut self) {
        let _gone = unmount(&self.root, UnmountFlags::DETACH);
    }
}

fn limited() -> Config {
    Config::new().set("/linux/resources/pids", json!({"limit": 1000}))
}

/// `update` and `create` while nothing can be written; everything that only reads, or only removes, still works.
fn assert_survives(lab: &Lab, small: &SmallRoot<'_>, words: &str, stop: impl Fn(), go: impl Fn()) {
    let (c, other) = (lab.bundle(&limited()), lab.bundle(&Config::new()));
    small.create(&c).ok();
    small.rt(&["start", c.id()]).ok();
    let (files, state) =
        (small.files_of(c.id()), fs::read(small.root.join(c.id()).join("state.json")).unwrap());
    stop();
    let refused = small.rt(&["update", "--pids-limit", "999", c.id()]).run().code(1);
    refused
        .says(small.root.join(c.id()).join("state.json").to_str().unwrap())
        .says(words)
        .says("former state is intact");
    assert_eq!(c.read_control("pids", "pids.max"), "1000", "the kernel's value is back");
    assert_eq!(fs::read(small.root.join(c.id()).join("state.json")).unwrap(), state);
    small.create(&other).run().code(1).says(small.root.join(other.id()).to_str().unwrap()).says(words);
    assert!(hierarchy::existing(&other.group()).is_empty(), "no group of a container that was not made");
    assert_eq!(small.names(), [c.id()], "no directory of a container that was not made");
    assert_eq!(small.files_of(c.id()), files, "no temporary file");
    assert_eq!(small.status(c.id()), "running");
    small.rt(&["exec", c.id(), "true"]).ok();
    small.rt(&["pause", c.id()]).ok();
    small.rt(&["resume", c.id()]).ok();
    go();
    small.rt(&["update", "--pids-limit", "999", c.id()]).ok();
    assert_eq!(c.read_control("pids", "pids.max"), "999");
    small.rt(&["delete", "--force", c.id()]).ok();
    assert_eq!(small.names(), [""; 0]);
}

#[test]
fn a_full_state_directory_changes_nothing() {
    ours(|lab| {
        let small = SmallRoot::new(lab);
        assert_survives(lab, &small, "ENOSPC", || small.fill(), || small.free());
    });
}

#[test]
fn a_read_only_state_directory_changes_nothing() {
    ours(|lab| {
        let small = SmallRoot::new(lab);
        let (stop, go) = (|| small.remount(MountFlags::RDONLY), || small.remount(MountFlags::empty()));
        assert_survives(lab, &small, "EROFS", stop, go);
    });
}

#[test]
fn a_container_is_deleted_from_a_full_state_directory() {
    ours(|lab| {
        let small = SmallRoot::new(lab);
        let mark = lab.path("poststop");
        let c = lab.bundle(&Config::new().hook("poststop", &format!("touch {}", mark.display())));
        small.create(&c).ok();
        small.fill();
        small.rt(&["delete", "--force", c.id()]).ok();
        assert_eq!(small.names(), [""; 0]);
        assert!(mark.exists(), "the hook ran");
    });
}

#[test]
fn a_container_that_cannot_leave_a_read_only_directory_is_named() {
    ours(|lab| {
        let small = SmallRoot::new(lab);
        let c = lab.bundle(&Config::new());
        small.create(&c).ok();
        small.remount(MountFlags::RDONLY);
        let path = small.root.join(c.id());
        small.rt(&["delete", "--force", c.id()]).run().code(1).says(path.to_str().unwrap()).says("EROFS");
        assert_eq!(small.status(c.id()), "stopped");
        small.remount(MountFlags::empty());
        small.rt(&["delete", "--force", c.id()]).ok();
        assert_eq!(small.names(), [""; 0]);
    });
}

/// Every limit of descriptors from too few for anything to just enough.
#[test]
fn too_few_descriptors_change_nothing() {
    ours(|lab| {
        let c = lab.started(&limited());
        let state = || fs::read(lab.root().join(c.id()).join("state.json")).unwrap();
        let (before, mut refused) = (state(), 0);
        for limit in 4..24 {
            let under = |command: Cmd| command.through_shell(&format!("ulimit -n {limit}"));
            let update = under(c.verb("update", &["--pids-limit", "999"], &[])).run();
            if update.status.success() {
                break;
            }
            refused += 1;
            assert!(update.stderr.contains("too many open files"), "{update}");
            assert_eq!(c.read_control("pids", "pids.max"), "1000", "with {limit} descriptors: {update}");
            assert_eq!(state(), before, "{update}");
            let exec = under(c.exec_with(&[], &["true"])).run();
            assert!(
                exec.status.success() || exec.stderr.to_lowercase().contains("too many open files"),
                "{exec}"
            );
        }
        assert!(refused > 0, "some limit was too low");
        assert_eq!(c.read_control("pids", "pids.max"), "999");
    });
}

#[test]
fn a_create_with_too_few_descriptors_leaves_nothing() {
    ours(|lab| {
        let c = lab.bundle(&limited());
        let mut refused = 0;
        for limit in 4..64 {
            let create = c.create_with(&[]).through_shell(&format!("ulimit -n {limit}")).run();
            if create.status.success() {
                break;
            }
            refused += 1;
            assert!(create.stderr.to_lowercase().contains("too many open files"), "{create}");
            crate::leftovers::assert_none(lab, &c.group(), &format!("create with {limit} descriptors"));
        }
        assert!(refused > 0, "some limit was too low");
        assert_eq!(c.status(), "created");
    });
}

/// A disk that fails: the system call and what it answers are chosen by the tracer.
#[test]
fn a_failing_disk_changes_nothing() {
    ours(|lab| {
        let c = lab.started(&limited());
        let path = lab.root().join(c.id()).join("state.json");
        let whole = fs::read(&path).unwrap();
        for call in ["fdatasync", "renameat"] {
            let update = c.verb("update", &["--pids-limit", "999"], &[]);
            let refused = failing(lab, call, &update).run().code(1);
            refused.says(path.to_str().unwrap()).says("input/output error");
            assert_eq!(c.read_control("pids", "pids.max"), "1000", "{call}");
            assert_eq!(fs::read(&path).unwrap(), whole, "{call}");
        }
        let other = lab.bundle(&limited());
        for call in ["fdatasync", "renameat2", "mkdirat", "mknodat"] {
            let create = failing(lab, call, &other.create_with(&[])).run();
            assert!(
                !create.status.success() && create.stderr.contains("nput/output error"),
                "{call}: {create}"
            );
            assert!(!lab.root().join(other.id()).exists(), "{call}");
            assert!(hierarchy::existing(&other.group()).is_empty(), "{call}");
        }
    });
}

fn failing(lab: &Lab, name: &str, command: &Cmd) -> Cmd {
    let inject = format!("inject={name}:error=EIO");
    let trace = lab.path("trace").display().to_string();
    lab.program("strace")
        .args(["-qq", "-o", &trace, "-e", &format!("trace={name}"), "-e", &inject])
        .args(command.words())
}
