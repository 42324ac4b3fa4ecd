//! What daemons say in a voice of warning on a node where nothing is wrong.
//!
//! Source: logs of containerd 1.6.20 and dockerd 20.10.24 while containers ran and ended as asked.

/// How such a message starts and how it ends, in the normalised text.
const ROUTINE: &[(&str, &str)] = &[
    ("failed to load plugin io.containerd.snapshotter.v1.devmapper", "devmapper not configured"),
    ("could not use snapshotter devmapper in metadata plugin", "devmapper not configured"),
    // The shim had deleted the container before containerd made sure: runc tells no reason.
    ("failed to remove runc container: runc did not terminate successfully", "exit status 255:"),
];

/// Whether the normalised text is one of these.
pub(super) fn is(text: &str) -> bool {
    ROUTINE.iter().any(|(start, end)| text.starts_with(start) && text.ends_with(end))
}

/// What the kubelet calls an error until its first round is over, at each start.
const PASSING: &[&str] = &["pleg has yet to be successful", "status check may not have completed yet"];

/// Whether the normalised text, if no class knows it, only says that a program has just started: all of the list that it
/// gives as reasons.
pub(super) fn passes(text: &str) -> bool {
    text.split(", ").all(|reason| PASSING.iter().any(|words| reason.contains(words)))
}
