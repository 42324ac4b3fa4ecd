//! Where the daemons of a lab live: in a group by which shims are found again, and where needed in a mount namespace.
//!
//! Compat: containerd 1.6 gives no metrics and sees no OOM kill when `/proc/PID/cgroup` names a v1 hierarchy that is
//! not mounted (a leftover of whoever mounted it once), so the namespace shows such hierarchies to it.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Cmd, Running};
use crate::hierarchy;

/// Group and mount namespace of the daemons of one lab.
#[derive(Debug, Default)]
pub(crate) struct Daemons {
    namespace: OnceCell<Option<Running>>,
}

impl Daemons {
    /// Directory of the group: in the hierarchy that limits nothing, where there is one.
    pub(crate) fn directory(group: &str) -> PathBuf {
        let hierarchies = hierarchy::all();
        let unified = hierarchies.iter().find(|hierarchy| hierarchy.is_unified());
        unified.or_else(|| hierarchies.last()).unwrap().directory(&format!("{group}/daemons"))
    }

    /// `program` inside; `plain` makes a command of the lab.
    pub(crate) fn command(&self, group: &str, program: &Path, plain: impl Fn(&Path) -> Cmd) -> Cmd {
        let directory = Self::directory(group);
        fs::create_dir_all(&directory).unwrap();
        let preamble = format!("echo $$ > {}/cgroup.procs", directory.display());
        let namespace = self.namespace.get_or_init(|| namespace(&preamble, &plain));
        let command = match namespace {
            None => plain(program),
            Some(keeper) => {
                let path = format!("--mount=/proc/{}/ns/mnt", keeper.pid());
                plain(Path::new("nsenter")).args([&path, "--"]).args([program])
            }
        };
        command.through_shell(&preamble)
    }

    /// Ends the process that keeps the namespace.
    pub(crate) fn end(&mut self) {
        self.namespace.take();
    }
}

fn namespace(preamble: &str, plain: &impl Fn(&Path) -> Cmd) -> Option<Running> {
    let strays = hierarchy::unmounted();
    if strays.is_empty() {
        return None;
    }
    let mounts = strays
        .iter()
        .map(|name| format!("mkdir /mnt/{name} && mount -t cgroup -o {name} {name} /mnt/{name}"));
    let script = format!(
        "mount -t tmpfs t /mnt\n{}\necho ready; exec sleep 1000000",
        mounts.collect::<Vec<_>>().join("\n")
    );
    let command = plain(Path::new("unshare")).args(["--mount", "--propagation=slave", "sh", "-c", &script]);
    let keeper = command.through_shell(preamble).spawn();
    keeper.wait_stdout("ready");
    Some(keeper)
}
