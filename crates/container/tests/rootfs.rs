//! The root file system in real namespaces, compared with what runc makes of the same bundle.
//!
//! Each case writes a bundle and runs this very binary once more under `unshare(1)`, where [`inside`] calls the
//! library as init does and then executes the bundle's own program. Needs root and busybox; says so when it skips.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test")]

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use container::config::Config;
use container::rootfs::{ChangeRoot, Prepared, Request};
use proc::Procfs;
use serde_json::{Value, json};

const BUNDLE: &str = "SLUICE_TEST_BUNDLE";

/// Not a test: what runs in the new namespaces.
#[test]
#[ignore = "run by the other tests, under unshare"]
fn inside() {
    let mut id_mapped = std::collections::BTreeMap::new();
    let bundle = PathBuf::from(std::env::var_os(BUNDLE).expect("run by the other tests"));
    let proc = Procfs::host().unwrap();
    let config = Config::load(&bundle).unwrap();
    if let Some(namespace) = config.annotations.get("id-mapped by") {
        id_mapped.insert(config.mounts.len() - 1, map_ids(&bundle.join("source"), Path::new(namespace)));
    }
    let change_root =
        if config.annotations.contains_key("no-pivot") { ChangeRoot::Move } else { ChangeRoot::Pivot };
    let request = Request {
        config: &config,
        bundle: &bundle,
        proc: &proc,
        id_mapped,
        cgroup_directory: None,
        change_root,
    };
    let done = Prepared::collect(request).and_then(|mut prepared| {
        prepared.before_pivot()?;
        prepared.change_root()?;
        if config.annotations.contains_key("console") {
            prepared.mount_console(open_terminal(prepared.root()))?;
        }
        prepared.after_pivot()
    });
    if let Err(error) = done {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        println!("<<refused: {error}: {cause}>>");
        return;
    }
    let args = config.process.unwrap().args;
    println!("<<");
    let error = Command::new(&args[0]).args(&args[1..]).env_clear().env("PATH", "/bin").exec();
    panic!("{error}");
}

/// Whether the kernel has `mount_setattr`; says so when it has not.
fn has_mount_setattr() -> bool {
    testkit::partner::has_linux((5, 12), "mount_setattr")
}

/// A detached copy of `source` with the ids of a user namespace, as the parent makes it.
fn map_ids(source: &Path, namespace: &Path) -> std::os::fd::OwnedFd {
    use rustix::mount::OpenTreeFlags as Flags;
    use std::os::fd::{AsFd, AsRawFd};
    use sys::mount_setattr::{Attributes, Depth, mount_setattr};
    let namespace = std::fs::File::open(namespace).unwrap();
    let flags = Flags::OPEN_TREE_CLONE | Flags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(rustix::fs::CWD, source, flags).unwrap();
    let user_namespace = u64::try_from(namespace.as_raw_fd()).unwrap();
    // MOUNT_ATTR_IDMAP
    let attributes = Attributes { set: 0x0010_0000, user_namespace, ..Attributes::default() };
    mount_setattr(tree.as_fd(), c"", Depth::One, &attributes).unwrap();
    tree
}

/// A terminal of the container's own devpts; its master is kept open.
fn open_terminal(root: &proc::Root) -> std::os::fd::OwnedFd {
    use rustix::fs::OFlags;
    let master = root.open(Path::new("/dev/pts/ptmx"), OFlags::RDWR).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let number = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    std::mem::forget(master);
    root.open(Path::new(number.to_str().unwrap()), OFlags::RDWR).unwrap()
}

/// A bundle with a busybox root in a directory of its own.
struct Bundle {
    directory: tempfile::TempDir,
    config: Value,
}

impl Bundle {
    /// None, with a word why, where the test cannot run.
    fn new(script: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
            eprintln!("skipped: needs root and /bin/busybox");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("rootfs/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        for name in
            ["sh", "cat", "ls", "stat", "grep", "sed", "mount", "test", "readlink", "echo", "touch", "id"]
        {
            symlink("busybox", bin.join(name)).unwrap();
        }
        Some(Self { directory, config: config(script) })
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("rootfs")
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn mount(&mut self, entry: Value) {
        self.config["mounts"].as_array_mut().unwrap().push(entry);
    }

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn write(&self) {
        std::fs::write(self.outside("config.json"), self.config.to_string()).unwrap();
    }

    /// What the script printed, or the refusal.
    fn run(&self, unshare: &[&str]) -> String {
        self.write();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--ipc", "--uts", "--net", "--propagation", "unchanged"]);
        command.args(unshare).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "inside", "--ignored", "--nocapture", "--test-threads=1"]);
        let output = command.env(BUNDLE, self.directory.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, answer) = text.split_once("<<").unwrap_or_else(|| panic!("no answer: {output:?}"));
        match answer.strip_prefix("refused: ") {
            Some(refused) => refused.split(">>").next().unwrap().to_owned(),
            None => answer.trim_start_matches('\n').to_owned() + &String::from_utf8_lossy(&output.stderr),
        }
    }

    /// What runc makes of the same bundle; none where there is no runc.
    fn run_reference(&self) -> Option<String> {
        self.write();
        let id = format!("sluice-test-{}", self.directory.path().file_name().unwrap().to_string_lossy());
        let run = Command::new("runc").args(["run", "--bundle"]).arg(self.directory.path()).arg(id).output();
        let Ok(Output { status, stdout, stderr }) = run else {
            eprintln!("skipped: the comparison needs runc");
            return None;
        };
        let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        assert!(status.success(), "runc: {text}");
        Some(text)
    }

    /// Ours beside runc's, without what differs between any two runs.
    fn assert_same_as_reference(&self, unshare: &[&str]) {
        // Both start from the same root: a run leaves mount points behind.
        let pristine = self.outside("pristine");
        assert!(Command::new("cp").arg("-a").arg(self.root()).arg(&pristine).status().unwrap().success());
        let Some(reference) = self.run_reference() else { return };
        std::fs::remove_dir_all(self.root()).unwrap();
        std::fs::rename(&pristine, self.root()).unwrap();
        let ours = self.run(unshare);
        assert_eq!(normal(&ours), normal(&reference), "\nours:\n{ours}\nrunc:\n{reference}");
    }
}

/// Mount and device numbers, groups and dates are replaced.
fn normal(text: &str) -> Vec<String> {
    text.lines().map(normal_line).collect()
}

fn normal_line(line: &str) -> String {
    let mut fields: Vec<&str> = line.split_whitespace().collect();
    if !line.contains(" - ") {
        return line.to_owned();
    }
    let is_cgroup = line.contains(" - cgroup ");
    for index in [0, 1, 2] {
        fields[index] = "N";
    }
    if is_cgroup {
        fields[3] = "GROUP";
    }
    for field in &mut fields {
        // Peer groups are numbered.
        *field = match field.split_once(':') {
            Some((kind @ ("master" | "shared"), _)) => kind,
            _ => *field,
        };
    }
    // runc 1.1 sets the mode of a directory that was there by chmod(2), we and runc 1.2 by an option.
    fields.join(" ").replace(",mode=1750", "")
}

fn config(script: &str) -> Value {
    let (plain, dev) = (["nosuid", "noexec", "nodev"], ["nosuid", "strictatime", "mode=755", "size=65536k"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sh", "-c", script], "cwd": "/",
            "env": ["PATH=/bin"]},
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": dev},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": plain},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"}],
            "maskedPaths": ["/proc/acpi", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/no/such"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/no/such"],
        },
    })
}

fn cgroup(options: &[&str]) -> Value {
    json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options})
}

#[test]
fn the_usual_mounts_are_those_of_runc_in_the_same_order() {
    let Some(mut bundle) = Bundle::new("cat /proc/self/mountinfo") else { return };
    // Without a cgroup namespace runc mounts v2 anew, which changes the host's mount; ours is a bind, and has its tests.
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        bundle.mount(cgroup(&["nosuid", "noexec", "nodev", "relatime", "ro"]));
    }
    // The empty tmpfs over directories is one for all; runc 1.1 makes one each, which only the number shows.
    bundle.assert_same_as_reference(&[]);
}

#[test]
fn dev_looks_as_with_runc() {
    let script =
        "stat -c '%N %F %a %u %g %t:%T' /dev/* /dev/pts/ptmx / /dev /proc /sys /dev/shm | grep -v core";
    let Some(mut bundle) = Bundle::new(script) else { return };
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 432, "uid": 3, "gid": 4},
        {"path": "/dev/deep/pipe", "type": "p"},
        {"path": "/dev/tty", "type": "c", "major": 5, "minor": 0, "fileMode": 384},
    ]);
    bundle.assert_same_as_reference(&[]);
}

#[test]
fn a_new_cgroup_namespace_gets_hierarchies_mounted_anew_as_with_runc() {
    let Some(mut bundle) = Bundle::new("cat /proc/self/mountinfo") else { return };
    bundle.mount(cgroup(&["ro"]));
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    bundle.assert_same_as_reference(&["--cgroup"]);
}

#[test]
fn bind_mounts_have_the_flags_that_runc_gives_them() {
    let Some(mut bundle) = Bundle::new("cat /proc/self/mountinfo; cat /file; ls /b /d") else { return };
    std::fs::create_dir(bundle.outside("source")).unwrap();
    std::fs::copy("/bin/busybox", bundle.outside("source/x")).unwrap();
    symlink("/etc", bundle.root().join("link")).unwrap();
    let source = bundle.outside("source");
    let table: [(&str, &[&str]); 9] = [
        ("/a", &["rbind"]),
        ("/b", &["bind", "ro"]),
        ("/c", &["rbind", "nosuid", "nodev", "noexec", "noatime", "rprivate"]),
        ("/d", &["bind", "rw", "rshared"]),
        ("/e", &["bind", "nodiratime", "rslave"]),
        ("/f", &["bind", "strictatime", "unbindable"]),
        ("/link/g", &["bind", "relatime", "exec", "private"]),
        ("/../../h", &["rbind", "shared", "slave"]),
        ("/t", &["rbind", "ro", "rro"]),
    ];
    for (destination, options) in table {
        let options: Vec<_> = options.iter().filter(|word| **word != "rro").collect();
        bundle
            .mount(json!({"destination": destination, "type": "bind", "source": source, "options": options}));
    }
    bundle.mount(json!({"destination": "/file", "source": "config.json", "options": ["bind"]}));
    bundle.assert_same_as_reference(&[]);
}

#[test]
fn read_only_dev_and_tmpfs_are_written_first_as_with_runc() {
    let Some(mut bundle) = Bundle::new("cat /proc/self/mountinfo; stat -c '%n %a' /t /u; ls /dev") else {
        return;
    };
    bundle.config["mounts"][1]["options"].as_array_mut().unwrap().push(json!("ro"));
    std::fs::create_dir(bundle.root().join("t")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1750);
    std::fs::set_permissions(bundle.root().join("t"), mode).unwrap();
    for destination in ["/t", "/u"] {
        let options = ["ro", "noexec", "size=1m"];
        bundle.mount(json!({"destination": destination, "type": "tmpfs", "source": "x", "options": options}));
    }
    bundle.assert_same_as_reference(&[]);
}

#[test]
fn a_private_or_slave_root_is_that_of_runc() {
    for word in ["private", "rprivate", "slave", "rslave"] {
        let Some(mut bundle) = Bundle::new("cat /proc/self/mountinfo") else { return };
        bundle.config["linux"]["rootfsPropagation"] = json!(word);
        bundle.assert_same_as_reference(&[]);
    }
}

/// runc 1.1 leaves a shared root private, and fails with an unbindable one; runc 1.2 shares it as we do.
#[test]
fn a_shared_or_unbindable_root_says_so_in_mountinfo() {
    for (word, mark) in [("shared", "shared:"), ("rshared", "shared:"), ("unbindable", "unbindable")] {
        let Some(mut bundle) = Bundle::new("grep ' / / \\|rootfs / ' /proc/self/mountinfo") else { return };
        bundle.config["linux"]["rootfsPropagation"] = json!(word);
        let text = bundle.run(&[]);
        assert!(text.lines().next().unwrap().contains(mark), "{word}: {text}");
    }
}

#[test]
fn without_pivot_root_the_mounts_of_the_host_do_not_show_procfs() {
    let Some(mut bundle) = Bundle::new("cat /proc/self/mountinfo; ls -d /bin /dev/null") else { return };
    bundle.config["annotations"] = json!({"no-pivot": "x"});
    let text = bundle.run(&[]);
    assert!(text.contains("/bin\n/dev/null\n"), "{text}");
    assert_eq!(text.matches(" - proc proc").count(), 5, "one and four read-only parts of it: {text}");
}

#[test]
fn in_a_user_namespace_nodes_are_bound_and_private_sources_open() {
    let Some(mut bundle) = Bundle::new("cat /proc/self/mountinfo; cat /secret/x; ls /dev") else { return };
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    bundle.config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    bundle.config["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    bundle.mount(
        json!({"destination": "/secret", "type": "bind", "source": "source", "options": ["bind", "ro"]}),
    );
    bundle.mount(json!({"destination": "/plain", "type": "bind", "source": "source", "options": ["rbind"]}));
    std::fs::create_dir(bundle.outside("source")).unwrap();
    std::fs::copy("/etc/hostname", bundle.outside("source/x")).unwrap();
    // The group 5 is not mapped: runc fails then, we leave it out.
    let pts = bundle.config["mounts"][2].clone();
    bundle.config["mounts"][2]["options"].as_array_mut().unwrap().pop();
    bundle.assert_same_as_reference(&["--user", "--map-root-user"]);
    bundle.config["mounts"][2] = pts;
    let text = bundle.run(&["--user", "--map-root-user"]);
    assert!(text.contains(" /dev/pts rw,nosuid,noexec,relatime - devpts"), "{text}");
}

/// A link planted in the root at every place that is touched; what it points at on the host stays as it is.
#[test]
fn planted_links_do_not_lead_to_the_host() {
    let table = [
        ("dev", "../outside"),
        ("dev", "/../../../../../../outside"),
        ("mnt", "../../../outside"),
        ("sys", "OUTSIDE"),
        ("proc", "OUTSIDE"),
    ];
    for (name, target) in table {
        let Some(mut bundle) = Bundle::new("ls /dev /mnt /x") else { return };
        let outside = bundle.outside("outside");
        std::fs::create_dir(&outside).unwrap();
        let target = target.replace("OUTSIDE", outside.to_str().unwrap());
        symlink(target, bundle.root().join(name)).unwrap();
        bundle.mount(json!({"destination": "/mnt/a/b", "type": "tmpfs", "source": "tmpfs"}));
        bundle.mount(
            json!({"destination": "/mnt/f", "type": "bind", "source": "config.json", "options": ["bind"]}),
        );
        let options = ["tmpcopyup"];
        bundle
            .mount(json!({"destination": "/mnt/t", "type": "tmpfs", "source": "tmpfs", "options": options}));
        bundle.config["process"]["cwd"] = json!("/mnt/work/deep");
        bundle.config["linux"]["maskedPaths"] = json!(["/mnt", "/mnt/x", "/dev/null"]);
        bundle.config["linux"]["readonlyPaths"] = json!(["/mnt", "/mnt/x"]);
        bundle.config["linux"]["devices"] =
            json!([{"path": "/mnt/node", "type": "c", "major": 1, "minor": 3}]);
        bundle.config["mounts"].as_array_mut().unwrap().remove(1);
        let text = bundle.run(&[]);
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{name}: {text}");
        if matches!(name, "sys" | "proc") {
            assert!(text.contains("must be an ordinary directory, but is a symbolic link"), "{text}");
        }
    }
}

#[test]
fn a_planted_link_in_place_of_a_device_or_mask_is_refused() {
    let Some(mut bundle) = Bundle::new("ls /dev") else { return };
    bundle.config["mounts"].as_array_mut().unwrap().remove(1);
    std::fs::create_dir(bundle.root().join("dev")).unwrap();
    symlink("/bin/busybox", bundle.root().join("dev/null")).unwrap();
    let text = bundle.run(&[]);
    let expected =
        "config.json/linux/devices: /dev/null: the root has something else than character device 1:3 there";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn mounts_on_and_below_proc_are_refused() {
    let table = [
        (
            json!({"destination": "/proc", "type": "tmpfs", "source": "x"}),
            "/mounts/6: /proc: only a file system of type proc",
        ),
        (json!({"destination": "/proc/sys", "type": "tmpfs", "source": "x"}), "/proc/sys is inside /proc"),
        (json!({"destination": "/l/1", "type": "tmpfs", "source": "x"}), "/proc/1 is inside /proc"),
        (json!({"destination": "/", "type": "tmpfs", "source": "x"}), "/mounts/6: /: is the root itself"),
        (
            json!({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]}),
            "/mounts/6: /x: open the source /no/such: No such file or directory",
        ),
        (
            json!({"destination": "/bin", "type": "bind", "source": "config.json", "options": ["bind"]}),
            "/mounts/6: /bin: mount a file on a directory: Not a directory",
        ),
        (
            json!({"destination": "/x", "type": "tmpfs", "source": "x", "options": ["zebra=3"]}),
            "/mounts/6: /x: mount a file system of type tmpfs: tmpfs: Unknown parameter 'zebra': Invalid argument",
        ),
        (
            json!({"destination": "/x", "type": "zebrafs", "source": "x"}),
            "/mounts/6: /x: mount a file system of type zebrafs: No such device",
        ),
    ];
    for (entry, expected) in table {
        let Some(mut bundle) = Bundle::new("true") else { return };
        symlink("/proc", bundle.root().join("l")).unwrap();
        bundle.mount(entry);
        let text = bundle.run(&[]);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn files_that_lxcfs_provides_may_cover_those_of_proc() {
    let Some(mut bundle) = Bundle::new("cat /proc/uptime; cat /proc/cpuinfo") else { return };
    for destination in ["/proc/uptime", "/proc/cpuinfo"] {
        bundle.mount(json!({"destination": destination, "type": "bind", "source": "/etc/hostname", "options": ["bind"]}));
    }
    bundle.assert_same_as_reference(&[]);
}

#[test]
fn attributes_of_the_whole_tree_reach_what_is_mounted_below() {
    if !has_mount_setattr() {
        return;
    }
    let Some(mut bundle) = Bundle::new("grep ' /t' /proc/self/mountinfo") else { return };
    bundle.mount(json!({"destination": "/a", "type": "tmpfs", "source": "x"}));
    let mut entry = json!({"destination": "/t", "type": "bind", "source": "/sys", "options": ["rbind", "rro", "rnoatime"]});
    bundle.mount(entry.clone());
    let text = bundle.run(&[]);
    let lines = text.lines().filter(|line| line.contains(" / /t")).collect::<Vec<_>>();
    assert!(
        lines.len() > 2 && lines.iter().all(|line| line.contains(" ro,") && line.contains("noatime")),
        "{text}"
    );
    entry["options"] = json!(["bind", "ro", "rnosuid"]);
    bundle.config["mounts"][7] = entry;
    let text = bundle.run(&[]);
    assert!(text.contains(" /t ro,nosuid,"), "{text}");
}

#[test]
fn tmpcopyup_brings_the_content_with_owner_mode_links_and_times() {
    let script = "cd /data; stat -c '%N %F %a %u %g %Y' . f d d/g l p | sed 's/.* //' >/dev/null; stat -c '%N %F %a %u %g %Y' f d d/g l p; cat f d/g";
    let Some(mut bundle) = Bundle::new(script) else { return };
    let data = bundle.root().join("data");
    let setup = "mkdir -p d; echo eins >f; echo zwei >d/g; ln -s f l; mkfifo p; chmod 4751 f; chown 7:8 f d; \
        chmod 1770 d; touch -d @1000000000 f d/g l";
    std::fs::create_dir(&data).unwrap();
    assert!(Command::new("sh").args(["-c", setup]).current_dir(&data).status().unwrap().success());
    let expected = Command::new("busybox")
        .args(["sh", "-c", "stat -c '%N %F %a %u %g %Y' f d d/g l p; cat f d/g"])
        .current_dir(&data)
        .output()
        .unwrap();
    let options = ["tmpcopyup", "ro"];
    bundle.mount(json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": options}));
    assert_eq!(bundle.run(&[]), String::from_utf8(expected.stdout).unwrap());
}

#[test]
fn names_and_kernel_parameters_are_those_of_the_new_namespaces() {
    let script = "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward \
        /proc/sys/net/ipv4/conf/lo/forwarding /proc/sys/kernel/shmmni";
    let Some(mut bundle) = Bundle::new(script) else { return };
    bundle.config["hostname"] = json!("inner");
    bundle.config["domainname"] = json!("domain");
    bundle.config["linux"]["sysctl"] =
        json!({"net.ipv4.ip_forward": "1", "net/ipv4/conf/lo/forwarding": "0", "kernel.shmmni": "77"});
    assert_eq!(bundle.run(&[]), "inner\ndomain\n1\n0\n77\n");
    assert_ne!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), "inner\n");
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.no_such": "1"});
    let expected =
        "config.json/linux/sysctl/net.ipv4.no_such: /proc/sys/net/ipv4/no_such: open the kernel parameter";
    assert!(bundle.run(&[]).starts_with(expected));
}

#[test]
fn private_mounts_without_pivot_root_are_refused() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    bundle.config["annotations"] = json!({"no-pivot": "x"});
    bundle.config["linux"]["rootfsPropagation"] = json!("rprivate");
    let expected = "config.json/linux/rootfsPropagation: /: rprivate is not safe without pivot_root";
    assert!(bundle.run(&[]).starts_with(expected));
}

#[test]
fn the_terminal_is_shown_as_dev_console_and_never_through_a_link() {
    let Some(mut bundle) = Bundle::new("grep console /proc/self/mountinfo; stat -c '%F %t:%T' /dev/console")
    else {
        return;
    };
    bundle.config["annotations"] = json!({"console": "x"});
    let text = bundle.run(&[]);
    assert!(text.contains(" /dev/console rw,nosuid,noexec,relatime - devpts"), "{text}");
    assert!(text.contains("character special file 88:0"), "{text}");
    bundle.config["mounts"][1] = json!({"destination": "/dev/pts", "type": "tmpfs", "source": "x"});
    bundle.config["mounts"].as_array_mut().unwrap().remove(3);
    std::fs::remove_dir_all(bundle.root().join("dev")).unwrap();
    std::fs::create_dir(bundle.root().join("dev")).unwrap();
    symlink("/bin/busybox", bundle.root().join("dev/console")).unwrap();
    let expected = "config.json/process/terminal: /dev/console: a symbolic link is in the way";
    assert!(bundle.run(&[]).starts_with(expected), "{}", bundle.run(&[]));
}

#[test]
fn a_mount_made_in_a_shared_volume_appears_on_the_host() {
    let Some(mut bundle) = Bundle::new("mount -t tmpfs inner /volume/sub; echo done") else { return };
    std::fs::create_dir(bundle.outside("volume")).unwrap();
    let volume = bundle.outside("volume");
    bundle.config["linux"]["rootfsPropagation"] = json!("rshared");
    bundle.config["root"]["readonly"] = json!(false);
    bundle.mount(
        json!({"destination": "/volume", "type": "bind", "source": &volume, "options": ["rbind", "rshared"]}),
    );
    let script = "mount -t tmpfs outer $VOLUME && mount --make-shared $VOLUME && mkdir $VOLUME/sub && \
        unshare --mount --pid --fork --propagation unchanged $TEST --exact inside --ignored --nocapture; \
        grep -c \"inner\" /proc/self/mountinfo";
    bundle.write();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .env("VOLUME", &volume)
        .env("TEST", std::env::current_exe().unwrap())
        .env(BUNDLE, bundle.directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("done\n1\n"), "{text} {output:?}");
}

/// More than `fsconfig(2)` takes in one value: mount(2) is used.
#[test]
fn an_overlay_of_many_layers_is_mounted() {
    let Some(mut bundle) = Bundle::new("ls /o; grep -c ' /o ' /proc/self/mountinfo") else { return };
    let layers: Vec<String> = (0..8)
        .map(|number| {
            let layer = bundle.outside(&format!("layer-{}-{number}", "x".repeat(40)));
            std::fs::create_dir_all(layer.join(format!("d{number}"))).unwrap();
            layer.to_str().unwrap().to_owned()
        })
        .collect();
    let options = [format!("lowerdir={}", layers.join(":")), "nosuid".to_owned()];
    bundle.mount(json!({"destination": "/o", "type": "overlay", "source": "overlay", "options": options}));
    assert_eq!(bundle.run(&[]), "d0\nd1\nd2\nd3\nd4\nd5\nd6\nd7\n1\n");
}

#[test]
fn remount_changes_what_is_mounted_already() {
    let Some(mut bundle) = Bundle::new("grep -e ' /sys ' -e ' /dev/shm ' /proc/self/mountinfo") else {
        return;
    };
    bundle.mount(json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["remount", "rw", "nosuid"]}));
    bundle.mount(
        json!({"destination": "/dev/shm", "options": ["remount", "bind", "ro", "nodev"], "source": "/"}),
    );
    bundle.assert_same_as_reference(&[]);
}

#[test]
fn remount_without_bind_changes_the_file_system_too() {
    let script = "grep -e ' /sys ' -e ' /work ' -e ' /still' /proc/self/mountinfo";
    let Some(mut bundle) = Bundle::new(script) else { return };
    for destination in ["/work", "/still"] {
        let options = ["nosuid", "nodev", "size=1m"];
        bundle.mount(json!({"destination": destination, "type": "tmpfs", "source": "x", "options": options}));
    }
    let table: [(&str, &str, &[&str]); 3] = [
        ("/sys", "sysfs", &["remount", "ro", "sync"]),
        ("/work", "tmpfs", &["remount", "noexec", "sync", "dirsync", "lazytime", "size=2m"]),
        ("/still", "tmpfs", &["remount", "ro", "lazytime", "nolazytime"]),
    ];
    for (destination, kind, options) in table {
        bundle.mount(json!({"destination": destination, "type": kind, "source": "x", "options": options}));
    }
    // Its mount point is made in what is to be read-only.
    bundle.mount(json!({"destination": "/still/inner", "type": "tmpfs", "source": "x", "options": []}));
    bundle.assert_same_as_reference(&[]);
}

#[test]
fn an_id_mapped_mount_shows_other_owners() {
    if !has_mount_setattr() {
        return;
    }
    let Some(mut bundle) = Bundle::new("stat -c '%u %g' /mapped/x; grep /mapped /proc/self/mountinfo") else {
        return;
    };
    std::fs::create_dir(bundle.outside("source")).unwrap();
    std::fs::copy("/etc/hostname", bundle.outside("source/x")).unwrap();
    let mut holder =
        Command::new("unshare").args(["--user", "cat"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    let namespace = format!("/proc/{}/ns/user", holder.id());
    while std::fs::read_link(&namespace).unwrap() == own {
        std::thread::yield_now();
    }
    for file in ["uid_map", "gid_map"] {
        let file = std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/{file}", holder.id()));
        std::io::Write::write_all(&mut file.unwrap(), b"0 5000 10").unwrap();
    }
    bundle.config["annotations"] = json!({"id-mapped by": namespace});
    let options = ["bind", "idmap", "ro"];
    bundle.mount(json!({"destination": "/mapped", "source": "source", "options": options}));
    let text = bundle.run(&[]);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(text.starts_with("5000 5000\n") && text.contains(" ro,relatime,idmapped"), "{text}");
    bundle.config["annotations"] = json!({});
    let expected = "config.json/mounts/6: /mapped: no id-mapped copy of the source was made for this mount";
    assert!(bundle.run(&[]).starts_with(expected));
}
