//! Standard output: the answer, and nothing else. What is not sure yet goes to standard error.

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use diagnose::diagnosis::Diagnosis;
use diagnose::harmless;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::Failure;
use crate::findings;
use crate::letters::Letters;

/// How long a reader of standard error has to make room.
const ROOM: Duration = Duration::from_secs(1);

/// What a pipe takes in one piece when it has room for any.
///
/// Source: pipe(7), `PIPE_BUF`.
const PIECE: usize = 4096;

/// Whoever reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Has been given the answer.
    There,
    /// Went away, having had enough.
    Gone,
}

/// What those who read text can see; set before anything is printed.
static LETTERS: OnceLock<Letters> = OnceLock::new();

/// Text for people is spelt so from now on.
pub(crate) fn spell_in(letters: Letters) {
    let _set_before = LETTERS.set(letters);
}

/// Text for people, of which nothing steers a terminal. Lines are left whole: behind a break of ours a container's words
/// could pass for a line of the doctor's.
fn spelt(text: &str) -> String {
    let letters = LETTERS.get().copied().unwrap_or(Letters::Utf8);
    letters.spell(&harmless::text(text)).into_owned()
}

/// Writes the answer, of which nothing steers a terminal. A reader that went away is no failure.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print(text: &str) -> Result<Reader, Failure> {
    write(&spelt(text))
}

/// Writes what is harmless already, as it is.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn write(text: &str) -> Result<Reader, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        other => other.map(|()| Reader::There).map_err(Failure::Print),
    }
}

/// Tells a person what further looks have to confirm; the answer follows when they have.
///
/// Whoever has both streams as pipes may read this one last, so what finds no room is left out.
pub(crate) fn so_far(diagnosis: &Diagnosis) {
    let out = std::io::stderr();
    write_what_fits(&out, spelt(&findings::so_far(diagnosis)).as_bytes());
}

/// Writes piece by piece, each only when there is room; waits for room for a second in all at most.
fn write_what_fits(out: &impl AsFd, mut bytes: &[u8]) {
    let begun = Instant::now();
    while !bytes.is_empty() && has_room(out, ROOM.saturating_sub(begun.elapsed())) {
        let piece = &bytes[..bytes.len().min(PIECE)];
        let Ok(written @ 1..) = rustix::io::write(out, piece) else { return };
        bytes = &bytes[written..];
    }
}

/// Whether a write can be made within this time without waiting for a reader.
fn has_room(out: &impl AsFd, patience: Duration) -> bool {
    let mut polled = [PollFd::new(out, PollFlags::OUT)];
    let patience = Timespec::try_from(patience).ok();
    matches!(poll(&mut polled, patience.as_ref()), Ok(1..)) && polled[0].revents().contains(PollFlags::OUT)
}

/// Writes a value as JSON on one line.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> Result<Reader, Failure> {
    let mut text = json(value)?;
    text.push('\n');
    write(&text)
}

/// A value as JSON in which what steers a terminal is escaped.
///
/// # Errors
/// When it has no form in JSON.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::Print(error.into()))?;
    Ok(match harmless::json(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(escaped) => escaped,
    })
}

/// Says on standard error what went wrong; nobody may be there to read it.
pub(crate) fn complain(text: &str) {
    let mut out = std::io::stderr();
    let text = spelt(&format!("sluice-doctor: {}\n", one_line(text)));
    let _gone = out.write_all(text.as_bytes());
}

/// Tells somebody at a terminal that the next words are his.
pub(crate) fn await_input() {
    if std::io::stdin().is_terminal() {
        complain("reads standard input; Ctrl-D ends it");
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(harmless::shown).collect()
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::sync::mpsc;

    use super::*;

    /// Long enough for any machine: what is guarded waits for a second at most.
    const HANG: Duration = Duration::from_secs(60);

    const PIPE: usize = 1 << 16;

    /// Writes to a pipe whose reader does not read; gives back what the pipe holds of it then.
    fn written_unread(before: usize, bytes: Vec<u8>) -> Vec<u8> {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&writer, PIPE).unwrap();
        writer.write_all(&vec![b'#'; before]).unwrap();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            write_what_fits(&OwnedFd::from(writer), &bytes);
            ended.send(()).unwrap();
        });
        end.recv_timeout(HANG).expect("a write that does not wait for a reader");
        let mut held = Vec::new();
        reader.read_to_end(&mut held).unwrap();
        held.split_off(before)
    }

    #[test]
    fn nobody_waits_for_a_reader_of_what_is_not_sure_yet() {
        assert_eq!(written_unread(PIPE, b"so far".to_vec()), b"");
        assert_eq!(written_unread(PIPE / 2, vec![b'a'; PIPE]), vec![b'a'; PIPE / 2]);
        assert_eq!(written_unread(0, b"so far".to_vec()), b"so far");
    }
}
