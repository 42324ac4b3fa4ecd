//! `sluice-doctor`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use diagnose::diagnose::glance;
use diagnose::diagnosis::Diagnosis;
use diagnose::{Snapshot, Source};

use crate::answer::{self, Reader};
use crate::failure::Failure;
use crate::findings;

/// Takes a snapshot and says what is wrong with this node.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print one JSON object (schema: docs/doctor.md).
    #[arg(long)]
    json: bool,
    /// Look once: what a further look has to confirm is told with `"confirmed": false`, and its exit code is 1 at most.
    #[arg(long, conflicts_with_all = ["from", "from_text", "root"])]
    at_once: bool,
    /// Write the diagnosis as one HTML page, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Keep the snapshot as one compressed file, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Judge a saved snapshot instead of this machine.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Judge listings that somebody took by hand: lsof, ps, strace, files of /proc, log lines, in any order.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "from")]
    from_text: Vec<PathBuf>,
    /// Look at a directory with `proc`, `sys`, `run` and so on in it instead of this machine.
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    root: Option<PathBuf>,
}

/// Carries it out.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let (snapshot, diagnosis) = observe(options)?;
    // Each is tried whatever becomes of the others, and the answer, for which nothing has to be written, comes first.
    let printed = print(&diagnosis, options);
    let saved = options.save.as_ref().map_or(Ok(()), |path| diagnose::saved::save(&snapshot, path));
    let page = options.html.as_ref().map_or(Ok(()), |path| diagnose::report::save(&diagnosis, path));
    let failures = [printed.err(), saved.err().map(Failure::from), page.err().map(Failure::from)];
    let mut failures = failures.into_iter().flatten().peekable();
    if failures.peek().is_none() {
        return Ok(ExitCode::from(diagnosis.exit_code()));
    }
    Err(Failure::Several(failures.collect()))
}

fn print(diagnosis: &Diagnosis, options: &Options) -> Result<Reader, Failure> {
    if options.json { answer::print_json(diagnosis) } else { answer::print(&findings::text(diagnosis)) }
}

fn observe(options: &Options) -> Result<(Snapshot, Diagnosis), Failure> {
    let snapshot = match (&options.from, &options.root) {
        _ if !options.from_text.is_empty() => listings(&options.from_text)?,
        (Some(path), _) => diagnose::saved::load(path)?,
        (None, Some(root)) => return Ok(glance(&Source::Tree(root.clone()))?),
        (None, None) if options.at_once => return Ok(glance(&Source::Live)?),
        (None, None) if options.json => return Ok(diagnose::diagnose::observe(&Source::Live, |_| ())?),
        (None, None) => return Ok(diagnose::diagnose::observe(&Source::Live, answer::so_far)?),
    };
    let diagnosis = diagnose::diagnose::diagnose(&snapshot);
    Ok((snapshot, diagnosis))
}

/// Most bytes of all listings: what `lsof` says of a node with a hundred containers is some megabytes.
const LISTINGS: u64 = 64 << 20;

/// A device or a pipe may never end.
fn listing(path: &Path, room: u64) -> Result<Vec<u8>, Failure> {
    let read = |source| Failure::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(read)?;
    file.take(room + 1).read_to_end(&mut text).map_err(read)?;
    if text.len() as u64 > room {
        return Err(Failure::TooLarge { path: path.to_owned(), limit: LISTINGS });
    }
    Ok(text)
}

/// Every file of the list; of a directory the files in it.
fn listings(paths: &[PathBuf]) -> Result<Snapshot, Failure> {
    let mut texts = Vec::new();
    let mut room = LISTINGS;
    for path in paths {
        let read = |source| Failure::Read { path: path.clone(), source };
        let mut files = vec![path.clone()];
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(read)?;
            files =
                entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|file| file.is_file()).collect();
            files.sort();
        }
        for file in files {
            let text = listing(&file, room)?;
            room -= text.len() as u64;
            texts.push(String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(diagnose::listing::import(texts.iter().map(String::as_str)))
}
