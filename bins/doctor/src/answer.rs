//! Standard output: the answer, and nothing else. What is not sure yet goes to standard error.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use diagnose::diagnosis::Diagnosis;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::Failure;
use crate::findings;

/// Whoever reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Has been given the answer.
    There,
    /// Went away, having had enough.
    Gone,
}

/// Writes the answer. A reader that went away is no failure.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print(text: &str) -> Result<Reader, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        other => other.map(|()| Reader::There).map_err(Failure::Print),
    }
}

/// Tells a person what the first look found; the answer follows when further looks have confirmed it.
pub(crate) fn so_far(diagnosis: &Diagnosis) {
    let _nobody_reads = std::io::stderr().write_all(findings::so_far(diagnosis).as_bytes());
}

/// Writes a value as JSON on one line.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> Result<Reader, Failure> {
    let mut text = serde_json::to_string(value).map_err(|error| Failure::Print(error.into()))?;
    text.push('\n');
    print(&text)
}

/// Waits so long, or until whoever reads a pipe goes away: `watch | head -1` may have nothing to say for days.
///
/// Of a terminal, a file or a socket nothing is asked. The journal, which is a socket, may be restarted.
pub(crate) fn wait(pause: Duration) -> Reader {
    let out = std::io::stdout();
    if !is_pipe(&out) {
        std::thread::sleep(pause);
        return Reader::There;
    }
    // Kernel: the write end of a pipe without readers has `POLLERR`, whatever is asked for.
    let mut polled = [PollFd::new(&out, PollFlags::empty())];
    let pause = Timespec::try_from(pause).ok();
    let is_gone =
        matches!(poll(&mut polled, pause.as_ref()), Ok(1..)) && polled[0].revents().contains(PollFlags::ERR);
    if is_gone { Reader::Gone } else { Reader::There }
}

fn is_pipe(out: &impl AsFd) -> bool {
    let copy = out.as_fd().try_clone_to_owned();
    copy.and_then(|copy| File::from(copy).metadata()).is_ok_and(|it| it.file_type().is_fifo())
}
