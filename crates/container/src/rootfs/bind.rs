//! What bind mounts and device nodes are made from: detached copies of the host's mounts.

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

/// Copies made ahead of their use.
///
/// Without a user namespace nothing is opened ahead: a source may lie in what an earlier mount shows, and hundreds
/// of mounts would need as many descriptors at once.
#[derive(Debug)]
pub(super) struct Sources {
    mounts: BTreeMap<usize, OwnedFd>,
    nodes: BTreeMap<PathBuf, OwnedFd>,
}

impl Sources {
    pub(super) fn new(id_mapped: BTreeMap<usize, OwnedFd>) -> Self {
        Self { mounts: id_mapped, nodes: BTreeMap::new() }
    }

    /// Opens the source of every bind mount and every device node.
    pub(super) fn open_all(&mut self, config: &Config, bundle: &Path) -> Result<(), Error> {
        for (index, entry) in config.mounts.iter().enumerate() {
            let Some(depth) = depth(entry, &Options::parse(&entry.options)) else { continue };
            if self.has(index) {
                continue;
            }
            let place = Place::mount(index, &target::clean(&entry.destination));
            self.mounts.insert(index, open(&place, &bundle.join(&entry.source), depth)?);
        }
        for node in devices::wanted(config) {
            // A node that the host lacks is an error only where it is used: the root may have it already.
            if let Ok(tree) = open_node(&node) {
                self.nodes.insert(node.place.path, tree);
            }
        }
        Ok(())
    }

    /// The copy for the bind mount with this index.
    pub(super) fn mount(
        &mut self,
        index: usize,
        place: &Place,
        path: &Path,
        depth: Bind,
    ) -> Result<OwnedFd, Error> {
        match self.mounts.remove(&index) {
            Some(tree) => Ok(tree),
            None => open(place, path, depth),
        }
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.mounts.contains_key(&index)
    }

    /// A copy of the host's device node of the same path.
    pub(super) fn node(&self, node: &Node) -> Result<OwnedFd, Error> {
        match self.nodes.get(&node.place.path) {
            Some(tree) => {
                tree.try_clone().map_err(|_| rustix::io::Errno::MFILE).map_err(node.place.failed("dup"))
            }
            None => open_node(node),
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

/// A detached copy of the mount at a path of the host; links are followed, as the caller named the path.
pub(super) fn open(place: &Place, path: &Path, depth: Bind) -> Result<OwnedFd, Error> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if depth == Bind::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags).map_err(|source| Error::Source {
        place: place.clone(),
        path: path.to_owned(),
        source,
    })
}

/// The host's node must be the very device that the configuration names.
fn open_node(node: &Node) -> Result<OwnedFd, Error> {
    let tree = open(&node.place, &node.place.path, Bind::One)?;
    let stat = rustix::fs::fstat(tree.as_fd()).map_err(node.place.failed("stat the host's node"))?;
    if node.is(&stat) {
        Ok(tree)
    } else {
        Err(node.place.refused(format!("the host's node of this path is not {node}")))
    }
}

/// Opens a path of the host, whatever it is.
pub(super) fn open_path(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty())
}
