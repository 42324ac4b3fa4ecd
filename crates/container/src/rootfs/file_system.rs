//! A new file system as a detached mount: `fsopen`, `fsconfig`, `fsmount`. The kernel's own complaint is kept.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags as Attr, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::error::{Error, Place};
use super::options::{Options, said_by_fsconfig};

/// What is mounted: the type, the word shown as its source, and the words for the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileSystem<'a> {
    pub(super) kind: &'a str,
    pub(super) source: &'a str,
    pub(super) superblock: &'a [&'static str],
    pub(super) data: &'a [String],
    pub(super) attributes: Attr,
}

impl<'a> FileSystem<'a> {
    pub(super) fn new(kind: &'a str, source: &'a str, options: &'a Options) -> Self {
        let (superblock, data) = (options.superblock.as_slice(), options.data.as_slice());
        Self { kind, source, superblock, data, attributes: options.change.set }
    }

    /// Makes the file system and returns it mounted nowhere.
    pub(super) fn create(&self, place: &Place) -> std::result::Result<OwnedFd, Error> {
        let context =
            fsopen(self.kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| self.failed(place, "", e))?;
        self.configure(&context)
            .and_then(|()| self.mount(&context))
            .map_err(|errno| self.failed(place, &complaint(&context), errno))
    }

    /// Kernel: `MOUNT_ATTR_NOSYMFOLLOW` came with 5.14. Before, the mount gets it when it is attached (`mounts.rs`).
    fn mount(&self, context: &OwnedFd) -> Result<OwnedFd> {
        let late = Attr::MOUNT_ATTR_NOSYMFOLLOW;
        let mount = |attributes| fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes);
        match mount(self.attributes) {
            Err(Errno::INVAL) if self.attributes.contains(late) => mount(self.attributes.difference(late)),
            answer => answer,
        }
    }

    fn configure(&self, context: &OwnedFd) -> Result<()> {
        if !self.source.is_empty() {
            fsconfig_set_string(context, "source", self.source)?;
        }
        // Compat: as with `mount(2)`, "ro" is said to the file system as well as to the mount.
        if self.attributes.contains(Attr::MOUNT_ATTR_RDONLY) {
            fsconfig_set_flag(context, "ro")?;
        }
        // What is left out no file system that comes here looks at; the others come by `mount(2)`.
        for flag in self.superblock.iter().filter(|word| said_by_fsconfig(word)) {
            fsconfig_set_flag(context, *flag)?;
        }
        for item in self.data {
            match item.split_once('=') {
                Some((key, value)) => fsconfig_set_string(context, key, value.trim_matches('"'))?,
                None => fsconfig_set_flag(context, item.as_str())?,
            }
        }
        fsconfig_create(context)
    }

    pub(super) fn failed(&self, place: &Place, log: &str, source: Errno) -> Error {
        let log = if log.is_empty() { String::new() } else { format!(": {log}") };
        Error::FileSystem { place: place.clone(), kind: self.kind.to_owned(), log, source }
    }
}

/// What the kernel wrote to the context's log, without the letter of its level.
fn complaint(context: &OwnedFd) -> String {
    let mut lines = Vec::new();
    let mut buffer = [0_u8; 1024];
    while let Ok(count @ 1..) = rustix::io::read(context, &mut buffer) {
        let line = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
        let text = line.trim_end();
        lines.push(text.get(2..).unwrap_or(text).to_owned());
    }
    lines.join("; ")
}
