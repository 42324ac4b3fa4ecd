//! What the command line asks for.

use std::path::PathBuf;

use crate::failure::Failure;

/// Printed by `--help`.
pub(super) const HELP: &str = "\
usage: cargo xtask bench [--sluice PATH] [--other NAME=PATH]... [--only SCENARIO,...] [--quick] [--out DIR]
       cargo xtask bench --compare OLD.json NEW.json

  --sluice PATH       our binary; without it the others are measured alone
  --other NAME=PATH   one more runtime with runc's command line (runc and crun of PATH take part anyway)
  --only LIST         of exec, parallel, syscalls, run, verbs, startup, crowd
  --quick             a tenth of the repetitions: to see that it works, not to publish
  --out DIR           where results.{md,json}, results.svg and crowd.svg go (docs/bench)";

/// The wishes, with what holds when nothing was wished.
#[derive(Clone)]
pub(super) struct Options {
    /// Print the help.
    pub(super) help: bool,
    /// Two files to compare instead of a run.
    pub(super) compare: Option<(PathBuf, PathBuf)>,
    /// Our binary.
    pub(super) sluice: Option<PathBuf>,
    /// More runtimes, by name.
    pub(super) others: Vec<(String, PathBuf)>,
    /// Scenarios; empty is all.
    only: Vec<String>,
    /// Where the report goes, from the repository's root.
    pub(super) out: PathBuf,
    /// Blocks of each contestant.
    pub(super) blocks: usize,
    /// Calls in a block.
    pub(super) block: usize,
    /// Calls of each contestant at probe rhythm.
    pub(super) probes: usize,
    /// Seconds of each contestant with four workers.
    pub(super) seconds: u64,
    /// Most containers at once.
    pub(super) crowd: usize,
}

impl Options {
    /// Understands the arguments.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub(super) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self {
            help: false,
            compare: None,
            sluice: None,
            others: Vec::new(),
            only: Vec::new(),
            out: PathBuf::from("docs/bench"),
            blocks: 8,
            block: 50,
            probes: 60,
            seconds: 4,
            crowd: 1000,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            options.take(argument, &mut rest)?;
        }
        Ok(options)
    }

    fn take<'a>(
        &mut self,
        argument: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), Failure> {
        let mut value = || rest.next().ok_or_else(|| Failure::Usage(format!("{argument} wants a value")));
        match argument {
            "--help" | "-h" => self.help = true,
            "--compare" => self.compare = Some((value()?.into(), value()?.into())),
            "--sluice" => self.sluice = Some(value()?.into()),
            "--other" => self.others.push(other(value()?)?),
            "--only" => self.only = value()?.split(',').map(str::to_owned).collect(),
            "--out" => self.out = value()?.into(),
            "--quick" => self.be_quick(),
            unknown => return Err(Failure::Usage(format!("{unknown} is no option\n{HELP}"))),
        }
        Ok(())
    }

    fn be_quick(&mut self) {
        (self.blocks, self.block, self.probes, self.seconds, self.crowd) = (2, 15, 10, 1, 30);
    }

    /// Whether a scenario takes part.
    pub(super) fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario)
    }

    /// The same with shorter blocks, for verbs that take runc a tenth of a second and more.
    pub(super) fn slower(&self) -> Self {
        Self { block: self.block.div_ceil(5), probes: self.probes.div_ceil(2), ..self.clone() }
    }
}

fn other(text: &str) -> Result<(String, PathBuf), Failure> {
    let (name, path) =
        text.split_once('=').ok_or_else(|| Failure::Usage(format!("--other {text}: must be NAME=PATH")))?;
    Ok((name.to_owned(), path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wished_takes_part() {
        let parse =
            |words: &[&str]| Options::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert!(parse(&[]).unwrap().wants("exec"));
        let some = parse(&["--only", "run,crowd", "--other", "x=/y"]).unwrap();
        assert!(some.wants("crowd") && !some.wants("exec"));
        assert_eq!(some.others, [("x".to_owned(), PathBuf::from("/y"))]);
        assert!(parse(&["--only"]).is_err());
        assert!(parse(&["--fast"]).is_err());
    }
}
