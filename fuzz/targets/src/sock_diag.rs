//! Datagrams of the kernel's socket diagnosis.

pub(crate) fn run(bytes: &[u8]) {
    let (sockets, _) = diagnose::collect::sock_diag::parse(bytes);
    assert!(sockets.len() <= bytes.len(), "sockets out of nothing");
}
