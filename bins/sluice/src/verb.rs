//! What the command line knows about one verb.

use clap::Arg;

use crate::failure::Failure;
use crate::invocation::Invocation;

/// One verb of the command line, as its file in `cmd/` describes it.
pub(crate) struct Verb {
    /// The word on the command line.
    pub(crate) name: &'static str,
    /// Where the verb stands in the list of all verbs.
    pub(crate) group: Group,
    /// One line for the list of verbs.
    pub(crate) about: &'static str,
    /// The positional arguments as the help shows them.
    pub(crate) synopsis: &'static str,
    /// How many positional arguments are right.
    pub(crate) count: Count,
    /// Where options may stand.
    pub(crate) order: Order,
    /// Whether it runs code of ours inside a container.
    pub(crate) reach: Reach,
    /// One command line that works, without the program's name.
    pub(crate) example: &'static str,
    /// The verb's options.
    pub(crate) options: fn() -> Vec<Arg>,
    /// Does it; the value is the exit code.
    pub(crate) run: fn(&Invocation<'_>) -> Result<u8, Failure>,
}

/// A heading in the list of verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// From create to delete.
    LifeCycle,
    /// Questions about containers.
    Questions,
    /// Changes to a living container.
    Control,
    /// About the runtime itself.
    Runtime,
}

impl Group {
    /// All of them, in the order of the help.
    pub(crate) const ALL: [Self; 4] = [Self::LifeCycle, Self::Questions, Self::Control, Self::Runtime];

    /// The heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::LifeCycle => "Life of a container",
            Self::Questions => "Questions",
            Self::Control => "Control",
            Self::Runtime => "The runtime itself",
        }
    }
}

/// How far a verb goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It stays on the host.
    Host,
    /// A child of this program enters a container, which could overwrite the executable through `/proc`
    /// (CVE-2019-5736): it must be protected first.
    Container,
}

/// Where options may stand on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Anywhere.
    Mixed,
    /// Before the first positional argument: what follows belongs to another program.
    OptionsFirst,
}

/// How many positional arguments a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// This many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
    /// From the first number to the second.
    Between(usize, usize),
}

impl Verb {
    /// What is wrong when `given` is no right number of positional arguments, and which ones there are.
    pub(crate) fn complaint(&self, given: usize) -> String {
        let expected = if self.synopsis.is_empty() { "none" } else { self.synopsis };
        format!("{}: {expected}, but {given} were given", self.count.complaint(self.name))
    }
}

impl Count {
    /// Whether `given` arguments are right.
    pub(crate) fn admits(self, given: usize) -> bool {
        match self {
            Self::Exactly(count) => given == count,
            Self::AtLeast(count) => given >= count,
            Self::Between(least, most) => (least..=most).contains(&given),
        }
    }

    /// What is wrong with a count that is not admitted.
    ///
    /// Compat: runc, utils.go, `checkArgs`: the wording.
    fn complaint(self, verb: &str) -> String {
        match self {
            Self::Exactly(count) => format!("sluice: \"{verb}\" requires exactly {count} argument(s)"),
            Self::AtLeast(count) => format!("sluice: \"{verb}\" requires a minimum of {count} argument(s)"),
            Self::Between(least, most) => {
                format!(
                    "sluice: \"{verb}\" requires a minimum of {least} and a maximum of {most} argument(s)"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_admit_what_they_say() {
        for (count, right, wrong) in [
            (Count::Exactly(1), vec![1], vec![0, 2]),
            (Count::AtLeast(1), vec![1, 9], vec![0]),
            (Count::Between(1, 2), vec![1, 2], vec![0, 3]),
        ] {
            assert!(right.iter().all(|given| count.admits(*given)), "{count:?}");
            assert!(!wrong.iter().any(|given| count.admits(*given)), "{count:?}");
        }
    }
}
