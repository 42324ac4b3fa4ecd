//! The root file system of a container: mounts, devices, the change of root, masks.
//!
//! Called by the container's init, a process with one thread that already is in its new namespaces:
//!
//! ```text
//!     init                                      the caller's part
//!      | Prepared::collect      as the host's root, before it becomes the root of a user namespace:
//!      |                        propagation of "/", the root opened, in a user namespace all sources opened
//!      |                          become uid 0 and gid 0 of the user namespace
//!      | before_pivot           every mount of config.json in order, device nodes, links of /dev
//!      |                          prestart, createRuntime and createContainer hooks
//!      | change_root            pivot_root, the final propagation of "/", the working directory made
//!      | mount_console          if the process has a terminal
//!      | after_pivot            read-only mounts, host name, kernel parameters, read-only and masked paths
//! ```
//!
//! **Invariant:** inside of the root nothing is ever reached by a plain path: look-ups are confined to the root by
//! `openat2`, and mounts are attached to descriptors. The container's own `/proc` is never used.

mod attributes;
mod bind;
mod cgroup_mount;
mod console;
mod copy_up;
mod devices;
mod error;
mod file_system;
mod mask;
mod mounts;
mod options;
mod pivot;
mod propagation;
mod sysctl;
mod target;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use proc::{Procfs, Root};
use rustix::fs::{Mode, OFlags};
use sys::mount_setattr::Depth;

use crate::config::{Config, Mount, NamespaceType};
use bind::Sources;
use options::Change;

pub use error::{Error, Place};
pub use options::known_words;
pub use pivot::ChangeRoot;
pub(crate) use sysctl::path_of as sysctl_path;

/// Everything that the root file system is made of.
#[derive(Debug)]
pub struct Request<'a> {
    /// The validated configuration.
    pub config: &'a Config,
    /// The directory that relative paths of the configuration start from; absolute.
    pub bundle: &'a Path,
    /// The host's procfs, opened before any namespace was made or joined.
    pub proc: &'a Procfs,
    /// Detached, id-mapped copies of the sources of bind mounts, by their index in `mounts`. Only the parent, with
    /// the privileges of the initial user namespace, can make them; see [`wants_id_mapping`].
    pub id_mapped: BTreeMap<usize, OwnedFd>,
    /// The container's directory in the unified cgroup hierarchy, if it has one; shown where the container may not
    /// mount `cgroup2` itself.
    pub cgroup_directory: Option<PathBuf>,
    /// How the process comes to see the root as `/`.
    pub change_root: ChangeRoot,
}

/// A root file system in the making.
#[derive(Debug)]
pub struct Prepared<'a> {
    config: &'a Config,
    bundle: &'a Path,
    proc: &'a Procfs,
    root: Root,
    root_path: PathBuf,
    sources: Sources,
    cgroup_directory: Option<PathBuf>,
    change_root: ChangeRoot,
    /// Mounts that have to be written to before they become read-only.
    read_only_later: Vec<(Place, OwnedFd)>,
}

/// What the options of a mount amount to, for those who check a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Whether something that exists is shown once more.
    pub(crate) is_bind: bool,
    /// Whether the content of the mount point is kept (`tmpcopyup`).
    pub(crate) copies_up: bool,
    /// The options that only the file system can judge.
    pub(crate) data: Vec<String>,
}

impl Meaning {
    pub(crate) fn of(mount: &Mount) -> Self {
        let options = options::Options::parse(&mount.options);
        let is_bind = options.bind.is_some() || mount.kind == "bind";
        Self { is_bind, copies_up: options.copy_up, data: options.data }
    }
}

/// Whether this is a word of `linux.rootfsPropagation`.
pub(crate) fn is_propagation(word: &str) -> bool {
    options::propagation(word).is_some()
}

/// Whether a bind mount asks for an id-mapped copy in [`Request::id_mapped`], and how much of the source it takes.
#[must_use]
pub fn wants_id_mapping(mount: &Mount) -> Option<Depth> {
    let options = options::Options::parse(&mount.options);
    let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    match options.id_mapped {
        Some(options::Bind::Tree) => Some(Depth::Tree),
        Some(options::Bind::One) => Some(Depth::One),
        None if mapped => Some(Depth::One),
        None => None,
    }
}

/// How much of its source a bind mount takes: an id-mapped copy must take as much, whatever part of it is mapped.
#[must_use]
pub fn bind_depth(mount: &Mount) -> Depth {
    match options::Options::parse(&mount.options).bind {
        Some(options::Bind::Tree) => Depth::Tree,
        _ => Depth::One,
    }
}

impl<'a> Prepared<'a> {
    /// Cuts the mount namespace off from the host's, opens the root and, for a container with a user namespace,
    /// every source on the host: afterwards the process may not reach them any more.
    ///
    /// # Errors
    /// The root or a source cannot be opened; the propagation cannot be changed.
    pub fn collect(request: Request<'a>) -> Result<Self, Error> {
        let Request { config, bundle, proc, id_mapped, cgroup_directory, change_root } = request;
        let root_path =
            bundle.join(config.root.as_ref().map(|root| root.path.as_path()).unwrap_or(Path::new("")));
        refuse_private_without_pivot(&config.linux.rootfs_propagation, change_root)?;
        let root = propagation::isolate(proc, &root_path, &config.linux.rootfs_propagation)?;
        let mut sources = Sources::new(id_mapped);
        if config.linux.namespace(NamespaceType::User).is_some() {
            sources.open_all(config, bundle)?;
        }
        let read_only_later = Vec::new();
        Ok(Self {
            config,
            bundle,
            proc,
            root,
            root_path,
            sources,
            cgroup_directory,
            change_root,
            read_only_later,
        })
    }

    /// Makes every mount of the configuration, then the device nodes and links of `/dev`. The file creation mask
    /// of the process is 0022 afterwards.
    ///
    /// # Errors
    /// The first step that failed, with its place in `config.json`.
    pub fn before_pivot(&mut self) -> Result<(), Error> {
        rustix::process::umask(Mode::from_raw_mode(0o022));
        let config = self.config;
        for (index, entry) in config.mounts.iter().enumerate() {
            self.mount(index, entry)?;
        }
        if self.fills_dev() { self.fill_dev() } else { Ok(()) }
    }

    /// Makes the root the process's `/` and the working directory of the configuration, if it is missing.
    ///
    /// # Errors
    /// `pivot_root` is refused (the root of the host is its initramfs); the working directory cannot be made.
    pub fn change_root(&mut self) -> Result<(), Error> {
        pivot::change_root(self.proc, &self.root, &self.root_path, self.change_root)?;
        propagation::finish(self.proc, &self.root, &self.config.linux.rootfs_propagation)?;
        if self.fills_dev() {
            console::reopen_null(&self.root)?;
        }
        let cwd = self.config.process.as_ref().map(|process| process.cwd.as_path());
        let Some(cwd) = cwd.filter(|cwd| !cwd.as_os_str().is_empty()) else { return Ok(()) };
        let made = self.root.mkdir_all(cwd, Mode::from_raw_mode(0o755));
        made.map(drop).map_err(|error| Place::new("config.json/process/cwd", cwd).unreachable_path(error))
    }

    /// Shows the terminal `slave`, opened from the container's own devpts, as `/dev/console`.
    ///
    /// # Errors
    /// The node cannot be made, or the terminal cannot be mounted on it.
    pub fn mount_console(&self, slave: impl AsFd) -> Result<(), Error> {
        console::mount(&self.root, slave.as_fd())
    }

    /// Everything that must come after the last write into the root, in runc's order.
    ///
    /// # Errors
    /// The first step that failed, with its place in `config.json`.
    pub fn after_pivot(self) -> Result<(), Error> {
        for (place, mount) in &self.read_only_later {
            attributes::apply(self.proc, mount.as_fd(), Depth::One, Change::READ_ONLY)
                .map_err(place.failed("make the mount read-only"))?;
        }
        if self.config.root.as_ref().is_some_and(|root| root.readonly) {
            attributes::apply(self.proc, self.root.as_fd(), Depth::One, Change::READ_ONLY).map_err(
                Place::new("config.json/root/readonly", Path::new("/")).failed("make / read-only"),
            )?;
        }
        sysctl::name_host(self.config)?;
        sysctl::write_all(self.proc, &self.config.linux.sysctl)?;
        mask::make_read_only(self.proc, &self.root, &self.config.linux.readonly_paths)?;
        mask::cover(&self.root, &self.config.linux.masked_paths, &self.config.linux.mount_label)
    }

    /// The root, for the rest of init's look-ups.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Compat: runc leaves `/dev` alone when it is a bind mount (rootfs_linux.go, `needsSetupDev`).
    fn fills_dev(&self) -> bool {
        let on_dev = |mount: &Mount| target::clean(&mount.destination) == Path::new("/dev");
        !self.config.mounts.iter().any(|mount| on_dev(mount) && Meaning::of(mount).is_bind)
    }

    fn fill_dev(&self) -> Result<(), Error> {
        devices::make_all(&self.root, self.config, &self.sources)?;
        devices::link_ptmx(&self.root)?;
        devices::link_streams(&self.root, self.proc)
    }
}

/// Compat: runc refuses this pair: without `pivot_root` the host's mounts stay in the namespace, and private copies
/// of them would never go away.
fn refuse_private_without_pivot(word: &str, change_root: ChangeRoot) -> Result<(), Error> {
    if change_root == ChangeRoot::Move && matches!(word, "private" | "rprivate") {
        let place = Place::new("config.json/linux/rootfsPropagation", Path::new("/"));
        return Err(place.refused(format!("{word} is not safe without pivot_root; use slave or rslave")));
    }
    Ok(())
}

/// Opens a directory of the host that must exist.
fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
