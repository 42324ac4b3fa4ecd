//! What may be left of a container: the checks, and the proof that each of them catches what it is for.

use std::fs;
use std::path::PathBuf;

use testkit::{Lab, hierarchy, process};

/// Everything on the host that is still a container's or its lab's, in words; empty is the goal.
pub(crate) fn of(lab: &Lab, group: &str) -> Vec<String> {
    let mut left: Vec<String> =
        names(&lab.root()).iter().map(|path| format!("file {}", path.display())).collect();
    left.extend(lab.mounts().iter().map(|path| format!("mount {}", path.display())));
    left.extend(hierarchy::existing(group).iter().map(|path| format!("group {}", path.display())));
    left.extend(lab.processes().into_iter().map(|pid| format!("process {}", process::describe(pid))));
    left
}

/// Asserts that nothing is left; a process that is dying gets its time.
#[track_caller]
pub(crate) fn assert_none(lab: &Lab, group: &str, after: &str) {
    let mut left = of(lab, group);
    for _ in 0..400 {
        if left.is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        testkit::hang::eventually("orphans", || true);
        left = of(lab, group);
    }
    panic!("left after {after}:\n{}", left.join("\n"));
}

/// Asserts that the kernel gives up the session keyring of a container: it lives as long as any process has it, and then
/// for some seconds more.
#[track_caller]
pub(crate) fn assert_no_keyring(id: &str) {
    testkit::hang::eventually(&format!("the end of the keyring of {id}"), || keyring(id).is_none());
}

/// Every name below a directory, hidden ones too.
fn names(directory: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).map_or_else(|_| Vec::new(), Iterator::collect);
    let paths = entries.into_iter().filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.flat_map(|path| [vec![path.clone()], names(&path)].concat()).collect()
}

/// The session keyring of a container, if some process still has it.
fn keyring(id: &str) -> Option<String> {
    let name = format!(" _ses.{id}: ");
    let keys = fs::read_to_string("/proc/keys").unwrap_or_default();
    keys.lines()
        .find(|line| line.contains(&name) && !line.contains(" -1 "))
        .map(|line| format!("keyring {line}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::DirBuilderExt as _;

    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    use testkit::{Lab, Runtime, hang, partner};

    use super::{assert_no_keyring, keyring, of};

    const ID: &str = "left";

    /// Joins the session keyring named by its argument and waits for the end of its input.
    const KEYRING_HOLDER: &str = r"
        #include <linux/keyctl.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            char byte;
            if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, argv[1]) < 0) return 1;
            while (read(0, &byte, 1) > 0) {}
            return 0;
        }";

    #[track_caller]
    fn assert_found(lab: &Lab, kind: &str, what: &str) {
        let left = of(lab, &format!("{}/{ID}", lab.group()));
        assert!(
            left.len() == 1 && left[0].starts_with(kind) && left[0].contains(what),
            "{kind} {what}: {left:?}"
        );
    }

    #[test]
    fn each_check_catches_what_it_is_for() {
        let Some(binary) = Runtime::Sluice.find().filter(|_| partner::is_root()) else { return };
        let lab = Lab::new(Runtime::Sluice, binary);
        let group = format!("{}/{ID}", lab.group());
        assert_eq!(of(&lab, &group), Vec::<String>::new());
        let hidden = lab.root().join("=new-left-1");
        std::fs::DirBuilder::new().mode(0o700).create(&hidden).unwrap();
        assert_found(&lab, "file", "=new-left-1");
        std::fs::remove_dir(&hidden).unwrap();
        mount("none", lab.path("io"), "tmpfs", MountFlags::empty(), None).unwrap();
        assert_found(&lab, "mount", "/io");
        unmount(lab.path("io"), UnmountFlags::DETACH).unwrap();
        let directory = testkit::hierarchy::directory("freezer", &group);
        std::fs::create_dir_all(&directory).unwrap();
        assert_found(&lab, "group", &directory.display().to_string());
        std::fs::remove_dir(&directory).unwrap();
        let sleeper = lab.program("/bin/sleep").args(["1000000"]).spawn();
        // Its environment shows a moment after the spawn.
        hang::eventually("the sleeper to be seen", || !of(&lab, &group).is_empty());
        assert_found(&lab, "process", "1000000");
        drop(sleeper);
        hang::eventually("the end of the sleeper", || of(&lab, &group).is_empty());
        let program = testkit::compile::compile(&lab.path("io"), "keyring", KEYRING_HOLDER);
        let mut holder = lab.program(program).args([format!("_ses.{ID}")]).stdin_pipe().spawn();
        let stdin = holder.stdin();
        hang::eventually("the keyring", || keyring(ID).is_some());
        drop(stdin);
        holder.wait();
        assert_no_keyring(ID);
    }
}
