//! The results as they come, and the account at the end.
//!
//! **Invariant:** the verdict is good only if every planned test passed, the guest's own count agrees, and the machine
//! had no fault.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::terminal::Terminal;
use crate::vm::event::{Event, Outcome};
use crate::vm::payload::Payload;

/// What can be wrong with the guest itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its kernel panicked.
    Panic,
    /// It said nothing for so long.
    Silent(Duration),
    /// It was not done after so long.
    Overdue(Duration),
    /// qemu did not start or crashed.
    Emulator,
    /// It ended without being powered off.
    NoPowerDown,
    /// It was powered off without a last word.
    Mute,
}

impl Fault {
    fn text(self) -> String {
        match self {
            Self::Panic => "the guest's kernel panicked".to_owned(),
            Self::Silent(time) => format!("the guest said nothing for {} s", time.as_secs()),
            Self::Overdue(time) => format!("the guest was not done after {} min", time.as_secs() / 60),
            Self::Emulator => "qemu did not end well".to_owned(),
            Self::NoPowerDown => "the guest ended without being powered off".to_owned(),
            Self::Mute => "the guest ended before its tests did".to_owned(),
        }
    }
}

/// What is known so far about one run.
#[derive(Debug)]
pub(super) struct Results {
    kernel: String,
    planned: usize,
    skipped: usize,
    passed: usize,
    failed: Vec<String>,
    /// Failed once and were tried again.
    again: BTreeSet<String>,
    running: BTreeSet<String>,
    summary: Option<(usize, usize)>,
    faults: Vec<Fault>,
}

impl Results {
    /// Nothing yet.
    pub(super) fn new(kernel: &str, payload: &Payload) -> Self {
        println!("guest: Linux {kernel} boots");
        Self::of(kernel, payload.tests(), payload.skipped())
    }

    fn of(kernel: &str, planned: usize, skipped: usize) -> Self {
        Self {
            kernel: kernel.to_owned(),
            planned,
            skipped,
            passed: 0,
            failed: Vec::new(),
            again: BTreeSet::new(),
            running: BTreeSet::new(),
            summary: None,
            faults: Vec::new(),
        }
    }

    /// Takes a line of the port and shows what it says.
    pub(super) fn line(&mut self, line: &str) {
        match Event::parse(line) {
            Some(event) => self.event(event),
            None => println!("guest: {line}"),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Hello { kernel, tests } => println!("guest: {tests} tests on Linux {kernel}"),
            Event::Started { name } => drop(self.running.insert(name)),
            Event::Ended { name, outcome, ms, output } => {
                self.running.remove(&name);
                show(&name, outcome, ms, &output);
                match outcome {
                    Outcome::Passed => self.passed += 1,
                    Outcome::Failed | Outcome::Hung => self.failed.push(name),
                    Outcome::Again => drop(self.again.insert(name)),
                }
            }
            Event::Alive => {}
            Event::Summary { passed, failed } => self.summary = Some((passed, failed)),
        }
    }

    /// Notes what was wrong with the guest, and shows the end of its console.
    pub(super) fn fault(&mut self, fault: Fault, console: &str) {
        println!("guest: {}; the end of its console:\n{console}", fault.text());
        for name in &self.running {
            println!("guest: was running {name}");
        }
        self.faults.push(fault);
    }

    /// Whether the guest has said its last word.
    pub(super) fn is_summed_up(&self) -> bool {
        self.summary.is_some()
    }

    /// Shows the summary; true when all is well.
    pub(super) fn verdict(&self) -> bool {
        let terminal = Terminal::of_stdout();
        for name in &self.failed {
            println!("{} {name}", terminal.bad("   FAILED"));
        }
        for name in self.again.iter().filter(|name| !self.failed.contains(name)) {
            println!("    FLAKY {name}");
        }
        for complaint in self.complaints() {
            println!("{} {complaint}", terminal.bad("    ERROR"));
        }
        let good = self.is_good();
        let word = if good { terminal.good("ok") } else { terminal.bad("FAILED") };
        println!(
            "guest tests on Linux {}: {word}. {} passed, {} failed, {} skipped",
            self.kernel,
            self.passed,
            self.failed.len(),
            self.skipped
        );
        good
    }

    fn is_good(&self) -> bool {
        self.failed.is_empty() && self.complaints().is_empty()
    }

    /// What is wrong beside failed tests.
    fn complaints(&self) -> Vec<String> {
        let mut all: Vec<String> = self.faults.iter().map(|fault| fault.text()).collect();
        let ours = (self.passed, self.failed.len());
        match self.summary {
            None => all.push("the guest gave no summary".to_owned()),
            Some(theirs) if theirs != ours => {
                all.push(format!("the guest counts {theirs:?} passed and failed, and told {ours:?}"));
            }
            Some(_) => {}
        }
        if ours.0 + ours.1 != self.planned {
            all.push(format!("{} tests were planned, {} ended", self.planned, ours.0 + ours.1));
        }
        all
    }
}

fn show(name: &str, outcome: Outcome, ms: u64, output: &str) {
    let terminal = Terminal::of_stdout();
    let word = match outcome {
        Outcome::Passed => terminal.good("PASS"),
        Outcome::Failed => terminal.bad("FAIL"),
        Outcome::Hung => terminal.bad("HUNG"),
        Outcome::Again => terminal.bad("AGAIN"),
    };
    println!("     {word} [{:>4}.{:03} s] {name}", ms / 1000, ms % 1000);
    for line in output.lines() {
        println!("       | {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(name: &str, outcome: Outcome) -> String {
        Event::Ended { name: name.to_owned(), outcome, ms: 1, output: String::new() }.line()
    }

    fn after(planned: usize, lines: &[String]) -> Results {
        let mut results = Results::of("6.1", planned, 0);
        lines.iter().for_each(|line| results.line(line));
        results
    }

    fn summary(passed: usize, failed: usize) -> String {
        Event::Summary { passed, failed }.line()
    }

    #[test]
    fn all_passed_with_a_summary_is_good() {
        let lines = [ended("a", Outcome::Passed), ended("b", Outcome::Passed), summary(2, 0)];
        assert!(after(2, &lines).is_good());
    }

    #[test]
    fn a_failed_or_hung_test_is_bad() {
        for outcome in [Outcome::Failed, Outcome::Hung] {
            let results = after(1, &[ended("a", outcome), summary(0, 1)]);
            assert_eq!(results.complaints(), Vec::<String>::new());
            assert!(!results.is_good());
        }
    }

    #[test]
    fn a_test_that_passes_at_its_second_try_is_good() {
        let results = after(1, &[ended("a", Outcome::Again), ended("a", Outcome::Passed), summary(1, 0)]);
        assert!(results.is_good());
        assert!(results.again.contains("a"));
        assert!(!after(1, &[ended("a", Outcome::Again), summary(0, 0)]).is_good());
    }

    #[test]
    fn a_missing_summary_is_bad() {
        assert!(!after(1, &[ended("a", Outcome::Passed)]).is_good());
    }

    #[test]
    fn a_summary_that_disagrees_is_bad() {
        assert!(!after(1, &[ended("a", Outcome::Passed), summary(2, 0)]).is_good());
    }

    #[test]
    fn tests_that_never_ended_are_bad() {
        assert!(!after(2, &[ended("a", Outcome::Passed), summary(1, 0)]).is_good());
    }

    #[test]
    fn a_fault_is_bad_and_names_what_ran() {
        let started = Event::Started { name: "b".to_owned() }.line();
        let mut results = after(1, &[ended("a", Outcome::Passed), summary(1, 0), started]);
        assert!(results.is_good());
        results.fault(Fault::NoPowerDown, "");
        assert!(!results.is_good());
        assert!(results.running.contains("b"));
    }
}
