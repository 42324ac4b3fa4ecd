//! Which parts of a shim's text are in use once it has started a container and execs in it.
//!
//! The kernel maps up to sixteen pages around one that is touched, so this tells functions apart only in a binary in which
//! each has that much for itself, and in a file in memory: on a disk the kernel may map more at once (since Linux 6.18).

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::process::Pid;

use crate::bench::contestant::must;
use crate::bench::lab::Lab;
use crate::bench::shim::containers::Container;
use crate::bench::shim::node::Node;
use crate::failure::Failure;
use crate::workspace::read_bytes;

/// Execs over the shim's socket, with streams to the null device.
const EXECS: usize = 20;

/// Execs through containerd, with fifos.
const WITH_FIFOS: usize = 5;

/// A page, and its entry in `pagemap`, in bytes. Source: Documentation/admin-guide/mm/pagemap.rst.
const PAGE: u64 = 4096;
const ENTRY: usize = 8;

/// Starts a container with the shim `binary`, and execs in it; gives the addresses of the pages of files that are mapped.
///
/// # Errors
/// When a daemon does not start or a call fails, or on Ctrl-C.
pub(in crate::bench) fn pages(lab: &Lab, binary: &Path) -> Result<BTreeSet<u64>, Failure> {
    let node = Node::start(lab, "touched", Some(binary))?;
    let container = Container::run(&node, "standing", None)?;
    let mut shim = container.shim()?;
    (0..EXECS).try_for_each(|_| shim.exec(&container))?;
    (0..WITH_FIFOS).try_for_each(|_| must(container.ctr_exec()))?;
    mapped(shim.pid(&container.id)?)
}

fn mapped(pid: Pid) -> Result<BTreeSet<u64>, Failure> {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let path = Path::new(&folder).join("pagemap");
    let failed = |source| Failure::File { operation: "read", path: path.clone(), source };
    let pagemap = File::open(&path).map_err(failed)?;
    let maps = read_bytes(&Path::new(&folder).join("maps"))?;
    let mut found = BTreeSet::new();
    for (begin, end) in String::from_utf8_lossy(&maps).lines().filter_map(of_a_file) {
        let entries = usize::try_from((end - begin) / PAGE).unwrap_or(0);
        let mut bytes = vec![0; entries * ENTRY];
        pagemap.read_exact_at(&mut bytes, begin / PAGE * 8).map_err(failed)?;
        let present =
            bytes.chunks_exact(ENTRY).map(|entry| entry.last().is_some_and(|byte| byte & 0x80 != 0));
        let addresses = (begin..end).step_by(4096);
        found.extend(addresses.zip(present).filter(|(_, present)| *present).map(|(address, _)| address));
    }
    Ok(found)
}

/// The addresses of a mapping of a file. Source: proc_pid_maps(5).
fn of_a_file(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace();
    let (begin, end) = words.next()?.split_once('-')?;
    let device = words.nth(2)?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    (device != "00:00").then_some((number(begin)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mappings_of_files_are_taken() {
        let file = "00401000-0079a000 r-xp 00001000 fe:00 14360      /bin/shim";
        assert_eq!(of_a_file(file), Some((0x0040_1000, 0x0079_a000)));
        assert_eq!(of_a_file("7ffc0000-7ffc1000 rw-p 00000000 00:00 0    [stack]"), None);
        assert_eq!(of_a_file(""), None);
    }

    #[test]
    fn the_text_that_runs_is_mapped() {
        let here = u64::try_from(the_text_that_runs_is_mapped as *const () as usize).unwrap();
        let own = mapped(rustix::process::getpid()).unwrap();
        assert!(own.contains(&(here / PAGE * PAGE)), "{here:x}");
    }
}
