//! What the command line asks for.

use std::path::PathBuf;

use crate::failure::Failure;

/// Printed by `--help`.
pub(super) const HELP: &str = "\
usage: cargo xtask bench [--sluice PATH] [--library PATH] [--shim PATH] [--peer NAME=PATH]...
                         [--only SCENARIO,...] [--quick] [--out DIR]
       cargo xtask bench --compare OLD.json NEW.json

  --sluice PATH       our binary; without it the others are measured alone
  --peer NAME=PATH   one more runtime with runc's command line (runc and crun of PATH take part anyway)
  --library PATH      the example exec_again of crates/container, for exec by library call
  --shim PATH         our shim, beside the stock one of the installed containerd
  --only LIST         of exec, library, parallel, syscalls, filter, shim, ctr, memory, probes, run, verbs, startup, facts,
                      crowd
  --quick             a tenth of the repetitions: to see that it works, not to publish
  --out DIR           where results.{md,json}, results.svg, probes.svg and crowd.svg go (docs/bench)";

/// The wishes, with what holds when nothing was wished.
#[derive(Clone)]
pub(super) struct Options {
    /// Print the help.
    pub(super) help: bool,
    /// Two files to compare instead of a run.
    pub(super) compare: Option<(PathBuf, PathBuf)>,
    /// Our binary.
    pub(super) sluice: Option<PathBuf>,
    /// The process that execs by library call.
    pub(super) library: Option<PathBuf>,
    /// Our shim.
    pub(super) shim: Option<PathBuf>,
    /// More runtimes, by name.
    pub(super) peers: Vec<(String, PathBuf)>,
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
    /// Seconds of each contestant with four workers, twice.
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
            library: None,
            shim: None,
            peers: Vec::new(),
            only: Vec::new(),
            out: PathBuf::from("docs/bench"),
            blocks: 6,
            block: 50,
            probes: 60,
            seconds: 3,
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
            "--library" => self.library = Some(value()?.into()),
            "--shim" => self.shim = Some(value()?.into()),
            "--sluice" => self.sluice = Some(value()?.into()),
            "--peer" => self.peers.push(peer(value()?)?),
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

    /// The same with shorter blocks, for what is measured at many places.
    pub(super) fn shorter(&self) -> Self {
        Self { block: self.block.div_ceil(5), ..self.clone() }
    }

    /// The same with half the calls at probe rhythm, for verbs that take runc a tenth of a second and more.
    pub(super) fn slower(&self) -> Self {
        Self { probes: self.probes.div_ceil(2), ..self.clone() }
    }
}

fn peer(text: &str) -> Result<(String, PathBuf), Failure> {
    let (name, path) =
        text.split_once('=').ok_or_else(|| Failure::Usage(format!("--peer {text}: must be NAME=PATH")))?;
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
        let some = parse(&["--only", "run,crowd", "--peer", "x=/y"]).unwrap();
        assert!(some.wants("crowd") && !some.wants("exec"));
        assert_eq!(some.peers, [("x".to_owned(), PathBuf::from("/y"))]);
        assert!(parse(&["--only"]).is_err());
        assert!(parse(&["--fast"]).is_err());
    }
}
