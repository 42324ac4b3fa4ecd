//! `ps -ef`, and `ps -eo pid,ppid,stat,wchan,cmd --forest`.

use super::Import;

/// Takes the line if it is a process of one of the two.
pub(super) fn line(import: &mut Import, line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    full(import, &words).or_else(|| forest(import, &words)).is_some()
}

/// `UID PID PPID C STIME TTY TIME CMD`
fn full(import: &mut Import, words: &[&str]) -> Option<()> {
    let [_user, pid, ppid, load, _start, _terminal, time, command @ ..] = words else { return None };
    let _is_load: u32 = load.parse().ok()?;
    (time.contains(':') && !command.is_empty()).then_some(())?;
    keep(import, (pid.parse().ok()?, ppid.parse().ok()?), command);
    Some(())
}

/// `PID PPID STAT WCHAN CMD`, the command perhaps after a branch of the tree.
fn forest(import: &mut Import, words: &[&str]) -> Option<()> {
    let [pid, ppid, state, wchan, command @ ..] = words else { return None };
    let ids = (pid.parse().ok()?, ppid.parse().ok()?);
    let letter = state.chars().next().filter(|letter| "RSDZTtXI".contains(*letter))?;
    state.chars().skip(1).all(|c| "<NLsl+".contains(c)).then_some(())?;
    let command = command.iter().position(|word| !matches!(*word, "\\_" | "|")).map(|at| &command[at..])?;
    keep(import, ids, command);
    import.process(ids.0).state = letter;
    let thread = import.thread(ids.0, ids.0);
    (thread.state, thread.wchan) = (letter, Some((*wchan).to_owned()).filter(|name| name != "-"));
    Some(())
}

fn keep(import: &mut Import, (pid, ppid): (i32, i32), command: &[&str]) {
    let process = import.process(pid);
    process.ppid = ppid;
    process.args = Some(command.iter().map(|word| (*word).to_owned()).collect());
    if process.comm.is_empty() {
        let name = command[0].rsplit('/').next().unwrap_or_default();
        process.comm = name.chars().take(15).collect();
    }
}
