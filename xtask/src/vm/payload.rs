//! The second disk: the binaries under test, the test executables, this program as their runner, and the plan.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::failure::Failure;
use crate::vm::binaries::Binary;
use crate::vm::options::Options;
use crate::vm::plan::{self, Plan, Planned};
use crate::vm::selection::{self, Selected};
use crate::workspace::output_of;

/// Emulation makes programs 10 to 20 times slower, and other work of the machine slower still.
const PATIENCE: u32 = 5;

/// What is tested beside the runtime, and lies beside it.
pub(super) const SHIM: &str = "containerd-shim-sluice-v2";
/// See [`SHIM`].
pub(super) const DOCTOR: &str = "sluice-doctor";

/// Room beside the files, in MiB.
const SPARE_MIB: u64 = 32;

/// The disk, in a temporary folder that is removed with this.
pub(super) struct Payload {
    folder: TempDir,
    tests: usize,
    skipped: usize,
}

impl Payload {
    /// Packs the disk.
    ///
    /// # Errors
    /// When a binary under test is missing or the disk cannot be written.
    pub(super) fn new(selected: &Selected, options: &Options) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("sluice-vm-").tempdir();
        let folder = folder.map_err(failed("make a folder in", &std::env::temp_dir()))?;
        let payload = Self { folder, tests: selected.tests.len(), skipped: selected.skipped };
        payload.fill(selected, options)?;
        payload.pack()?;
        Ok(payload)
    }

    /// The image of an ext4 file system.
    pub(super) fn disk(&self) -> PathBuf {
        self.folder.path().join("payload.raw")
    }

    /// A file beside it that lives as long.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How many tests are planned.
    pub(super) fn tests(&self) -> usize {
        self.tests
    }

    /// How many tests were left out, see [`Selected`].
    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("payload")
    }

    fn fill(&self, selected: &Selected, options: &Options) -> Result<(), Failure> {
        let tree = self.tree();
        std::fs::create_dir(&tree).map_err(failed("make", &tree))?;
        let sluice = options.sluice.as_deref().ok_or_else(|| {
            Failure::Usage("which binary is to be tested? give --sluice PATH (make test-vm does)".to_owned())
        })?;
        copy(sluice, &tree.join("sluice"))?;
        for name in [SHIM, DOCTOR] {
            copy(&sluice.with_file_name(name), &tree.join(name))?;
        }
        let own = std::env::current_exe().map_err(failed("find", Path::new("/proc/self/exe")))?;
        copy_stripped(&own, &tree.join("xtask"))?;
        let binaries: BTreeSet<(String, &Path)> =
            selected.tests.iter().map(|test| (file(&test.binary), test.binary.path.as_path())).collect();
        for (name, path) in binaries {
            copy_stripped(path, &tree.join(name))?;
        }
        write(&tree.join(plan::FILE), &plan(selected, options.threads))
    }

    /// Makes the image; the files are read from it in place, so nothing has to be unpacked in the guest.
    fn pack(&self) -> Result<(), Failure> {
        let (tree, disk) = (self.tree(), self.disk());
        let size = bytes(&tree)? / (1024 * 1024) * 11 / 10 + SPARE_MIB;
        output_of(
            Command::new("mke2fs")
                .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
                .args([&tree, &disk])
                .arg(format!("{size}M")),
        )?;
        std::fs::remove_dir_all(&tree).map_err(failed("remove", &tree))
    }
}

fn plan(selected: &Selected, threads: usize) -> String {
    let tests = selected.tests.iter().map(|test| Planned {
        file: file(&test.binary),
        test: test.test.clone(),
        name: test.name(),
        lane: selection::lane(test),
        tries: selection::tries(test),
    });
    let plan = Plan { tests: tests.collect(), threads, patience: PATIENCE };
    // Strings and numbers have a JSON form always.
    serde_json::to_string_pretty(&plan).unwrap_or_default()
}

/// Name of an executable on the disk.
fn file(binary: &Binary) -> String {
    format!("test-{}", binary.name.replace('/', "-"))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::copy(from, to).map(drop).map_err(failed("copy", from))
}

/// Debugging information is most of a test executable, and nobody reads it in the guest.
fn copy_stripped(from: &Path, to: &Path) -> Result<(), Failure> {
    output_of(Command::new("strip").arg("--strip-debug").arg("-o").args([to, from])).map(drop)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed("write", path))
}

/// The size of the files in a folder, in bytes.
fn bytes(folder: &Path) -> Result<u64, Failure> {
    let entries = std::fs::read_dir(folder).map_err(failed("read", folder))?;
    Ok(entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum())
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Failure + 'a {
    move |source| Failure::File { operation, path: path.to_owned(), source }
}
