//! A container node as a tree of files, as large as one likes: what `/proc`, `/sys` and `/run` hold on a node where
//! dockerd keeps containers with stock shims.
//!
//! Everything idles in it; a test that wants trouble writes it over one of the files.

use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Threads of a shim, and of a container's program.
const SHIM_THREADS: i32 = 12;
const PROGRAM_THREADS: i32 = 4;

/// A simulated node.
#[derive(Debug)]
pub(crate) struct Node {
    folder: tempfile::TempDir,
}

/// One process of it.
struct Process<'a> {
    pid: i32,
    ppid: i32,
    args: &'a [&'a str],
    threads: i32,
    /// Targets of the descriptors from 0 on.
    fds: Vec<String>,
    cgroup: String,
    /// Pid in a namespace of its own.
    inner: Option<i32>,
    cwd: String,
}

impl Node {
    /// A node with so many containers, in a temporary directory that goes with it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub(crate) fn with_containers(count: i32) -> Self {
        let node = Self { folder: tempfile::tempdir().expect("a temporary directory") };
        node.host(count);
        node.daemons(count);
        for number in 0..count {
            node.container(number);
        }
        node
    }

    /// Its root.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Id of a container.
    pub(crate) fn id(number: i32) -> String {
        format!("{number:08x}").repeat(8)
    }

    /// Pid of the shim of a container; its program has the next one.
    pub(crate) fn shim(number: i32) -> i32 {
        10_000 + number * 10
    }

    /// Writes a file over whatever is there.
    ///
    /// # Panics
    /// When it cannot be written.
    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        symlink(target, path).expect("a link");
    }

    fn host(&self, count: i32) {
        self.write("proc/uptime", "100000.00 1000.00\n");
        self.write("proc/loadavg", "0.5 0.5 0.5 2/1234 5678\n");
        self.write("proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable: 32000000 kB\n");
        self.write("proc/sys/kernel/hostname", "node\n");
        self.write("proc/sys/kernel/pid_max", "4194304\n");
        self.write("proc/sys/fs/inotify/max_user_instances", "8192\n");
        let mut mounts = String::from("25 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
        for number in 0..count {
            let layers = "/var/lib/docker/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ:".repeat(8);
            let place = format!("/var/lib/docker/overlay2/{}/merged", Self::id(number));
            let _ = writeln!(
                mounts,
                "{} 1 0:{} / {place} rw - overlay overlay rw,lowerdir={layers}",
                100 + number,
                60 + number
            );
        }
        self.write("proc/1/mountinfo", &mounts);
        self.link("proc/self", "1");
        self.group("", 5000);
        self.group("docker", 4000);
        self.process(&Process {
            pid: 1,
            ppid: 0,
            args: &["/sbin/init"],
            threads: 1,
            fds: vec!["/dev/null".to_owned(); 3],
            cgroup: "/init.scope".to_owned(),
            inner: None,
            cwd: "/".to_owned(),
        });
    }

    fn daemons(&self, count: i32) {
        for (pid, name, threads) in [(100, "/usr/bin/dockerd", 60), (200, "/usr/bin/containerd", 40)] {
            let sockets = (0..count * 3).map(|number| format!("socket:[{}]", pid * 100_000 + number));
            self.process(&Process {
                pid,
                ppid: 1,
                args: &[name],
                threads,
                fds: ["/dev/null", "pipe:[1]", "pipe:[1]"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(sockets)
                    .collect(),
                cgroup: format!("/system.slice/{}.service", name.rsplit('/').next().unwrap_or_default()),
                inner: None,
                cwd: "/".to_owned(),
            });
        }
    }

    fn container(&self, number: i32) {
        let (id, shim) = (Self::id(number), Self::shim(number));
        let bundle = format!("run/containerd/io.containerd.runtime.v2.task/moby/{id}");
        let pipe = |stream: i32| format!("pipe:[{}]", 1_000_000 + number * 10 + stream);
        let mut fds: Vec<String> = vec!["/dev/null".to_owned(); 3];
        fds.extend((0..3).map(pipe));
        fds.extend((0..8).map(|fd| format!("socket:[{}]", 5_000_000 + number * 10 + fd)));
        fds.extend(
            ["stdin", "stdout", "stderr"].map(|name| format!("/run/docker/containerd/{id}/init-{name}")),
        );
        fds.extend(vec!["anon_inode:[eventpoll]".to_owned(); 4]);
        self.process(&Process {
            pid: shim,
            ppid: 1,
            args: &["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", &id],
            threads: SHIM_THREADS,
            fds,
            cgroup: "/system.slice/containerd.service".to_owned(),
            inner: None,
            cwd: format!("/{bundle}"),
        });
        self.process(&Process {
            pid: shim + 1,
            ppid: shim,
            args: &["nginx", "-g", "daemon off;"],
            threads: PROGRAM_THREADS,
            fds: (0..3)
                .map(pipe)
                .chain((0..6).map(|fd| format!("socket:[{}]", 7_000_000 + number * 10 + fd)))
                .collect(),
            cgroup: format!("/docker/{id}"),
            inner: Some(1),
            cwd: "/".to_owned(),
        });
        self.group(&format!("docker/{id}"), 4);
        self.records(number, &bundle);
    }

    /// What runc, containerd and dockerd keep of a container.
    fn records(&self, number: i32, bundle: &str) {
        let (id, init) = (Self::id(number), Self::shim(number) + 1);
        let rules =
            r#"{"names":["accept","accept4","access","adjtimex","alarm","bind"],"action":"SCMP_ACT_ALLOW"},"#
                .repeat(150);
        let rules = rules.trim_end_matches(',');
        self.write(
            &format!("run/docker/runtime-runc/moby/{id}/state.json"),
            &format!(
                r#"{{"id":"{id}","init_process_pid":{init},"init_process_start":5000,"cgroup_paths":{{"":"/sys/fs/cgroup/docker/{id}"}},"config":{{"labels":["bundle=/{bundle}"],"seccomp":[{rules}]}}}}"#
            ),
        );
        self.write(
            &format!("{bundle}/config.json"),
            &format!(r#"{{"hostname":"{}","linux":{{"seccomp":[{rules}]}}}}"#, &id[..12]),
        );
        self.write(&format!("{bundle}/init.pid"), &init.to_string());
        self.write(&format!("{bundle}/address"), "unix:///run/containerd/s/0961447258004a0c");
        self.write(
            &format!("{bundle}/options.json"),
            r#"{"binary_name":"runc","root":"/run/docker/runtime-runc"}"#,
        );
        let record = format!(r#"{{"ID":"{id}","Name":"/web-{number}","Config":{{"Env":["PATH=/bin"]}}}}"#);
        self.write(&format!("var/lib/docker/containers/{id}/config.v2.json"), &record);
    }

    fn group(&self, path: &str, tasks: i32) {
        let folder = format!("sys/fs/cgroup/{path}");
        let events = "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n";
        for (name, text) in [
            ("cgroup.events", "populated 1\nfrozen 0\n"),
            ("cgroup.freeze", "0\n"),
            ("pids.current", &format!("{tasks}\n")),
            ("pids.max", "10000\n"),
            ("pids.events", "max 0\n"),
            ("memory.current", "10485760\n"),
            ("memory.max", "max\n"),
            ("memory.high", "max\n"),
            ("memory.swap.max", "max\n"),
            ("memory.oom.group", "0\n"),
            ("memory.events", events),
            ("memory.events.local", events),
            ("cpu.max", "max 100000\n"),
            ("cpu.stat", "usage_usec 1000\nnr_periods 0\nnr_throttled 0\n"),
        ] {
            self.write(&format!("{folder}/{name}"), text);
        }
    }

    fn process(&self, process: &Process<'_>) {
        let folder = format!("proc/{}", process.pid);
        let name: String = process.args[0].rsplit('/').next().unwrap_or_default().chars().take(15).collect();
        let write = |file: &str, text: &str| self.write(&format!("{folder}/{file}"), text);
        write("stat", &stat(process.pid, process.ppid, &name, process.threads));
        let inner = process.inner.map_or_else(String::new, |pid| format!("\t{pid}"));
        write(
            "status",
            &format!("Name:\t{name}\nUid:\t0\t0\t0\t0\nNSpid:\t{}{inner}\nVmRSS:\t9000 kB\n", process.pid),
        );
        write("cgroup", &format!("0::{}\n", process.cgroup));
        write("cmdline", &(process.args.join("\0") + "\0"));
        write("limits", "Max open files            1048576              1048576              files\n");
        self.link(&format!("{folder}/exe"), process.args[0]);
        self.link(&format!("{folder}/cwd"), &process.cwd);
        for kind in ["pid", "mnt", "net", "user"] {
            let inode = 4_026_531_800_i64 + process.inner.map_or(0, |_| i64::from(process.pid));
            self.link(&format!("{folder}/ns/{kind}"), &format!("{kind}:[{inode}]"));
        }
        for (number, target) in process.fds.iter().enumerate() {
            self.link(&format!("{folder}/fd/{number}"), target);
            if target.starts_with("pipe:") || number < 3 {
                // A program writes to the pipes that its shim reads from; with its input it is the other way round.
                let flags = if (number == 0) == process.inner.is_some() { "0100000" } else { "0100001" };
                write(&format!("fdinfo/{number}"), &format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t15\n"));
            }
        }
        for tid in process.pid..process.pid + process.threads {
            let task = |file: &str, text: &str| write(&format!("task/{tid}/{file}"), text);
            task("stat", &stat(tid, process.ppid, &name, process.threads));
            task("syscall", "202 0xf17308 0x80 0x0 0x0 0x0 0x0 0x7ffe6a94e558 0x65d863\n");
            task("wchan", "futex_do_wait");
        }
    }
}

fn stat(pid: i32, ppid: i32, name: &str, threads: i32) -> String {
    format!(
        "{pid} ({name}) S {ppid} {pid} {pid} 0 -1 4194560 100 0 0 0 5 7 0 0 20 0 {threads} 0 5000 12345678 2250 \
         18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    )
}
