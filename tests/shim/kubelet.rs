//! What a kubelet asks of its pods, through Debian's containerd and its CRI: probes, limits, ends, a restart.
//!
//! Every test runs with the stock shim, too; where that one does something else the test says what. The control groups are
//! made as a kubelet has them made: by systemd where that is the first process and cgroup v2 is all there is.

use std::fs;

use testkit::hang::eventually;
use testkit::shim::Shim;
use testkit::{hierarchy, process};

use crate::cri::{Cri, DEADLINE_EXCEEDED, Message, RUNNING, lab};

/// A test with each shim.
macro_rules! with_both_shims {
    ($($(#[$note:meta])* fn $name:ident($cri:ident, $shim:ident) $body:block)*) => {
        $($(#[$note])* mod $name {
            use super::*;

            fn case($cri: &mut Cri<'_>, $shim: Shim) $body

            fn run(shim: Shim) {
                let Some(lab) = lab() else { return };
                let mut cri = Cri::start(&lab, shim);
                case(&mut cri, shim);
                cri.end();
            }

            #[test]
            fn sluice() {
                run(Shim::Sluice);
            }

            #[test]
            fn stock() {
                run(Shim::Stock);
            }
        })*
    };
}

/// A container that does nothing.
const SLEEPER: [&str; 2] = ["/bin/sleep", "1000000"];

/// How many processes of the lab have this command line.
fn count(cri: &Cri<'_>, words: &[&str]) -> usize {
    cri.lab.running(words)
}

/// The host's pid of a container's init.
fn init_of(cri: &Cri<'_>, id: &str) -> i32 {
    let tasks = cri.containerd.ctr("k8s.io").args(["tasks", "ls"]).ok().stdout;
    let line = tasks.lines().find(|line| line.starts_with(id)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

with_both_shims! {
    /// Stock: the same.
    fn a_pod_of_two_containers_has_one_shim(cri, shim) {
        let pod = cri.pod("pod");
        let (one, two) = (cri.run(&pod, "one", &SLEEPER), cri.run(&pod, "two", &SLEEPER));
        assert_eq!(cri.shims(), [shim.name()]);
        for id in [&one, &two] {
            assert!(cri.lab.path("state/k8s.io").join(id).is_dir(), "the options do not hold: no state there");
            assert_eq!(hierarchy::pids(&cri.group(id)), [init_of(cri, id)], "with the driver {:?}", cri.lab.driver());
        }
        for (id, code) in [(&one, "7"), (&two, "0")] {
            let script = format!("echo out; echo err >&2; exit {code}");
            let probe = cri.exec(id, 60, &["sh", "-c", &script]).unwrap();
            assert_eq!((probe.stdout.as_str(), probe.stderr.as_str()), ("out\n", "err\n"));
            assert_eq!(probe.exit_code.to_string(), code);
        }
        let much = cri.exec(&one, 60, &["sh", "-c", "head -c 1048576 /dev/zero | tr '\\0' x"]).unwrap();
        assert_eq!((much.stdout.len(), much.exit_code), (1 << 20, 0));
        let killed = cri.exec(&two, 60, &["sh", "-c", "kill -9 $$"]).unwrap();
        assert_eq!(killed.exit_code, 137);
        cri.remove(pod);
    }

    /// Stock: the leader alone is killed, and what it had started stays in the pod.
    fn a_probe_that_times_out_takes_its_tree_with_it(cri, shim) {
        let pod = cri.pod("pod");
        let id = cri.run(&pod, "c", &SLEEPER);
        // Nobody but the leader holds the streams: else the stock shim's answer would wait for the others.
        let script = "sleep 7001 >/dev/null 2>&1 & setsid sh -c ': >/tmp/ready; exec sleep 7002' >/dev/null 2>&1 & \
                      exec sleep 7003";
        let refusal = cri.exec(&id, 10, &["sh", "-c", script]).unwrap_err();
        assert_eq!(refusal.code, DEADLINE_EXCEEDED, "{}", refusal.message);
        assert!(refusal.message.contains("timeout 10s exceeded"), "{}", refusal.message);
        let mark = format!("/proc/{}/root/tmp/ready", init_of(cri, &id));
        assert!(fs::exists(mark).unwrap(), "the tree was not there before the time was up");
        assert_eq!(count(cri, &["sleep", "7003"]), 0);
        let left = || count(cri, &["sleep", "7001"]) + count(cri, &["sleep", "7002"]);
        if shim == Shim::Stock {
            assert_eq!(left(), 2);
        } else {
            eventually("the rest of the tree to be gone", || left() == 0);
        }
        assert_eq!(cri.exec(&id, 60, &["echo", "fine"]).unwrap().stdout, "fine\n");
        cri.remove(pod);
    }

    /// Stock: the same, in runc's words.
    fn a_missing_program_is_named(cri, _shim) {
        let pod = cri.pod("pod");
        let id = cri.run(&pod, "c", &SLEEPER);
        let refusal = cri.exec(&id, 60, &["/no/such"]).unwrap_err();
        assert!(refusal.message.contains(r#"exec: "/no/such""#), "{}", refusal.message);
        assert!(refusal.message.contains("no such file or directory"), "{}", refusal.message);
        let (vain, refusal) = cri.run_in_vain(&pod, "vain", &["nosuch"]);
        assert!(refusal.message.contains("executable file not found in $PATH"), "{}", refusal.message);
        let status = cri.status(&vain);
        assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"));
        assert!(status.message.contains("executable file not found in $PATH"), "{}", status.message);
        cri.remove(pod);
    }

    /// Stock: the reason may be `Error` when its watcher is slow.
    fn a_container_without_memory_is_said_to_be_oom_killed(cri, shim) {
        let pod = cri.pod("pod");
        let limit = Message::default().number(4, 16 << 20);
        let id = cri.run_within(&pod, "eater", limit, &["/bin/tail", "/dev/zero"]);
        assert_eq!(cri.ended(&id).exit_code, 137);
        if shim == Shim::Sluice {
            // containerd hears of the end by an answer and of its reason by an event.
            eventually("the reason to be known", || cri.status(&id).reason == "OOMKilled");
        }
        cri.remove(pod);
    }

    /// Stock: the same.
    fn an_update_is_in_force(cri, _shim) {
        let pod = cri.pod("pod");
        let limit = |mib: u64| Message::default().number(4, mib << 20);
        let id = cri.run_within(&pod, "c", limit(64), &SLEEPER);
        let file = if hierarchy::is_v1("memory") { "memory.limit_in_bytes" } else { "memory.max" };
        let group = hierarchy::directory("memory", &cri.group(&id));
        let limit_now = || fs::read_to_string(group.join(file)).unwrap();
        assert_eq!(limit_now(), format!("{}\n", 64 << 20));
        cri.call("UpdateContainerResources", Message::default().text(1, &id).message(2, limit(32))).unwrap();
        assert_eq!(limit_now(), format!("{}\n", 32 << 20));
        cri.remove(pod);
    }

    /// Stock: the same; `tests/shim/crash.rs` has what it loses.
    fn a_restart_of_containerd_in_the_middle_harms_no_pod(cri, _shim) {
        let pod = cri.pod("pod");
        let stays = cri.run(&pod, "stays", &SLEEPER);
        let waits = "until [ -e /tmp/gate ]; do sleep 0.1; done; exit 21";
        let ends = cri.run(&pod, "ends", &["/bin/sh", "-c", waits]);
        let init = init_of(cri, &ends);
        cri.containerd.kill();
        let gate = format!("/proc/{init}/root/tmp/gate");
        fs::File::options().create_new(true).write(true).open(gate).unwrap();
        eventually("the container to end", || !process::is_alive(init));
        cri.start_again();
        assert_eq!(cri.ended(&ends).exit_code, 21);
        assert_eq!(cri.status(&stays).state, RUNNING);
        assert_eq!(cri.exec(&stays, 60, &["echo", "again"]).unwrap().stdout, "again\n");
        cri.remove(pod);
    }
}
