//! Path look-up below a directory that somebody else controls, such as the root of a container.
//!
//! **Invariant**: no path given here, and no symbolic link met on the way, leads outside of the root: every
//! look-up is one `openat2` with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`. A look-up never blocks on a FIFO
//! and never becomes the opener of a terminal.
//!
//! Kernel: `openat2` came with 5.6, below the floor of this project; there is no fallback.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// Links followed by hand while making directories and files. Source: path_resolution(7), the kernel's own limit.
const MOST_LINKS: u32 = 40;

/// `openat2` answers `EAGAIN` when a rename or mount raced with the look-up of `..`; it is asked this often.
const MOST_RACES: u32 = 128;

/// A directory below which paths are looked up.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl Root {
    /// Opens the directory itself, following links in `path` as usual.
    ///
    /// # Errors
    /// When it cannot be opened as a directory.
    pub fn at(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
        Ok(Self { fd })
    }

    /// Opens `path` below the root with these flags; `O_CLOEXEC` and `O_NOCTTY` are added.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        self.lookup(path, flags, Mode::empty())
            .map_err(|source| Error::Open { path: path.to_owned(), source })
    }

    /// Opens a regular file for reading and refuses everything else: a container can put a FIFO or a device there.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a regular file.
    pub fn open_regular(&self, path: &Path) -> Result<OwnedFd> {
        // Asking first keeps a device's open function from running; the second look is for a swap in between.
        expect_regular(&self.open(path, OFlags::PATH)?, path)?;
        let fd = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        expect_regular(&fd, path)?;
        Ok(fd)
    }

    /// Reads a whole regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Root::open_regular`]; when reading is refused; when the file is larger.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>> {
        read_capped(&self.open_regular(path)?, path, limit)
    }

    /// Makes the directory `path` and all that is missing on the way, and returns it as an `O_PATH` descriptor.
    ///
    /// A dangling link on the way is taken as the wish that its target exist, inside of the root.
    /// Compat: runc does so too; images ship `/var/run -> /run` without `/run`.
    ///
    /// # Errors
    /// When a component is not a directory, cannot be made, or links go in a circle.
    pub fn mkdir_all(&self, path: &Path, mode: Mode) -> Result<OwnedFd> {
        // As a rule it is there: one look-up instead of one for each component.
        if let Ok(there) = self.lookup(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
            return Ok(there);
        }
        let wrap = |source| Error::MakeDirectory { path: path.to_owned(), source };
        let mut walk = Walk::new(self, path).map_err(wrap)?;
        while let Some(name) = walk.todo.pop_front() {
            walk.step(name, mode).map_err(wrap)?;
        }
        Ok(walk.directory)
    }

    /// Opens `path`, or makes it an empty regular file, with its parent directories (0755).
    ///
    /// A dangling link, also as the last component, is taken as the wish that its target exist, inside of the root.
    /// Compat: runc and crun do so too; images ship `/etc/localtime -> /usr/share/zoneinfo/UTC` without the zones, and
    /// `/etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf`.
    ///
    /// # Errors
    /// When the parents cannot be made, what is there cannot be opened, or links go in a circle.
    pub fn create_file(&self, path: &Path, mode: Mode) -> Result<OwnedFd> {
        match self.open(path, OFlags::PATH) {
            Err(Error::Open { source: Errno::NOENT, .. }) => {}
            answer => return answer,
        }
        let in_directory = |source| Error::MakeDirectory { path: path.to_owned(), source };
        let mut walk = Walk::new(self, path).map_err(in_directory)?;
        while let Some(name) = walk.todo.pop_front() {
            if !walk.todo.is_empty() {
                walk.step(name, Mode::from_raw_mode(0o755)).map_err(in_directory)?;
                continue;
            }
            let made =
                walk.file(name, mode).map_err(|source| Error::Open { path: path.to_owned(), source })?;
            if let Some(file) = made {
                return Ok(file);
            }
        }
        Ok(walk.directory)
    }

    /// Makes the symbolic link `path` that says `target`, with its parent directories (0755).
    ///
    /// # Errors
    /// `EEXIST` when the name is taken; when the parents cannot be made.
    pub fn symlink(&self, target: &OsStr, path: &Path) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::symlinkat(target, &parent, &name)
            .map_err(|source| Error::MakeSymlink { path: path.to_owned(), source })
    }

    /// The parent of `path` as an `O_PATH` descriptor, made if it is missing (0755), and the last name: for
    /// calls that take a directory and a name, such as `mknodat(2)`.
    ///
    /// # Errors
    /// When the path has no last name, or the parent cannot be made.
    pub fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let name = path.file_name().ok_or_else(|| Error::NoFileName { path: path.to_owned() })?;
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        Ok((self.mkdir_all(parent, Mode::from_raw_mode(0o755))?, name.to_owned()))
    }

    fn lookup(&self, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // O_PATH accepts few flags beside itself.
        let extra =
            if flags.contains(OFlags::PATH) { OFlags::CLOEXEC } else { OFlags::CLOEXEC | OFlags::NOCTTY };
        for _ in 0..MOST_RACES {
            match rustix::fs::openat2(&self.fd, path, flags | extra, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                answer => return answer,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl From<OwnedFd> for Root {
    /// Takes a descriptor of a directory (an `O_PATH` one will do).
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The progress of [`Root::mkdir_all`] and [`Root::create_file`]: what is resolved, what is still to do.
struct Walk<'a> {
    root: &'a Root,
    done: PathBuf,
    directory: OwnedFd,
    todo: VecDeque<OsString>,
    links: u32,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Root, path: &Path) -> rustix::io::Result<Self> {
        let directory = root.lookup(Path::new("."), OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Self { root, done: PathBuf::new(), directory, todo: names(path).collect(), links: 0 })
    }

    fn step(&mut self, name: OsString, mode: Mode) -> rustix::io::Result<()> {
        let next = self.done.join(&name);
        match self.enter(&next) {
            Err(Errno::NOENT) => {}
            answer => return answer,
        }
        match rustix::fs::mkdirat(&self.directory, &name, mode) {
            Ok(()) => self.enter(&next),
            Err(Errno::EXIST) => self.follow_dangling(name),
            Err(errno) => Err(errno),
        }
    }

    fn enter(&mut self, next: &Path) -> rustix::io::Result<()> {
        self.directory = self.root.lookup(next, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        next.clone_into(&mut self.done);
        Ok(())
    }

    /// Opens or makes the last component; none if it is a dangling link, whose target is then to do.
    fn file(&mut self, name: OsString, mode: Mode) -> rustix::io::Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.directory, &name, flags, mode) {
            // EISDIR: the last component is `..`.
            Err(Errno::EXIST | Errno::ISDIR) => {}
            answer => return answer.map(Some),
        }
        match self.root.lookup(&self.done.join(&name), OFlags::PATH, Mode::empty()) {
            Err(Errno::NOENT) => self.follow_dangling(name).map(|()| None),
            answer => answer.map(Some),
        }
    }

    fn follow_dangling(&mut self, name: OsString) -> rustix::io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let target = match rustix::fs::readlinkat(&self.directory, &name, Vec::new()) {
            Ok(target) => PathBuf::from(OsString::from_vec(target.into_bytes())),
            // Not a link: somebody else made it in between.
            Err(Errno::INVAL) => PathBuf::from(name),
            Err(errno) => return Err(errno),
        };
        if target.is_absolute() {
            self.done = PathBuf::new();
            self.enter(Path::new(""))?;
        }
        for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
            self.todo.push_front(name);
        }
        Ok(())
    }
}

/// The names of a path. `..` stays: only the kernel, which knows the links, may resolve it.
fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    })
}

fn expect_regular(fd: &OwnedFd, path: &Path) -> Result<()> {
    let stat = rustix::fs::fstat(fd).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "directory",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Symlink => "symbolic link",
        _ => "file of unknown kind",
    };
    Err(Error::NotRegular { path: path.to_owned(), kind })
}

/// Reads to the end of the file, but not more than `limit` bytes.
pub(crate) fn read_capped(fd: &OwnedFd, path: &Path, limit: usize) -> Result<Vec<u8>> {
    const LEAST: usize = 1024;
    let mut bytes = Vec::with_capacity(4096.min(limit + 1));
    loop {
        if bytes.len() > limit {
            return Err(Error::TooLarge { path: path.to_owned(), limit });
        }
        if bytes.capacity() - bytes.len() < LEAST {
            bytes.reserve(4096);
        }
        match rustix::io::read(fd, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            Ok(_) | Err(Errno::INTR) => {}
            Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode() -> Mode {
        Mode::from_raw_mode(0o755)
    }

    struct Fixture {
        outside: tempfile::TempDir,
        root: Root,
    }

    impl Fixture {
        fn new() -> Self {
            let outside = tempfile::tempdir().unwrap();
            std::fs::create_dir(outside.path().join("root")).unwrap();
            let root = Root::at(&outside.path().join("root")).unwrap();
            Self { outside, root }
        }

        fn inside(&self, path: &str) -> PathBuf {
            self.outside.path().join("root").join(path)
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn write(path: PathBuf, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_link_to_the_outside_stays_inside() {
        let fixture = Fixture::new();
        write(fixture.outside.path().join("secret"), "outside");
        symlink("/../../secret", fixture.inside("link")).unwrap();
        let error = fixture.root.read(Path::new("link"), 100).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NOENT));
        write(fixture.inside("secret"), "inside");
        assert_eq!(fixture.root.read(Path::new("link"), 100).unwrap(), b"inside");
        assert_eq!(fixture.root.read(Path::new("../../secret"), 100).unwrap(), b"inside");
    }

    #[test]
    fn a_fifo_is_refused_without_waiting_for_a_writer() {
        let fixture = Fixture::new();
        rustix::fs::mknodat(CWD, fixture.inside("pipe"), FileType::Fifo, mode(), 0).unwrap();
        let error = fixture.root.read(Path::new("pipe"), 100).unwrap_err();
        assert!(matches!(error, Error::NotRegular { kind: "fifo", .. }), "{error}");
    }

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let fixture = Fixture::new();
        write(fixture.inside("file"), "0123456789");
        assert_eq!(fixture.root.read(Path::new("file"), 10).unwrap(), b"0123456789");
        let error = fixture.root.read(Path::new("file"), 9).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 9, .. }), "{error}");
    }

    #[test]
    fn directories_are_made_through_dangling_links_but_inside() {
        let fixture = Fixture::new();
        std::fs::create_dir(fixture.inside("var")).unwrap();
        symlink("/run", fixture.inside("var/run")).unwrap();
        symlink("../../../../up", fixture.inside("var/up")).unwrap();
        fixture.root.mkdir_all(Path::new("/var/run/secrets/x"), mode()).unwrap();
        fixture.root.mkdir_all(Path::new("var/up/y"), mode()).unwrap();
        assert!(fixture.inside("run/secrets/x").is_dir());
        assert!(fixture.inside("up/y").is_dir());
        assert!(!fixture.outside.path().join("up").exists());
    }

    #[test]
    fn a_file_is_made_where_a_dangling_link_points_but_inside() {
        let fixture = Fixture::new();
        std::fs::create_dir_all(fixture.inside("etc/deep")).unwrap();
        for (link, target, made) in [
            ("etc/localtime", "/usr/share/zoneinfo/UTC", "usr/share/zoneinfo/UTC"),
            ("etc/resolv.conf", "../run/systemd/stub.conf", "run/systemd/stub.conf"),
            ("etc/beside", "deep/file", "etc/deep/file"),
            ("etc/deep/up", "../../../../../up/file", "up/file"),
            ("etc/above", "../../above", "above"),
        ] {
            symlink(target, fixture.inside(link)).unwrap();
            symlink(format!("../{link}"), fixture.inside("etc/link-to-it")).unwrap();
            fixture.root.create_file(Path::new("/etc/link-to-it"), Mode::from_raw_mode(0o644)).unwrap();
            std::fs::remove_file(fixture.inside("etc/link-to-it")).unwrap();
            assert!(fixture.inside(made).is_file(), "{link}");
        }
        let left: Vec<_> = std::fs::read_dir(fixture.outside.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let fixture = Fixture::new();
        symlink("b", fixture.inside("a")).unwrap();
        symlink("a", fixture.inside("b")).unwrap();
        let error = fixture.root.mkdir_all(Path::new("a/c"), mode()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::LOOP));
        let error = fixture.root.create_file(Path::new("a"), mode()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::LOOP));
    }

    #[test]
    fn a_file_and_a_link_are_made_with_their_parents() {
        let fixture = Fixture::new();
        fixture.root.create_file(Path::new("/etc/a/hosts"), Mode::from_raw_mode(0o644)).unwrap();
        fixture.root.create_file(Path::new("/etc/a/hosts"), Mode::from_raw_mode(0o644)).unwrap();
        fixture.root.symlink(OsStr::new("a/hosts"), Path::new("/etc/h")).unwrap();
        assert!(fixture.inside("etc/a/hosts").is_file());
        assert_eq!(std::fs::read_link(fixture.inside("etc/h")).unwrap(), Path::new("a/hosts"));
        let again = fixture.root.symlink(OsStr::new("x"), Path::new("/etc/h")).unwrap_err();
        assert_eq!(again.errno(), Some(Errno::EXIST));
        assert!(matches!(
            fixture.root.symlink(OsStr::new("x"), Path::new("/")),
            Err(Error::NoFileName { .. })
        ));
    }
}
