//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Failure;

/// The answer to `--help`.
pub(super) const HELP: &str = "\
usage: cargo xtask vm test|shell|build [OPTIONS] [FILTER...]

  test     run the tests whose names contain one of the filters (none given: all), then power off
  shell    a root shell on this terminal, with the binaries in /opt/sluice; leave it with `poweroff`
  build    only make the guest, and print where it is

  --sluice PATH    the runtime under test, with the shim and the doctor beside it
  --kernel VERSION 6.1 or 5.10; may be given twice (default 6.1)
  --layout LAYOUT  control groups: v2 alone, or hybrid: v1, and v2 without controllers (default v2)
  --part FILE      only the tests that FILE lists
  --without WORD   none whose name contains WORD, such as ::runc; may be given again
  --threads N      tests at a time (default 3)
  --minutes N      give up then (default 120)";

/// The kernels of the guest.
pub(super) const KERNELS: &[&str] = &["6.1", "5.10"];

/// How systemd mounts the control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Nothing but v2, as Debian does.
    V2,
    /// Controllers in v1, and v2 without any beside them, as Debian did before version 11.
    Hybrid,
}

impl Layout {
    /// Source: systemd(1), "Kernel Command Line".
    pub(super) fn kernel_arguments(self) -> &'static str {
        match self {
            Self::V2 => "",
            Self::Hybrid => "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Run tests.
    Test,
    /// Give a shell.
    Shell,
    /// Make the guest.
    Build,
    /// Say how to use it.
    Help,
}

/// The parsed command line.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) wish: Wish,
    /// The binary under test.
    pub(super) sluice: Option<PathBuf>,
    /// One or more of [`KERNELS`].
    pub(super) kernels: Vec<String>,
    /// The guest's control groups.
    pub(super) layout: Layout,
    /// A list of the tests to choose from.
    pub(super) part: Option<PathBuf>,
    /// Tests at a time.
    pub(super) threads: usize,
    /// After this, the guest is ended.
    pub(super) limit: Duration,
    /// Pieces of the names of tests.
    pub(super) filters: Vec<String>,
    /// Pieces of the names of tests that are not wanted.
    pub(super) without: Vec<String>,
}

impl Options {
    /// # Errors
    /// When a word is unknown or a value is missing or wrong.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut words = arguments.iter().map(String::as_str);
        let mut options = Self::new(wish(words.next())?);
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                options.filters.push(word.to_owned());
                continue;
            }
            let value = words.next().ok_or_else(|| wrong(&format!("{word} needs a value")))?;
            options.set(word, value)?;
        }
        if options.kernels.is_empty() {
            options.kernels.push(KERNELS[0].to_owned());
        }
        Ok(options)
    }

    fn new(wish: Wish) -> Self {
        Self {
            wish,
            sluice: None,
            kernels: Vec::new(),
            layout: Layout::V2,
            part: None,
            threads: 3,
            limit: Duration::from_mins(120),
            filters: Vec::new(),
            without: Vec::new(),
        }
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        match option {
            "--sluice" => self.sluice = Some(PathBuf::from(value)),
            "--kernel" => self.kernels.push(kernel(value)?),
            "--layout" => self.layout = layout(value)?,
            "--part" => self.part = Some(PathBuf::from(value)),
            "--without" => self.without.push(value.to_owned()),
            "--threads" => self.threads = usize::from(number(option, value)?),
            "--minutes" => self.limit = Duration::from_mins(number(option, value)?.into()),
            _ => return Err(wrong(&format!("{option} is no option"))),
        }
        Ok(())
    }
}

fn wish(word: Option<&str>) -> Result<Wish, Failure> {
    match word {
        Some("test") => Ok(Wish::Test),
        Some("shell") => Ok(Wish::Shell),
        Some("build") => Ok(Wish::Build),
        None | Some("--help" | "-h" | "help") => Ok(Wish::Help),
        Some(other) => Err(wrong(&format!("{other} is none of test, shell, build"))),
    }
}

fn kernel(value: &str) -> Result<String, Failure> {
    let known = KERNELS.contains(&value);
    known
        .then(|| value.to_owned())
        .ok_or_else(|| wrong(&format!("{value} is none of {}", KERNELS.join(", "))))
}

fn layout(value: &str) -> Result<Layout, Failure> {
    match value {
        "v2" => Ok(Layout::V2),
        "hybrid" => Ok(Layout::Hybrid),
        _ => Err(wrong(&format!("{value} is none of v2, hybrid"))),
    }
}

fn number(option: &str, value: &str) -> Result<u16, Failure> {
    let parsed = value.parse().ok().filter(|number| *number > 0);
    parsed.ok_or_else(|| wrong(&format!("{option} {value}: give a number from 1 to 65535")))
}

fn wrong(what: &str) -> Failure {
    Failure::Usage(format!("{what}\n{HELP}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Failure> {
        Options::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_and_filters_may_be_mixed() {
        let options =
            parse("test exec --kernel 5.10 --threads 2 kill --layout hybrid --minutes 9 --without ::runc")
                .unwrap();
        assert_eq!(options.layout, Layout::Hybrid);
        assert_eq!(options.wish, Wish::Test);
        assert_eq!(options.kernels, ["5.10"]);
        assert_eq!(options.filters, ["exec", "kill"]);
        assert_eq!(options.without, ["::runc"]);
        assert_eq!((options.threads, options.limit.as_secs()), (2, 540));
    }

    #[test]
    fn the_newer_kernel_is_the_default() {
        assert_eq!(parse("test").unwrap().kernels, ["6.1"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "dance",
            "test --kernel 2.4",
            "test --layout v3",
            "test --threads 0",
            "test --threads",
            "test --colour red",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
