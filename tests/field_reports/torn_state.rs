//! Report 002: `exec failed: EOF`, because exec read the state while `update` rewrote it in place.

use std::fs;

use serde_json::json;
use testkit::{Config, conformance, hang};

conformance! {
    fn execs_never_see_a_state_half_written(lab) {
        let c = lab.started(&Config::new().set("/linux/resources/pids", json!({"limit": 1000})));
        let mark = lab.path("updates");
        let script = format!(
            "while :; do '{0}' --root '{1}' update --pids-limit 999 {2} && echo >> '{3}'; done",
            lab.binary().display(),
            lab.root().display(),
            c.id(),
            mark.display(),
        );
        let updates = || fs::read_to_string(&mark).unwrap_or_default().len();
        let updater = lab.program("/bin/sh").args(["-c", &script]).spawn();
        hang::eventually("the first update", || updates() > 0);
        let before = updates();
        let outputs: Vec<_> = (0..60).map(|_| c.exec(&["true"])).collect();
        let states: Vec<_> = (0..60).map(|_| c.verb("state", &[], &[]).run()).collect();
        eprintln!(
            "{} updates during 60 execs and 60 states:\n{}",
            updates() - before,
            crate::tally(&outputs)
        );
        drop(updater);
        assert!(updates() > before, "the updates went on");
        assert!(
            outputs.iter().chain(&states).all(|output| output.status.success()),
            "{}",
            crate::tally(&outputs)
        );
    }

    fn a_state_cut_short_is_named_and_can_be_deleted(lab) {
        let c = lab.sleeper();
        let path = lab.root().join(c.id()).join("state.json");
        let whole = fs::read(&path).unwrap();
        cut(&path, whole.len() / 2);
        let refused = c.exec(&["true"]).code(255);
        eprintln!("{refused}");
        if lab.is_reference() {
            assert!(
                refused.stderr.contains("unexpected EOF") && !refused.stderr.contains("state.json"),
                "{refused}"
            );
            fs::File::options()
                .write(true)
                .open(&path)
                .and_then(|file| std::io::Write::write_all(&mut { file }, &whole))
                .unwrap();
        } else {
            refused.says(path.to_str().unwrap());
        }
        c.delete_force().ok();
    }
}

fn cut(path: &std::path::Path, length: usize) {
    fs::File::options().write(true).open(path).unwrap().set_len(u64::try_from(length).unwrap()).unwrap();
}
