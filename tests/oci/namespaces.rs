//! Namespaces: new, joined by path, shared with the host; user namespaces and their mappings.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use serde_json::json;
use testkit::{Config, conformance, hierarchy, process};

/// Kind in `config.json` and name below `/proc/PID/ns`.
const KINDS: [(&str, &str); 7] = [
    ("mount", "mnt"),
    ("network", "net"),
    ("uts", "uts"),
    ("pid", "pid"),
    ("ipc", "ipc"),
    ("cgroup", "cgroup"),
    ("user", "user"),
];

conformance! {
    fn new_ones_are_new_and_absent_ones_are_the_callers(lab) {
        let c = lab.sleeper();
        let own = i32::try_from(std::process::id()).unwrap();
        for (kind, name) in KINDS {
            let is_new = !matches!(kind, "cgroup" | "user");
            assert_eq!(process::namespace(c.pid(), name) != process::namespace(own, name), is_new, "{kind}");
        }
    }

    fn each_kind_is_joined_by_path(lab) {
        let target = lab.started(&Config::new().namespace("cgroup", None));
        for kind in ["network", "uts", "ipc", "pid", "cgroup"] {
            let name = KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
            let path = format!("/proc/{}/ns/{name}", target.pid());
            let mut config = Config::new().namespace(kind, Some(&path));
            if kind == "uts" {
                config = config.remove("/hostname");
            }
            let c = lab.started(&config);
            assert_eq!(process::namespace(c.pid(), name), process::namespace(target.pid(), name), "{kind}");
            c.delete_force().ok();
        }
    }

    fn a_joined_pid_namespace_holds_both(lab) {
        let target = lab.sleeper();
        let c = lab.started(&Config::new().namespace("pid", Some(&format!("/proc/{}/ns/pid", target.pid()))));
        let seen = c.shell("ls /proc | grep -c '^[0-9]'");
        assert!(seen.parse::<u32>().unwrap() >= 3, "{seen}");
        assert_eq!(c.shell("cat /proc/1/comm"), "sleep");
        c.delete_force().ok();
        assert_eq!(target.status(), "running");
    }

    fn exec_into_a_joined_pid_namespace(lab) {
        let target = lab.sleeper();
        let c = lab.started(&Config::new().namespace("pid", Some(&format!("/proc/{}/ns/pid", target.pid()))));
        c.exec(&["sh", "-c", "exit 8"]).code(8);
    }

    fn the_hosts_pid_namespace_is_shared_when_absent(lab) {
        let c = lab.started(&Config::new().without_namespace("pid"));
        let own = std::process::id().to_string();
        assert_eq!(c.shell(&format!("test -d /proc/{own} && echo seen")), "seen");
    }

    fn the_hosts_network_is_shared_when_absent(lab) {
        let c = lab.started(&Config::new().without_namespace("network"));
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(process::namespace(c.pid(), "net"), process::namespace(own, "net"));
    }

    fn a_new_network_has_its_loopback_up(lab) {
        let output = lab.run_once(&Config::new().args(&["cat", "/sys/class/net/lo/flags"])).ok();
        let flags = u32::from_str_radix(output.stdout.trim().trim_start_matches("0x"), 16).unwrap();
        assert_eq!(flags & 1, 1, "IFF_UP: {output}");
    }

    fn a_cgroup_namespace_hides_the_hosts_paths(lab) {
        let output =
            lab.run_once(&Config::new().namespace("cgroup", None).args(&["cat", "/proc/self/cgroup"])).ok();
        assert!(output.stdout.lines().all(|line| line.ends_with(":/")), "{output}");
        let shared = lab.run_once(&Config::new().args(&["cat", "/proc/self/cgroup"])).ok();
        assert!(shared.stdout.contains("/sluice-test-"), "{shared}");
    }

    fn the_hostname_is_set_in_a_new_uts_namespace(lab) {
        lab.run_once(&Config::new().set("/hostname", json!("name-of-it")).args(&["hostname"]))
            .ok()
            .prints("name-of-it");
    }

    fn the_domainname_is_set(lab) {
        if lab.reference_lacks("domainname: since runc 1.2") {
            return;
        }
        let config = Config::new().set("/domainname", json!("domain.of.it"));
        lab.run_once(&config.args(&["cat", "/proc/sys/kernel/domainname"])).ok().prints("domain.of.it");
    }

    fn a_hostname_without_uts_namespace_is_refused(lab) {
        let c = lab.bundle(&Config::new().without_namespace("uts"));
        c.create().code(1).says("uts");
    }

    fn a_sysctl_is_set_in_its_namespace(lab) {
        let config = Config::new()
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}));
        let script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced";
        assert_eq!(lab.run_once(&config.script(script)).ok().stdout, "1\n1\n");
    }

    fn a_sysctl_of_the_host_is_refused(lab) {
        let c = lab.bundle(&Config::new().set("/linux/sysctl", json!({"vm.swappiness": "1"})));
        c.create().code(1).says("vm.swappiness");
        let c = lab.bundle(
            &Config::new()
                .without_namespace("network")
                .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
        );
        c.create().code(1).says("net.ipv4.ip_forward");
    }

    fn a_user_namespace_maps_ids(lab) {
        let c = lab.bundle(
            &Config::new()
                .user_namespace(100_000)
                .script("id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/mark"),
        );
        give_away(&c, 100_000);
        let output = c.run().ok();
        let words: Vec<&str> = output.stdout.split_whitespace().collect();
        assert_eq!(words, ["0", "0", "0", "100000", "65536", "0", "100000", "65536"]);
        let meta = fs::metadata(c.rootfs("/tmp/mark")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), 100_000);
    }

    fn exec_enters_the_user_namespace(lab) {
        let c = lab.bundle(&Config::new().user_namespace(100_000));
        give_away(&c, 100_000);
        c.create().ok();
        c.start().ok();
        assert_eq!(process::status_line(c.pid(), "Uid").split('\t').next(), Some("100000"));
        c.exec(&["id", "-u"]).ok().prints("0");
        c.exec_with(&["--user", "1000:1000"], &["id", "-u"]).ok().prints("1000");
        c.exec(&["sh", "-c", "exit 8"]).code(8);
    }

    fn a_program_that_root_may_not_reach_is_left_to_its_user(lab) {
        // The owner has no id in the container, so its root has no right to the directory; group 7 has.
        let config = Config::new()
            .user_namespace(100_000)
            .set("/process/user", json!({"uid": 1000, "gid": 7}))
            .set("/process/args", json!(["/foreign/busybox", "echo", "it runs"]));
        let c = lab.bundle(&config);
        give_away(&c, 100_000);
        fs::create_dir(c.rootfs("/foreign")).unwrap();
        fs::copy(c.rootfs("/bin/busybox"), c.rootfs("/foreign/busybox")).unwrap();
        chown(c.rootfs("/foreign"), Some(5), Some(100_007)).unwrap();
        fs::set_permissions(c.rootfs("/foreign"), fs::Permissions::from_mode(0o750)).unwrap();
        c.run().ok().prints("it runs");
    }

    fn a_user_namespace_is_joined_by_path(lab) {
        let target = lab.bundle(&Config::new().user_namespace(100_000));
        give_away(&target, 100_000);
        target.create().ok();
        target.start().ok();
        let path = |name: &str| format!("/proc/{}/ns/{name}", target.pid());
        let config =
            Config::new().namespace("user", Some(&path("user"))).namespace("network", Some(&path("net")));
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        let config = if lab.is_reference() {
            config.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
        } else {
            config
        };
        let c = lab.bundle(&config);
        give_away(&c, 100_000);
        let created = c.create();
        if created.status.code() != Some(0)
            && lab.reference_lacks("joining a user namespace with a new mount namespace")
        {
            return;
        }
        created.ok();
        c.start().ok();
        assert_eq!(process::namespace(c.pid(), "user"), process::namespace(target.pid(), "user"));
        c.exec(&["id", "-u"]).ok().prints("0");
    }

    fn init_is_known_by_its_host_pid_when_user_and_pid_namespace_are_joined(lab) {
        let target = lab.bundle(&Config::new().user_namespace(100_000));
        give_away(&target, 100_000);
        target.create().ok();
        target.start().ok();
        let path = |name: &str| format!("/proc/{}/ns/{name}", target.pid());
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        let config = Config::new().namespace("user", Some(&path("user"))).namespace("pid", Some(&path("pid")));
        let config = if lab.is_reference() {
            config.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
        } else {
            config
        };
        let c = lab.bundle(&config);
        give_away(&c, 100_000);
        let created = c.create();
        if created.status.code() != Some(0)
            && lab.reference_lacks("joining a user namespace with a new mount namespace")
        {
            return;
        }
        created.ok();
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()], "the process in the cgroup is the one in the state");
        // Nobody in the joined namespaces may look through it at the host.
        let seen = target.shell("ls /proc/*/root/ 2>/dev/null | grep -c '^usr$'; true");
        assert_eq!(seen, "0", "a root of the host is open to the container");
    }

    fn a_user_namespace_without_mappings_is_refused(lab) {
        let c = lab.bundle(&Config::new().namespace("user", None));
        let output = c.create();
        assert_ne!(output.status.code(), Some(0), "{output}");
        assert!(!lab.root().join(c.id()).exists());
    }

    fn a_missing_namespace_path_is_named(lab) {
        let c = lab.bundle(&Config::new().namespace("network", Some("/no/such/netns")));
        c.create().code(1).says("/no/such/netns");
    }

    fn a_namespace_of_another_kind_is_refused(lab) {
        let c = lab.bundle(&Config::new().namespace("network", Some("/proc/self/ns/uts")));
        let output = c.create();
        assert_ne!(output.status.code(), Some(0), "{output}");
    }

    fn a_namespace_given_twice_is_refused(lab) {
        let c = lab.bundle(&Config::new().push("/linux/namespaces", json!({"type": "uts"})));
        c.create().code(1);
    }

    fn an_unknown_kind_is_refused(lab) {
        let c = lab.bundle(&Config::new().push("/linux/namespaces", json!({"type": "weather"})));
        c.create().code(1).says("weather");
    }
}

/// Gives the root file system to the user that is root inside; parents of it may be searched by all.
fn give_away(c: &testkit::Container, uid: u32) {
    for path in testkit::hierarchy::subtree(&c.rootfs("/")) {
        std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
    }
}
