//! A root file system made of the host's static busybox.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::process;

const BUSYBOX: &str = "/bin/busybox";

/// Builds the tree below `root`: busybox with a link per applet, `/etc/passwd`, `/etc/group` and the usual mount points.
///
/// # Panics
/// When `/bin/busybox` (package busybox-static) is missing.
pub fn build(root: &Path) {
    for directory in ["bin", "dev", "etc", "home/worker", "proc", "root", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy(BUSYBOX, root.join("bin/busybox")).expect("/bin/busybox of package busybox-static");
    for applet in applets() {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), PASSWD).unwrap();
    fs::write(root.join("etc/group"), GROUP).unwrap();
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nworker:x:1000:1000:worker:/home/worker:/bin/sh\n";
const GROUP: &str = "root:x:0:\nworker:x:1000:\nextra:x:2000:worker\n";

fn applets() -> &'static [String] {
    static APPLETS: OnceLock<Vec<String>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let list = process::spawn(Command::new(BUSYBOX).arg("--list").stdout(Stdio::piped()));
        let output = list.and_then(Child::wait_with_output).expect("/bin/busybox of package busybox-static");
        let names = String::from_utf8(output.stdout).unwrap();
        names.lines().filter(|name| *name != "busybox").map(str::to_owned).collect()
    })
}
