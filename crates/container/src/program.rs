//! Finding the program of a process, and finding out why the kernel would not run it.
//!
//! The diagnosis looks through a descriptor of the container's root (`openat2`, `RESOLVE_IN_ROOT`) and costs about a
//! millisecond, only when something failed already.

use crate::cause::Cause;
use crate::error::errno_text;
use crate::{Error, IdMap};
use proc::Root;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// The paths that are tried for a program's name.
///
/// A name with a slash is a path. Any other is looked up in the `PATH` of the process's own environment; entries that
/// are not absolute are left out.
///
/// Compat: runc looks the name up with Go's `exec.LookPath`, which refuses relative results.
///
/// # Errors
/// [`Error::NulByte`]; [`Cause::NotInPath`] when there is no `PATH`.
pub fn candidates(program: &str, environment: &[String]) -> Result<Vec<CString>, Error> {
    if program.contains('/') {
        return Ok(vec![c_string(program, "process/args/0")?]);
    }
    let path = environment.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or("");
    let found: Result<Vec<_>, _> = path
        .split(':')
        .filter(|directory| directory.starts_with('/') && !program.is_empty())
        .map(|directory| c_string(&format!("{}/{program}", directory.trim_end_matches('/')), "process/env"))
        .collect();
    let found = found?;
    if found.is_empty() {
        return Err(Error::NotStarted(Cause::NotInPath { program: program.to_owned() }));
    }
    Ok(found)
}

/// A text for the kernel.
///
/// # Errors
/// [`Error::NulByte`].
pub(crate) fn c_string(text: &str, place: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::NulByte { place: place.to_owned() })
}

/// An `execve` that was refused.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The program as the user wrote it.
    pub program: String,
    /// The paths tried.
    pub paths: Vec<CString>,
    /// Working directory, for relative paths.
    pub directory: PathBuf,
    /// User.
    pub uid: u32,
    /// Group and additional groups.
    pub gids: Vec<u32>,
    /// The effective capabilities just before `execve`, a bit each.
    pub capabilities: u64,
    /// The user ids of the container's user namespace.
    pub user_ids: IdMap,
    /// Its group ids.
    pub group_ids: IdMap,
    /// What the kernel said.
    pub errno: Errno,
}

/// Owner and group of a file as the container has them.
struct Owner {
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Owner {
    fn of(attempt: &Attempt, stat: &rustix::fs::Stat) -> Self {
        Self { uid: attempt.user_ids.inside(stat.st_uid), gid: attempt.group_ids.inside(stat.st_gid) }
    }

    /// Kernel: an id that is not mapped is shown as `/proc/sys/kernel/overflowuid`, which nobody changes.
    fn shown(&self) -> (u32, u32) {
        const OVERFLOW: u32 = 65_534;
        (self.uid.unwrap_or(OVERFLOW), self.gid.unwrap_or(OVERFLOW))
    }
}

/// Why the kernel refused.
#[must_use]
pub fn diagnose(root: &Root, attempt: &Attempt) -> Cause {
    let program = attempt.program.clone();
    let by_name = !attempt.program.contains('/');
    let paths = attempt.paths.iter().map(|path| attempt.directory.join(path.to_string_lossy().as_ref()));
    let mut verdict = None;
    for path in paths {
        match inspect(root, attempt, &path) {
            Verdict::Missing => {}
            Verdict::Because(cause) => {
                verdict = Some(cause);
                break;
            }
        }
    }
    verdict.unwrap_or_else(|| unseen(attempt.errno, program, by_name))
}

/// The reason as far as the errno tells it.
#[must_use]
pub(crate) fn undiagnosed(attempt: &Attempt) -> Cause {
    unseen(attempt.errno, attempt.program.clone(), !attempt.program.contains('/'))
}

/// The kernel met something where we see nothing: `/proc/self` of a container, for one, is another's for us.
fn unseen(errno: Errno, program: String, by_name: bool) -> Cause {
    match errno {
        Errno::ACCESS => Cause::Denied { path: program },
        Errno::NOEXEC => {
            Cause::Format { path: program, reason: "the kernel does not know the format".to_owned() }
        }
        Errno::TXTBSY => Cause::Busy { path: program },
        _ if by_name => Cause::NotInPath { program },
        _ => Cause::NoSuchFile { path: program },
    }
}

enum Verdict {
    Missing,
    Because(Cause),
}

fn inspect(root: &Root, attempt: &Attempt, path: &Path) -> Verdict {
    if let Some(cause) = closed_directory(root, attempt, path) {
        return Verdict::Because(cause);
    }
    let file = match root.open(path, OFlags::PATH) {
        Ok(file) => file,
        Err(error) => return unreachable(root, attempt, path, error.errno()),
    };
    if let Some(cause) = resolved(&file).and_then(|path| closed_directory(root, attempt, &path)) {
        return Verdict::Because(cause);
    }
    let Ok(stat) = rustix::fs::fstat(&file) else { return Verdict::Missing };
    let name = attempt.program.clone();
    Verdict::Because(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Cause::IsDirectory { path: name },
        FileType::RegularFile => of_file(root, attempt, path, &stat),
        other => Cause::NotAFile { path: name, kind: kind(other) },
    })
}

/// The path of an open file below the container's root, free of symbolic links.
///
/// Kernel: the link ends at the root of the file's mount namespace, which for a container is its own root.
fn resolved(file: &OwnedFd) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        _ => "special file",
    }
}

fn unreachable(root: &Root, attempt: &Attempt, path: &Path, errno: Option<Errno>) -> Verdict {
    let name = attempt.program.clone();
    match errno {
        Some(Errno::LOOP) => Verdict::Because(Cause::LinkLoop { path: name }),
        Some(Errno::NOTDIR) => {
            let component = prefixes(path).into_iter().find(|prefix| is_file(root, prefix));
            let component = component.unwrap_or_else(|| path.to_owned()).display().to_string();
            Verdict::Because(Cause::NotADirectory { path: name, component })
        }
        _ => Verdict::Missing,
    }
}

/// Every directory on the way to `path`, the root first, the path itself not.
fn prefixes(path: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    all.reverse();
    all
}

fn is_file(root: &Root, path: &Path) -> bool {
    let stat = root.open(path, OFlags::PATH).ok().and_then(|file| rustix::fs::fstat(file).ok());
    stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Directory)
}

/// The first directory on the way that the user may not search.
fn closed_directory(root: &Root, attempt: &Attempt, path: &Path) -> Option<Cause> {
    prefixes(path)
        .into_iter()
        .filter(|prefix| prefix.components().next() == Some(Component::RootDir))
        .find_map(|prefix| {
            let directory = root.open(&prefix, OFlags::PATH).ok()?;
            let stat = rustix::fs::fstat(&directory).ok()?;
            let denied = FileType::from_raw_mode(stat.st_mode) == FileType::Directory
                && attempt.errno == Errno::ACCESS
                && !may_search(attempt, &stat);
            let (owner, group) = Owner::of(attempt, &stat).shown();
            denied.then(|| Cause::NoSearch {
                path: attempt.program.clone(),
                uid: attempt.uid,
                component: prefix.display().to_string(),
                mode: stat.st_mode & 0o7777,
                owner,
                group,
            })
        })
}

/// Whether the process may go through a directory.
fn may_search(attempt: &Attempt, stat: &rustix::fs::Stat) -> bool {
    overrides(attempt, stat, DAC_OVERRIDE | DAC_READ_SEARCH) || has_execute_bit(attempt, stat)
}

/// Whether it may execute a file.
///
/// Kernel: no capability makes a file without any execute bit a program.
fn may_execute(attempt: &Attempt, stat: &rustix::fs::Stat) -> bool {
    let has_any = stat.st_mode & 0o111 != 0;
    has_any && overrides(attempt, stat, DAC_OVERRIDE) || has_execute_bit(attempt, stat)
}

/// Source: linux/capability.h.
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;

/// Kernel: fs/namei.c, `capable_wrt_inode_uidgid`: a capability of a user namespace is worth nothing for files whose
/// owner or group has no id in it.
fn overrides(attempt: &Attempt, stat: &rustix::fs::Stat, capabilities: u64) -> bool {
    let owner = Owner::of(attempt, stat);
    attempt.capabilities & capabilities != 0 && owner.uid.is_some() && owner.gid.is_some()
}

/// The classic rule; ACLs are not looked at, so it is used only to explain a refusal.
fn has_execute_bit(attempt: &Attempt, stat: &rustix::fs::Stat) -> bool {
    let owner = Owner::of(attempt, stat);
    let shift = if owner.uid == Some(attempt.uid) {
        6
    } else if owner.gid.is_some_and(|gid| attempt.gids.contains(&gid)) {
        3
    } else {
        0
    };
    (stat.st_mode >> shift) & 1 == 1
}

fn of_file(root: &Root, attempt: &Attempt, path: &Path, stat: &rustix::fs::Stat) -> Cause {
    let name = attempt.program.clone();
    let mode = stat.st_mode & 0o7777;
    match attempt.errno {
        Errno::ACCESS if mode & 0o111 == 0 => Cause::NotExecutable { path: name, mode },
        Errno::ACCESS if on_noexec(root, path) => Cause::NoexecMount { path: name },
        Errno::ACCESS if script_interpreter(&head(root, path)).is_some() && may_execute(attempt, stat) => {
            closed_interpreter(root, attempt, path)
        }
        Errno::ACCESS => {
            let (owner, group) = Owner::of(attempt, stat).shown();
            Cause::NoExecute { path: name, uid: attempt.uid, mode, owner, group }
        }
        Errno::NOENT => missing_interpreter(root, path, name),
        Errno::NOEXEC => Cause::Format { path: name, reason: format_reason(&head(root, path)) },
        Errno::TXTBSY => Cause::Busy { path: name },
        errno => Cause::ExecveForbidden { path: name, errno: errno_text(errno) },
    }
}

fn on_noexec(root: &Root, path: &Path) -> bool {
    let file = root.open(path, OFlags::PATH).ok();
    let flags = file.and_then(|file| rustix::fs::fstatvfs(file).ok());
    flags.is_some_and(|stat| stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

/// The first page of a program.
fn head(root: &Root, path: &Path) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let count = root
        .open_regular(path)
        .ok()
        .and_then(|file| rustix::io::retry_on_intr(|| rustix::io::read(&file, bytes.as_mut_slice())).ok());
    bytes.truncate(count.unwrap_or(0));
    bytes
}

fn missing_interpreter(root: &Root, path: &Path, name: String) -> Cause {
    let head = head(root, path);
    match script_interpreter(&head) {
        Some(interpreter) => {
            Cause::NoInterpreter { path: name, interpreter: wants(root, interpreter, NESTING) }
        }
        None => match elf::interpreter(&head) {
            Some(loader) => Cause::NoLoader { path: name, loader },
            None => Cause::NoSuchFile { path: name },
        },
    }
}

/// How many scripts may want one another.
///
/// Source: fs/exec.c, `exec_binprm`: more than five answer `ELOOP`.
const NESTING: usize = 5;

/// What is wanted, and what that wants if it is there, down to what is missing.
fn wants(root: &Root, wanted: String, depth: usize) -> String {
    let head = head(root, Path::new(&wanted));
    let next = script_interpreter(&head).or_else(|| elf::interpreter(&head));
    let shown = wanted.escape_debug().to_string();
    match next.filter(|_| depth > 0) {
        Some(next) => format!("{shown}, and that wants {}", wants(root, next, depth - 1)),
        None => shown,
    }
}

fn closed_interpreter(root: &Root, attempt: &Attempt, path: &Path) -> Cause {
    let interpreter = script_interpreter(&head(root, path)).unwrap_or_default();
    let stat =
        root.open(Path::new(&interpreter), OFlags::PATH).ok().and_then(|file| rustix::fs::fstat(file).ok());
    let reason = match stat.map(|stat| (FileType::from_raw_mode(stat.st_mode), stat.st_mode & 0o7777)) {
        Some((FileType::Directory, _)) => "is a directory".to_owned(),
        Some((_, mode)) if mode & 0o111 == 0 => format!("is not executable (mode {mode:04o})"),
        _ => format!("may not be executed by uid {}", attempt.uid),
    };
    Cause::ClosedInterpreter { path: attempt.program.clone(), interpreter, reason }
}

/// The program after `#!`.
///
/// Kernel: only blanks and tabs end it; a carriage return is a part of the name.
fn script_interpreter(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    text.split([' ', '\t']).find(|word| !word.is_empty()).map(str::to_owned)
}

fn format_reason(head: &[u8]) -> String {
    if head.is_empty() {
        return "the file is empty".to_owned();
    }
    if !head.starts_with(elf::MAGIC) {
        return "it is neither an ELF program nor a script with a \"#!\" line".to_owned();
    }
    match elf::machine(head) {
        None => "the ELF header is cut short".to_owned(),
        Some(machine) if machine != elf::HOST => {
            format!("it is built for {}, this host is {}", elf::machine_name(machine), std::env::consts::ARCH)
        }
        Some(_) => "the ELF program is cut short or damaged".to_owned(),
    }
}

/// The three fields of an ELF file that explain a refusal.
///
/// Source: elf(5).
mod elf {
    pub(super) const MAGIC: &[u8] = b"\x7fELF";

    #[cfg(target_arch = "x86_64")]
    pub(super) const HOST: u16 = 62;
    #[cfg(target_arch = "aarch64")]
    pub(super) const HOST: u16 = 183;
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) const HOST: u16 = 0;

    fn half(head: &[u8], at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?))
    }

    fn long(head: &[u8], at: usize) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?)).ok()
    }

    /// `e_machine`; little endian, which every host of this project is.
    pub(super) fn machine(head: &[u8]) -> Option<u16> {
        (head.len() >= 52).then_some(())?;
        half(head, 18)
    }

    pub(super) fn machine_name(machine: u16) -> String {
        let name = match machine {
            3 => "i386",
            8 => "mips",
            20 => "ppc",
            21 => "ppc64",
            22 => "s390x",
            40 => "arm",
            62 => "x86_64",
            183 => "aarch64",
            243 => "riscv64",
            258 => "loongarch64",
            other => return format!("ELF machine {other}"),
        };
        name.to_owned()
    }

    /// `PT_INTERP` of a 64-bit program, when it lies in the first page, as linkers put it.
    pub(super) fn interpreter(head: &[u8]) -> Option<String> {
        const PT_INTERP: u32 = 3;
        if !head.starts_with(MAGIC) || head.get(4) != Some(&2) {
            return None;
        }
        let (start, size, count) =
            (long(head, 32)?, usize::from(half(head, 54)?), usize::from(half(head, 56)?));
        (0..count.min(64)).find_map(|index| {
            let at = start.checked_add(index.checked_mul(size)?)?;
            let kind = u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?);
            if kind != PT_INTERP {
                return None;
            }
            let offset = long(head, at.checked_add(8)?)?;
            let length = long(head, at.checked_add(32)?)?;
            let bytes = head.get(offset..offset.checked_add(length)?)?;
            Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
        })
    }
}

/// Whether a path could be executed by the calling process now, as far as its permission bits say.
///
/// # Errors
/// The errno that `execve` would give.
pub(crate) fn executable(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(Errno::ISDIR),
        FileType::RegularFile => {
            rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::EXEC_OK, AtFlags::EACCESS)
        }
        _ => Err(Errno::ACCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_in_the_process_s_own_path() {
        let environment = ["PATH=/no".to_owned(), "PATH=/a:rel::/b/".to_owned()];
        let paths = candidates("sh", &environment).unwrap();
        assert_eq!(paths, [c"/a/sh".to_owned(), c"/b/sh".to_owned()]);
        assert_eq!(candidates("./sh", &environment).unwrap(), [c"./sh".to_owned()]);
        let error = candidates("sh", &[]).unwrap_err().to_string();
        assert_eq!(error, "exec: \"sh\": executable file not found in $PATH");
    }

    #[test]
    fn a_format_error_says_what_is_wrong_with_the_file() {
        let mut arm = vec![0; 64];
        arm[..4].copy_from_slice(elf::MAGIC);
        arm[18] = 183;
        let table: [(&[u8], &str); 4] = [
            (b"", "the file is empty"),
            (b"echo", "it is neither an ELF program nor a script with a \"#!\" line"),
            (&arm[..20], "the ELF header is cut short"),
            (&arm, "it is built for aarch64, this host is x86_64"),
        ];
        for (head, expected) in table {
            if std::env::consts::ARCH == "x86_64" {
                assert_eq!(format_reason(head), expected);
            }
        }
    }

    #[test]
    fn the_interpreter_of_a_script_is_its_first_word() {
        assert_eq!(script_interpreter(b"#! /bin/x -e\nfoo").as_deref(), Some("/bin/x"));
        assert_eq!(script_interpreter(b"#!\n"), None);
        assert_eq!(script_interpreter(b"foo"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_elf_reader_panic(bytes: Vec<u8>) {
            let head = [elf::MAGIC, &[2], &bytes].concat();
            let _ = (elf::interpreter(&head), elf::machine(&head), script_interpreter(&bytes));
        }
    }
}
