//! One entry of `mounts`, by its type.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::MountAttrFlags as Attr;
use sys::mount_setattr::Depth;

use super::attributes::{apply, apply_to_bind, mount_flags, propagate, through_path};
use super::error::{Error, Place};
use super::file_system::FileSystem;
use super::options::{Bind, Change, Options, superblock_flags};
use super::target::{Kind, Target, attach, clean};
use super::{Prepared, bind, copy_up, target};
use crate::config::Mount;

/// Files of `/proc` that may be replaced, because lxcfs and criu do so.
///
/// Compat: runc, rootfs_linux.go, `checkProcMount`.
const REPLACEABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

impl Prepared<'_> {
    /// Makes one mount of the configuration.
    pub(super) fn mount(&mut self, index: usize, entry: &Mount) -> Result<(), Error> {
        let place = Place::mount(index, &clean(&entry.destination));
        let options = Options::parse(&entry.options);
        let mount = match (bind::depth(entry, &options), entry.kind.as_str()) {
            _ if options.remount => return self.remount(&place, entry, &options),
            (Some(depth), _) => self.bind(index, &place, entry, (&options, depth))?,
            (None, "cgroup") => return self.mount_cgroup(&place, entry, &options),
            (None, "proc" | "sysfs") => self.mount_kernel(&place, entry, &options)?,
            (None, "tmpfs") => self.mount_tmpfs(&place, entry, options.clone())?,
            (None, _) => self.mount_other(&place, entry, &options)?,
        };
        self.finish(&place, &mount, &options)
    }

    /// Propagation and the attributes of the whole tree come last, as they also act on what is below.
    pub(super) fn finish(&self, place: &Place, mount: &OwnedFd, options: &Options) -> Result<(), Error> {
        for flags in &options.propagation {
            propagate(self.proc, mount.as_fd(), *flags).map_err(place.failed("change the propagation"))?;
        }
        if options.bind.is_none() && options.change.set.contains(Change::LATE.set) {
            let applied = apply(self.proc, mount.as_fd(), Depth::One, Change::LATE);
            applied.map_err(place.failed("set nosymfollow"))?;
        }
        if options.recursive.is_none() {
            return Ok(());
        }
        let applied = apply(self.proc, mount.as_fd(), Depth::Tree, options.recursive);
        applied.map_err(place.failed("change the attributes of the whole tree (mount_setattr, Linux 5.12)"))
    }

    fn bind(
        &mut self,
        index: usize,
        place: &Place,
        entry: &Mount,
        (options, depth): (&Options, Bind),
    ) -> Result<OwnedFd, Error> {
        if super::wants_id_mapping(entry).is_some() && !self.sources.has_copy(index) {
            return Err(place.refused("no id-mapped copy of the source was made for this mount"));
        }
        let from_parent = self.sources.has_copy(index);
        let tree = self.sources.mount(index, place, &self.bundle.join(&entry.source), depth)?;
        if from_parent {
            self.cut_off(&tree, place)?;
        }
        let is_directory = target::is_directory(tree.as_fd(), place)?;
        let kind = if is_directory { Kind::Directory } else { Kind::File };
        let target = Target::open(self.proc, &self.root, place, kind)?;
        guard_proc(&target.resolved, place, Shown::Copy(&tree))?;
        match (is_directory, target.is_directory(place)?) {
            (true, false) => return Err(place.failed("mount a directory on a file")(Errno::NOTDIR)),
            (false, true) => return Err(place.failed("mount a file on a directory")(Errno::NOTDIR)),
            _ => target.attach(tree.as_fd(), place)?,
        }
        apply_to_bind(self.proc, tree.as_fd(), options.change)
            .map_err(place.failed("change the flags of the bind mount"))?;
        Ok(tree)
    }

    /// A copy that the parent made belongs to the peer groups of the host's mounts, which this namespace has left.
    fn cut_off(&self, tree: &OwnedFd, place: &Place) -> Result<(), Error> {
        let flags = super::propagation::outer(&self.config.linux.rootfs_propagation);
        propagate(self.proc, tree.as_fd(), flags).map_err(place.failed("change the propagation of the copy"))
    }

    /// Compat: `remount` with `bind` changes the flags of what is mounted there, without it also the file system's.
    fn remount(&mut self, place: &Place, entry: &Mount, options: &Options) -> Result<(), Error> {
        let opened = self.root.open(&place.path, rustix::fs::OFlags::PATH);
        let mount = opened.map_err(|error| place.unreachable_path(error))?;
        if options.bind.is_some() {
            apply(self.proc, mount.as_fd(), Depth::One, options.change.exactly())
        } else {
            let now = writable(place, entry, options.change.set);
            self.note_read_only(place, &mount, options.change.set.difference(now))?;
            let flags = mount_flags(now) | superblock_flags(&options.superblock);
            let data = options.data.join(",");
            through_path(self.proc, mount.as_fd(), |path| {
                rustix::mount::mount_remount(path, flags, data.as_str())
            })
        }
        .map_err(place.failed("remount"))?;
        log::debug!("{place}: remounted {}", entry.kind);
        self.finish(place, &mount, options)
    }

    /// procfs and sysfs: only on an ordinary directory, and never labelled.
    fn mount_kernel(&self, place: &Place, entry: &Mount, options: &Options) -> Result<OwnedFd, Error> {
        let target = Target::open_plain(self.proc, &self.root, place)?;
        guard_proc(&target.resolved, place, Shown::New(&entry.kind))?;
        let tree = match FileSystem::new(&entry.kind, &entry.source, options).create(place) {
            // Kernel: sysfs shows the network namespace, which a joined user namespace need not own.
            Err(Error::FileSystem { source: Errno::PERM, .. }) if entry.kind == "sysfs" => {
                return self.bind_sysfs(place, &target, options);
            }
            made => made?,
        };
        target.attach(tree.as_fd(), place)?;
        Ok(tree)
    }

    fn bind_sysfs(&self, place: &Place, target: &Target, options: &Options) -> Result<OwnedFd, Error> {
        log::debug!("{place}: sysfs is not permitted here, /sys of the host is bound instead");
        let tree = bind::open_copy(place, Path::new("/sys"), Bind::Tree)?;
        target.attach(tree.as_fd(), place)?;
        apply_to_bind(self.proc, tree.as_fd(), options.change)
            .map_err(place.failed("change the flags of the bind mount"))?;
        Ok(tree)
    }

    fn mount_tmpfs(&mut self, place: &Place, entry: &Mount, mut options: Options) -> Result<OwnedFd, Error> {
        let target = Target::open(self.proc, &self.root, place, Kind::Directory)?;
        guard_proc(&target.resolved, place, Shown::New(&entry.kind))?;
        // Compat: the directory's own mode is the default of the tmpfs; a mode among the options comes later and wins.
        if let Some(mode) = target.former_mode {
            options.data.insert(0, format!("mode={mode:04o}"));
        }
        self.label(&mut options);
        let tree = self.create_writable(place, entry, &options)?;
        if options.copy_up {
            copy_up::copy(target.fd.as_fd(), tree.as_fd())
                .map_err(place.failed("copy the directory (tmpcopyup)"))?;
        }
        target.attach(tree.as_fd(), place)?;
        Ok(tree)
    }

    fn mount_other(&mut self, place: &Place, entry: &Mount, options: &Options) -> Result<OwnedFd, Error> {
        let mut options = options.clone();
        let target = Target::open(self.proc, &self.root, place, Kind::Directory)?;
        guard_proc(&target.resolved, place, Shown::New(&entry.kind))?;
        if entry.kind != "mqueue" {
            self.label(&mut options);
        }
        if options.needs_mount2() {
            return self.mount_by_mount2(place, entry, &options, &target);
        }
        let tree = match self.create_writable(place, entry, &options) {
            Err(Error::FileSystem { source: Errno::INVAL, .. }) if entry.kind == "devpts" => {
                log::warn!("{place}: the group of the terminals is not mapped and left out");
                options.data.retain(|item| !item.starts_with("gid="));
                self.create_writable(place, entry, &options)?
            }
            made => made?,
        };
        target.attach(tree.as_fd(), place)?;
        if entry.kind == "mqueue" {
            self.label_root(&tree, place)?;
        }
        Ok(tree)
    }

    fn create_writable(&mut self, place: &Place, entry: &Mount, options: &Options) -> Result<OwnedFd, Error> {
        let mut new = FileSystem::new(&entry.kind, &entry.source, options);
        new.attributes = writable(place, entry, options.change.set);
        let tree = new.create(place)?;
        self.note_read_only(place, &tree, options.change.set.difference(new.attributes))?;
        Ok(tree)
    }

    /// Keeps in mind that a mount is to become read-only at the end, if that is what was left out of its attributes.
    fn note_read_only(&mut self, place: &Place, mount: &OwnedFd, left_out: Attr) -> Result<(), Error> {
        if !left_out.is_empty() {
            let again = mount.try_clone().map_err(|_| Errno::MFILE).map_err(place.failed("dup"))?;
            self.read_only_later.push((place.clone(), again));
        }
        Ok(())
    }

    /// `mount(2)`, for values that `fsconfig(2)` does not take (an overlay of many layers).
    fn mount_by_mount2(
        &self,
        place: &Place,
        entry: &Mount,
        options: &Options,
        target: &Target,
    ) -> Result<OwnedFd, Error> {
        let new = FileSystem::new(&entry.kind, &entry.source, options);
        let data = std::ffi::CString::new(options.data.join(",")).unwrap_or_default();
        let flags = mount_flags(options.change.set) | superblock_flags(&options.superblock);
        through_path(self.proc, target.fd.as_fd(), |path| {
            rustix::mount::mount(entry.source.as_str(), path, entry.kind.as_str(), flags, data.as_c_str())
        })
        .map_err(|errno| new.failed(place, "", errno))?;
        let opened = self.root.open(&place.path, rustix::fs::OFlags::PATH);
        opened.map_err(|error| place.unreachable_path(error))
    }

    fn label(&self, options: &mut Options) {
        let label = &self.config.linux.mount_label;
        if !label.is_empty() {
            options.data.push(format!("context=\"{label}\""));
        }
    }

    /// Kernel: mqueue knows no `context=`; its root directory is labelled instead.
    fn label_root(&self, tree: &OwnedFd, place: &Place) -> Result<(), Error> {
        let label = &self.config.linux.mount_label;
        if label.is_empty() {
            return Ok(());
        }
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::openat(tree, ".", flags, rustix::fs::Mode::empty())
            .and_then(|root| {
                let flags = rustix::fs::XattrFlags::empty();
                rustix::fs::fsetxattr(root, "security.selinux", label.as_bytes(), flags)
            })
            .map_err(place.failed("label the mount"))
    }
}

/// The attributes that a mount gets now: a tmpfs and `/dev` are written to until the end, and only then become
/// read-only.
fn writable(place: &Place, entry: &Mount, attributes: Attr) -> Attr {
    let later = entry.kind == "tmpfs" || place.path == Path::new("/dev");
    if later { attributes.difference(Attr::MOUNT_ATTR_RDONLY) } else { attributes }
}

/// Attaches a new file system that needs no further treatment.
pub(super) fn show(place: &Place, target: &OwnedFd, new: &FileSystem<'_>) -> Result<OwnedFd, Error> {
    let tree = new.create(place)?;
    attach(tree.as_fd(), target.as_fd()).map_err(place.failed("attach the mount"))?;
    Ok(tree)
}

/// What is about to appear at a mount point.
#[derive(Clone, Copy)]
enum Shown<'a> {
    /// A new file system of this type.
    New(&'a str),
    /// A copy of a mount of the host.
    Copy(&'a OwnedFd),
}

/// Nothing but a procfs may appear at `/proc`, and next to nothing below it: the runtime's own checks, and labels
/// that a process writes for itself, rely on it being true.
fn guard_proc(resolved: &Path, place: &Place, shown: Shown<'_>) -> Result<(), Error> {
    let Ok(below) = resolved.strip_prefix("/proc") else { return Ok(()) };
    if below.as_os_str().is_empty() {
        return match shown {
            Shown::New("proc") => Ok(()),
            Shown::Copy(tree) if is_procfs(tree) => Ok(()),
            _ => Err(place.refused("only a file system of type proc can be mounted on /proc")),
        };
    }
    if REPLACEABLE.iter().any(|path| Path::new(path) == resolved) {
        return Ok(());
    }
    Err(place.refused(format!("cannot be mounted, because {} is inside /proc", resolved.display())))
}

fn is_procfs(tree: &OwnedFd) -> bool {
    rustix::fs::fstatfs(tree).is_ok_and(|stat| stat.f_type == rustix::fs::PROC_SUPER_MAGIC)
}
