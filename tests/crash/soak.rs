//! The big counts; the log that keeps them is `docs/soak.md`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use testkit::soak::Section;
use testkit::{Config, Lab, Runtime, partner};

/// Execs of one soak.
const EXECS: usize = 5000;

#[test]
#[ignore = "soak: 5,000 execs against updates, minutes"]
fn soak_execs_against_updates() {
    let Some(binary) = Runtime::Sluice.find().filter(|_| partner::is_root()) else { return };
    let section = Section::begin("Execs against updates");
    let lab = Lab::new(Runtime::Sluice, binary);
    let c = lab.started(&Config::new().set("/linux/resources/pids", json!({"limit": 1000})));
    let (over, updates, states) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = std::time::Instant::now();
    let mut refused = Vec::new();
    let again = |count: &AtomicUsize, command: &dyn Fn() -> testkit::Output| {
        while !over.load(Ordering::Relaxed) {
            command().ok();
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for limit in ["900", "901"] {
            let (again, updates, c) = (&again, &updates, &c);
            scope.spawn(move || again(updates, &|| c.verb("update", &["--pids-limit", limit], &[]).run()));
        }
        scope.spawn(|| again(&states, &|| c.verb("state", &[], &[]).run()));
        for _ in 0..EXECS {
            let exec = c.exec(&["true"]);
            if !exec.status.success() {
                refused.push(exec.to_string());
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed).to_string();
    let row = vec![
        EXECS.to_string(),
        refused.len().to_string(),
        count(&updates),
        count(&states),
        begun.elapsed().as_secs().to_string(),
    ];
    let raw = format!(
        "{EXECS} execs, {} refused, {} updates, {} states",
        refused.len(),
        count(&updates),
        count(&states)
    );
    let head = ["execs", "of them refused", "updates meanwhile", "states meanwhile", "seconds"];
    section.end(&head, &[row], &[vec![raw], refused.clone()].concat());
    assert!(refused.is_empty());
    lab.assert_nothing_left();
}
