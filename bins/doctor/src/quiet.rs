//! Standard input that says when nothing has come for a while.

use std::io::{Read, Result};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// So long nobody has written anything.
const QUIET: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Whom a stream is read for.
pub(crate) trait Audience {
    /// Everything that came was read, and nothing more comes.
    fn quiet(&self);

    /// Whether no more is to be read.
    fn has_enough(&self) -> bool;
}

/// A stream that tells its audience when nothing more comes, and that ends when they have enough.
pub(crate) struct Quiet<'a, R> {
    input: R,
    audience: &'a dyn Audience,
    /// Whether something was read since the audience was told.
    has_news: bool,
}

impl<'a, R: Read + AsFd> Quiet<'a, R> {
    pub(crate) fn new(input: R, audience: &'a dyn Audience) -> Self {
        Self { input, audience, has_news: false }
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
            self.audience.quiet();
        }
        if self.audience.has_enough() {
            return Ok(0);
        }
        let count = self.input.read(buffer)?;
        self.has_news |= count > 0;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io::{PipeWriter, Write};

    use super::*;

    /// How often it was quiet; and a writer that ends then.
    #[derive(Default)]
    struct Told(Cell<u32>, RefCell<Option<PipeWriter>>);

    impl Audience for Told {
        fn quiet(&self) {
            self.0.set(self.0.get() + 1);
            self.1.take();
        }

        fn has_enough(&self) -> bool {
            false
        }
    }

    /// Has enough when it is quiet, or from the beginning.
    struct Sated(Cell<bool>);

    impl Audience for Sated {
        fn quiet(&self) {
            self.0.set(true);
        }

        fn has_enough(&self) -> bool {
            self.0.get()
        }
    }

    #[test]
    fn quiet_is_told_once_and_only_after_something_came() {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"news").unwrap();
        let told = Told(Cell::new(0), RefCell::new(Some(write)));
        let mut text = String::new();
        Quiet::new(read, &told).read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), told.0.get()), ("news", 1));
    }

    #[test]
    fn the_end_of_a_stream_is_not_quiet() {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"news").unwrap();
        drop(write);
        let told = Told::default();
        Quiet::new(read, &told).read_to_string(&mut String::new()).unwrap();
        assert_eq!(told.0.get(), 0);
    }

    #[test]
    fn a_stream_that_goes_on_ends_when_its_audience_has_enough() {
        for (from_the_beginning, expected) in [(false, "news"), (true, "")] {
            let (read, mut write) = std::io::pipe().unwrap();
            write.write_all(b"news").unwrap();
            let mut text = String::new();
            let sated = Sated(Cell::new(from_the_beginning));
            Quiet::new(read, &sated).read_to_string(&mut text).unwrap();
            assert_eq!(text, expected);
        }
    }
}
