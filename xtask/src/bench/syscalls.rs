//! How many system calls an exec takes, counted by strace where that is installed.

use std::process::Command;

use crate::bench::contestant::Standing;
use crate::bench::sample::Result as Measured;
use crate::failure::Failure;
use crate::workspace::output_of;

/// Adds the count to the rows of exec back to back.
///
/// # Errors
/// Never at present: without strace, or where tracing is not allowed, the rows stay without the count.
pub(super) fn count(standing: &[Standing<'_>], rows: &mut [Measured]) -> Result<(), Failure> {
    for one in standing {
        let calls = of_exec(one);
        let is_ours = |row: &&mut Measured| {
            row.contestant == one.contestant.name && row.scenario == "exec, back to back"
        };
        rows.iter_mut().filter(is_ours).for_each(|row| row.syscalls = calls);
    }
    Ok(())
}

fn of_exec(standing: &Standing<'_>) -> Option<u64> {
    let exec = standing.exec();
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-q", "-o", "/dev/stdout"]).arg(exec.get_program()).args(exec.get_args());
    total(&output_of(&mut command).ok()?)
}

/// Source: strace(1): the last line of `-c` is `100.00 seconds usecs/call calls errors total`.
fn total(table: &str) -> Option<u64> {
    let line = table.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_fourth_column() {
        let table = "  5.00 0.1 3 2 1 read\n------\n100.00    0.006    10       612        31 total\n";
        assert_eq!(total(table), Some(612));
        assert_eq!(total("strace: no"), None);
    }
}
