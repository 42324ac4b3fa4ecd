//! Device rules as a program of the group: what `open` and `mknod` answer.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Config, Container, hang};

use crate::group::{directory, update};
use crate::{both, ours};

fn rule(allow: bool, device: &str, access: &str) -> Value {
    let mut rule = json!({"allow": allow, "access": access});
    let mut parts = device.split([' ', ':']);
    rule["type"] = json!(parts.next().unwrap());
    for name in ["major", "minor"] {
        if let Some(number) = parts.next().and_then(|part| part.parse::<i64>().ok()) {
            rule[name] = json!(number);
        }
    }
    rule
}

/// A container with these rules behind the denial of everything.
fn ruled(rules: &[Value]) -> Config {
    rules.iter().fold(Config::new(), |config, rule| config.push("/linux/resources/devices", rule.clone()))
}

/// Nodes outside of the rules of the container: made from the host.
fn node(c: &Container<'_>, name: &str, major: u32, minor: u32) {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let path = c.rootfs(name);
    mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))
        .unwrap();
}

/// Whether a script in the container works; anything but a refusal fails the test.
#[track_caller]
fn works(c: &Container<'_>, script: &str) -> bool {
    let output = c.exec(&["sh", "-c", script]);
    if output.status.success() {
        return true;
    }
    output.says("not permitted");
    false
}

/// Opens the device in a loop, and notes every answer that is not the expected one.
fn watcher(device: &Path, expected: &str) -> String {
    format!(
        "n=0; while [ ! -e /stop ]; do if ( : < {0} ) 2>/dev/null; then a=open; else a=closed; fi; \
         [ $a = {expected} ] || echo wrong; n=$((n+1)); echo $n > /count.{expected}; done; echo done",
        device.display()
    )
}

both! {
    fn each_access_is_decided_by_the_last_rule_that_matches(lab) {
        let c = lab.bundle(&ruled(&[
            rule(true, "c 1:11", "r"),
            rule(true, "c 1:2", "rw"),
            rule(false, "c 1:2", "w"),
        ]));
        node(&c, "kmsg", 1, 11);
        node(&c, "zero", 1, 5);
        c.create().ok();
        c.start().ok();
        let table = [
            (": < /zero", true),
            (": > /zero", true),
            // Reading kmsg needs a capability besides; writing it does not.
            (": > /kmsg", false),
            ("mknod /made c 1 3", true),
            ("mknod /block b 7 0", true),
            (": < /block", false),
        ];
        for (script, expected) in table {
            assert_eq!(works(&c, script), expected, "{script}");
        }
    }

    fn every_mknod_is_allowed_by_the_rules_that_come_last(lab) {
        let c = lab.started(&ruled(&[rule(true, "c 1:2", "rwm"), rule(false, "c 1:2", "m"), rule(false, "c 1:4", "m")]));
        assert!(works(&c, "mknod /kmem c 1 2"));
        assert!(works(&c, "mknod /port c 1 4"));
        assert!(!works(&c, ": < /port"));
    }

    fn everything_may_be_allowed(lab) {
        let config = Config::new().set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
        let c = lab.started(&config);
        assert!(works(&c, "mknod /mem c 1 1 && : < /dev/null"));
        assert!(works(&c, "mknod /port c 1 4 && mknod /loop b 7 0"));
    }

    fn the_program_of_a_group_above_still_applies(lab) {
        let outer = lab.sleeper();
        let inner = format!("{}/inner", outer.group());
        let config = ruled(&[rule(true, "c 1:11", "rwm")]).set("/linux/cgroupsPath", json!(inner));
        let c = lab.bundle(&config);
        node(&c, "kmsg", 1, 11);
        c.create().ok();
        c.start().ok();
        assert!(works(&c, ": < /dev/null"), "both allow it");
        assert!(!works(&c, ": > /kmsg"), "the inner allows it, the outer does not");
        c.delete_force().ok();
        assert!(!directory(&outer).join("inner").exists());
        assert!(works(&outer, ": < /dev/null"), "the outer's own program is still there");
    }
}

ours! {
    fn an_update_opens_and_closes_nothing(lab) {
        let c = lab.bundle(&Config::new());
        node(&c, "mem", 1, 1);
        c.create().ok();
        c.start().ok();
        let open = c.exec_with(&[], &["sh", "-c", &watcher("/dev/null".as_ref(), "open")]).spawn();
        let closed = c.exec_with(&[], &["sh", "-c", &watcher("/mem".as_ref(), "closed")]).spawn();
        let count = |name: &str| {
            let text = std::fs::read_to_string(c.rootfs(name)).unwrap_or_default();
            text.trim().parse::<u64>().unwrap_or(0)
        };
        for round in 0..10 {
            let rules = [rule(round % 2 == 0, "a", "rwm")];
            let before = [count("count.open"), count("count.closed")];
            update(&c, &json!({"devices": rules, "pids": {"limit": 50 + round}})).ok();
            hang::eventually("both watchers to look again", || {
                count("count.open") > before[0] && count("count.closed") > before[1]
            });
        }
        std::fs::write(c.rootfs("stop"), "").unwrap();
        assert_eq!(open.wait().ok().stdout, "done\n");
        assert_eq!(closed.wait().ok().stdout, "done\n");
    }

    fn a_rule_that_makes_no_sense_is_named(lab) {
        let c = lab.bundle(&ruled(&[json!({"allow": true, "type": "x"})]));
        c.create().code(1).says("linux/resources/devices/1/type: \"x\" is none of a, b, c");
    }
}
