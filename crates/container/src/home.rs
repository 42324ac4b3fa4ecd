//! The home directory of a user, from the container's own `/etc/passwd`.

use proc::Root;

/// Largest `passwd` that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// The home of `uid`, or `/` when the container does not say.
///
/// Compat: runc, `libcontainer/init_linux.go`, sets `HOME` when the configuration does not.
#[must_use]
pub(crate) fn of(root: &Root, uid: u32) -> String {
    let text = root.read("etc/passwd".as_ref(), LARGEST).unwrap_or_default();
    let users = proc::passwd::parse(&String::from_utf8_lossy(&text));
    let home = users.into_iter().find(|user| user.uid == uid).map(|user| user.home);
    home.filter(|home| !home.is_empty()).unwrap_or_else(|| "/".to_owned())
}
