//! Carrying out what was planned, and taking it back.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::device_program::{self, Attached};
use crate::{
    Cgroup, Error, Kind, Memory, Order, Presence, Resources, Result, Write, file, former, hint, plan,
};

/// What the groups held before, in the order in which it was overwritten.
#[derive(Debug, Default)]
pub struct Applied {
    former: Vec<Step>,
    program: Option<Attached>,
}

/// One write, with its file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) path: PathBuf,
    pub(crate) value: String,
    pub(crate) order: Order,
}

impl Cgroup {
    /// Sets the limits. What is not set stays as it is.
    ///
    /// # Errors
    /// A value that makes no sense, a limit whose controller is missing, a refused write. What was written by
    /// then is restored; what cannot be restored is logged.
    pub fn apply(&self, resources: &Resources) -> Result<Applied> {
        self.apply_over(resources, former::values)
    }

    /// As [`Cgroup::apply`], to groups that were made just now and are removed if it fails: what they held before is
    /// not read, and not restored.
    ///
    /// # Errors
    /// As [`Cgroup::apply`].
    pub fn apply_to_new(&self, resources: &Resources) -> Result<()> {
        self.apply_over(resources, |_| Vec::new()).map(drop)
    }

    /// `former` gives the writes that would restore what a step overwrites.
    fn apply_over(&self, resources: &Resources, former: fn(&Step) -> Vec<Step>) -> Result<Applied> {
        let writes = plan::plan(self.kind(), resources)?;
        for (place, why) in plan::ignored(self.kind(), resources) {
            log::warn!("linux/resources/{place} is ignored: {why}");
        }
        self.check_usage(resources.memory.as_ref())?;
        let steps = self.find(writes)?;
        let mut applied = Applied::default();
        match self.carry_out(&steps, resources, former, &mut applied) {
            Ok(()) => Ok(applied),
            Err(error) => {
                for undo in applied.undo() {
                    log::warn!("restore a former limit: {undo}");
                }
                Err(error)
            }
        }
    }

    fn carry_out(
        &self,
        steps: &[Step],
        resources: &Resources,
        former: fn(&Step) -> Vec<Step>,
        applied: &mut Applied,
    ) -> Result<()> {
        perform(steps, |step| applied.former.extend(former(step)))?;
        if self.kind() == Kind::V2
            && let Some(group) = &self.paths().unified
        {
            applied.program = device_program::replace(group, &resources.devices)?;
        }
        Ok(())
    }

    /// The directory that has this controller.
    fn directory(&self, controller: &str) -> Option<&Path> {
        match self.kind() {
            Kind::V1 => self.paths().v1(controller),
            Kind::V2 => self.paths().unified.as_deref(),
        }
    }

    /// Finds the file of every write before the first of them is made.
    fn find(&self, writes: Vec<Write>) -> Result<Vec<Step>> {
        let mut steps: Vec<Step> = Vec::with_capacity(writes.len());
        for write in writes {
            let directory = self.directory(&write.controller);
            match directory.and_then(|directory| step_in(directory, &write, steps.last())) {
                Some(step) => steps.push(step),
                None if write.presence == Presence::Optional => {}
                None => return Err(hint::missing(self.paths(), directory, write)),
            }
        }
        Ok(steps)
    }

    /// Compat: runc and crun, `checkBeforeUpdate` on v2. On v1 the kernel itself refuses a limit below the usage.
    fn check_usage(&self, memory: Option<&Memory>) -> Result<()> {
        let (Kind::V2, Some(memory), Some(group)) = (self.kind(), memory, &self.paths().unified) else {
            return Ok(());
        };
        let (true, Some(limit)) = (memory.check_before_update == Some(true), memory.limit) else {
            return Ok(());
        };
        let path = group.join("memory.current");
        let usage = file::read_if_there(&path)?.and_then(|text| text.trim().parse::<i64>().ok());
        match usage {
            Some(usage) if limit > 0 && usage > limit => Err(Error::Invalid {
                field: "memory/limit".to_owned(),
                expected: format!(
                    "{limit} is below the present usage of {usage} ({}), and checkBeforeUpdate is set",
                    path.display()
                ),
            }),
            _ => Ok(()),
        }
    }
}

impl Applied {
    /// File names and former values, in the order in which they would be restored.
    pub(crate) fn former_values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.former
            .iter()
            .rev()
            .filter_map(|step| Some((step.path.file_name()?.to_str()?, step.value.as_str())))
    }

    /// Restores the former values, the last one first, and returns what could not be restored.
    #[must_use]
    pub fn undo(self) -> Vec<Error> {
        let mut errors: Vec<Error> = self.program.iter().filter_map(|program| program.undo().err()).collect();
        let steps: Vec<Step> = self.former.into_iter().rev().collect();
        let runs = steps.chunk_by(|one, next| one.order == Order::Linked && next.order == Order::Linked);
        let mut pen = file::Pen::default();
        errors.extend(runs.filter_map(|run| perform_run(run, &mut pen).err()));
        errors
    }
}

/// A file that `found` writes to is known to be there: a list of devices is ten values for one.
fn step_in(directory: &Path, write: &Write, found: Option<&Step>) -> Option<Step> {
    let step = |name: &str, value: &str| {
        let path = directory.join(name);
        let is_there = found.is_some_and(|found| found.path == path) || path.exists();
        is_there.then(|| Step { path, value: value.to_owned(), order: write.order })
    };
    step(&write.file, &write.value).or_else(|| {
        let (name, value) = write.fallback.as_ref()?;
        step(name, value)
    })
}

/// Writes in order, telling `before` about each step.
fn perform(steps: &[Step], mut before: impl FnMut(&Step)) -> Result<()> {
    let mut pen = file::Pen::default();
    for run in steps.chunk_by(|one, next| one.order == Order::Linked && next.order == Order::Linked) {
        run.iter().for_each(&mut before);
        perform_run(run, &mut pen)?;
    }
    Ok(())
}

/// Writes linked values in whatever order the kernel takes them: one that is refused with `EINVAL` is tried again
/// after the others, as long as at least one more was taken. Raising goes from the outside, lowering from the inside.
fn perform_run(run: &[Step], pen: &mut file::Pen) -> Result<()> {
    let mut left: Vec<&Step> = run.iter().collect();
    loop {
        let mut refusals = Vec::new();
        for step in &left {
            match pen.write(&step.path, &step.value) {
                Ok(()) => expect_kept(step)?,
                Err(Errno::INVAL) if step.order == Order::Linked => refusals.push(*step),
                Err(errno) => return Err(refused(step, errno)),
            }
        }
        match refusals.first() {
            None => return Ok(()),
            Some(first) if refusals.len() == left.len() => return Err(refused(first, Errno::INVAL)),
            Some(_) => left = refusals,
        }
    }
}

/// A partition that cannot be is accepted and marked as invalid.
///
/// Source: the kernel's admin-guide/cgroup-v2, `cpuset.cpus.partition`.
fn expect_kept(step: &Step) -> Result<()> {
    if !step.path.ends_with("cpuset.cpus.partition") {
        return Ok(());
    }
    let became = file::read(&step.path)?.trim().to_owned();
    if !became.contains("invalid") {
        return Ok(());
    }
    Err(Error::NotKept { value: step.value.clone(), path: step.path.clone(), became })
}

fn refused(step: &Step, source: Errno) -> Error {
    let hint = hint::refused(step, source);
    Error::Write { value: step.value.clone(), path: step.path.clone(), hint, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paths;

    /// A v2 group of plain files: honest for finding files, former values and their order, not for refusals.
    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let paths = Paths { unified: Some(directory.path().to_owned()), ..Paths::default() };
        (directory, Cgroup::new(paths))
    }

    fn resources(json: &str) -> Resources {
        serde_json::from_str(json).unwrap()
    }

    fn text(directory: &tempfile::TempDir, name: &str) -> String {
        std::fs::read_to_string(directory.path().join(name)).unwrap()
    }

    #[test]
    fn what_was_applied_is_undone() {
        let (directory, cgroup) = group(&[("pids.max", "max\n"), ("cpu.max", "max 100000\n")]);
        let applied = cgroup.apply(&resources(r#"{"pids": {"limit": 5}, "cpu": {"quota": 1000}}"#)).unwrap();
        assert_eq!(
            (text(&directory, "pids.max"), text(&directory, "cpu.max")),
            ("5".into(), "1000 100000".into())
        );
        assert!(applied.undo().is_empty());
        assert_eq!(
            (text(&directory, "pids.max"), text(&directory, "cpu.max")),
            ("max".into(), "max 100000".into())
        );
    }

    #[test]
    fn a_new_group_gets_the_same_limits() {
        let (directory, cgroup) = group(&[("pids.max", "max\n"), ("cpu.max", "max 100000\n")]);
        cgroup.apply_to_new(&resources(r#"{"pids": {"limit": 5}, "cpu": {"quota": 1000}}"#)).unwrap();
        assert_eq!(
            (text(&directory, "pids.max"), text(&directory, "cpu.max")),
            ("5".into(), "1000 100000".into())
        );
        let missing = resources(r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}"#);
        assert!(cgroup.apply_to_new(&missing).is_err());
    }

    #[test]
    fn a_limit_without_its_file_is_an_error_and_nothing_is_written() {
        let (directory, cgroup) = group(&[("pids.max", "max\n")]);
        let error = cgroup.apply(&resources(
            r#"{"pids": {"limit": 5}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}"#,
        ));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("linux/resources/hugepageLimits/0: the hugetlb controller is not available"),
            "{error}"
        );
        assert_eq!(text(&directory, "pids.max"), "max\n");
    }

    #[test]
    fn the_scheduler_that_is_there_gets_the_weight() {
        let weight = resources(r#"{"blockIO": {"weight": 1000}}"#);
        let (directory, cgroup) = group(&[("io.weight", "default 100\n")]);
        let applied = cgroup.apply(&weight).unwrap();
        assert_eq!(text(&directory, "io.weight"), "10000");
        assert!(applied.undo().is_empty());
        assert_eq!(text(&directory, "io.weight"), "default 100");
        let (directory, cgroup) =
            group(&[("io.weight", "default 100\n"), ("io.bfq.weight", "default 100\n")]);
        cgroup.apply(&weight).unwrap();
        assert_eq!(text(&directory, "io.bfq.weight"), "1000");
    }

    #[test]
    fn swap_may_be_forbidden_or_unlimited_where_there_is_no_swap() {
        let (_directory, cgroup) = group(&[("memory.max", "max\n")]);
        for swap in ["-1", "1000"] {
            cgroup.apply(&resources(&format!(r#"{{"memory": {{"limit": 1000, "swap": {swap}}}}}"#))).unwrap();
        }
        assert!(cgroup.apply(&resources(r#"{"memory": {"limit": 1000, "swap": 1001}}"#)).is_err());
    }

    #[test]
    fn check_before_update_refuses_a_limit_below_the_usage() {
        let (_directory, cgroup) = group(&[("memory.max", "max\n"), ("memory.current", "2000\n")]);
        let error = cgroup.apply(&resources(r#"{"memory": {"limit": 1000, "checkBeforeUpdate": true}}"#));
        assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
        cgroup.apply(&resources(r#"{"memory": {"limit": 2000, "checkBeforeUpdate": true}}"#)).unwrap();
    }
}
