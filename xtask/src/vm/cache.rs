//! The guest on disk: made once, kept in the user's cache, removed when the recipe changes.
//!
//! **Invariant:** a folder named after the recipe is whole. It is made under another name and renamed when it is
//! complete; a lock lets one process at a time make or remove folders.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;
use crate::vm::apt::Origin;
use crate::vm::recipe;

/// What the build script leaves for each kernel that it could have.
const KERNEL: &str = "vmlinuz";

/// A complete guest; while this lives, nobody removes it.
pub(super) struct Guest {
    folder: PathBuf,
    _used: File,
}

impl Guest {
    /// Finds the guest of this recipe, or makes it.
    ///
    /// # Errors
    /// When a program is missing, or the guest cannot be made.
    pub(super) fn obtain() -> Result<Self, Failure> {
        let cache = cache();
        make(&cache)?;
        let lock = lock(&cache.join("lock"), FlockOperation::LockExclusive)?;
        let folder = cache.join(recipe::hash());
        if !folder.exists() {
            build(&cache, &folder)?;
        }
        let used = self::lock(&folder.join("used"), FlockOperation::LockShared)?;
        drop(lock);
        Ok(Self { folder, _used: used })
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The first disk.
    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("disk.raw")
    }

    /// A kernel and its early file system.
    ///
    /// # Errors
    /// When the guest was made without this kernel.
    pub(super) fn kernel(&self, version: &str) -> Result<(PathBuf, PathBuf), Failure> {
        let kernel = self.folder.join(format!("{KERNEL}-{version}"));
        if kernel.exists() {
            return Ok((kernel, self.folder.join(format!("initrd-{version}"))));
        }
        let why = self.folder.join("old-kernel.missing");
        Err(Failure::Usage(format!(
            "the guest was made without kernel {version}: {} says why; remove {} to try again",
            why.display(),
            self.folder.display()
        )))
    }
}

/// `$XDG_CACHE_HOME/sluice/guest`, with the usual default.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache");
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    base.unwrap_or_else(home).join("sluice/guest")
}

fn build(cache: &Path, folder: &Path) -> Result<(), Failure> {
    demand_programs()?;
    remove_others(cache)?;
    eprintln!("guest: making it once, in {}; this takes about two minutes", folder.display());
    let unfinished = cache.join("unfinished");
    make(&unfinished)?;
    recipe::build(&unfinished, &Origin::of_this_machine())?;
    std::fs::rename(&unfinished, folder).map_err(failed("put in place", folder))
}

/// Guests of other recipes, unless one is in use, and what an interrupted build left.
fn remove_others(cache: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(cache).map_err(failed("read", cache))?.flatten() {
        let path = entry.path();
        if path.is_dir() && !is_used(&path) {
            std::fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

fn is_used(folder: &Path) -> bool {
    let file = File::open(folder.join("used"));
    file.is_ok_and(|file| flock(file, FlockOperation::NonBlockingLockExclusive).is_err())
}

fn demand_programs() -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::Usage(
            "only root may make the guest, with debootstrap: sudo make test-vm".into(),
        ));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &&&str| !std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(found).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Usage(format!("missing here: {}; install with: sudo make setup", missing.join(", "))))
}

/// What making and running the guest needs.
const PROGRAMS: &[&str] = &["debootstrap", "mke2fs", "qemu-system-x86_64", "setpriv", "unshare", "strip"];

fn make(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed("make", folder))
}

/// Opens a file and waits for the lock on it.
fn lock(path: &Path, operation: FlockOperation) -> Result<File, Failure> {
    let opened = File::options().create(true).truncate(false).write(true).open(path);
    let file = opened.map_err(failed("open", path))?;
    loop {
        match flock(&file, operation) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(failed("lock", path)(errno.into())),
        }
    }
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Failure + 'a {
    move |source| Failure::File { operation, path: path.to_owned(), source }
}
