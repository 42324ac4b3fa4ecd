//! `sluice-doctor`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use diagnose::diagnose::glance;
use diagnose::diagnosis::Diagnosis;
use diagnose::{Snapshot, Source};

use crate::failure::Failure;
use crate::{answer, findings};

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
    if let Some(path) = &options.save {
        diagnose::saved::save(&snapshot, path)?;
    }
    if let Some(path) = &options.html {
        write_page(path, &diagnosis)?;
    }
    if options.json {
        answer::print_json(&diagnosis)?;
    } else {
        answer::print(&findings::text(&diagnosis))?;
    }
    Ok(ExitCode::from(diagnosis.exit_code()))
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

/// Every file of the list; of a directory the files in it.
fn listings(paths: &[PathBuf]) -> Result<Snapshot, Failure> {
    let mut texts = Vec::new();
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
            let bytes =
                std::fs::read(&file).map_err(|source| Failure::Read { path: file.clone(), source })?;
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(diagnose::listing::import(texts.iter().map(String::as_str)))
}

fn write_page(path: &Path, diagnosis: &Diagnosis) -> Result<(), Failure> {
    let page = diagnose::report::html(diagnosis);
    let write = |source| Failure::Write { path: path.to_owned(), source };
    let mut file = std::fs::File::create_new(path).map_err(write)?;
    std::io::Write::write_all(&mut file, page.as_bytes()).map_err(write)
}
