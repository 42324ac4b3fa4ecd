//! The nodes and links of `/dev`.

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;

use proc::{Procfs, Root};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, major, makedev, minor};
use rustix::io::Errno;

use super::bind::Sources;
use super::error::{Error, Place};
use super::target::{attach, clean, open_file};
use crate::config::{Config, DeviceType, LinuxDevice};

/// What every container gets. Source: OCI runtime specification, config-linux.md, "Default Devices".
///
/// Compat: in runc's order, which shows in mountinfo where nodes are bound.
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/zero", 1, 5),
    ("/dev/urandom", 1, 9),
];

/// A node to make.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    kind: FileType,
    device: (u32, u32),
    mode: u32,
    owner: (u32, u32),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.device;
        match self.kind {
            FileType::Fifo => f.write_str("a FIFO"),
            FileType::BlockDevice => write!(f, "block device {major}:{minor}"),
            _ => write!(f, "character device {major}:{minor}"),
        }
    }
}

impl Node {
    fn default(path: &str, major: u32, minor: u32) -> Self {
        let place = Place::new("config.json/linux/devices", Path::new(path));
        Self { place, kind: FileType::CharacterDevice, device: (major, minor), mode: 0o666, owner: (0, 0) }
    }

    fn from_config(index: usize, device: &LinuxDevice) -> Self {
        let kind = match device.kind {
            DeviceType::Character => FileType::CharacterDevice,
            DeviceType::Block => FileType::BlockDevice,
            DeviceType::Fifo => FileType::Fifo,
        };
        // Validation bounded the numbers; a FIFO has none.
        let number = |number: i64| u32::try_from(number).unwrap_or(0);
        Self {
            place: Place::new(format!("config.json/linux/devices/{index}"), &clean(&device.path)),
            kind,
            device: (number(device.major), number(device.minor)),
            mode: device.file_mode.unwrap_or(0o666) & 0o7777,
            owner: (device.uid.unwrap_or(0), device.gid.unwrap_or(0)),
        }
    }

    /// Whether this is the very node.
    pub(super) fn is(&self, stat: &rustix::fs::Stat) -> bool {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let device = (major(stat.st_rdev), minor(stat.st_rdev));
        kind == self.kind && (kind == FileType::Fifo || device == self.device)
    }
}

/// The default nodes that the configuration does not override, then its own.
pub(super) fn wanted(config: &Config) -> Vec<Node> {
    let own = config.linux.devices.iter().enumerate();
    let own: Vec<Node> = own.map(|(index, device)| Node::from_config(index, device)).collect();
    let mut nodes: Vec<Node> =
        DEFAULTS.iter().map(|(path, major, minor)| Node::default(path, *major, *minor)).collect();
    nodes.retain(|node| own.iter().all(|other| other.place.path != node.place.path));
    nodes.extend(own);
    // The link to the container's own devpts stands there.
    nodes.retain(|node| node.place.path != Path::new("/dev/ptmx"));
    nodes
}

/// Makes every node, or binds the host's where making one is not permitted.
pub(super) fn make_all(root: &Root, config: &Config, sources: &Sources) -> Result<(), Error> {
    let former = rustix::process::umask(Mode::empty());
    let made = wanted(config).iter().try_for_each(|node| make(root, node, sources));
    rustix::process::umask(former);
    made
}

fn make(root: &Root, node: &Node, sources: &Sources) -> Result<(), Error> {
    if sources.binds_nodes() {
        return bind(root, node, sources);
    }
    match make_node(root, node)? {
        Made::Here => Ok(()),
        // A user namespace around us.
        Made::NotPermitted => bind(root, node, sources),
    }
}

enum Made {
    Here,
    NotPermitted,
}

fn make_node(root: &Root, node: &Node) -> Result<Made, Error> {
    let place = &node.place;
    let (parent, name) = root.parent(&place.path).map_err(|error| place.unreachable_path(error))?;
    let device = makedev(node.device.0, node.device.1);
    match rustix::fs::mknodat(&parent, &name, node.kind, Mode::from_raw_mode(node.mode), device) {
        Ok(()) => {}
        Err(Errno::EXIST) => return verify(&parent, &name, node),
        Err(Errno::PERM) => return Ok(Made::NotPermitted),
        Err(errno) => return Err(place.failed("make the node")(errno)),
    }
    let (uid, gid) = (Uid::from_raw(node.owner.0), Gid::from_raw(node.owner.1));
    rustix::fs::chownat(&parent, &name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(place.failed("change the owner of the node"))?;
    Ok(Made::Here)
}

/// A node that the image brought is good if it is the right one.
fn verify(parent: impl AsFd, name: &OsStr, node: &Node) -> Result<Made, Error> {
    let stat =
        rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(node.place.failed("stat"))?;
    if node.is(&stat) {
        return Ok(Made::Here);
    }
    Err(node.place.refused(format!("the root has something else than {node} there")))
}

fn bind(root: &Root, node: &Node, sources: &Sources) -> Result<(), Error> {
    let place = &node.place;
    let (parent, name) = root.parent(&place.path).map_err(|error| place.unreachable_path(error))?;
    let target = open_file(&parent, Path::new(&name), Mode::empty(), place)?;
    let stat = rustix::fs::fstat(&target).map_err(place.failed("stat"))?;
    if node.is(&stat) {
        return Ok(());
    }
    let tree = sources.node(node)?;
    attach(tree.as_fd(), target.as_fd()).map_err(place.failed("attach the host's node"))
}

/// `/dev/ptmx` is the one of the container's own devpts.
pub(super) fn link_ptmx(root: &Root) -> Result<(), Error> {
    let place = Place::new("config.json/linux/devices", Path::new("/dev/ptmx"));
    let (parent, name) = root.parent(&place.path).map_err(|error| place.unreachable_path(error))?;
    match rustix::fs::unlinkat(&parent, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(place.failed("remove what is there")(errno)),
    }
    rustix::fs::symlinkat("pts/ptmx", &parent, &name).map_err(place.failed("make the link"))
}

/// The links that shells expect; what the image has in their place stays.
pub(super) fn link_streams(root: &Root, proc: &Procfs) -> Result<(), Error> {
    let mut links = vec![
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ];
    if rustix::fs::statat(proc, "kcore", AtFlags::empty()).is_ok() {
        links.push(("/proc/kcore", "/dev/core"));
    }
    for (target, path) in links {
        match root.symlink(OsStr::new(target), Path::new(path)) {
            Err(error) if error.errno() != Some(Errno::EXIST) => {
                return Err(Place::new("config.json/mounts", Path::new(path)).unreachable_path(error));
            }
            _ => {}
        }
    }
    Ok(())
}
