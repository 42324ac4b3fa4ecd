//! Both directions of a terminal, with pipes for the caller and a real pty.

use std::os::fd::AsFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::OpenptFlags;

use super::*;

/// A terminal with its program's end, and a caller made of two pipes.
struct Stage {
    relay: Relay,
    peer: OwnedFd,
    keys: OwnedFd,
    screen: OwnedFd,
}

fn stage() -> Stage {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).expect("a terminal");
    rustix::pty::unlockpt(&master).expect("unlocked");
    let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("its peer");
    let (input, keys) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let (screen, output) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let relay = Relay::new(master, Caller { input, output }).expect("a relay");
    Stage { relay, peer, keys, screen }
}

/// Polls and transfers until nothing moves within `patience_ms`.
fn settle(relay: &mut Relay, patience_ms: i64) {
    loop {
        let mut polled = relay.watched();
        let patience = Timespec { tv_sec: 0, tv_nsec: patience_ms * 1_000_000 };
        if polled.is_empty() || rustix::event::poll(&mut polled, Some(&patience)).expect("poll") == 0 {
            return;
        }
        let ready: Vec<_> = polled.iter().map(PollFd::revents).collect();
        relay.transfer(&ready);
    }
}

fn read(fd: impl AsFd) -> String {
    let mut text = [0_u8; 4096];
    let length = rustix::io::read(fd, &mut text).expect("read");
    String::from_utf8_lossy(&text[..length]).into_owned()
}

#[test]
fn keys_and_output_go_through() {
    let mut stage = stage();
    rustix::io::write(&stage.keys, b"hello\n").expect("keys");
    settle(&mut stage.relay, 50);
    assert_eq!(read(&stage.peer), "hello\n");
    rustix::io::write(&stage.peer, b"world\n").expect("output");
    settle(&mut stage.relay, 50);
    assert_eq!(read(&stage.screen), "hello\r\nworld\r\n");
}

#[test]
fn a_screen_that_nobody_reads_holds_nothing_up_and_loses_nothing() {
    let mut stage = stage();
    let line = [b'x'; 1000];
    rustix::io::ioctl_fionbio(&stage.peer, true).expect("non-blocking");
    let mut sent = 0;
    while let Ok(length) = rustix::io::write(&stage.peer, &line) {
        sent += length;
        settle(&mut stage.relay, 50);
    }
    assert!(sent > 60_000, "{sent}");
    rustix::io::write(&stage.keys, b"k\n").expect("keys still go");
    drop(stage.peer);
    stage.relay.last_call();
    let mut received = 0;
    rustix::io::ioctl_fionbio(&stage.screen, true).expect("non-blocking");
    while stage.relay.has_output() {
        let mut piece = [0_u8; 4096];
        while let Ok(length) = rustix::io::read(&stage.screen, &mut piece) {
            received += length;
        }
        settle(&mut stage.relay, 0);
    }
    let mut piece = [0_u8; 4096];
    while let Ok(length) = rustix::io::read(&stage.screen, &mut piece) {
        received += length;
    }
    assert!(received >= sent, "{received} of {sent}");
}

#[test]
fn a_broken_screen_does_not_stall_the_program() {
    let mut stage = stage();
    drop(stage.screen);
    for _ in 0..100 {
        rustix::io::write(&stage.peer, &[b'x'; 1000]).expect("the program writes on");
        settle(&mut stage.relay, 5);
    }
}

#[test]
fn a_terminal_that_was_hung_up_can_be_opened_again() {
    let mut stage = stage();
    let name = rustix::pty::ptsname(&stage.relay.master, Vec::new()).expect("its name");
    drop(stage.peer);
    settle(&mut stage.relay, 5);
    assert!(stage.relay.retry_after().is_some());
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let peer = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).expect("opened again");
    rustix::io::write(&peer, b"back\n").expect("output");
    stage.relay.transfer(&[]);
    settle(&mut stage.relay, 50);
    assert_eq!(read(&stage.screen), "back\r\n");
}

#[test]
fn the_end_of_the_keys_is_no_end_of_the_output() {
    let mut stage = stage();
    drop(stage.keys);
    settle(&mut stage.relay, 5);
    rustix::io::write(&stage.peer, b"on\n").expect("output");
    settle(&mut stage.relay, 50);
    assert_eq!(read(&stage.screen), "on\r\n");
}

#[test]
fn a_terminal_whose_every_read_fails_is_not_asked_without_a_pause() {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let open = || rustix::pty::openpt(flags).expect("a terminal");
    let (master, input) = (open(), open());
    for terminal in [&master, &input] {
        rustix::pty::unlockpt(terminal).expect("unlocked");
    }
    let _peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("its peer");
    // Opened and closed: from now on a read says EIO.
    drop(rustix::pty::ioctl_tiocgptpeer(&input, flags).expect("a peer"));
    let (_screen, output) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let mut relay = Relay::new(master, Caller { input, output }).expect("a relay");
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let idle = (0..100).any(|_| {
        let mut polled = relay.watched();
        let count = rustix::event::poll(&mut polled, Some(&at_once)).expect("poll");
        let ready: Vec<_> = polled.iter().map(PollFd::revents).collect();
        drop(polled);
        if count > 0 {
            relay.transfer(&ready);
        }
        count == 0
    });
    assert!(idle);
}
