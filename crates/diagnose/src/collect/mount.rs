//! Mounts, and the requests that wait for FUSE servers. No mount point is touched.

use super::folder::Folder;
use super::piece::Piece;
use super::worker::Visit;
use crate::snapshot::{Mount, Unseen, Why};

/// Most bytes of mountinfo.
const LARGEST: usize = 32 << 20;

/// Longest list of options that is kept: those of overlay name every layer.
const LONGEST_OPTIONS: usize = 400;

/// Reads the mounts; the unit is a `mountinfo`.
pub(super) fn read(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    match root.kernel_text(visit.unit, LARGEST) {
        Ok(text) => {
            let mut mounts = parse(&text);
            for mount in mounts.iter_mut().filter(|mount| mount.fs_type.starts_with("fuse")) {
                mount.fuse_waiting = waiting(root, &mount.device);
            }
            vec![Piece::Mounts(mounts)]
        }
        Err(errno) => {
            let why = Why::Refused { errno: errno.raw_os_error() };
            vec![Piece::Unseen(Unseen { what: format!("/{}", visit.unit), why })]
        }
    }
}

/// The mounts of a mountinfo.
pub fn parse(text: &str) -> Vec<Mount> {
    proc::mountinfo::parse(text)
        .into_iter()
        .map(|mount| {
            let options = [mount.options, mount.super_options].concat().join(",");
            Mount {
                id: mount.id,
                parent: mount.parent,
                device: format!("{}:{}", mount.major, mount.minor),
                mount_point: mount.mount_point.to_string_lossy().into_owned(),
                fs_type: mount.fs_type,
                source: crate::redact::text(&mount.source),
                options: crate::redact::text(&shortened(options)),
                fuse_waiting: None,
            }
        })
        .collect()
}

fn shortened(mut options: String) -> String {
    if options.len() > LONGEST_OPTIONS {
        let end = (0..=LONGEST_OPTIONS).rev().find(|at| options.is_char_boundary(*at)).unwrap_or_default();
        options.truncate(end);
        options.push_str("...");
    }
    options
}

/// The number in `/sys/fs/fuse/connections/N/waiting`; N is the minor number of the device.
fn waiting(root: &Folder, device: &str) -> Option<u64> {
    let (_, minor) = device.split_once(':')?;
    let path = format!("sys/fs/fuse/connections/{minor}/waiting");
    root.kernel_text(&path, 64).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_mount_and_of_its_file_system_stand_together() {
        let text = "30 25 0:26 / /sys/fs/cgroup/pids rw,nosuid shared:9 - cgroup cgroup rw,pids\n";
        let mounts = parse(text);
        assert_eq!((mounts[0].options.as_str(), mounts[0].device.as_str()), ("rw,nosuid,rw,pids", "0:26"));
    }

    #[test]
    fn long_options_are_cut_between_characters() {
        let cut = shortened("é".repeat(300));
        assert!(cut.ends_with("...") && cut.len() <= LONGEST_OPTIONS + 3);
    }
}
