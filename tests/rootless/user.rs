//! An ordinary user with delegated ids and a systemd of their own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::command::{Cmd, Output};
use testkit::hang::eventually;
use testkit::{Lab, partner, process};

/// The account; made when it is missing.
const NAME: &str = "alice";

/// The user with one runtime and a directory that is theirs.
pub(crate) struct User<'lab> {
    lab: &'lab Lab,
    /// User and group id.
    pub(crate) uid: u32,
    binary: PathBuf,
}

impl<'lab> User<'lab> {
    /// `None`, said aloud, where systemd is not the first process.
    pub(crate) fn of(lab: &'lab Lab) -> Option<Self> {
        if !Path::new("/run/systemd/system").is_dir() {
            partner::not_run("systemd is not PID 1 here, so a user has no manager to delegate groups");
            return None;
        }
        for program in ["runuser", "loginctl", "systemd-run", "newuidmap"] {
            partner::find(program)?;
        }
        let uid = account(lab);
        let user = Self { lab, uid, binary: lab.path("bin/runtime") };
        // Whatever directory the runtime is in, the user may not be allowed to enter it.
        user.directory("bin");
        fs::copy(lab.binary(), &user.binary).unwrap();
        fs::set_permissions(&user.binary, fs::Permissions::from_mode(0o755)).unwrap();
        user.directory("home");
        user.directory("user-root");
        Some(user)
    }

    /// A directory of the lab that belongs to the user.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.lab.path(name);
        fs::create_dir_all(&path).unwrap();
        chown(&path, Some(self.uid), Some(self.uid)).unwrap();
        path
    }

    /// Where the user's manager and runtimes keep what lives as long as they do.
    pub(crate) fn runtime_directory(&self) -> PathBuf {
        PathBuf::from(format!("/run/user/{}", self.uid))
    }

    /// A program as the user.
    pub(crate) fn program(&self, words: &[&str]) -> Cmd {
        let runtime = self.runtime_directory();
        let set = |name: &str, value: String| format!("{name}={value}");
        let environment = [
            set("HOME", self.lab.path("home").display().to_string()),
            set("USER", NAME.to_owned()),
            set("XDG_RUNTIME_DIR", runtime.display().to_string()),
            set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/bus", runtime.display())),
        ];
        let become_user = self.lab.program("runuser").args(["-u", NAME, "--", "env"]);
        become_user.args(environment).args(words).cwd(self.lab.path("home"))
    }

    /// A program as the user, in a group of its own that is delegated to them.
    pub(crate) fn delegated(&self, words: &[&str]) -> Cmd {
        let scope = ["systemd-run", "--user", "--scope", "--quiet", "--property=Delegate=yes", "--"];
        self.program(&[&scope[..], words].concat())
    }

    /// Path of the runtime.
    pub(crate) fn binary(&self) -> String {
        self.binary.display().to_string()
    }

    /// The runtime's words with a state root of the lab.
    pub(crate) fn words(&self, arguments: &[&str]) -> Vec<String> {
        let root = self.lab.path("user-root").display().to_string();
        let own = [self.binary(), "--root".to_owned(), root];
        own.into_iter().chain(arguments.iter().map(|word| (*word).to_owned())).collect()
    }

    /// The runtime as the user.
    pub(crate) fn rt(&self, arguments: &[&str]) -> Cmd {
        let words = self.words(arguments);
        self.program(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The runtime as the user, in a delegated group.
    pub(crate) fn rt_delegated(&self, arguments: &[&str]) -> Cmd {
        let words = self.words(arguments);
        self.delegated(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A bundle as the runtime's own `spec --rootless` makes it, without terminal, after a change.
    pub(crate) fn bundle(&self, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let directory = self.directory(name);
        if !directory.join("rootfs").exists() {
            self.root(&directory.join("rootfs"));
        }
        let file = directory.join("config.json");
        let _absent = fs::remove_file(&file);
        let path = directory.display().to_string();
        self.program(&[&self.binary(), "spec", "--rootless", "--bundle", &path]).ok();
        let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["root"]["readonly"] = json!(false);
        change(&mut config);
        self.lab.write(&format!("{name}/config.json"), &config.to_string());
        path
    }

    /// A root that belongs to the user, with no more than the tests call.
    fn root(&self, root: &Path) {
        for part in ["bin", "dev", "proc", "sys", "tmp"] {
            fs::create_dir_all(root.join(part)).unwrap();
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("/bin/busybox of package busybox-static");
        for applet in ["cat", "chown", "id", "readlink", "sh", "sleep", "test", "touch", "true", "tty"] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        self.lab.program("chown").args(["-R", NAME]).args([root]).ok();
    }

    /// A bundle whose program is a shell with this script.
    pub(crate) fn script(&self, name: &str, script: &str) -> String {
        self.bundle(name, |config| config["process"]["args"] = json!(["sh", "-c", script]))
    }

    /// A container that sleeps, made by the user outside of any delegated group.
    pub(crate) fn sleeper(&self, id: &str) -> i32 {
        let bundle = self.script(id, "exec sleep 1000000");
        self.rt(&["run", "--detach", "--bundle", &bundle, id]).ok();
        self.pid(id)
    }

    /// Pid of a container's init.
    pub(crate) fn pid(&self, id: &str) -> i32 {
        let pid = self.rt(&["state", id]).ok().json()["pid"].as_i64().unwrap();
        let pid = i32::try_from(pid).unwrap();
        eventually("init to run its program", || process::status_line(pid, "Name") == "sleep");
        pid
    }

    /// Deletes a container, whatever it does.
    pub(crate) fn delete(&self, id: &str) -> Output {
        self.rt(&["delete", "--force", id]).ok()
    }

    /// First id and count of what is delegated to the user in `/etc/subuid`.
    pub(crate) fn delegated_ids(&self) -> (u32, u32) {
        let text = fs::read_to_string("/etc/subuid").unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{NAME}:"))).unwrap();
        let mut numbers = line.split(':').skip(1).map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

/// Makes the account and its manager, once for all tests; gives the uid.
fn account(lab: &Lab) -> u32 {
    static ONCE: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *ONCE.get_or_init(|| {
        let id = || lab.program("id").args(["-u", NAME]).run();
        if !id().status.success() {
            lab.program("useradd").args(["--create-home", "--shell", "/bin/sh", NAME]).ok();
        }
        let uid = id().ok().stdout.trim().parse().unwrap();
        lab.program("loginctl").args(["enable-linger", NAME]).ok();
        let bus = PathBuf::from(format!("/run/user/{uid}/bus"));
        eventually("the user's manager", || bus.exists());
        uid
    })
}
