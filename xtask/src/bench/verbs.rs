//! create, start and delete, each by itself.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::bench::contestant::{Contestant, must};
use crate::bench::lab::{Init, Lab};
use crate::bench::options::Options;
use crate::bench::sample::{Result as Measured, Samples};
use crate::bench::usage::Usage;
use crate::failure::Failure;

/// Blocks of life cycles; the contestants' blocks alternate.
///
/// # Errors
/// When a call fails, or on Ctrl-C.
pub(super) fn measure(
    lab: &Lab,
    contestants: &[Contestant],
    options: &Options,
) -> Result<Vec<Measured>, Failure> {
    eprintln!("bench: create, start, delete");
    let mut all: Vec<[Samples; VERBS.len()]> = contestants.iter().map(|_| Default::default()).collect();
    for _ in 0..options.blocks {
        for (one, samples) in contestants.iter().zip(&mut all) {
            let life = Life::new(lab, one)?;
            let mut times: [Vec<Duration>; VERBS.len()] = Default::default();
            for _ in 0..options.block {
                lab.interrupted()?;
                life.live()?.into_iter().zip(&mut times).for_each(|(time, times)| times.push(time));
            }
            times.into_iter().zip(samples).for_each(|(times, samples)| samples.add(times, Usage::default()));
        }
    }
    let rows = VERBS.iter().enumerate().flat_map(|(index, verb)| {
        let named = contestants.iter().zip(&all);
        named.map(move |(one, samples)| samples[index].result(verb, &one.name))
    });
    Ok(rows.collect())
}

const VERBS: [&str; 4] = ["create", "start", "delete", "create + start + delete"];

/// The life of a container whose program ends at once.
struct Life<'a> {
    contestant: &'a Contestant,
    id: String,
    bundle: String,
    pid_file: String,
}

impl<'a> Life<'a> {
    fn new(lab: &Lab, contestant: &'a Contestant) -> Result<Self, Failure> {
        let id = contestant.id("life");
        let bundle = lab.bundle(&id, Init::Exit)?.to_string_lossy().into_owned();
        let pid_file = lab.path(&format!("{}.pid", contestant.name)).to_string_lossy().into_owned();
        Ok(Self { contestant, id, bundle, pid_file })
    }

    fn live(&self) -> Result<[Duration; VERBS.len()], Failure> {
        let create = ["create", "--pid-file", &self.pid_file, "--bundle", &self.bundle, &self.id];
        let create = self.time(&create)?;
        let init = pid(Path::new(&self.pid_file)).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let start = self.time(&["start", &self.id])?;
        if let Some(Ok(init)) = init {
            // The end of the program is no part of any verb.
            let _ = poll(&mut [PollFd::new(&init, PollFlags::IN)], None);
        }
        let delete = self.time(&["delete", &self.id])?;
        Ok([create, start, delete, create + start + delete])
    }

    fn time(&self, arguments: &[&str]) -> Result<Duration, Failure> {
        let start = Instant::now();
        must(self.contestant.command(arguments))?;
        Ok(start.elapsed())
    }
}

fn pid(file: &Path) -> Option<Pid> {
    Pid::from_raw(std::fs::read_to_string(file).ok()?.trim().parse().ok()?)
}
