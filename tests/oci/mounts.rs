//! Mounts and the root: kinds, options, propagation, what is hidden, and links planted in the root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;
use testkit::old_kernel::release;
use testkit::{Config, Lab, conformance, hang, hierarchy, partner};

conformance! {
    fn options_reach_the_kernel(lab) {
        let shared = lab.path("shared");
        fs::create_dir(&shared).unwrap();
        let source = shared.to_str().unwrap();
        for (options, wanted, unwanted) in [
            (vec!["bind", "ro"], vec!["ro"], vec!["rw", "nosuid"]),
            (vec!["bind", "nosuid", "nodev", "noexec"], vec!["rw", "nosuid", "nodev", "noexec"], vec!["ro"]),
            (vec!["rbind", "ro", "nosuid"], vec!["ro", "nosuid"], vec!["rw"]),
            (vec!["bind", "noatime"], vec!["rw", "noatime"], vec!["relatime"]),
            (vec!["bind", "rw"], vec!["rw"], vec!["ro"]),
        ] {
            let config = Config::new().mount("/shared", "bind", source, &options);
            let text = lab.run_once(&config.script("grep ' /shared ' /proc/self/mountinfo")).ok().stdout;
            let found: Vec<&str> = text.split(' ').nth(5).unwrap().split(',').collect();
            assert!(wanted.iter().all(|option| found.contains(option)), "{options:?}: {text}");
            assert!(!unwanted.iter().any(|option| found.contains(option)), "{options:?}: {text}");
        }
    }

    fn access_control_lists_are_asked_for_or_not(lab) {
        let source = lab.write("file", "");
        for option in ["acl", "noacl"] {
            let config = Config::new()
                .mount("/queue", "mqueue", "mqueue", &["nosuid", option])
                .mount("/memory", "tmpfs", "tmpfs", &["nosuid", option])
                .mount("/file", "bind", source.to_str().unwrap(), &["bind", option]);
            let script = "grep -c -e ' /queue .*nosuid' -e ' /memory .*nosuid' -e ' /file ' /proc/self/mountinfo";
            assert_eq!(lab.run_once(&config.script(script)).ok().stdout, "3\n", "{option}");
        }
    }

    fn a_bind_mount_shows_the_hosts_files(lab) {
        let file = lab.write("file", "of the host\n");
        let config = Config::new().mount("/made/by/mount", "bind", file.to_str().unwrap(), &["bind", "ro"]);
        lab.run_once(&config.args(&["cat", "/made/by/mount"])).ok().prints("of the host");
    }

    fn a_file_is_mounted_where_a_dangling_link_points(lab) {
        let file = lab.write("file", "of the host\n");
        for (link, target) in [
            ("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
            ("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
        ] {
            let config = Config::new().mount(link, "bind", file.to_str().unwrap(), &["bind", "ro"]);
            let c = lab.bundle(&config.args(&["cat", link, target]));
            symlink(target, c.rootfs(link)).unwrap();
            let output = c.run();
            assert_eq!(output.ok().stdout, "of the host\nof the host\n", "{link}");
        }
    }

    fn writes_through_a_bind_mount_reach_the_host(lab) {
        fs::create_dir(lab.path("shared")).unwrap();
        let config =
            Config::new().mount("/shared", "bind", lab.path("shared").to_str().unwrap(), &["rbind", "rw"]);
        lab.run_once(&config.script("echo inside > /shared/file")).ok();
        assert_eq!(fs::read_to_string(lab.path("shared/file")).unwrap(), "inside\n");
    }

    fn a_read_only_bind_mount_refuses_writes(lab) {
        fs::create_dir(lab.path("shared")).unwrap();
        let config =
            Config::new().mount("/shared", "bind", lab.path("shared").to_str().unwrap(), &["rbind", "ro"]);
        lab.run_once(&config.script("echo inside > /shared/file")).code(1).says("read-only file system");
    }

    fn an_id_mapped_mount_has_the_owners_of_the_container(lab) {
        if lacks_id_mapped_mounts(lab) {
            return;
        }
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        let own = json!({"uidMappings": map, "gidMappings": map});
        for (options, mappings) in [(["bind", "idmap"], json!({})), (["rbind", "ridmap"], json!({})), (["bind", "rw"], own)] {
            let source = owned_source(lab);
            let mut entry = json!({"destination": "/home", "source": source, "options": options});
            entry.as_object_mut().unwrap().extend(mappings.as_object().unwrap().clone());
            let config = Config::new().user_namespace(100_000).push("/mounts", entry);
            let script = "stat -c %u:%g /home/file; echo x > /home/new; chown 7:8 /home/new";
            lab.run_once(&config.script(script)).ok().prints("1000:1001");
            let new = fs::metadata(format!("{source}/new")).unwrap();
            assert_eq!((new.uid(), new.gid()), (7, 8), "{options:?}");
        }
    }

    fn id_mapped_mounts_of_one_container_have_mappings_of_their_own(lab) {
        if lacks_id_mapped_mounts(lab) {
            return;
        }
        let source = owned_source(lab);
        let from = |first: u32| json!([{"containerID": 0, "hostID": first, "size": 65536}]);
        let entry = |destination: &str, first: u32| {
            let (map, options) = (from(first), ["bind"]);
            json!({"destination": destination, "source": source, "options": options,
                   "uidMappings": map, "gidMappings": map})
        };
        let mounts = [("/home", 100_000), ("/tmp", 100_000), ("/var", 100_001), ("/root", 100_000)];
        let config = mounts.into_iter().fold(Config::new().user_namespace(100_000), |config, (path, first)| {
            config.push("/mounts", entry(path, first))
        });
        let script = "stat -c %u /home/file /tmp/file /var/file /root/file";
        lab.run_once(&config.script(script)).ok().prints("1000\n1000\n1001\n1000");
    }

    fn an_id_mapped_mount_has_the_owners_of_a_joined_container(lab) {
        if lacks_id_mapped_mounts(lab) {
            return;
        }
        let target = lab.bundle(&Config::new().user_namespace(100_000));
        target.create().ok();
        let path = format!("/proc/{}/ns/user", target.pid());
        let source = owned_source(lab);
        let config = Config::new().namespace("user", Some(&path)).mount("/home", "bind", &source, &["bind", "idmap"]);
        lab.run_once(&config.script("stat -c %u:%g /home/file")).ok().prints("1000:1001");
    }

    fn ridmap_covers_the_mounts_below_and_idmap_does_not(lab) {
        if lacks_id_mapped_mounts(lab) {
            return;
        }
        if release() < (6, 3) {
            return partner::not_run("tmpfs has no id-mapped mounts before Linux 6.3");
        }
        let source = owned_source(lab);
        let below = format!("{source}/below");
        fs::create_dir(&below).unwrap();
        mount("tmpfs", &below, "tmpfs", MountFlags::empty(), None).unwrap();
        lab.write("owned/below/file", "");
        chown(format!("{below}/file"), Some(1000), Some(1001)).unwrap();
        for (option, expected) in [("idmap", "65534:65534"), ("ridmap", "1000:1001")] {
            let config = Config::new().user_namespace(100_000).mount("/home", "bind", &source, &["rbind", option]);
            lab.run_once(&config.script("stat -c %u:%g /home/below/file")).ok().prints(expected);
        }
        unmount(&below, UnmountFlags::empty()).unwrap();
    }

    fn rro_covers_the_mounts_below(lab) {
        fs::create_dir_all(lab.path("shared/below")).unwrap();
        let below = lab.path("shared/below");
        rustix::mount::mount("tmpfs", &below, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
        let source = lab.path("shared");
        for (option, expected) in [("ro", 0), ("rro", 1)] {
            let config = Config::new().mount("/shared", "bind", source.to_str().unwrap(), &["rbind", option]);
            lab.run_once(&config.script("touch /shared/below/file")).code(expected);
        }
        rustix::mount::unmount(&below, rustix::mount::UnmountFlags::empty()).unwrap();
    }

    fn a_relative_source_lies_in_the_bundle(lab) {
        let c = lab.bundle(&Config::new().mount("/x", "bind", "beside", &["bind"]).args(&["cat", "/x"]));
        lab.write(&format!("{}/beside", c.id()), "beside\n");
        c.run().ok().prints("beside");
    }

    fn tmpfs_takes_its_options(lab) {
        let config = Config::new().mount(
            "/t",
            "tmpfs",
            "tmpfs",
            &["nosuid", "size=1m", "mode=1750", "uid=1000", "gid=2000"],
        );
        let text = lab
            .run_once(&config.script("stat -c '%a %u %g' /t; grep ' /t ' /proc/self/mountinfo"))
            .ok()
            .stdout;
        assert!(text.starts_with("1750 1000 2000\n"), "{text}");
        assert!(text.contains("size=1024k") && text.contains("nosuid"), "{text}");
    }

    fn tmpcopyup_brings_what_was_there(lab) {
        let config = Config::new().mount("/etc", "tmpfs", "tmpfs", &["tmpcopyup", "size=4m"]);
        let c = lab.bundle(&config.script("cat /etc/passwd; echo x > /etc/new"));
        let output = c.run().ok();
        assert!(output.stdout.contains("worker"), "{output}");
        assert!(!c.rootfs("/etc/new").exists());
    }

    fn a_read_only_root_refuses_writes(lab) {
        let config = Config::new().set("/root/readonly", json!(true));
        lab.run_once(&config.script("touch /file")).code(1).says("read-only file system");
    }

    fn masked_paths_are_hidden(lab) {
        let c = lab.bundle(
            &Config::new()
                .set("/linux/maskedPaths", json!(["/etc/passwd", "/home", "/no/such"]))
                .script("cat /etc/passwd; ls /home; touch /home/x"),
        );
        let output = c.run().code(1);
        assert_eq!(output.stdout, "");
        assert!(c.rootfs("/home/worker").is_dir());
    }

    fn masked_paths_are_hidden_from_exec(lab) {
        let c = lab.sleeper();
        assert_eq!(c.shell("cat /proc/keys /proc/timer_list; ls /sys/firmware"), "");
    }

    fn read_only_paths_refuse_writes(lab) {
        let config = Config::new().set("/linux/readonlyPaths", json!(["/home", "/no/such", "/proc/sys"]));
        let output =
            lab.run_once(&config.script("ls /home; touch /home/x; echo 1 > /proc/sys/kernel/printk")).code(1);
        assert_eq!(output.stdout, "worker\n");
        assert_eq!(output.stderr.to_lowercase().matches("read-only").count(), 2, "{output}");
    }

    fn the_default_devices_and_links_are_there(lab) {
        let script = "for d in null zero full random urandom tty; do stat -c '%n %t %T %a' /dev/$d; done; \
                      for l in fd stdin stdout stderr ptmx core; do echo $l $(readlink /dev/$l); done";
        let text = lab.run_once(&Config::new().script(script)).ok().stdout;
        let expected = "/dev/null 1 3 666\n/dev/zero 1 5 666\n/dev/full 1 7 666\n/dev/random 1 8 666\n/dev/urandom 1 9 666\n/dev/tty 5 0 666\n\
                        fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx\n";
        assert!(text.starts_with(expected), "{text}");
    }

    fn a_new_terminal_can_be_opened_inside(lab) {
        lab.run_once(&Config::new().script("exec 3<>/dev/ptmx; ls /dev/pts")).ok().prints("0\nptmx");
    }

    fn the_propagation_of_the_root_is_taken(lab) {
        for propagation in ["private", "rprivate", "slave", "rslave", "shared", "rshared"] {
            let config = Config::new().set("/linux/rootfsPropagation", json!(propagation));
            let text = lab.run_once(&config.args(&["cat", "/proc/self/mountinfo"])).ok().stdout;
            let root = text.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
            assert!(propagation.ends_with("shared") || !root.contains("shared:"), "{propagation}: {root}");
        }
        lab.bundle(&Config::new().set("/linux/rootfsPropagation", json!("weather")))
            .create()
            .code(1)
            .says("weather");
    }

    fn a_slave_mount_receives_the_hosts_mounts(lab) {
        fs::create_dir_all(lab.path("shared/below")).unwrap();
        let shared = lab.path("shared");
        rustix::mount::mount_bind(&shared, &shared).unwrap();
        rustix::mount::mount_change(&shared, rustix::mount::MountPropagationFlags::SHARED).unwrap();
        let config = Config::new().set("/linux/rootfsPropagation", json!("rslave"));
        let c = lab.started(&config.mount("/shared", "bind", shared.to_str().unwrap(), &["rbind", "rslave"]));
        let below = lab.path("shared/below");
        rustix::mount::mount("tmpfs", &below, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
        hang::eventually("the mount to arrive", || {
            c.shell("grep -c /shared/below /proc/self/mountinfo || true") == "1"
        });
        rustix::mount::unmount(&below, rustix::mount::UnmountFlags::empty()).unwrap();
        rustix::mount::unmount(&shared, rustix::mount::UnmountFlags::empty()).unwrap();
    }

    fn no_mount_of_a_container_appears_on_the_host(lab) {
        let c = lab.sleeper();
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!text.contains(c.id()), "{text}");
    }

    fn a_cgroup_mount_shows_the_containers_group(lab) {
        let config = Config::new().mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        );
        // Without a cgroup namespace a mount of cgroup v2 shows the whole tree, whoever mounts it.
        let config = if hierarchy::is_v1("pids") { config } else { config.namespace("cgroup", None) };
        let script = "cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null | head -1; mkdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x";
        let output = lab.run_once(&config.script(script));
        assert_eq!(output.stdout, "1\n", "{output}");
        assert_ne!(output.status.code(), Some(0), "read only: {output}");
    }

    fn a_missing_source_is_named(lab) {
        let c = lab.bundle(&Config::new().mount("/x", "bind", "/no/such/source", &["bind"]));
        c.create().code(1).says("/no/such/source");
        assert!(!lab.root().join(c.id()).exists());
    }

    fn an_unknown_file_system_is_refused(lab) {
        let c = lab.bundle(&Config::new().mount("/x", "weatherfs", "weather", &[]));
        c.create().code(1).says("weather");
    }

    fn links_in_the_root_do_not_lead_out(lab) {
        fs::create_dir(lab.path("outside")).unwrap();
        let c = lab.bundle(&Config::new().mount("/planted/inner", "tmpfs", "tmpfs", &[]).args(&["true"]));
        symlink(lab.path("outside"), c.rootfs("/planted")).unwrap();
        c.run();
        assert_eq!(fs::read_dir(lab.path("outside")).unwrap().count(), 0);
    }

    fn a_link_in_place_of_proc_is_refused(lab) {
        let c = lab.bundle(&Config::new().args(&["true"]));
        fs::remove_dir(c.rootfs("/proc")).unwrap();
        symlink("/tmp", c.rootfs("/proc")).unwrap();
        c.create().code(1);
    }

    fn the_programs_descriptor_of_the_root_is_not_the_hosts(lab) {
        let host = fs::metadata("/").unwrap();
        let text = lab.run_once(&Config::new().args(&["stat", "-c", "%d %i", "/"])).ok().stdout;
        assert_ne!(text.trim(), format!("{} {}", host.dev(), host.ino()));
    }
}

/// Whether there are no id-mapped mounts to test, after saying aloud why.
fn lacks_id_mapped_mounts(lab: &Lab) -> bool {
    let old = release() < (5, 12);
    if old {
        partner::not_run("Linux has no id-mapped mounts before 5.12; tests/old_kernel has the refusal");
    }
    old || lab.reference_lacks("id-mapped mounts, which came with runc 1.2")
}

/// A directory with a file that belongs to 1000 and 1001.
fn owned_source(lab: &Lab) -> String {
    let source = lab.path("owned");
    fs::create_dir_all(&source).unwrap();
    chown(lab.write("owned/file", ""), Some(1000), Some(1001)).unwrap();
    source.display().to_string()
}
