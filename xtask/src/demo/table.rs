//! How the demonstration looks: aligned, coloured on a terminal.

use std::path::Path;

use crate::demo::runtime::Runtime;
use crate::demo::situations::Outcome;
use crate::terminal::Terminal;

/// Who takes part, and on which machine: times mean nothing without it.
pub(super) fn heading(terminal: Terminal, runtimes: &[Runtime]) {
    println!("{}", terminal.strong("The same exec, in the same situation, with each runtime"));
    println!("  {:<8} {}", "machine", machine());
    for runtime in runtimes {
        let place = runtime.path.display().to_string();
        println!("  {:<8} {} {}", runtime.name, runtime.version, terminal.faint(&format!("({place})")));
    }
}

/// Kernel, processors and the layout of control groups.
fn machine() -> String {
    let kernel = rustix::system::uname();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    format!(
        "Linux {} {}, {processors} processors, cgroup {}",
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
        if unified { "v2" } else { "v1" },
    )
}

/// A situation.
pub(super) fn title(terminal: Terminal, title: &str) {
    println!("\n{}", terminal.strong(title));
}

/// What a runtime answered in it.
pub(super) fn row(terminal: Terminal, runtime: &Runtime, outcome: &Outcome) {
    let name = runtime.name;
    match &outcome.answer {
        Err(why) => println!("  {name:<8} {}", terminal.faint(&format!("left out from here on: {why}"))),
        Ok(answer) => {
            let code = answer.code.map_or("none".to_owned(), |code| code.to_string());
            let milliseconds = format!("{:.1} ms", answer.took.as_secs_f64() * 1e3);
            let painted = format!("{code:>4}");
            let painted = if code == "0" { terminal.good(&painted) } else { terminal.bad(&painted) };
            let line = format!("  {name:<8} {painted} {milliseconds:>11}  {}", said(&answer.text));
            println!("{}", line.trim_end());
        }
    }
    if let (failed, tries @ 2..) = outcome.failed {
        println!("  {name:<8} {}", terminal.faint(&format!("{failed} of {tries} tries failed")));
    }
    if !outcome.survived {
        println!("  {name:<8} {}", terminal.bad("and the container is dead"));
    }
}

/// How to read it.
pub(super) fn legend(terminal: Terminal) {
    println!(
        "\n{}",
        terminal.faint("columns: runtime, exit code of exec (none: no answer in 10 s), time, what it said")
    );
}

/// The last line, which is the error, without the logger's time and level; how many lines it had.
fn said(text: &str) -> String {
    let count = text.lines().count();
    let last = text.lines().last().unwrap_or_default();
    let message = last.split_once("level=error msg=").map_or(last, |(_, message)| message);
    let message = message.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(message);
    let message = message.replace("\\\"", "\"");
    if count > 1 { format!("{message} (last of {count} lines)") } else { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loggers_frame_is_taken_off() {
        let table = [
            (
                "time=\"2026-01-01T00:00:00Z\" level=error msg=\"exec failed: \\\"x\\\"\"",
                "exec failed: \"x\"",
            ),
            ("plain", "plain"),
            ("dump\nplain", "plain (last of 2 lines)"),
            ("", ""),
        ];
        for (text, shown) in table {
            assert_eq!(said(text), shown);
        }
    }
}
