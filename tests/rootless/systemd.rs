//! A user whose containers are in scopes of the user's own systemd.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use testkit::hang::eventually;
use testkit::{Lab, conformance};

use crate::user::User;

/// A container that is to be in a scope of the user's slice.
struct Scope<'a> {
    user: &'a User<'a>,
    id: String,
    bundle: String,
}

impl<'a> Scope<'a> {
    fn new(lab: &Lab, user: &'a User<'a>) -> Self {
        let id = id(lab);
        let bundle = user.bundle("b", |config| {
            config["process"]["args"] = json!(["sleep", "1000000"]);
            config["linux"]["cgroupsPath"] = json!(format!("user.slice:sluicetest:{id}"));
            config["linux"]["resources"] = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}});
        });
        Self { user, id, bundle }
    }

    fn unit(&self) -> String {
        format!("sluicetest-{}.scope", self.id)
    }

    /// A property of its unit, as the user's systemd tells it.
    fn property(&self, name: &str) -> String {
        let words = ["systemctl", "--user", "show", "--value", "--property", name, &self.unit()];
        self.user.program(&words).ok().stdout.trim().to_owned()
    }

    fn directory(&self) -> PathBuf {
        let uid = self.user.uid;
        let above = format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/user.slice");
        PathBuf::from(above).join(self.unit())
    }

    #[track_caller]
    fn assert_limits(&self, memory: &str, pids: &str) {
        let read = |file: &str| fs::read_to_string(self.directory().join(file)).unwrap().trim().to_owned();
        assert_eq!((read("memory.max").as_str(), read("pids.max").as_str()), (memory, pids));
        assert_eq!((self.property("MemoryMax").as_str(), self.property("TasksMax").as_str()), (memory, pids));
    }

    fn delete(&self) {
        self.user.delete(&self.id);
        eventually("systemd to forget the unit", || self.property("LoadState") == "not-found");
        assert!(!self.directory().exists(), "{} is left", self.directory().display());
    }
}

/// A name that no other test has: that of the lab's directory.
fn id(lab: &Lab) -> String {
    lab.path("").file_name().unwrap().to_string_lossy().into_owned()
}

conformance! {
    fn a_users_systemd_makes_the_scope(lab) {
        let Some(user) = User::of(lab) else { return };
        let scope = Scope::new(lab, &user);
        let id = scope.id.as_str();
        user.rt(&["--systemd-cgroup", "run", "--detach", "--bundle", &scope.bundle, id]).ok();
        user.pid(id);
        assert_eq!((scope.property("ActiveState"), scope.property("Slice")), ("active".into(), "user.slice".into()));
        scope.assert_limits("67108864", "20");

        lab.step("exec, from within what is delegated");
        user.rt_delegated(&["exec", id, "id", "-u"]).ok().prints("0");

        lab.step("update, and a reload of the user's systemd");
        user.rt(&["update", "--memory", "33554432", "--pids-limit", "21", id]).ok();
        user.program(&["systemctl", "--user", "daemon-reload"]).ok();
        scope.assert_limits("33554432", "21");

        lab.step("pause and resume");
        user.rt(&["pause", id]).ok();
        assert_eq!(user.rt(&["state", id]).ok().json()["status"], json!("paused"));
        user.rt(&["resume", id]).ok();
        scope.delete();
    }

    fn a_user_without_an_environment_finds_the_bus(lab) {
        let Some(user) = User::of(lab) else { return };
        if lab.reference_lacks("a bus that no variable names") {
            return;
        }
        let scope = Scope::new(lab, &user);
        let bare = ["env", "--unset=DBUS_SESSION_BUS_ADDRESS", "--unset=XDG_RUNTIME_DIR"];
        let words = user.words(&["--systemd-cgroup", "run", "--detach", "--bundle", &scope.bundle, &scope.id]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        user.program(&[&bare[..], &words].concat()).ok();
        user.pid(&scope.id);
        assert_eq!(scope.property("ActiveState"), "active");
        scope.delete();
    }

    fn root_of_a_users_namespace_finds_the_users_bus(lab) {
        let Some(user) = User::of(lab) else { return };
        if lab.reference_lacks("a bus that no variable names") {
            return;
        }
        let path = json!(format!("user.slice:sluicetest:{}", id(lab)));
        let bundle = user.bundle("b", |config| {
            for field in ["uidMappings", "gidMappings"] {
                config["linux"][field] = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
            }
            config["process"]["args"] = json!(["cat", "/proc/self/cgroup"]);
            config["linux"]["cgroupsPath"] = path;
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "cgroup");
        });
        let namespace = ["unshare", "--user", "--map-root-user", "env"];
        let bare = ["--unset=DBUS_SESSION_BUS_ADDRESS", "--unset=XDG_RUNTIME_DIR"];
        let words = user.words(&["--systemd-cgroup", "run", "--bundle", &bundle, "c"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = user.program(&[&namespace[..], &bare, &words].concat()).ok();
        let scope = format!("/user.slice/sluicetest-{}.scope", id(lab));
        assert!(output.stdout.trim().ends_with(&scope), "{output}");
    }
}
