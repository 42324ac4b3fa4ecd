//! The descriptors of a process: where their links lead, and how pipes are open.

use rustix::fs::FileType;

use super::{Care, Detail, Folder, Piece, Process, Reader, Unseen, Why};
use crate::snapshot::{Fd, FdTarget};

/// Most descriptors that are read of a part of the chain, of another process of the host, of one in a container.
const MOST: [usize; 3] = [65_536, 4096, 512];

/// Where fifos of daemons and runtimes lie. Only there is a name asked for its type, since a foreign file system may
/// not answer.
const FIFO_PLACES: &[&str] = &["/run/", "/var/run/"];

/// Last parts of the names of fifos, wherever the state of a daemon lies.
const FIFO_NAMES: &[&str] =
    &["-stdin", "-stdout", "-stderr", "/log", ".fifo", "/exec.fifo", "/ctl", "/attach"];

impl Reader<'_> {
    /// Reads the descriptors.
    pub(super) fn fds(&mut self, process: &mut Process, detail: Detail) {
        if detail == Detail::Outline {
            return;
        }
        self.visit.about("fd");
        let found = self.folder.folder("fd").and_then(|folder| Ok((folder.numbers()?, folder)));
        let (numbers, folder) = match found {
            Ok(found) => found,
            Err(errno) => return self.refused("fd", errno),
        };
        process.fd_count = u32::try_from(numbers.len()).ok();
        let most = most(detail);
        if numbers.len() > most {
            let what = format!("/{}/fd: {} descriptors", self.visit.unit, numbers.len());
            self.pieces.push(Piece::Unseen(Unseen { what, why: Why::TooMuch { taken: most as u64 } }));
        }
        for number in numbers.into_iter().take(most) {
            process.fds.extend(self.fd(&folder, number, detail));
        }
    }

    fn fd(&self, folder: &Folder, number: i32, detail: Detail) -> Option<Fd> {
        let link = folder.link(&number.to_string()).ok()?;
        let target = self.fifo(folder, number, &link, detail).unwrap_or_else(|| target(&link));
        let is_pipe = matches!(target, FdTarget::Pipe { .. } | FdTarget::Fifo { .. });
        let keeps = is_pipe || matches!(target, FdTarget::Socket { .. });
        if detail == Detail::Inside && !keeps {
            return None;
        }
        let mut fd = Fd { number, target, flags: None, offset: None };
        if is_pipe || (number <= 2 && detail != Detail::Inside) {
            self.visit.about("fdinfo");
            let text = self.folder.record(&format!("fdinfo/{number}")).unwrap_or_default();
            (fd.offset, fd.flags) = fdinfo(&text);
        }
        Some(fd)
    }

    /// A named pipe, where one may be expected.
    fn fifo(&self, folder: &Folder, number: i32, link: &str, detail: Detail) -> Option<FdTarget> {
        let likely = FIFO_PLACES.iter().any(|place| link.starts_with(place))
            || FIFO_NAMES.iter().any(|name| link.ends_with(name));
        if !likely || detail == Detail::Inside || self.visit.care == Care::Sparing {
            return None;
        }
        self.visit.about("fd");
        let (inode, kind) = folder.inode(&number.to_string()).ok()?;
        (kind == FileType::Fifo).then(|| FdTarget::Fifo { inode, path: link.to_owned() })
    }
}

fn most(detail: Detail) -> usize {
    match detail {
        Detail::Chain => MOST[0],
        Detail::Host => MOST[1],
        Detail::Inside | Detail::Outline => MOST[2],
    }
}

/// What the text of a link says. Source: proc_pid_fd(5).
pub fn target(link: &str) -> FdTarget {
    let inode = |kind: &str| link.strip_prefix(kind)?.strip_suffix(']')?.parse().ok();
    if let Some(inode) = inode("pipe:[") {
        FdTarget::Pipe { inode }
    } else if let Some(inode) = inode("socket:[") {
        FdTarget::Socket { inode }
    } else if let Some(name) = link.strip_prefix("anon_inode:") {
        FdTarget::Anonymous { name: name.trim_matches(['[', ']']).to_owned() }
    } else {
        FdTarget::Path { path: link.to_owned() }
    }
}

/// Offset and flags of `fdinfo`. Source: proc_pid_fdinfo(5).
pub fn fdinfo(text: &str) -> (Option<u64>, Option<u32>) {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let flags = value("flags:").and_then(|octal| u32::from_str_radix(octal, 8).ok());
    (value("pos:").and_then(|number| number.parse().ok()), flags)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_are_told_apart() {
        for (link, expected) in [
            ("pipe:[752320]", FdTarget::Pipe { inode: 752_320 }),
            ("socket:[752321]", FdTarget::Socket { inode: 752_321 }),
            ("anon_inode:[eventpoll]", FdTarget::Anonymous { name: "eventpoll".to_owned() }),
            ("/dev/null", FdTarget::Path { path: "/dev/null".to_owned() }),
            ("pipe:[x]", FdTarget::Path { path: "pipe:[x]".to_owned() }),
        ] {
            assert_eq!(target(link), expected);
        }
    }

    #[test]
    fn flags_are_octal() {
        let text = "pos:\t5\nflags:\t0100001\nmnt_id:\t15\nino:\t752320\n";
        assert_eq!(fdinfo(text), (Some(5), Some(0o100_001)));
        let fd = Fd { number: 1, target: target("pipe:[1]"), flags: fdinfo(text).1, offset: None };
        assert!(fd.writes() && !fd.reads());
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "\\PC*") {
            let _ = (target(&text), fdinfo(&text));
        }
    }
}
