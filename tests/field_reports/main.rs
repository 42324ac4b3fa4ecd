//! Field reports as tests: the mechanism on the stock runtime, and what ours does in the same place.
//!
//! The stock half asserts where the kernel makes the outcome certain and only counts where it is a race.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is a failed assertion; counts are printed"
)]

mod crash_before_execve;
mod hog;
mod memory_limit;
mod oom_killer_disabled;
mod pids_limit;
mod stderr_pipe;
mod torn_state;

use testkit::Output;

/// How a series of execs ended, for people to read.
fn tally(outputs: &[Output]) -> String {
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for output in outputs {
        let last = output.stderr.lines().rfind(|line| line.contains("level=error")).unwrap_or("");
        let text = last.split("msg=").nth(1).unwrap_or("").chars().take(150).collect::<String>();
        *kinds.entry(format!("{:?} {text}", output.status.code())).or_default() += 1;
    }
    kinds.into_iter().map(|(kind, count)| format!("  {count} x {kind}\n")).collect()
}
