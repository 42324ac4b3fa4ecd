//! What bind mounts and device nodes are made from: paths of the host, of which detached copies are mounted.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::devices::{self, Node};
use super::error::{Error, Place};
use super::options::{Bind, Options};
use super::target;
use crate::config::{Config, Mount};

/// Sources opened ahead of their use.
///
/// Without a user namespace nothing is opened ahead: a source may lie in what an earlier mount shows, and hundreds
/// of mounts would need as many descriptors at once. The copies are made only when they are mounted, so that
/// mountinfo, which the kernel sorts by the age of the mounts, keeps the order of the configuration.
#[derive(Debug)]
pub(super) struct Sources {
    copies: BTreeMap<usize, OwnedFd>,
    places: BTreeMap<usize, OwnedFd>,
    nodes: BTreeMap<PathBuf, OwnedFd>,
}

impl Sources {
    pub(super) fn new(id_mapped: BTreeMap<usize, OwnedFd>) -> Self {
        Self { copies: id_mapped, places: BTreeMap::new(), nodes: BTreeMap::new() }
    }

    /// Opens the source of every bind mount and every device node.
    pub(super) fn open_all(&mut self, config: &Config, bundle: &Path) -> Result<(), Error> {
        for (index, entry) in config.mounts.iter().enumerate() {
            if depth(entry, &Options::parse(&entry.options)).is_none() || self.has_copy(index) {
                continue;
            }
            let place = Place::mount(index, &target::clean(&entry.destination));
            self.places.insert(index, open(&place, &bundle.join(&entry.source))?);
        }
        for node in devices::wanted(config) {
            // A node that the host lacks is an error only where it is used: the root may have it already.
            if let Ok(opened) = open_node(&node) {
                self.nodes.insert(node.place.path, opened);
            }
        }
        Ok(())
    }

    /// What the bind mount with this index shows.
    pub(super) fn mount(
        &mut self,
        index: usize,
        place: &Place,
        path: &Path,
        depth: Bind,
    ) -> Result<OwnedFd, Error> {
        match (self.copies.remove(&index), self.places.remove(&index)) {
            (Some(copy), _) => Ok(copy),
            (None, Some(opened)) => copy(place, path, &opened, depth),
            (None, None) => open_copy(place, path, depth),
        }
    }

    /// Whether the caller gave a copy for the bind mount with this index.
    pub(super) fn has_copy(&self, index: usize) -> bool {
        self.copies.contains_key(&index)
    }

    /// A copy of the host's device node of the same path.
    pub(super) fn node(&self, node: &Node) -> Result<OwnedFd, Error> {
        let path = &node.place.path;
        match self.nodes.get(path) {
            Some(opened) => copy(&node.place, path, opened, Bind::One),
            None => copy(&node.place, path, &open_node(node)?, Bind::One),
        }
    }

    pub(super) fn binds_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }
}

/// How much of its source the entry binds; none when it is no bind mount.
pub(super) fn depth(entry: &Mount, options: &Options) -> Option<Bind> {
    if options.remount {
        return None;
    }
    options.bind.or_else(|| (entry.kind == "bind").then_some(Bind::One))
}

/// A detached copy of the mount at a path of the host.
pub(super) fn open_copy(place: &Place, path: &Path, depth: Bind) -> Result<OwnedFd, Error> {
    copy(place, path, &open(place, path)?, depth)
}

fn copy(place: &Place, path: &Path, opened: &OwnedFd, depth: Bind) -> Result<OwnedFd, Error> {
    target::copy(opened.as_fd(), depth).map_err(|source| Error::CopySource {
        place: place.clone(),
        path: path.to_owned(),
        source,
    })
}

/// Opens a path of the host, whatever it is; links are followed, as the caller named the path.
pub(super) fn open(place: &Place, path: &Path) -> Result<OwnedFd, Error> {
    open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLOEXEC).map_err(|source| Error::Source {
        place: place.clone(),
        path: path.to_owned(),
        source,
    })
}

/// The host's node must be the very device that the configuration names.
fn open_node(node: &Node) -> Result<OwnedFd, Error> {
    let opened = open(&node.place, &node.place.path)?;
    let stat = rustix::fs::fstat(&opened).map_err(node.place.failed("stat the host's node"))?;
    if node.is(&stat) {
        Ok(opened)
    } else {
        Err(node.place.refused(format!("the host's node of this path is not {node}")))
    }
}
