//! Puts a `config.json` together, starting from what a container engine usually sends.

use serde_json::{Value, json};

/// A `config.json` under construction.
#[derive(Debug, Clone)]
pub struct Config(Value);

/// Docker's default capabilities.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// A container that sleeps, isolated the way Docker does it but without limits and seccomp.
    #[must_use]
    pub fn new() -> Self {
        Self(json!({
            "ociVersion": "1.0.2",
            "process": process(),
            "root": {"path": "rootfs", "readonly": false},
            "hostname": "sluice-test",
            "mounts": mounts(),
            "linux": linux(),
        }))
    }

    /// The container's program and arguments.
    #[must_use]
    pub fn args(self, arguments: &[&str]) -> Self {
        self.set("/process/args", json!(arguments))
    }

    /// The container's program is a shell that runs `script`.
    #[must_use]
    pub fn script(self, script: &str) -> Self {
        self.args(&["sh", "-c", script])
    }

    /// Appends to the container's environment.
    #[must_use]
    pub fn env(self, entry: &str) -> Self {
        self.push("/process/env", json!(entry))
    }

    /// Sets the value at a JSON pointer; objects on the way are made.
    ///
    /// # Panics
    /// When the pointer leads through a value that is no object.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        *self.slot(pointer) = value;
        self
    }

    /// Removes the member at a JSON pointer.
    ///
    /// # Panics
    /// When its parent is no object.
    #[must_use]
    pub fn remove(mut self, pointer: &str) -> Self {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        self.slot(parent).as_object_mut().unwrap().remove(member);
        self
    }

    /// Appends to the array at a JSON pointer; it is made when missing.
    ///
    /// # Panics
    /// When there is something else at the pointer.
    #[must_use]
    pub fn push(mut self, pointer: &str, value: Value) -> Self {
        let slot = self.slot(pointer);
        if slot.is_null() {
            *slot = json!([]);
        }
        slot.as_array_mut().unwrap().push(value);
        self
    }

    /// Adds a mount.
    #[must_use]
    pub fn mount(self, destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        let mount = json!({"destination": destination, "type": kind, "source": source, "options": options});
        self.push("/mounts", mount)
    }

    /// Replaces the namespace of this kind: new when `path` is `None`, else the one at `path`.
    #[must_use]
    pub fn namespace(self, kind: &str, path: Option<&str>) -> Self {
        let entry = path.map_or_else(|| json!({"type": kind}), |path| json!({"type": kind, "path": path}));
        self.without_namespace(kind).push("/linux/namespaces", entry)
    }

    /// Shares the namespace of this kind with the runtime.
    ///
    /// # Panics
    /// Never: the list is there from the start.
    #[must_use]
    pub fn without_namespace(mut self, kind: &str) -> Self {
        self.slot("/linux/namespaces").as_array_mut().unwrap().retain(|entry| entry["type"] != kind);
        self
    }

    /// Adds a hook of this kind that runs `script` in a shell.
    #[must_use]
    pub fn hook(self, kind: &str, script: &str) -> Self {
        self.push(&format!("/hooks/{kind}"), json!({"path": "/bin/sh", "args": ["sh", "-c", script]}))
    }

    /// A new user namespace in which the ids 0..65536 are `first_id`.. on the host.
    #[must_use]
    pub fn user_namespace(self, first_id: u32) -> Self {
        let map = json!([{"containerID": 0, "hostID": first_id, "size": 65536}]);
        self.namespace("user", None).set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    }

    /// Gives all five sets exactly these capabilities.
    #[must_use]
    pub fn capabilities(self, names: &[&str]) -> Self {
        self.set("/process/capabilities", capability_sets(names))
    }

    /// The JSON as it stands.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    fn slot(&mut self, pointer: &str) -> &mut Value {
        let mut at = &mut self.0;
        for member in pointer.split('/').skip(1) {
            at = match member.parse::<usize>() {
                Ok(index) if at.is_array() => &mut at[index],
                _ => &mut at[member],
            };
        }
        at
    }
}

/// The five capability sets of a process, for `config.json` and for `exec --process`.
#[must_use]
pub fn capability_sets(names: &[&str]) -> Value {
    json!({"bounding": names, "effective": names, "permitted": names})
}

fn process() -> Value {
    json!({
        "terminal": false,
        "user": {"uid": 0, "gid": 0},
        "args": ["sleep", "1000000"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "capabilities": capability_sets(&CAPABILITIES),
        "noNewPrivileges": false,
    })
}

fn mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    ])
}

fn linux() -> Value {
    json!({
        "resources": {"devices": [{"allow": false, "access": "rwm"}]},
        "namespaces": [
            {"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"},
        ],
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    })
}
