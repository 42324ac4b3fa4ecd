//! Pausing and resuming all processes of the groups.
//!
//! On v1 the freezer hierarchy is used, on v2 `cgroup.freeze`. A group is also frozen by one above it.

use std::path::Path;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::{Cgroup, Error, Result, file, procs};

/// State of the groups as their processes feel it, whichever level caused it. Later ones are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freezer {
    /// Running.
    Thawed,
    /// Asked to stop; at least one process has not stopped yet.
    Freezing,
    /// All stopped.
    Frozen,
}

/// One of the two mechanisms, at one directory.
#[derive(Debug, Clone, Copy)]
enum Control<'a> {
    /// A group of the v1 freezer hierarchy.
    V1(&'a Path),
    /// A v2 group that has `cgroup.freeze`.
    V2(&'a Path),
}

impl Cgroup {
    /// The state of the groups, or `Thawed` where there is no freezer.
    ///
    /// # Errors
    /// When the state cannot be read. A group that is gone is thawed.
    pub fn freezer(&self) -> Result<Freezer> {
        self.freezer_read_by(by_path)
    }

    /// As [`Cgroup::freezer`]; `read` gives the text of a control file of a level.
    pub(crate) fn freezer_read_by(
        &self,
        read: impl Fn(&Path, &'static str) -> rustix::io::Result<String>,
    ) -> Result<Freezer> {
        let v1 = self.paths().v1("freezer").map(Control::V1);
        let v2 = self.paths().unified.as_deref().map(Control::V2);
        let mut strongest = Freezer::Thawed;
        for control in v1.into_iter().chain(v2) {
            strongest = strongest.max(control.state(&read)?);
        }
        Ok(strongest)
    }

    /// Stops all processes and waits until they have stopped. If they do not in time, they are thawed again.
    ///
    /// # Errors
    /// No freezer; a refused write; the deadline with the pids in the groups.
    pub fn freeze(&self, limit: Duration) -> Result<()> {
        let control = self.controls().next().ok_or(Error::NoFreezer { stage: "freeze" })?;
        control.freeze(&mut Deadline::new("freeze", limit))
    }

    /// Lets all processes go on and waits until they do.
    ///
    /// # Errors
    /// No freezer; a refused write; a frozen group above; the deadline.
    pub fn thaw(&self, limit: Duration) -> Result<()> {
        let mut deadline = Deadline::new("thaw", limit);
        let mut any = false;
        for control in self.controls() {
            control.thaw(&mut deadline)?;
            any = true;
        }
        if any { Ok(()) } else { Err(Error::NoFreezer { stage: "thaw" }) }
    }

    /// Ends a process that was killed while frozen in the v1 freezer, and leaves its group frozen.
    ///
    /// Kernel: a frozen task of v1 takes a SIGKILL only when it thaws. Moved to a group that is not frozen it
    /// thaws, finds the signal and dies without a step in user space. Send the SIGKILL first.
    ///
    /// # Errors
    /// When no thawed group can be found above, or the move is refused (`ESRCH`: it is gone already).
    pub fn free_frozen(&self, pid: i32) -> Result<()> {
        let Some(path) = self.paths().v1("freezer") else { return Ok(()) };
        let Some(thawed) = path.ancestors().skip(1).find(|level| is_thawed_v1(level)) else {
            return Err(Error::NoFreezer { stage: "thaw" });
        };
        file::write(&thawed.join("cgroup.procs"), &pid.to_string())
    }

    /// The nearest group above that is frozen by itself, if one is.
    #[must_use]
    pub fn frozen_ancestor(&self) -> Option<&Path> {
        self.controls().find_map(Control::frozen_ancestor)
    }

    /// The nearest level that is frozen by itself, the group included, if one is.
    #[must_use]
    pub fn frozen_level(&self) -> Option<&Path> {
        self.controls().find_map(|control| {
            if control.is_frozen_itself() { Some(control.path()) } else { control.frozen_ancestor() }
        })
    }

    /// Thaws the groups and those nested in them as far as it goes, without waiting: a step of killing.
    pub(crate) fn thaw_for_kill(&self) {
        for control in self.controls() {
            let groups = procs::subtree(control.path());
            for group in groups.iter().rev() {
                if let Err(error) = control.at(group).request(Freezer::Thawed) {
                    log::debug!("{error}");
                }
            }
        }
    }

    fn controls(&self) -> impl Iterator<Item = Control<'_>> {
        let v1 = self.paths().v1("freezer").map(Control::V1);
        let unified = self.paths().unified.as_deref();
        let v2 = unified.filter(|path| path.join("cgroup.freeze").exists()).map(Control::V2);
        v1.into_iter().chain(v2)
    }
}

impl<'a> Control<'a> {
    fn path(self) -> &'a Path {
        match self {
            Self::V1(path) | Self::V2(path) => path,
        }
    }

    fn at(self, path: &Path) -> Control<'_> {
        match self {
            Self::V1(_) => Control::V1(path),
            Self::V2(_) => Control::V2(path),
        }
    }

    fn request(self, state: Freezer) -> Result<()> {
        let thaw = state == Freezer::Thawed;
        match self {
            Self::V1(path) => {
                file::write(&path.join("freezer.state"), if thaw { "THAWED" } else { "FROZEN" })
            }
            Self::V2(path) => file::write(&path.join("cgroup.freeze"), if thaw { "0" } else { "1" }),
        }
    }

    /// A v2 group without `cgroup.freeze` (Linux before 5.2, the root) is thawed.
    fn state(self, read: &impl Fn(&Path, &'static str) -> rustix::io::Result<String>) -> Result<Freezer> {
        let text = |name: &'static str| match read(self.path(), name) {
            Ok(text) => Ok(text),
            Err(errno) if file::is_gone(errno) => Ok(String::new()),
            Err(source) => Err(Error::Read { path: self.path().join(name), source }),
        };
        match self {
            Self::V1(_) => Ok(parse_v1(&text("freezer.state")?)),
            Self::V2(path) => {
                if proc::kv::lookup(&text("cgroup.events")?, "frozen") == Some(1) {
                    return Ok(Freezer::Frozen);
                }
                let mut levels = path.ancestors().map_while(|level| read(level, "cgroup.freeze").ok());
                let asked = levels.any(|text| text.trim() == "1");
                Ok(if asked { Freezer::Freezing } else { Freezer::Thawed })
            }
        }
    }

    /// Whether this very level asks for a freeze; `None` at the root of a hierarchy, which cannot.
    fn asks_itself(self) -> Option<bool> {
        let name = match self {
            Self::V1(_) => "freezer.self_freezing",
            Self::V2(_) => "cgroup.freeze",
        };
        by_path(self.path(), name).ok().map(|text| text.trim() == "1")
    }

    fn is_frozen_itself(self) -> bool {
        self.asks_itself() == Some(true)
    }

    fn frozen_ancestor(self) -> Option<&'a Path> {
        let levels = self.path().ancestors().skip(1);
        let asked = levels.map_while(|level| Some((level, self.at(level).asks_itself()?)));
        asked.into_iter().find(|(_, asks)| *asks).map(|(level, _)| level)
    }

    fn freeze(self, deadline: &mut Deadline) -> Result<()> {
        loop {
            // Asked again each time: on v1 a task that forks in the meantime may slip through the first request.
            self.request(Freezer::Frozen)?;
            if self.state(&by_path)? == Freezer::Frozen {
                return Ok(());
            }
            if deadline.is_over() {
                let error = deadline.error(self.path(), procs::pids_below(self.path()).unwrap_or_default());
                if let Err(undo) = self.request(Freezer::Thawed) {
                    log::warn!("thaw again after an unfinished freeze: {undo}");
                }
                return Err(error);
            }
            deadline.pause();
        }
    }

    fn thaw(self, deadline: &mut Deadline) -> Result<()> {
        self.request(Freezer::Thawed)?;
        while self.state(&by_path)? != Freezer::Thawed {
            if let Some(ancestor) = self.frozen_ancestor() {
                return Err(Error::AncestorFrozen {
                    path: self.path().to_owned(),
                    ancestor: ancestor.to_owned(),
                });
            }
            if deadline.is_over() {
                return Err(deadline.error(self.path(), procs::pids_below(self.path()).unwrap_or_default()));
            }
            deadline.pause();
        }
        Ok(())
    }
}

fn by_path(level: &Path, name: &'static str) -> rustix::io::Result<String> {
    file::try_read_short(&level.join(name))
}

fn parse_v1(text: &str) -> Freezer {
    match text.trim() {
        "FROZEN" => Freezer::Frozen,
        "FREEZING" => Freezer::Freezing,
        _ => Freezer::Thawed,
    }
}

/// The root of the hierarchy has no `freezer.state` and is never frozen.
fn is_thawed_v1(group: &Path) -> bool {
    match file::short_if_there(&group.join("freezer.state")) {
        Ok(Some(text)) => parse_v1(&text) == Freezer::Thawed,
        Ok(None) => group.join("tasks").exists(),
        Err(_) => false,
    }
}
