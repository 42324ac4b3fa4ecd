//! From what became of a process to the condition that caused it: the truth table of docs/errors.md.

use crate::cause::Cause;
use child::Stage;
use launch::Ended;
use proc::Procfs;
use std::path::Path;
use std::time::Duration;

/// How a process ended, for a message.
pub(crate) fn how(ended: Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("with status {status}"),
        Ended::Signaled(signal) => format!("by signal {signal}"),
    }
}

/// A process that did not get past a step.
pub(crate) fn stuck(proc: Option<&Procfs>, stage: Stage, waited: Duration, pid: i32) -> Cause {
    let state = proc.and_then(|proc| proc.stat(pid).ok()).map_or('?', |stat| stat.state);
    let wchan = proc.and_then(|proc| proc.read(Path::new(&format!("{pid}/wchan"))).ok()).unwrap_or_default();
    let wchan = if wchan.is_empty() || wchan == "0" { "user space".to_owned() } else { wchan };
    Cause::Stuck { pid, stage, waited_ms: waited.as_millis(), state, wchan }
}
