//! Hooks: six kinds, their order, the state they read, and what a failing one stops.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::{Config, conformance, hang};

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// With a hook of every kind that adds a line to `log`: its kind, and what its shell makes of `words`.
fn logging(config: Config, log: &Path, words: &str) -> Config {
    let outside = log.to_str().unwrap();
    KINDS.into_iter().fold(config.mount("/log", "bind", outside, &["bind"]), |config, kind| {
        let path = if kind == "startContainer" { "/log" } else { outside };
        config.hook(kind, &format!("echo {kind} {words} >> {path}"))
    })
}

conformance! {
    fn all_six_kinds_run_in_order(lab) {
        let log = lab.write("order", "");
        let config = Config::new().script("echo program; exec sleep 1000000");
        let c = lab.created(&logging(config, &log, ""));
        let order = || fs::read_to_string(&log).unwrap();
        // The reference of this age runs poststart at create, against the specification.
        let early = if lab.is_reference() { "poststart\n" } else { "" };
        assert_eq!(order(), format!("prestart\ncreateRuntime\ncreateContainer\n{early}"));
        c.start().ok();
        hang::eventually("the hooks of start", || order().lines().count() == 5);
        let started = order();
        let mut last: Vec<&str> = started.lines().skip(3).collect();
        last.sort_unstable();
        assert_eq!(last, ["poststart", "startContainer"]);
        c.delete_force().ok();
        assert!(order().ends_with("poststop\n"), "{}", order());
    }

    fn each_hook_reads_the_state_with_the_host_pid(lab) {
        let file = |kind| lab.path(&format!("{kind}.json"));
        let mut config = Config::new().set("/annotations", json!({"a": "b"}));
        for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
            config = config.hook(kind, &format!("cat > {}", file(kind).display()));
        }
        let c = lab.started(&config);
        let pid = c.pid();
        let bundle = json!(c.bundle());
        c.delete_force().ok();
        for (kind, status) in [
            ("prestart", "creating"),
            ("createRuntime", "creating"),
            ("poststart", if lab.is_reference() { "created" } else { "running" }),
            ("poststop", "stopped"),
        ] {
            let state: Value = serde_json::from_str(&fs::read_to_string(file(kind)).unwrap()).unwrap();
            assert_eq!(state["id"], json!(c.id()), "{kind}");
            assert_eq!(state["bundle"], bundle, "{kind}");
            assert_eq!(state["status"], status, "{kind}");
            assert_eq!(state["annotations"], json!({"a": "b"}), "{kind}");
            if kind != "poststop" {
                assert_eq!(state["pid"], pid, "{kind}");
            }
        }
    }

    fn the_hook_finds_the_containers_network_namespace(lab) {
        let link = lab.path("link");
        let script = format!(
            "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); readlink /proc/$pid/ns/net > {}",
            link.display()
        );
        let c = lab.created(&Config::new().hook("prestart", &script));
        assert_eq!(fs::read_to_string(link).unwrap().trim(), testkit::process::namespace(c.pid(), "net"));
    }

    fn hooks_of_the_runtime_run_in_the_runtimes_namespaces(lab) {
        let links = lab.path("links");
        let script = format!("readlink /proc/self/ns/mnt /proc/self/ns/pid > {}", links.display());
        let _c = lab.created(&Config::new().hook("createRuntime", &script));
        let own = i32::try_from(std::process::id()).unwrap();
        let expected = format!(
            "{}\n{}\n",
            testkit::process::namespace(own, "mnt"),
            testkit::process::namespace(own, "pid")
        );
        assert_eq!(fs::read_to_string(links).unwrap(), expected);
    }

    fn create_container_runs_in_the_containers_mount_namespace(lab) {
        let link = lab.path("link");
        let script = format!("readlink /proc/self/ns/mnt > {}", link.display());
        let c = lab.created(&Config::new().hook("createContainer", &script));
        assert_eq!(fs::read_to_string(link).unwrap().trim(), testkit::process::namespace(c.pid(), "mnt"));
    }

    fn start_container_runs_inside_the_root(lab) {
        let c = lab.started(&Config::new().hook("startContainer", "cat > /state.json; hostname > /name"));
        hang::eventually("the hook", || {
            fs::read_to_string(c.rootfs("/name")).is_ok_and(|text| !text.is_empty())
        });
        assert_eq!(fs::read_to_string(c.rootfs("/name")).unwrap(), "sluice-test\n");
        let state: Value =
            serde_json::from_str(&fs::read_to_string(c.rootfs("/state.json")).unwrap()).unwrap();
        assert_eq!(state["id"], json!(c.id()));
    }

    fn a_failing_hook_before_start_fails_create_and_leaves_nothing(lab) {
        for kind in ["prestart", "createRuntime", "createContainer"] {
            let mark = lab.path(&format!("{kind}-poststop"));
            let config = Config::new().hook(kind, "echo why it failed >&2; exit 3");
            let c = lab.bundle(&config.hook("poststop", &format!("touch {}", mark.display())));
            c.create().code(1).says("hook").says("exit status 3");
            assert!(!lab.root().join(c.id()).exists(), "{kind}");
        }
    }

    fn what_a_failing_hook_wrote_is_told(lab) {
        let c = lab.bundle(&Config::new().hook("createRuntime", "echo the very reason >&2; exit 3"));
        c.create().code(1).says("the very reason");
    }

    fn a_failing_start_container_hook_ends_the_container(lab) {
        let c = lab.created(&Config::new().hook("startContainer", "exit 3"));
        c.start();
        c.wait_status("stopped");
    }

    fn a_failing_poststop_hook_does_not_keep_the_container(lab) {
        let c = lab.sleeper();
        c.delete_force().ok();
        let failing = lab.started(&Config::new().hook("poststop", "exit 3"));
        failing.delete_force();
        assert!(!lab.root().join(failing.id()).exists());
    }

    fn a_hook_has_the_environment_and_arguments_given(lab) {
        let file = lab.path("seen");
        let script = format!(
            "echo $0 $1 $A; env | cut -d= -f1 | sort | tr '\\n' ' '; exec > {}; echo $0 $1 $A ${{HOME-none}}",
            file.display()
        );
        let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", script, "name", "one"], "env": ["A=b"]});
        let _c = lab.created(&Config::new().push("/hooks/createRuntime", hook));
        assert_eq!(fs::read_to_string(file).unwrap(), "name one b none\n");
    }

    fn a_hook_without_an_environment_inherits_one(lab) {
        let log = lab.write("seen", "");
        let config = Config::new().env("FROM=container").script("true");
        let c = lab.bundle(&logging(config, &log, "$FROM ${HOME:+HOME} $(pwd)"));
        c.run_with(&[]).env("FROM", "runtime").env("HOME", "").run().ok();
        let seen = fs::read_to_string(log).unwrap();
        let (bundle, rootfs) = (c.bundle().display(), c.rootfs("/"));
        let rootfs = rootfs.to_str().unwrap().trim_end_matches('/');
        // The reference gives this one, a program of the host, the variables of the container.
        let create_container = if lab.is_reference() { "container" } else { "runtime" };
        for line in [
            format!("prestart runtime {bundle}"),
            format!("createRuntime runtime {bundle}"),
            format!("createContainer {create_container} {rootfs}"),
            "startContainer container HOME /".to_owned(),
            format!("poststart runtime {bundle}"),
            format!("poststop runtime {bundle}"),
        ] {
            assert!(seen.lines().any(|found| found == line), "{line}: {seen}");
        }
    }

    fn a_poststop_hook_runs_though_the_bundle_is_gone(lab) {
        let mark = lab.path("mark");
        let c = lab.started(&Config::new().hook("poststop", &format!("touch {}", mark.display())));
        c.kill("KILL").ok();
        c.wait_status("stopped");
        fs::remove_dir_all(c.bundle()).unwrap();
        c.delete_force().ok();
        assert!(mark.exists());
    }

    fn a_hook_with_an_empty_environment_has_none(lab) {
        let (log, script) = (lab.path("seen"), "echo ${FROM-none}");
        let hook = json!({"path": "/bin/sh", "env": [],
            "args": ["sh", "-c", format!("{script} >> {}", log.display())]});
        let config = Config::new().script("true").push("/hooks/prestart", hook.clone());
        let c = lab.bundle(&config.push("/hooks/poststop", hook));
        c.run_with(&[]).env("FROM", "runtime").run().ok();
        assert_eq!(fs::read_to_string(log).unwrap(), "none\nnone\n");
    }

    fn a_hook_over_its_time_fails_create(lab) {
        let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "exec sleep 1000000"], "timeout": 1});
        let c = lab.bundle(&Config::new().push("/hooks/createRuntime", hook));
        c.create().code(1).says("time");
        assert!(!lab.root().join(c.id()).exists());
    }

    fn a_hook_starts_under_a_filter_that_knows_no_clone3(lab) {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
        });
        let config = Config::new().set("/process/noNewPrivileges", json!(false)).set("/linux/seccomp", profile);
        let c = lab.started(&config.hook("startContainer", "touch /ran"));
        hang::eventually("the hook", || c.rootfs("/ran").exists());
    }

    fn a_hook_that_closes_its_streams_is_waited_for(lab) {
        let mark = lab.path("mark");
        let script = format!("exec <&- >&- 2>&-; sleep 0.2; touch {}", mark.display());
        let _c = lab.created(&Config::new().hook("createRuntime", &script));
        assert!(mark.exists());
    }

    fn a_missing_hook_program_is_named(lab) {
        let c = lab.bundle(&Config::new().push("/hooks/createRuntime", json!({"path": "/no/such/hook"})));
        c.create().code(1).says("/no/such/hook");
    }

    fn hooks_of_one_kind_run_in_the_order_given(lab) {
        let log = lab.write("order", "");
        let mut config = Config::new();
        for number in 1..=4 {
            config = config.hook("createRuntime", &format!("echo {number} >> {}", log.display()));
        }
        let _c = lab.created(&config);
        assert_eq!(fs::read_to_string(log).unwrap(), "1\n2\n3\n4\n");
    }
}
