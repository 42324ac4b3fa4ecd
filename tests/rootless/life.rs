//! The life of a container whose caller is not root and has no delegated group.

use serde_json::json;
use testkit::hang::eventually;
use testkit::{conformance, process};

use crate::user::User;

conformance! {
    fn a_user_becomes_root_of_a_container(lab) {
        let Some(user) = User::of(lab) else { return };
        let bundle = user.script("b", "id -u; cat /proc/self/uid_map; cat /proc/self/setgroups");
        let output = user.rt(&["run", "--bundle", &bundle, "c"]).ok();
        let words: Vec<&str> = output.stdout.split_whitespace().collect();
        assert_eq!(words, ["0", "0", &user.uid.to_string(), "1", "deny"]);
    }

    fn the_state_is_kept_in_the_runtime_directory(lab) {
        let Some(user) = User::of(lab) else { return };
        let bundle = user.script("b", "exec sleep 1000000");
        let id = format!("st-{}", std::process::id());
        let rt = |arguments: &[&str]| user.program(&[&[user.binary().as_str()], arguments].concat());
        rt(&["run", "--detach", "--bundle", &bundle, &id]).ok();
        assert!(user.runtime_directory().join(lab.runtime().name()).join(&id).is_dir());
        rt(&["delete", "--force", &id]).ok();
    }

    fn exec_ps_kill_and_delete_work_without_a_cgroup(lab) {
        let Some(user) = User::of(lab) else { return };
        let pid = user.sleeper("c");
        let groups = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert_eq!(groups(&pid.to_string()), groups("self"), "the container stays in its creator's group");
        user.rt(&["exec", "c", "sh", "-c", "id -u; exit 7"]).run().code(7).prints("0");
        user.rt(&["exec", "c", "no-such-program"]).run().code(255).says("executable file not found in $PATH");
        let list = user.rt(&["list", "--format", "json"]).ok().json();
        assert_eq!((&list[0]["status"], &list[0]["owner"]), (&json!("running"), &json!("alice")));
        if !lab.reference_lacks("a list of processes without a cgroup") {
            user.rt(&["exec", "--detach", "c", "sleep", "1000001"]).ok();
            let pids = user.rt(&["ps", "--format", "json", "c"]).ok().json();
            assert_eq!(pids.as_array().unwrap().len(), 2, "{pids}");
            user.rt(&["kill", "--all", "c", "CONT"]).ok();
        }
        user.rt(&["kill", "c", "KILL"]).ok();
        eventually("init to end", || !process::is_alive(pid));
        user.rt(&["delete", "c"]).ok();
    }

    fn an_exec_joins_every_namespace_and_gets_a_terminal(lab) {
        let Some(user) = User::of(lab) else { return };
        let pid = user.sleeper("c");
        for kind in ["user", "mnt", "pid", "ipc", "uts"] {
            let link = format!("/proc/self/ns/{kind}");
            user.rt(&["exec", "c", "readlink", &link]).ok().prints(&process::namespace(pid, kind));
        }
        let exec = "exec --tty c sh -c 'tty && test -t 0'";
        let runtime = user.words(&[]).join(" ");
        user.program(&["script", "--quiet", "--return", "--command", &format!("{runtime} {exec}"), "/dev/null"]).ok();
        user.delete("c");
    }

    fn the_hosts_root_looks_after_a_users_container(lab) {
        let Some(user) = User::of(lab) else { return };
        let pid = user.sleeper("c");
        let words = user.words(&[]);
        let rt = |arguments: &[&str]| lab.program(&words[0]).args(&words[1..]).args(arguments);
        assert_eq!(rt(&["state", "c"]).ok().json()["pid"], json!(pid));
        rt(&["exec", "c", "id", "-u"]).ok().prints("0");
        rt(&["kill", "c", "KILL"]).ok();
        eventually("init to end", || !process::is_alive(pid));
        rt(&["delete", "c"]).ok();
    }

    fn a_score_below_the_callers_is_left_out(lab) {
        let Some(user) = User::of(lab) else { return };
        if lab.reference_lacks("a way around a refused oom_score_adj before the namespaces are made") {
            return;
        }
        let bundle = user.bundle("b", |config| {
            config["process"]["oomScoreAdj"] = json!(-500);
            config["process"]["args"] = json!(["cat", "/proc/self/oom_score_adj"]);
        });
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        user.rt(&["run", "--bundle", &bundle, "c"]).ok().prints(own.trim());
    }

    fn root_of_a_user_namespace_is_a_user_too(lab) {
        let Some(user) = User::of(lab) else { return };
        if lab.reference_lacks("a way without joining the host's mount namespace, which is not this root's to join") {
            return;
        }
        let bundle = user.bundle("b", |config| {
            for field in ["uidMappings", "gidMappings"] {
                config["linux"][field] = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
            }
            config["process"]["args"] = json!(["sleep", "1000000"]);
        });
        let rt = user.words(&[]).join(" ");
        let script = format!(
            "{rt} run --detach --bundle {bundle} c </dev/null >/dev/null && {rt} exec c id -u && {rt} delete --force c"
        );
        user.program(&["unshare", "--user", "--map-root-user", "sh", "-ec", &script]).ok().prints("0");
    }
}
