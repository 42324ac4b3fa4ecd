//! What verbs cost our runtime when many containers are present.

use crate::bench::contestant::{Contestant, Standing, must};
use crate::bench::lab::{Init, Lab};
use crate::bench::options::Options;
use crate::bench::rhythm;
use crate::bench::trial::Trial;
use crate::failure::Failure;

/// One point of the plot.
pub(super) struct Point {
    /// `list`, `state` or `exec`.
    pub(super) verb: &'static str,
    /// Containers that were present.
    pub(super) containers: usize,
    /// Microseconds.
    pub(super) median: f64,
}

/// Fills the state root step by step with created containers and measures the verbs at each step.
///
/// # Errors
/// When a call fails, or on Ctrl-C.
pub(super) fn measure(
    lab: &Lab,
    contestants: &[Contestant],
    options: &Options,
) -> Result<Vec<Point>, Failure> {
    let Some(ours) = contestants.iter().find(|one| one.name == "sluice") else { return Ok(Vec::new()) };
    eprintln!("bench: list, state, exec among up to {} containers", options.crowd);
    let standing = Standing::new(lab, ours)?;
    let mut crowd = Crowd { contestant: ours, ids: Vec::new() };
    let mut points = Vec::new();
    for count in [1, 10, 100, 1000].into_iter().filter(|count| *count <= options.crowd) {
        while crowd.ids.len() + 1 < count {
            crowd.grow(lab)?;
        }
        points.extend(at(lab, &standing, options, count)?);
    }
    Ok(points)
}

fn at(
    lab: &Lab,
    standing: &Standing<'_>,
    options: &Options,
    containers: usize,
) -> Result<Vec<Point>, Failure> {
    let ours = standing.contestant;
    let mut trials = [
        Trial::new("list", || ours.command(&["list", "--quiet"])),
        Trial::new("state", || ours.command(&["state", &standing.id])),
        Trial::new("exec", || standing.exec()),
    ];
    let rows = rhythm::back_to_back(lab, &format!("among {containers}"), &mut trials, &options.shorter())?;
    let verbs = ["list", "state", "exec"].into_iter();
    Ok(verbs.zip(rows).map(|(verb, row)| Point { verb, containers, median: row.median }).collect())
}

/// Created containers that wait for a start which never comes; dropping it deletes them.
struct Crowd<'a> {
    contestant: &'a Contestant,
    ids: Vec<String>,
}

impl Crowd<'_> {
    fn grow(&mut self, lab: &Lab) -> Result<(), Failure> {
        lab.interrupted()?;
        let id = self.contestant.id(&format!("crowd{}", self.ids.len()));
        let bundle = lab.bundle(&id, Init::Wait)?.to_string_lossy().into_owned();
        self.ids.push(id.clone());
        must(self.contestant.command(&["create", "--bundle", &bundle, &id]))
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        for id in &self.ids {
            let _ = self.contestant.command(&["delete", "--force", id]).status();
        }
    }
}
