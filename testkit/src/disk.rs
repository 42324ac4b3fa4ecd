//! A small file system of its own, to be filled or frozen.
//!
//! Who writes to a frozen one sleeps uninterruptibly: no signal ends that, SIGKILL neither, until it is thawed.

use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use crate::lab::Lab;
use crate::partner;

/// Size in bytes.
const SIZE: u64 = 16 << 20;

/// A mounted file system; thawed and unmounted when dropped.
#[derive(Debug)]
pub struct Disk<'lab> {
    lab: &'lab Lab,
    place: PathBuf,
    fsfreeze: PathBuf,
}

impl<'lab> Disk<'lab> {
    /// Makes an ext4 file system in a file of the lab and mounts it on a directory. `None`, said aloud, without the tools.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn mount(lab: &'lab Lab, place: &Path) -> Option<Self> {
        let (mkfs, fsfreeze) = (partner::find("mkfs.ext4")?, partner::find("fsfreeze")?);
        let image = lab.write("disk.img", "");
        std::fs::File::options().write(true).open(&image).unwrap().set_len(SIZE).unwrap();
        lab.program(mkfs).args(["-q", "-m", "0", "-O", "^has_journal"]).args([&image]).ok();
        lab.program("mount").args(["-o", "loop,noatime,nodelalloc"]).args([&image, &place.to_owned()]).ok();
        Some(Self { lab, place: place.to_owned(), fsfreeze })
    }

    /// From now on who writes to it sleeps.
    pub fn freeze(&self) {
        self.lab.program(&self.fsfreeze).args(["--freeze"]).args([&self.place]).ok();
    }

    /// Lets the writers go on.
    pub fn thaw(&self) {
        self.lab.program(&self.fsfreeze).args(["--unfreeze"]).args([&self.place]).ok();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // It is an error when it is not frozen.
        self.lab.program(&self.fsfreeze).args(["--unfreeze"]).args([&self.place]).run();
        let _ = unmount(&self.place, UnmountFlags::DETACH);
    }
}
