//! Standard input that says when nothing has come for a while.

use std::io::{Read, Result};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// So long nobody has written anything.
const QUIET: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A stream whose reader is called when it has read everything and nothing more comes.
pub(crate) struct Quiet<'a, R> {
    input: R,
    on_quiet: &'a mut dyn FnMut() -> Result<()>,
    /// Whether something was read since the last call.
    has_news: bool,
}

impl<'a, R: Read + AsFd> Quiet<'a, R> {
    pub(crate) fn new(input: R, on_quiet: &'a mut dyn FnMut() -> Result<()>) -> Self {
        Self { input, on_quiet, has_news: false }
    }

    /// A file is always ready; so is a pipe at its end.
    fn is_quiet(&self) -> bool {
        let mut polled = [PollFd::new(&self.input, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&QUIET)), Ok(0))
    }
}

impl<R: Read + AsFd> Read for Quiet<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.has_news && self.is_quiet() {
            self.has_news = false;
            (self.on_quiet)()?;
        }
        let count = self.input.read(buffer)?;
        self.has_news |= count > 0;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;

    use super::*;

    #[test]
    fn quiet_is_told_once_and_only_after_something_came() {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"news").unwrap();
        let (told, write) = (Cell::new(0), Cell::new(Some(write)));
        let mut on_quiet = || {
            told.set(told.get() + 1);
            drop(write.take());
            Ok(())
        };
        let mut text = String::new();
        Quiet::new(read, &mut on_quiet).read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), told.get()), ("news", 1));
    }

    #[test]
    fn the_end_of_a_stream_is_not_quiet() {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"news").unwrap();
        drop(write);
        let mut on_quiet = || Err(std::io::Error::other("called"));
        Quiet::new(read, &mut on_quiet).read_to_string(&mut String::new()).unwrap();
    }
}
