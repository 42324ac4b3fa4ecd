//! Control files that are looked at again and again, kept open from one look to the next.
//!
//! **Invariant:** a look through an open file tells what a look by path would tell now. A file whose group was removed
//! answers `ENODEV`; it is let go of then, and looked for by its path.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::file;

/// The files that were read so far. Each costs a descriptor and, in the kernel, a page.
#[derive(Debug, Default)]
pub struct Gauges {
    open: RefCell<Vec<Gauge>>,
}

#[derive(Debug)]
struct Gauge {
    level: PathBuf,
    name: &'static str,
    file: OwnedFd,
}

impl Gauges {
    /// The text of a control file that is known to be short. One that is not there is looked for each time: a v2 group
    /// gets the files of a controller when the group above hands it down.
    pub(crate) fn read(&self, level: &Path, name: &'static str) -> rustix::io::Result<String> {
        let mut open = self.open.borrow_mut();
        let is_it = |gauge: &Gauge| gauge.name == name && gauge.level.as_os_str() == level.as_os_str();
        if let Some(index) = open.iter().position(is_it) {
            if let Some(Ok(text)) = open.get(index).map(|gauge| file::read_start(&gauge.file)) {
                return Ok(text);
            }
            open.swap_remove(index);
        }
        let file = file::open(&level.join(name))?;
        let text = file::read_start(&file)?;
        open.push(Gauge { level: level.to_owned(), name, file });
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn write(directory: &Path, text: &str) {
        std::fs::write(directory.join("pids.max"), text).unwrap();
    }

    #[test]
    fn an_open_file_tells_what_was_written_since() {
        let group = tempfile::tempdir().unwrap();
        let gauges = Gauges::default();
        assert!(gauges.read(group.path(), "pids.max").is_err(), "it is not there yet");
        write(group.path(), "max\n");
        assert_eq!(gauges.read(group.path(), "pids.max").unwrap(), "max\n");
        write(group.path(), "20\n");
        assert_eq!(gauges.read(group.path(), "pids.max").unwrap(), "20\n");
        assert_eq!(gauges.open.borrow().len(), 1);
    }

    #[test]
    fn files_of_two_levels_are_not_taken_for_each_other() {
        let (inner, outer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(inner.path(), "5\n");
        write(outer.path(), "9\n");
        let gauges = Gauges::default();
        for _ in 0..2 {
            assert_eq!(gauges.read(inner.path(), "pids.max").unwrap(), "5\n");
            assert_eq!(gauges.read(outer.path(), "pids.max").unwrap(), "9\n");
        }
    }
}
