//! The mounts that make a container's root, as containerd's snapshotter describes them.
//!
//! Runs in the process of a verb, which has one thread: it may change its working directory, and it may sleep in a mount
//! over a dead network at nobody's cost.

mod mapped_overlay;
mod owners;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::verb::Mount;
use owners::Owners;

/// The longest text of options that mount(2) takes, in bytes. Kernel: one page, the last byte is NUL.
const LONGEST: usize = 4095;

/// A root that cannot be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a mount.
    #[error("mount {source_} of type {kind:?} on {}", target.display())]
    Mount {
        /// Its source.
        source_: String,
        /// Its type.
        kind: String,
        /// Where.
        target: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// The kernel refused to unmount.
    #[error("unmount {}", path.display())]
    Unmount {
        /// What.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// A kind of mount that containerd has to prepare itself.
    #[error("mount of type {kind:?}: must be prepared by containerd; this shim mounts what mount(2) knows")]
    Unsupported {
        /// Its type.
        kind: String,
    },
    /// An option that says how owners are mapped, and cannot be read.
    #[error("mount option {option:?}: {why}")]
    Mapping {
        /// As given.
        option: String,
        /// What it lacks.
        why: &'static str,
    },
    /// The user namespace whose mappings the owners of the layers get.
    #[error("make a user namespace for mount options {options:?}")]
    Namespace {
        /// Both mappings as given.
        options: String,
        /// The cause.
        source: Box<container::Error>,
    },
    /// A layer, or the root itself, cannot be shown with other owners.
    #[error(
        "map the owners of {} for a user namespace (Linux 5.12 or newer, 5.19 with an overlay, and its file system must \
         support id-mapped mounts)",
        path.display()
    )]
    Map {
        /// The layer.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// A step to where an overlay of mapped layers is made.
    #[error("{step}, to make the overlay for {} aside", target.display())]
    Aside {
        /// What was to be done.
        step: &'static str,
        /// Where the overlay belongs.
        target: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// The kernel refused an overlay of mapped layers.
    #[error("make the overlay for {} of layers with mapped owners (Linux 5.19 or newer)", target.display())]
    MappedOverlay {
        /// Where it belongs.
        target: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// What has its owners mapped cannot be mounted where it belongs.
    #[error("attach a mount with mapped owners to {}", target.display())]
    Attach {
        /// Where.
        target: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// The host's /proc.
    #[error(transparent)]
    Proc(#[from] proc::Error),
    /// An option with a NUL byte, or a target that leads elsewhere.
    #[error("mount option or target {text:?} is not acceptable")]
    Unacceptable {
        /// As given.
        text: String,
    },
}

/// Mounts everything in order on `root`; takes all of it away again when one is refused.
///
/// # Errors
/// [`Error`] of the mount that was refused.
pub fn mount(mounts: &[Mount], root: &Path) -> Result<(), Error> {
    for (index, one) in mounts.iter().enumerate() {
        if let Err(error) = mount_one(one, root) {
            if index > 0 {
                let _ = unmount(root);
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Unmounts whatever is mounted on `path`, in layers; none is fine.
///
/// # Errors
/// [`Error::Unmount`].
pub fn unmount(path: &Path) -> Result<(), Error> {
    loop {
        match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Nothing is mounted there, or there is no such place.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(source) => return Err(Error::Unmount { path: path.to_owned(), source }),
        }
    }
}

/// What mount(2) gets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parsed {
    flags: u32,
    propagation: u32,
    data: Vec<String>,
}

fn mount_one(mount: &Mount, root: &Path) -> Result<(), Error> {
    if mount.kind.contains('/') {
        return Err(Error::Unsupported { kind: mount.kind.clone() });
    }
    let target = target(root, &mount.target)?;
    let parsed = parse(mount);
    match Owners::asked(&mount.options)? {
        None => mount_as_it_is(mount, &target, &parsed)?,
        Some(owners) => mount_mapped(mount, &target, &parsed, &owners)?,
    }
    let changed = propagate(&target, parsed.propagation);
    changed.inspect_err(|_| undo(&target)).map_err(|source| refused(mount, &target, source))
}

/// Mounts with the owners that the container's user namespace is to see.
fn mount_mapped(mount: &Mount, target: &Path, parsed: &Parsed, owners: &Owners) -> Result<(), Error> {
    let proc = proc::Procfs::host()?;
    let namespace = owners.namespace(&proc)?;
    if mount.kind == "overlay" {
        return mapped_overlay::mount(&proc, mount, target, parsed, &namespace);
    }
    mount_as_it_is(mount, target, parsed)?;
    let shown = if mount.source.starts_with('/') { Path::new(&mount.source) } else { target };
    owners::map_mounted(target, shown, &namespace)
}

fn mount_as_it_is(mount: &Mount, target: &Path, parsed: &Parsed) -> Result<(), Error> {
    mount_by_kind(mount, target, parsed).map_err(|source| refused(mount, target, source))
}

fn mount_by_kind(mount: &Mount, target: &Path, parsed: &Parsed) -> Result<(), Errno> {
    if parsed.flags & MountFlags::BIND.bits() != 0 {
        return bind(mount, target, parsed);
    }
    let data = parsed.data.join(",");
    if data.len() > LONGEST {
        return mount_compact(mount, target, parsed);
    }
    call(mount, target, parsed, &data)
}

fn refused(mount: &Mount, target: &Path, source: Errno) -> Error {
    let (source_, kind) = (mount.source.clone(), mount.kind.clone());
    Error::Mount { source_, kind, target: target.to_owned(), source }
}

/// Compat: a target is below the root; one that climbs out of it is refused.
fn target(root: &Path, target: &str) -> Result<PathBuf, Error> {
    let relative = Path::new(target.trim_start_matches('/'));
    let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if relative.as_os_str().is_empty() {
        return Ok(root.to_owned());
    }
    if inside { Ok(root.join(relative)) } else { Err(Error::Unacceptable { text: target.to_owned() }) }
}

fn parse(mount: &Mount) -> Parsed {
    let mut parsed = Parsed::default();
    if matches!(mount.kind.as_str(), "bind" | "rbind") {
        parsed.flags |= MountFlags::BIND.bits();
    }
    for option in &mount.options {
        if let Some((_, set, bits)) = FLAGS.iter().find(|row| row.0 == option) {
            if *set {
                parsed.flags |= bits.bits();
            } else {
                parsed.flags &= !bits.bits();
            }
        } else if let Some((_, bits)) = PROPAGATION.iter().find(|row| row.0 == option) {
            parsed.propagation = *bits;
        } else if !is_for_others(option) && !owners::is_mapping(option) {
            parsed.data.push(option.clone());
        }
    }
    parsed
}

/// Notes to programs, which no file system knows.
fn is_for_others(option: &str) -> bool {
    option == "defaults" || option.starts_with("X-containerd.") || option.starts_with("x-containerd.")
}

const FLAGS: &[(&str, bool, MountFlags)] = &[
    ("bind", true, MountFlags::BIND),
    ("rbind", true, MountFlags::from_bits_retain(MountFlags::BIND.bits() | MountFlags::REC.bits())),
    ("ro", true, MountFlags::RDONLY),
    ("rw", false, MountFlags::RDONLY),
    ("nosuid", true, MountFlags::NOSUID),
    ("suid", false, MountFlags::NOSUID),
    ("nodev", true, MountFlags::NODEV),
    ("dev", false, MountFlags::NODEV),
    ("noexec", true, MountFlags::NOEXEC),
    ("exec", false, MountFlags::NOEXEC),
    ("sync", true, MountFlags::SYNCHRONOUS),
    ("async", false, MountFlags::SYNCHRONOUS),
    ("dirsync", true, MountFlags::DIRSYNC),
    ("noatime", true, MountFlags::NOATIME),
    ("atime", false, MountFlags::NOATIME),
    ("nodiratime", true, MountFlags::NODIRATIME),
    ("diratime", false, MountFlags::NODIRATIME),
    ("relatime", true, MountFlags::RELATIME),
    ("norelatime", false, MountFlags::RELATIME),
    ("strictatime", true, MountFlags::STRICTATIME),
    ("nostrictatime", false, MountFlags::STRICTATIME),
    ("nosymfollow", true, MountFlags::NOSYMFOLLOW),
];

/// Source: mount(2), `MS_SHARED` and its like; with `MS_REC` for the words that begin with an r.
const PROPAGATION: &[(&str, u32)] = &[
    ("private", 1 << 18),
    ("rprivate", 1 << 18 | 1 << 14),
    ("shared", 1 << 20),
    ("rshared", 1 << 20 | 1 << 14),
    ("slave", 1 << 19),
    ("rslave", 1 << 19 | 1 << 14),
    ("unbindable", 1 << 17),
    ("runbindable", 1 << 17 | 1 << 14),
];

fn call(mount: &Mount, target: &Path, parsed: &Parsed, data: &str) -> Result<(), Errno> {
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    let flags = MountFlags::from_bits_retain(parsed.flags);
    rustix::mount::mount(mount.source.as_str(), target, mount.kind.as_str(), flags, data.as_c_str())
}

/// Kernel: a bind mount takes its flags only from a second call.
fn bind(mount: &Mount, target: &Path, parsed: &Parsed) -> Result<(), Errno> {
    let kind = parsed.flags & (MountFlags::BIND | MountFlags::REC).bits();
    let flags = MountFlags::from_bits_retain(kind);
    rustix::mount::mount(mount.source.as_str(), target, "", flags, None)?;
    let others = parsed.flags & !kind;
    if others != 0 {
        let flags = MountFlags::from_bits_retain(others | MountFlags::BIND.bits());
        let changed = rustix::mount::mount_remount(target, flags, c"");
        changed.inspect_err(|_| undo(target))?;
    }
    Ok(())
}

/// Takes the mount away that was just made.
fn undo(target: &Path) {
    let _ = rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
}

fn propagate(target: &Path, propagation: u32) -> Result<(), Errno> {
    if propagation == 0 {
        return Ok(());
    }
    let flags = rustix::mount::MountPropagationFlags::from_bits_retain(propagation);
    rustix::mount::mount_change(target, flags)
}

/// An overlay of so many layers that their paths do not fit into a page: they are named from the directory that all of
/// them lie in.
fn mount_compact(mount: &Mount, target: &Path, parsed: &Parsed) -> Result<(), Errno> {
    let Some(compact) = compact(&parsed.data) else { return Err(Errno::TOOBIG) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let before = rustix::fs::openat(CWD, c".", flags, Mode::empty())?;
    rustix::process::chdir(&compact.directory)?;
    let done = if compact.data.len() <= LONGEST {
        call(mount, target, parsed, &compact.data)
    } else {
        mount_by_layer(mount, target, parsed)
    };
    rustix::process::fchdir(&before)?;
    done
}

/// Kernel: `lowerdir+` came with 6.5; before, this answers EINVAL.
fn mount_by_layer(mount: &Mount, target: &Path, parsed: &Parsed) -> Result<(), Errno> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags};
    let context = rustix::mount::fsopen(mount.kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    for option in &parsed.data {
        match option.split_once('=') {
            Some(("lowerdir", layers)) => {
                for layer in layers.split(':') {
                    rustix::mount::fsconfig_set_string(context.as_fd(), "lowerdir+", layer)?;
                }
            }
            Some((key, value)) => rustix::mount::fsconfig_set_string(context.as_fd(), key, value)?,
            None => rustix::mount::fsconfig_set_flag(context.as_fd(), option.as_str())?,
        }
    }
    if parsed.flags & MountFlags::RDONLY.bits() != 0 {
        rustix::mount::fsconfig_set_flag(context.as_fd(), "ro")?;
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    let tree =
        rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree.as_fd(), c"", CWD, target, flags)
}

#[derive(Debug, PartialEq, Eq)]
struct Compact {
    directory: PathBuf,
    data: String,
}

/// None for options that have no list of lower directories with a directory in common.
fn compact(data: &[String]) -> Option<Compact> {
    let layers = data.iter().find_map(|option| option.strip_prefix("lowerdir="))?;
    // A backslash makes the next colon a part of a name.
    if layers.contains('\\') || layers.contains("::") {
        return None;
    }
    let directory = common(layers.split(':').map(Path::new))?;
    let shorter = |layer: &str| {
        let rest = Path::new(layer).strip_prefix(&directory).ok()?;
        Some(String::from_utf8_lossy(rest.as_os_str().as_bytes()).into_owned())
    };
    let layers = layers.split(':').map(shorter).collect::<Option<Vec<_>>>()?.join(":");
    let lower = format!("lowerdir={layers}");
    let others = data.iter().filter(|option| !option.starts_with("lowerdir=")).map(String::as_str);
    let data = others.chain([lower.as_str()]).collect::<Vec<_>>().join(",");
    Some(Compact { directory, data })
}

/// The deepest directory that all paths lie in, and that none of them is.
fn common<'a>(paths: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let parent = |path: &'a Path| path.parent().map(Path::to_owned).filter(|parent| parent.is_absolute());
    paths.map(parent).reduce(|one, other| {
        let (one, other) = (one?, other?);
        one.ancestors().find(|ancestor| other.starts_with(ancestor)).map(Path::to_owned)
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(options: &[&str]) -> Mount {
        Mount {
            kind: "overlay".to_owned(),
            source: "overlay".to_owned(),
            target: String::new(),
            options: options.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn words_become_flags_and_the_rest_is_for_the_file_system() {
        let parsed =
            parse(&overlay(&["ro", "index=off", "noatime", "X-containerd.x=y", "rslave", "defaults"]));
        assert_eq!(parsed.flags, (MountFlags::RDONLY | MountFlags::NOATIME).bits());
        assert_eq!(parsed.data, ["index=off"]);
        assert_eq!(parsed.propagation, 1 << 19 | 1 << 14);
    }

    #[test]
    fn many_layers_are_named_from_where_they_all_lie() {
        let data = ["index=off", "upperdir=/s/9/fs", "lowerdir=/s/1/fs:/s/22/fs"].map(String::from);
        let compact = compact(&data).expect("they have a directory in common");
        assert_eq!(compact.directory, Path::new("/s"));
        assert_eq!(compact.data, "index=off,upperdir=/s/9/fs,lowerdir=1/fs:22/fs");
    }

    #[test]
    fn layers_without_a_common_place_are_left_alone() {
        assert_eq!(compact(&["lowerdir=/a:b".to_owned()]), None);
        assert_eq!(compact(&["lowerdir=/a\\:b:/c".to_owned()]), None);
        assert_eq!(compact(&["upperdir=/a".to_owned()]), None);
    }

    #[test]
    fn a_target_stays_below_the_root() {
        assert_eq!(target(Path::new("/r"), "/a/b").expect("below"), Path::new("/r/a/b"));
        assert_eq!(target(Path::new("/r"), "").expect("itself"), Path::new("/r"));
        assert!(matches!(target(Path::new("/r"), "../x"), Err(Error::Unacceptable { .. })));
    }

    #[test]
    fn owners_are_no_matter_of_the_file_system() {
        let parsed = parse(&overlay(&["uidmap=0:1:2", "gidmap=0:1:2", "index=off"]));
        assert_eq!(parsed.data, ["index=off"]);
    }

    #[test]
    fn what_containerd_has_to_prepare_is_refused() {
        let mount = Mount { kind: "mkfs/ext4".to_owned(), ..Mount::default() };
        assert!(matches!(mount_one(&mount, Path::new("/r")), Err(Error::Unsupported { .. })));
    }
}
