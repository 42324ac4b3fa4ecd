//! `create`: what is there when it returns, the pid file, and what it refuses without leaving anything.

use std::fs;

use serde_json::json;
use testkit::{Config, conformance, hierarchy, process};

conformance! {
    fn init_is_parked_until_start(lab) {
        let c = lab.created(&Config::new().script("echo started > /mark; exec sleep 1000000"));
        assert_eq!(c.status(), "created");
        assert!(process::is_alive(c.pid()));
        assert!(!c.rootfs("/mark").exists());
        c.start().ok();
        c.wait_status("running");
    }

    fn init_owns_its_namespaces_before_start(lab) {
        let c = lab.created(&Config::new());
        let own = i32::try_from(std::process::id()).unwrap();
        for kind in ["net", "mnt", "uts", "pid", "ipc"] {
            assert_ne!(process::namespace(c.pid(), kind), process::namespace(own, kind), "{kind}");
        }
    }

    fn init_sits_in_its_cgroups_before_start(lab) {
        let c = lab.created(&Config::new());
        let text = fs::read_to_string(format!("/proc/{}/cgroup", c.pid())).unwrap();
        for controller in ["pids", "memory", "freezer", "devices", "cpu"] {
            assert_eq!(hierarchy::group_in(&text, controller), c.group(), "{controller}");
        }
    }

    fn the_pid_file_is_decimal_without_a_newline(lab) {
        let c = lab.bundle(&Config::new());
        let file = lab.path("pid");
        c.create_with(&["--pid-file", file.to_str().unwrap()]).ok();
        assert_eq!(fs::read_to_string(file).unwrap(), c.pid().to_string());
    }

    fn the_pid_file_replaces_an_older_one_whole(lab) {
        let c = lab.bundle(&Config::new());
        let file = lab.write("pid", "a much longer text than any pid could ever be\n");
        let inode = |path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let before = inode(&file);
        c.create_with(&["--pid-file", file.to_str().unwrap()]).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), c.pid().to_string());
        assert_ne!(inode(&file), before, "renamed into place, not rewritten");
    }

    fn the_bundle_defaults_to_the_working_directory(lab) {
        let c = lab.bundle(&Config::new());
        c.verb("create", &[], &[]).cwd(c.bundle()).ok();
        assert_eq!(c.state()["bundle"], json!(c.bundle()));
    }

    fn a_missing_program_is_told_by_create(lab) {
        let c = lab.bundle(&Config::new().args(&["no-such-program"]));
        c.create().code(1).says("executable file not found in $PATH");
    }

    fn a_missing_absolute_program_is_told_by_create(lab) {
        let c = lab.bundle(&Config::new().args(&["/no/such/program"]));
        c.create().code(1).says("no such file or directory");
    }

    fn a_program_without_x_bit_is_told_by_create(lab) {
        let c = lab.bundle(&Config::new().args(&["/etc/passwd"]));
        c.create().code(1).says("permission denied");
    }

    fn a_refused_create_leaves_no_group_and_no_state(lab) {
        let c = lab.bundle(&Config::new().args(&["no-such-program"]));
        c.create().code(1);
        assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
        assert!(!lab.root().join(c.id()).exists());
    }

    fn an_id_is_used_once(lab) {
        let c = lab.sleeper();
        c.create().code(1).says("already exist");
        assert_eq!(c.status(), "running");
        c.exec(&["true"]).ok();
    }

    fn bad_ids_are_refused(lab) {
        let c = lab.bundle(&Config::new());
        let bundle = c.bundle().to_str().unwrap();
        for id in ["a/b", "..", ".", "", "a b", "a:b", "ü"] {
            let output = lab.run(&["create", "--bundle", bundle, id]);
            assert_ne!(output.status.code(), Some(0), "{id:?}: {output}");
        }
    }

    fn every_allowed_character_may_stand_in_an_id(lab) {
        let c = lab.bundle(&Config::new());
        let id = format!("AZ_az.+-09-{}", c.id());
        lab.run(&["create", "--bundle", c.bundle().to_str().unwrap(), &id]).ok();
        lab.run(&["delete", "--force", &id]).ok();
    }

    fn a_missing_config_names_the_file(lab) {
        let c = lab.bundle(&Config::new());
        fs::remove_file(c.bundle().join("config.json")).unwrap();
        c.create().code(1).says("config.json");
    }

    fn a_malformed_config_is_refused(lab) {
        let c = lab.bundle(&Config::new());
        lab.write(&format!("{}/config.json", c.id()), "{\"ociVersion\": \"1.0.2\",");
        c.create().code(1);
        assert!(!lab.root().join(c.id()).exists());
    }

    fn a_missing_root_file_system_is_refused(lab) {
        let c = lab.bundle(&Config::new().set("/root/path", json!("nowhere")));
        c.create().code(1).says("nowhere");
    }

    fn a_missing_bundle_is_refused(lab) {
        let bundle = lab.path("nowhere");
        lab.run(&["create", "--bundle", bundle.to_str().unwrap(), "c"]).code(1).says("nowhere");
    }

    fn exactly_one_argument_is_wanted(lab) {
        let c = lab.bundle(&Config::new());
        c.create_with(&["one-more"]).run().code(1);
        lab.run(&["create"]).code(1);
    }

    fn annotations_come_back_in_the_state(lab) {
        let c = lab.created(&Config::new().set("/annotations", json!({"com.example.key": "a value"})));
        assert_eq!(c.state()["annotations"], json!({"com.example.key": "a value"}));
    }

    fn the_container_inherits_the_standard_descriptors(lab) {
        let c = lab.bundle(&Config::new().script("read line; echo out $line; echo err $line >&2"));
        let creating = c.create_with(&[]).stdin_bytes(b"hello\n").spawn();
        testkit::hang::eventually("create to return", || creating.has_ended());
        c.start().ok();
        c.wait_status("stopped");
        let output = creating.wait().ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out hello\n", "err hello\n"));
    }

    fn a_terminal_needs_a_console_socket(lab) {
        let c = lab.bundle(&Config::new().set("/process/terminal", json!(true)));
        c.create().code(1).says("cannot allocate tty if").says("will detach without setting console socket");
    }

    fn a_console_socket_needs_a_terminal(lab) {
        let c = lab.bundle(&Config::new());
        let output = c.create_with(&["--console-socket", "/nowhere"]).run().code(1);
        output.says("cannot use console socket if").says("will not detach or allocate tty");
    }

    fn relative_cgroup_paths_lie_below_the_callers_group(lab) {
        // One level, which goes with the container: a level in between would stay in the group of who runs the tests.
        let relative = format!("{}-relative", lab.group().trim_start_matches('/'));
        let c = lab.created(&Config::new().set("/linux/cgroupsPath", json!(relative)));
        let text = fs::read_to_string(format!("/proc/{}/cgroup", c.pid())).unwrap();
        let group = hierarchy::group_in(&text, "pids");
        assert!(group.ends_with(&format!("/{relative}")), "{group}");
        c.delete_force().ok();
    }
}
