//! One process, read from its folder in `/proc`.
//!
//! **Invariant:** of a process in uninterruptible sleep nothing is read that waits for its memory: `cmdline` and
//! `environ` take the lock of its address space and may fault a page in on its account.

mod details;
mod fds;
mod threads;

use super::folder::Folder;
use super::piece::Piece;
use super::syscall::Machine;
use super::worker::{Care, Visit};
use crate::snapshot::{Process, Unseen, Why, role};

pub use details::{args, container_id, environment, groups, inode_of_link, open_files_limit, stat, status};
pub use fds::{fdinfo, target};

/// `PF_KTHREAD` of `Process::flags`. Source: include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

/// How much of a process is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// A part of the chain: everything.
    Chain,
    /// Any other process of the host.
    Host,
    /// A process of a container: where it stands and what it is connected to.
    Inside,
    /// Name and state.
    Outline,
}

/// Reads a process; nothing when it is gone.
pub(super) fn read(root: &Folder, machine: Machine, visit: &Visit<'_>) -> Vec<Piece> {
    let Ok(folder) = root.folder(visit.unit) else { return Vec::new() };
    let mut reader = Reader { folder, machine, visit, pieces: Vec::new() };
    let Some(process) = reader.process() else { return reader.pieces };
    reader.pieces.push(Piece::Process(Box::new(process)));
    reader.pieces
}

struct Reader<'a> {
    folder: Folder,
    machine: Machine,
    visit: &'a Visit<'a>,
    pieces: Vec<Piece>,
}

impl Reader<'_> {
    fn process(&mut self) -> Option<Process> {
        self.visit.about("stat");
        let text = self.folder.record("stat").ok()?;
        let mut process = details::stat(&text)?;
        if process.flags & PF_KTHREAD != 0 {
            self.threads(&mut process, Detail::Outline);
            process.args = Some(Vec::new());
            return Some(process);
        }
        self.status(&mut process);
        self.groups(&mut process);
        self.links(&mut process);
        let detail = self.detail(&process);
        // Threads before memory: they tell whether the memory may be asked for.
        self.threads(&mut process, detail);
        self.memory_of(&mut process);
        if detail == Detail::Chain {
            self.chain_only(&mut process);
        }
        self.fds(&mut process, detail);
        Some(process)
    }

    fn detail(&self, process: &Process) -> Detail {
        if process.state == 'Z' && process.thread_count <= 1 {
            return Detail::Outline;
        }
        let inside = process.is_in_a_pid_namespace() || process.container.is_some();
        match role::by_name(process) {
            crate::snapshot::Role::Other if inside => Detail::Inside,
            crate::snapshot::Role::Other => Detail::Host,
            // In a container the name proves nothing, but `runc init` is there, and costs little.
            _ => Detail::Chain,
        }
    }

    fn status(&mut self, process: &mut Process) {
        self.visit.about("status");
        match self.folder.record("status") {
            Ok(text) => details::status(&text, process),
            Err(errno) => self.refused("status", errno),
        }
    }

    fn groups(&mut self, process: &mut Process) {
        self.visit.about("cgroup");
        match self.folder.record("cgroup") {
            Ok(text) => details::groups(&text, process),
            Err(errno) => self.refused("cgroup", errno),
        }
    }

    /// Links that are answered from the process's own records, without its memory.
    fn links(&mut self, process: &mut Process) {
        self.visit.about("ns");
        let inode = |name: &str| details::inode_of_link(&self.folder.link(name).ok()?);
        process.namespaces.pid = inode("ns/pid");
        process.namespaces.mnt = inode("ns/mnt");
        process.namespaces.net = inode("ns/net");
        process.namespaces.user = inode("ns/user");
        self.visit.about("exe");
        process.exe = self.folder.link("exe").ok();
        if process.container.is_none() {
            self.visit.about("cwd");
            process.cwd = self.folder.link("cwd").ok();
        }
    }

    /// What takes the lock of the process's memory, and so is not asked of one that may hold it for ever.
    fn memory_of(&mut self, process: &mut Process) {
        if process.state == 'Z' {
            process.args = Some(Vec::new());
        } else if self.visit.care == Care::Sparing || process.is_uninterruptible() {
            self.unseen("cmdline", Why::Uninterruptible);
        } else {
            self.visit.about("cmdline");
            match self.folder.kernel_text("cmdline", details::LONGEST_COMMAND) {
                Ok(text) => process.args = Some(details::args(&text)),
                Err(errno) => self.refused("cmdline", errno),
            }
        }
    }

    fn chain_only(&mut self, process: &mut Process) {
        self.visit.about("limits");
        let limits = self.folder.record("limits").unwrap_or_default();
        process.fd_limit = details::open_files_limit(&limits);
        let adjusted = self.folder.record("oom_score_adj").ok();
        process.oom_score_adj = adjusted.and_then(|text| text.trim().parse().ok());
        if process.args.as_ref().is_some_and(|args| !args.is_empty()) {
            self.visit.about("environ");
            let text = self.folder.kernel_text("environ", details::LONGEST_ENVIRONMENT).unwrap_or_default();
            process.environment = details::environment(&text);
        }
    }

    fn refused(&mut self, file: &str, errno: rustix::io::Errno) {
        self.pieces.extend(Piece::refused(&format!("{}/{file}", self.visit.unit), errno));
    }

    fn unseen(&mut self, file: &str, why: Why) {
        let what = format!("/{}/{file}", self.visit.unit);
        self.pieces.push(Piece::Unseen(Unseen { what, why }));
    }
}
