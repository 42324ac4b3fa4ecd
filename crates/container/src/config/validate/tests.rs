//! One line for each complaint: the change that provokes it, and its text.

use serde_json::{Value, json};

use super::*;

/// A bundle that is accepted.
fn good() -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["sh"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "hostname": "h",
        "linux": {"namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"}]},
    })
}

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        let bundle = tempfile::tempdir().unwrap();
        std::fs::create_dir(bundle.path().join("rootfs")).unwrap();
        Self(bundle)
    }

    /// What is said when the values at these JSON pointers are replaced.
    fn complaint(&self, changes: &[(&str, Value)]) -> String {
        let mut tree = good();
        for (pointer, value) in changes {
            set(&mut tree, pointer, value.clone());
        }
        let config = Config::parse(tree.to_string().as_bytes()).unwrap();
        match config.validate(self.0.path()) {
            Ok(()) => "accepted".to_owned(),
            Err(error) => error.to_string().replace(self.0.path().to_str().unwrap(), "BUNDLE"),
        }
    }
}

fn set(tree: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let mut at = tree;
    for name in parent.split('/').filter(|name| !name.is_empty()) {
        at = &mut at[name];
    }
    at[key] = value;
}

fn assert_complaints(table: &[(&str, Value, &str)]) {
    let fixture = Fixture::new();
    for (pointer, value, expected) in table {
        let complaint = fixture.complaint(&[(pointer, value.clone())]);
        assert_eq!(complaint, *expected, "{pointer} = {value}");
    }
}

#[test]
fn a_plain_bundle_is_accepted() {
    assert_eq!(Fixture::new().complaint(&[]), "accepted");
}

#[test]
fn what_features_claims_and_newer_minor_versions_are_accepted() {
    use crate::features::{OCI_VERSION_MAX, OCI_VERSION_MIN};
    for good in [OCI_VERSION_MIN, OCI_VERSION_MAX, "1.0.2-dev", "1.3.0", "1.99.0"] {
        assert_eq!(Fixture::new().complaint(&[("/ociVersion", json!(good))]), "accepted", "{good}");
    }
    for bad in ["0.9.0", "2.0.0", "10.0.0", "v1.0.0"] {
        let complaint = Fixture::new().complaint(&[("/ociVersion", json!(bad))]);
        let expected = format!("config.json/ociVersion: version {bad:?} is not supported, every 1.x is");
        assert_eq!(complaint, expected);
    }
}

#[test]
fn a_version_whose_fields_are_not_known_is_told_from_those_that_are() {
    for known in [crate::features::OCI_VERSION_MAX, "1.0.2-dev", "1.3.0", "1.3", "1", "1.x"] {
        assert!(!is_newer_than_known(known), "{known}");
    }
    for newer in ["1.4.0", "1.4.0-dev", "1.10.0", "1.99"] {
        assert!(is_newer_than_known(newer), "{newer}");
    }
}

#[test]
fn root_and_names() {
    assert_complaints(&[
        (
            "/ociVersion",
            json!(""),
            "config.json/ociVersion: absent, but must be the version of the specification, such as 1.2.0",
        ),
        (
            "/ociVersion",
            json!("2.0"),
            "config.json/ociVersion: version \"2.0\" is not supported, every 1.x is",
        ),
        ("/root", json!(null), "config.json/root: absent, but a container needs a root file system"),
        (
            "/root/path",
            json!(""),
            "config.json/root/path: empty, but must be the directory of the root file system",
        ),
        ("/root/path", json!("none"), "config.json/root/path: open BUNDLE/none"),
        (
            "/root/path",
            json!("/"),
            "config.json/root/path: / is the root of the host; use a directory below it",
        ),
        ("/root/path", json!("/proc/version"), "config.json/root/path: /proc/version must be a directory"),
        (
            "/hostname",
            json!("h".repeat(65)),
            "config.json/hostname: 65 bytes long, the kernel takes at most 64",
        ),
        ("/process", json!(null), "config.json/process: absent, but a container needs a program to run"),
    ]);
    let fixture = Fixture::new();
    let no_uts = ("/linux/namespaces", json!([{"type": "mount"}]));
    let expected = "config.json/hostname: set, but without a uts namespace it would rename the host";
    assert_eq!(fixture.complaint(&[no_uts]), expected);
}

#[test]
fn process() {
    assert_complaints(&[
        ("/process/args", json!([]), "config.json/process/args: empty, but must name a program"),
        ("/process/args", json!(["a", "b\0"]), "config.json/process/args/1: holds a NUL byte"),
        ("/process/cwd", json!("a"), "config.json/process/cwd: \"a\" must be an absolute path"),
        (
            "/process/env",
            json!(["A=1", "B"]),
            "config.json/process/env/1: \"B\" must be of the form NAME=value",
        ),
        ("/process/oomScoreAdj", json!(1001), "config.json/process/oomScoreAdj: 1001 must be -1000 to 1000"),
        (
            "/process/user",
            json!({"umask": 512}),
            "config.json/process/user/umask: 512 must be at most 511 (0777)",
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}]),
            "config.json/process/rlimits/0/type: \"RLIMIT_X\" is not a resource limit; must be one of getrlimit(2), such as RLIMIT_NOFILE",
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]),
            "config.json/process/rlimits/0/soft: 2 must not be more than the hard limit, 1",
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CPU"}, {"type": "RLIMIT_CPU"}]),
            "config.json/process/rlimits/1/type: RLIMIT_CPU is there twice",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_FIFO"}),
            "config.json/process/scheduler/priority: 0 must be 1 to 99",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "nice": 20}),
            "config.json/process/scheduler/nice: 20 must be -20 to 19",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "runtime": 1}),
            "config.json/process/scheduler/runtime: set, but only SCHED_DEADLINE has it",
        ),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "config.json/process/ioPriority/priority: 8 must be 0 to 7",
        ),
    ]);
}

#[test]
fn namespaces_and_mappings() {
    let user = |rest: Value| {
        json!({"namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "user"}],
        "uidMappings": rest, "gidMappings": [{"size": 1}]})
    };
    assert_complaints(&[
        (
            "/linux/namespaces",
            json!([{"type": "pid"}]),
            "config.json/linux/namespaces: no mount namespace, but the container's mounts would be made on the host",
        ),
        (
            "/linux/namespaces",
            json!([{"type": "pid"}, {"type": "pid"}]),
            "config.json/linux/namespaces/1/type: pid is there twice",
        ),
        (
            "/linux/namespaces",
            json!([{"type": "network", "path": "x"}]),
            "config.json/linux/namespaces/0/path: \"x\" must be an absolute path",
        ),
        (
            "/linux/namespaces",
            json!([{"type": "network", "path": "/no/such"}]),
            "config.json/linux/namespaces/0/path: open /no/such",
        ),
        (
            "/linux/namespaces",
            json!([{"type": "network", "path": "/proc/self/ns/ipc"}]),
            "config.json/linux/namespaces/0/path: /proc/self/ns/ipc is not a network namespace",
        ),
        (
            "/linux",
            user(json!([])),
            "config.json/linux/uidMappings: empty, but a new user namespace needs at least one mapping",
        ),
        (
            "/linux",
            user(json!([{"size": 0}])),
            "config.json/linux/uidMappings/0/size: 0, but must be at least 1",
        ),
        (
            "/linux",
            user(json!([{"hostID": 4_294_967_295_u32, "size": 1}])),
            "config.json/linux/uidMappings/0/hostID: 4294967295 and 1 ids from there go beyond 4294967294",
        ),
        (
            "/linux",
            user(json!([{"size": 10}, {"containerID": 9, "hostID": 100, "size": 1}])),
            "config.json/linux/uidMappings/1/containerID: overlaps with the ids of mapping 0",
        ),
        (
            "/linux",
            user(json!([{"size": 10, "hostID": 5}, {"containerID": 20, "hostID": 4, "size": 2}])),
            "config.json/linux/uidMappings/1/hostID: overlaps with the ids of mapping 0",
        ),
        (
            "/linux/gidMappings",
            json!([{"size": 1}]),
            "config.json/linux/gidMappings: given, but there is no user namespace in linux/namespaces",
        ),
        (
            "/linux/timeOffsets",
            json!({"monotonic": {"secs": 1}}),
            "config.json/linux/timeOffsets: given, but only a new time namespace can have offsets",
        ),
    ]);
}

#[test]
fn mounts() {
    let one = |rest: Value| json!([rest]);
    assert_complaints(&[
        (
            "/mounts",
            one(json!({"type": "tmpfs"})),
            "config.json/mounts/0/destination: empty, but must be a path inside the container",
        ),
        (
            "/mounts",
            one(json!({"destination": "/a", "type": "proc\0"})),
            "config.json/mounts/0: holds a NUL byte",
        ),
        (
            "/mounts",
            one(json!({"destination": "/a", "options": ["bind"]})),
            "config.json/mounts/0/source: empty, but must be the path to bind",
        ),
        (
            "/mounts",
            one(json!({"destination": "/a", "source": "/b", "options": ["bind", "size=1"]})),
            "config.json/mounts/0/options: \"size=1\" is an option of a file system; a bind mount has none of its own",
        ),
        (
            "/mounts",
            one(json!({"destination": "/a"})),
            "config.json/mounts/0/type: empty, but must be a file system, or one option bind or rbind",
        ),
        (
            "/mounts",
            one(json!({"destination": "/a", "type": "proc", "options": ["tmpcopyup"]})),
            "config.json/mounts/0/options: tmpcopyup is for mounts of type tmpfs only",
        ),
        (
            "/mounts",
            one(json!({"destination": "/a", "type": "tmpfs", "options": ["idmap"]})),
            "config.json/mounts/0/options: only bind mounts can be id-mapped",
        ),
        (
            "/mounts",
            one(json!({"destination": "/a", "source": "/b", "options": ["bind", "idmap"]})),
            "config.json/mounts/0/uidMappings: empty, but an id-mapped mount needs user and group mappings",
        ),
        ("/mounts", one(json!({"destination": "a", "type": "tmpfs"})), "accepted"),
    ]);
}

#[test]
fn kernel_parameters() {
    let one = |name: &str| json!({name: "1"});
    assert_complaints(&[
        ("/linux/sysctl", one("net.ipv4.ip_forward"), "accepted"),
        ("/linux/sysctl", one("kernel.shmmni"), "accepted"),
        ("/linux/sysctl", one("fs/mqueue/msg_max"), "accepted"),
        ("/linux/sysctl", one("kernel.domainname"), "accepted"),
        (
            "/linux/sysctl",
            one("kernel.hostname"),
            "config.json/linux/sysctl/kernel.hostname: is set by hostname; leave it out here",
        ),
        (
            "/linux/sysctl",
            one("vm.swappiness"),
            "config.json/linux/sysctl/vm.swappiness: belongs to no namespace, so that it would be changed for the whole host",
        ),
        (
            "/linux/sysctl",
            one("user.max_user_namespaces"),
            "config.json/linux/sysctl/user.max_user_namespaces: needs a user namespace, else it would be changed for the whole host",
        ),
        (
            "/linux/sysctl",
            one("net/../kernel/sysrq"),
            "config.json/linux/sysctl/net~1..~1kernel~1sysrq: is not the name of a kernel parameter",
        ),
    ]);
    let own = json!([{"type": "mount"}, {"type": "uts"}, {"type": "network", "path": "/proc/self/ns/net"}]);
    let changes = [("/linux/namespaces", own), ("/linux/sysctl", one("net.ipv4.ip_forward"))];
    let expected =
        "config.json/linux/sysctl/net.ipv4.ip_forward: the network namespace /proc/self/ns/net is the host's";
    assert_eq!(Fixture::new().complaint(&changes), expected);
}

#[test]
fn hooks_devices_and_the_rest() {
    assert_complaints(&[
        (
            "/hooks",
            json!({"poststop": [{"path": "x"}]}),
            "config.json/hooks/poststop/0/path: \"x\" must be an absolute path",
        ),
        (
            "/hooks",
            json!({"prestart": [{"path": "/x", "timeout": 0}]}),
            "config.json/hooks/prestart/0/timeout: 0 must be more than 0 seconds",
        ),
        (
            "/linux/devices",
            json!([{"path": "d", "type": "c"}]),
            "config.json/linux/devices/0/path: \"d\" must be an absolute path",
        ),
        (
            "/linux/devices",
            json!([{"path": "/d", "type": "b", "major": -1}]),
            "config.json/linux/devices/0/major: -1 must be 0 to 4095",
        ),
        ("/linux/devices", json!([{"path": "/d", "type": "p", "major": -1}]), "accepted"),
        (
            "/linux/rootfsPropagation",
            json!("zebra"),
            "config.json/linux/rootfsPropagation: \"zebra\" must be private, slave, shared or unbindable, or one of them with a leading r",
        ),
        (
            "/linux/personality",
            json!({"domain": "X"}),
            "config.json/linux/personality/domain: \"X\" must be LINUX or LINUX32",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND"}),
            "config.json/linux/memoryPolicy: not supported yet",
        ),
        ("/linux/netDevices", json!({"eth0": {}}), "config.json/linux/netDevices/eth0: not supported yet"),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mknod"], "action": "SCMP_ACT_NOTIFY"}]}),
            "config.json/linux/seccomp/listenerPath: absent, but a rule with SCMP_ACT_NOTIFY needs the socket of its listener",
        ),
    ]);
}
