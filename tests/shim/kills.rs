//! `kill -9` of containerd, of dockerd and of the shim, again and again, each in the middle of execs: whoever waits for an
//! exec is told, nobody is told a wrong exit, and nothing is left.
//!
//! `make soak` has fifteen rounds of each kill; the tests without a mark have two.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::command::{Output, Running};
use testkit::docker::Docker;
use testkit::hang::eventually;
use testkit::soak::Section;
use testkit::{Lab, hierarchy};

use crate::ctr::{Ctr, bundle, end_shims, kill_shim, lab, ours};

/// Kills of each victim in a soak.
const ROUNDS: usize = 15;

/// Kills of each victim in `make test`.
const FEW: usize = 2;

/// Execs under way when somebody is killed.
const AT_ONCE: usize = 8;

/// What the clients of killed services were told.
#[derive(Debug, Default)]
struct Told {
    /// The exit as it was.
    right: usize,
    /// That the process was killed, or that its end is not known.
    killed: usize,
    /// That the service broke.
    broken: usize,
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Containerd,
    Dockerd,
    Shim,
}

/// The exit status that an exec is asked for: none that a runtime or a client uses for its own failures.
fn status(number: usize) -> usize {
    number % 60 + 2
}

impl Told {
    /// Sorts an answer in. An exec itself ends with none of the numbers that clients use for failures.
    fn take(&mut self, victim: Victim, number: usize, answer: &Output) {
        let wanted = i32::try_from(status(number)).unwrap();
        let said = format!("{}{}", answer.stdout, answer.stderr);
        match answer.status.code() {
            Some(code) if code == wanted => self.right += 1,
            Some(137 | 255) if victim == Victim::Shim => self.killed += 1,
            // Compat: docker's client says nothing, and ends so, when dockerd is gone before it can ask for the exit.
            Some(255) if victim == Victim::Dockerd => self.broken += 1,
            // dockerd's clients print its words as if they were the program's.
            Some(1 | 125..=127) if !said.trim().is_empty() => self.broken += 1,
            _ => panic!("{victim:?} was killed, and the answer was not {wanted}: {answer}"),
        }
    }

    fn row(&self, victim: Victim, rounds: usize, seconds: u64) -> Vec<String> {
        let Self { right, killed, broken } = self;
        let numbers = [rounds, right + killed + broken, *right, *killed, *broken];
        let cells = numbers.iter().map(ToString::to_string);
        [format!("{victim:?}")].into_iter().chain(cells).chain([seconds.to_string()]).collect()
    }
}

/// Whoever was told anything else, or nothing, would have failed the test.
const HEAD: [&str; 7] = [
    "killed",
    "times",
    "execs under way",
    "told the exit as it was",
    "told that it was killed",
    "told that the service broke",
    "seconds",
];

/// Starts execs and comes back when `ended` of them have, so that each kill finds them in another place.
fn under_way(exec: impl Fn(usize) -> Running, first: usize, ended: usize) -> Vec<(usize, Running)> {
    let execs: Vec<_> = (first..first + AT_ONCE).map(|number| (number, exec(number))).collect();
    eventually("some execs to end", || {
        execs.iter().filter(|(_, running)| running.has_ended()).count() >= ended
    });
    execs
}

/// Every client comes back; the hang guard names one that does not.
fn collect(execs: Vec<(usize, Running)>, victim: Victim, told: &mut Told) {
    for (number, running) in execs {
        told.take(victim, number, &running.wait());
    }
}

/// Kills `victim` in the middle of execs in container `id`, and repairs what is broken then.
fn round_of_containerd(ctr: &mut Ctr<'_>, victim: Victim, round: usize, told: &mut Told) {
    let id = format!("c{}", if victim == Victim::Shim { round } else { 0 });
    if victim == Victim::Shim || round == 0 {
        ctr.sleeper(&[], &id);
    }
    let command = |number: usize| {
        let script = format!("exit {}", status(number));
        ctr.exec(&id, &format!("e{number}"), &["/bin/sh", "-c", &script])
    };
    let execs = under_way(|number| command(number).spawn(), round * 2 * AT_ONCE, 1 + round % (AT_ONCE - 1));
    match victim {
        Victim::Shim => {
            kill_shim(&ctr.bundle(&id));
            collect(execs, victim, told);
            let group = ctr.group(&id);
            eventually("the container to be gone", || hierarchy::pids(&group).is_empty());
            eventually("the task to be gone", || !is_listed(ctr, &id));
            ctr.cli(&["containers", "delete", &id]).ok();
        }
        _ => {
            ctr.containerd.kill();
            ctr.containerd.start_again();
            collect(execs, victim, told);
            let number = round * 2 * AT_ONCE + AT_ONCE;
            let again = format!("exit {}", status(number));
            let code = i32::try_from(status(number)).unwrap();
            ctr.exec(&id, &format!("e{number}"), &["/bin/sh", "-c", &again]).run().code(code);
        }
    }
}

fn is_listed(ctr: &Ctr<'_>, id: &str) -> bool {
    ctr.cli(&["tasks", "ls", "-q"]).ok().stdout.lines().any(|line| line == id)
}

/// Rounds of kills over containerd; a row of the log for each victim.
fn over_containerd(rounds: usize) -> Option<Vec<Vec<String>>> {
    let (lab, shim) = (lab()?, ours()?);
    let mut ctr = Ctr::start(&lab, &shim);
    let mut rows = Vec::new();
    for victim in [Victim::Containerd, Victim::Shim] {
        let (mut told, begun) = (Told::default(), Instant::now());
        for round in 0..rounds {
            round_of_containerd(&mut ctr, victim, round, &mut told);
        }
        eprintln!("{victim:?}: {told:?}");
        if victim == Victim::Containerd {
            ctr.remove("c0");
        }
        rows.push(told.row(victim, rounds, begun.elapsed().as_secs()));
    }
    ctr.end();
    Some(rows)
}

fn settings(lab: &Lab) -> Value {
    // Without live-restore dockerd ends its containers when it is back.
    json!({"runtimes": {"tested": {"path": lab.binary()}}, "default-runtime": "tested", "live-restore": true})
}

fn round_of_dockerd(docker: &mut Docker<'_>, lab: &Lab, (victim, round): (Victim, usize), told: &mut Told) {
    let command =
        |number: usize| docker.cli(&["exec", "box", "sh", "-c", &format!("exit {}", status(number))]);
    let execs = under_way(|number| command(number).spawn(), round * 2 * AT_ONCE, 1 + round % (AT_ONCE - 1));
    match victim {
        Victim::Containerd => {
            docker.containerd.kill();
            docker.containerd.start_again();
        }
        Victim::Dockerd => {
            docker.stop_daemon(Signal::KILL);
            docker.start_daemon(&settings(lab));
        }
        Victim::Shim => {
            let id = docker.inspect("box")["Id"].as_str().unwrap().to_owned();
            kill_shim(&bundle(lab, "moby", &id));
        }
    }
    collect(execs, victim, told);
    if victim == Victim::Shim {
        docker.wait_inspect("box", "/State/Status", &json!("exited"));
        docker.ok(&["start", "box"]);
    }
    eventually("dockerd to be in touch with containerd", || {
        docker.cli(&["exec", "box", "sh", "-c", "exit 3"]).run().status.code() == Some(3)
    });
}

/// Rounds of kills over dockerd; a row of the log for each victim.
fn over_dockerd(rounds: usize) -> Option<Vec<Vec<String>>> {
    let (lab, shim) = (lab()?, ours()?);
    let mut docker = Docker::start_with_shim(&lab, &shim);
    docker.stop_daemon(Signal::TERM);
    docker.start_daemon(&settings(&lab));
    docker.sleeper("box", &[]);
    let mut rows = Vec::new();
    for victim in [Victim::Containerd, Victim::Dockerd, Victim::Shim] {
        let (mut told, begun) = (Told::default(), Instant::now());
        for round in 0..rounds {
            round_of_dockerd(&mut docker, &lab, (victim, round), &mut told);
        }
        eprintln!("{victim:?}: {told:?}");
        rows.push(told.row(victim, rounds, begun.elapsed().as_secs()));
    }
    docker.ok(&["rm", "-f", "box"]);
    end_shims(&lab);
    drop(docker);
    lab.assert_nothing_left();
    Some(rows)
}

fn log(section: Section, rows: Option<Vec<Vec<String>>>) {
    if let Some(rows) = rows {
        let raw: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
        section.end(&HEAD, &rows, &raw);
    }
}

#[test]
fn nobody_is_told_a_wrong_exit_when_containerd_or_the_shim_is_killed() {
    let _rows = over_containerd(FEW);
}

#[test]
fn nobody_is_told_a_wrong_exit_when_one_of_dockerds_services_is_killed() {
    let _rows = over_dockerd(FEW);
}

#[test]
#[ignore = "soak: thirty kills, minutes"]
fn soak_kills_over_containerd() {
    log(Section::begin("Kills in the middle of execs, over containerd"), over_containerd(ROUNDS));
}

#[test]
#[ignore = "soak: forty-five kills, minutes"]
fn soak_kills_over_dockerd() {
    log(Section::begin("Kills in the middle of execs, over dockerd"), over_dockerd(ROUNDS));
}
