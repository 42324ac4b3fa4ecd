//! The memory controller of one group, whichever version of cgroups this host has it in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::hierarchy;

/// The memory controller of one group.
#[derive(Debug)]
pub struct Memory {
    directory: PathBuf,
    v1: bool,
}

impl Memory {
    /// That of the group with this absolute name.
    #[must_use]
    pub fn of(group: &str) -> Self {
        Self { directory: hierarchy::directory("memory", group), v1: hierarchy::is_v1("memory") }
    }

    /// The directory that a message names.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Bytes in use, with what the processors have charged ahead.
    #[must_use]
    #[track_caller]
    pub fn usage(&self) -> u64 {
        self.number(if self.v1 { "memory.usage_in_bytes" } else { "memory.current" })
    }

    /// Processes of the group that were killed for memory so far.
    ///
    /// # Panics
    /// When the kernel does not count them.
    #[must_use]
    #[track_caller]
    pub fn kills(&self) -> u64 {
        let text = self.read(if self.v1 { "memory.oom_control" } else { "memory.events" });
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.unwrap_or_else(|| panic!("no oom_kill in {text}")).parse().unwrap()
    }

    /// Sets the limit, in bytes. On v1 that of memory and swap together is set with it where the kernel has it, so that
    /// nothing is swapped out; on v2 swap is forbidden.
    ///
    /// # Panics
    /// When a write is refused.
    #[track_caller]
    pub fn limit(&self, bytes: u64) {
        if self.v1 {
            self.write_if_there("memory.memsw.limit_in_bytes", "-1");
            self.write("memory.limit_in_bytes", &bytes.to_string());
            self.write_if_there("memory.memsw.limit_in_bytes", &bytes.to_string());
        } else {
            self.write_if_there("memory.swap.max", "0");
            self.write("memory.max", &bytes.to_string());
        }
    }

    /// Sets the limit so that `free` bytes are left.
    ///
    /// # Panics
    /// When a write is refused.
    #[track_caller]
    pub fn leave_free(&self, free: u64) {
        self.lift();
        self.settle();
        self.limit(self.usage() + free);
    }

    /// Lowers the limit as far as no process is killed for it: to the last page in use.
    ///
    /// # Panics
    /// When a write is refused.
    #[track_caller]
    pub fn leave_nothing(&self) {
        self.leave_free(0);
        if !self.v1 {
            // A lower one would not be refused as on v1: the kernel would kill for it.
            return;
        }
        let file = self.directory.join("memory.limit_in_bytes");
        let mut limit = self.number("memory.limit_in_bytes");
        // EBUSY: nothing more can be reclaimed.
        while fs::write(&file, limit.to_string()).is_ok() {
            limit -= 8 << 10;
        }
    }

    #[track_caller]
    fn lift(&self) {
        if self.v1 {
            self.write_if_there("memory.memsw.limit_in_bytes", "-1");
            self.write("memory.limit_in_bytes", "-1");
        } else {
            self.write("memory.max", "max");
        }
    }

    /// Gives back what each processor has charged ahead and what can be reclaimed, so that the usage is what is used.
    #[track_caller]
    fn settle(&self) {
        if self.v1 {
            self.write_if_there("memory.force_empty", "0");
        } else {
            // Reclaims without killing anybody for it.
            self.write("memory.high", "0");
            self.write("memory.high", "max");
        }
    }

    #[track_caller]
    fn number(&self, file: &str) -> u64 {
        self.read(file).trim().parse().unwrap()
    }

    #[track_caller]
    fn read(&self, file: &str) -> String {
        let path = self.directory.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[track_caller]
    fn write_if_there(&self, file: &str, value: &str) {
        if self.directory.join(file).exists() {
            self.write(file, value);
        }
    }

    #[track_caller]
    fn write(&self, file: &str, value: &str) {
        hierarchy::write(&self.directory.join(file), value);
    }
}
