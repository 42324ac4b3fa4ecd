//! The `config.json` of the demonstration's containers.

use serde_json::{Value, json};

/// Limits that leave room: the situations fill them.
pub(super) const PIDS: u64 = 20;
/// In bytes.
pub(super) const MEMORY: u64 = 64 << 20;

/// A container with its own namespaces whose first process is `program`.
pub(super) fn config(rootfs: &str, cgroup: &str, program: &[&str]) -> Value {
    let namespaces = ["pid", "ipc", "uts", "mount", "network"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": rootfs, "readonly": true },
        "hostname": "demo",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": program,
            "env": ["PATH=/bin", "HOME=/"],
            "cwd": "/",
            "noNewPrivileges": true
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"] }
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": { "pids": { "limit": PIDS }, "memory": { "limit": MEMORY } },
            "namespaces": namespaces
        }
    })
}
