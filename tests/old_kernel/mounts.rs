//! Mounts without `mount_setattr` (Linux 5.12): flags of one mount change through `mount(2)`, those of a tree do not.

use std::fs;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;
use testkit::{Config, Lab};

use crate::on_linux_5_10;

/// The options that mountinfo shows for `/shared`, a bind mount of a tmpfs that was mounted with `source`.
fn shown(lab: &Lab, source: MountFlags, options: &[&str]) -> Vec<String> {
    let shared = lab.path("shared");
    fs::create_dir_all(&shared).unwrap();
    mount("tmpfs", &shared, "tmpfs", source, None).unwrap();
    let config = Config::new().mount("/shared", "bind", shared.to_str().unwrap(), options);
    let text = lab.run_once(&config.script("grep ' /shared ' /proc/self/mountinfo")).ok().stdout;
    unmount(&shared, UnmountFlags::empty()).unwrap();
    text.split(' ').nth(5).unwrap().split(',').map(str::to_owned).collect()
}

on_linux_5_10! {
    fn a_bind_mount_gets_exactly_its_flags(lab) {
        let none = MountFlags::empty();
        let noatime = MountFlags::NOATIME;
        for (source, options, expected) in [
            (none, vec!["bind", "ro"], "ro relatime"),
            (none, vec!["bind", "nosuid", "nodev", "noexec"], "rw nosuid nodev noexec relatime"),
            (MountFlags::NOSUID, vec!["bind", "nodev"], "rw nodev relatime"),
            (none, vec!["bind", "noatime"], "rw noatime"),
            (none, vec!["bind", "strictatime"], "rw"),
            (none, vec!["bind", "strictatime", "nodiratime"], "rw nodiratime"),
            (noatime, vec!["bind", "ro"], "ro noatime"),
            (noatime, vec!["bind", "relatime"], "rw relatime"),
            (MountFlags::STRICTATIME, vec!["bind", "ro"], "ro"),
            (MountFlags::STRICTATIME, vec!["bind", "nodiratime"], "rw nodiratime"),
            (none, vec!["bind", "nosymfollow"], "rw relatime nosymfollow"),
            (MountFlags::NOSYMFOLLOW, vec!["rbind", "rw", "symfollow"], "rw relatime"),
        ] {
            assert_eq!(shown(lab, source, &options).join(" "), expected, "{source:?} {options:?}");
        }
    }

    fn a_new_file_system_gets_its_flags(lab) {
        for (options, expected) in [
            (vec!["ro", "noexec"], "ro,noexec,relatime"),
            (vec!["nosymfollow", "nosuid"], "rw,nosuid,relatime,nosymfollow"),
        ] {
            let config = Config::new().mount("/new", "tmpfs", "tmpfs", &options);
            let text = lab.run_once(&config.script("grep ' /new ' /proc/self/mountinfo")).ok().stdout;
            assert_eq!(text.split(' ').nth(5), Some(expected), "{options:?}");
        }
    }

    fn a_bind_mount_can_be_remounted(lab) {
        fs::create_dir(lab.path("shared")).unwrap();
        let config = Config::new()
            .mount("/shared", "bind", lab.path("shared").to_str().unwrap(), &["bind"])
            .mount("/shared", "none", "none", &["remount", "bind", "ro", "nosuid"]);
        let text = lab.run_once(&config.script("grep ' /shared ' /proc/self/mountinfo")).ok().stdout;
        assert_eq!(text.split(' ').nth(5), Some("ro,nosuid,relatime"), "{text}");
    }

    fn read_only_covers_root_and_paths(lab) {
        let config = Config::new()
            .set("/root/readonly", json!(true))
            .set("/linux/readonlyPaths", json!(["/home", "/proc/sys"]));
        let script = "touch /file; touch /home/file; echo 1 > /proc/sys/kernel/printk; touch /dev/shm/file";
        let said = lab.run_once(&config.script(script)).code(0).stderr.to_lowercase();
        assert_eq!(said.matches("read-only file system").count(), 3, "{said}");
    }

    fn a_whole_tree_is_refused_by_its_name(lab) {
        fs::create_dir(lab.path("shared")).unwrap();
        let shared = lab.path("shared");
        let config = Config::new().mount("/shared", "bind", shared.to_str().unwrap(), &["rbind", "rro"]);
        lab.bundle(&config).create().code(1).says("rro").says("Linux 5.12");
    }

    fn an_id_mapped_mount_is_refused_by_its_name(lab) {
        fs::create_dir(lab.path("shared")).unwrap();
        let shared = lab.path("shared");
        let config = Config::new()
            .user_namespace(100_000)
            .mount("/shared", "bind", shared.to_str().unwrap(), &["bind", "idmap"]);
        let c = lab.bundle(&config);
        c.create().code(1).says("/mounts/6").says("Linux 5.12");
    }

    fn propagation_is_changed(lab) {
        fs::create_dir(lab.path("shared")).unwrap();
        let shared = lab.path("shared");
        // Where the host's mount is private, a slave of it has no master.
        let table: [(&str, &[&str]); 3] =
            [("rslave", &["-", "master:"]), ("rshared", &["shared:"]), ("unbindable", &["unbindable"])];
        for (option, expected) in table {
            let config = Config::new().mount("/shared", "bind", shared.to_str().unwrap(), &["rbind", option]);
            let text = lab.run_once(&config.script("grep ' /shared ' /proc/self/mountinfo")).ok().stdout;
            let optional = text.split(' ').nth(6).unwrap();
            assert!(expected.iter().any(|word| optional.starts_with(word)), "{option}: {text}");
        }
    }
}
