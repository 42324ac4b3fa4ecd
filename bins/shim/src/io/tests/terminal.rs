//! Terminals: both directions, size, hang-up, survivors.

use rustix::pty::OpenptFlags;

use super::*;

/// A terminal's master and peer.
fn pty() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).expect("a terminal");
    rustix::pty::grantpt(&master).expect("granted");
    rustix::pty::unlockpt(&master).expect("unlocked");
    let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("its peer");
    let mut modes = rustix::termios::tcgetattr(&peer).expect("modes");
    modes.make_raw();
    rustix::termios::tcsetattr(&peer, rustix::termios::OptionalActions::Now, &modes).expect("raw");
    (master, peer)
}

async fn attached(place: &Place, bounds: Bounds) -> (Stdio, OwnedFd) {
    let (stdin, stdout) = (place.text("stdin"), place.text("stdout"));
    let request = Request { terminal: true, ..request(&stdin, &stdout, "") };
    let (stdio, ends) = Stdio::open(&request, bounds).await.expect("streams");
    assert!(matches!(ends, ChildEnds::Terminal));
    let (master, peer) = pty();
    stdio.attach(master).expect("attached");
    rustix::io::ioctl_fionbio(&peer, true).expect("non-blocking");
    (stdio, peer)
}

#[test]
fn keys_output_and_size_go_through() {
    run(async {
        let place = Place::new();
        let (reader, keys) = (place.reader("stdout"), {
            let (stdio, peer) = attached(&place, PATIENT).await;
            let client = place.client("stdin", OFlags::WRONLY);
            rustix::io::write(&client, b"keys").expect("written");
            let mut got = [0; 16];
            let count = loop {
                settle().await;
                match rustix::io::read(&peer, &mut got) {
                    Ok(count) => break count,
                    Err(errno) => assert_eq!(errno, Errno::AGAIN),
                }
            };
            stdio.resize(132, 43).expect("resized");
            let size = rustix::termios::tcgetwinsize(&peer).expect("its size");
            assert_eq!((size.ws_col, size.ws_row), (132, 43));
            rustix::io::write(&peer, b"screen").expect("written");
            drop(peer);
            stdio.leader_exited();
            assert_eq!(stdio.drained().await, Outcome { delivered: 6, lost: 0, cut: 0 });
            got[..count].to_vec()
        });
        assert_eq!(keys, b"keys");
        assert_eq!(read_to_end(&reader).await, b"screen");
    });
}

#[test]
fn all_that_was_written_before_the_exit_is_shown_to_a_reader_that_sleeps() {
    run(async {
        let place = Place::new();
        let reader = place.reader("stdout");
        // The kernel hands over what is on its way through a terminal when it finds the time.
        let (stdio, peer) = attached(&place, Bounds { delete: HOUR, ..IMPATIENT }).await;
        let written = flood(&peer).await;
        drop(peer);
        stdio.leader_exited();
        let outcome = stdio.finish().await;
        assert_eq!(outcome, Outcome { delivered: written.len() as u64, lost: 0, cut: 0 });
        assert!(read_now(&reader) == (written, true));
    });
}

#[test]
fn a_terminal_that_everybody_closed_may_be_opened_again_while_the_leader_lives() {
    run(async {
        let place = Place::new();
        let reader = place.reader("stdout");
        let (stdin, stdout) = (place.text("stdin"), place.text("stdout"));
        let request = Request { terminal: true, ..request(&stdin, &stdout, "") };
        let (stdio, _) = Stdio::open(&request, PATIENT).await.expect("streams");
        let (master, peer) = pty();
        let name = rustix::pty::ptsname(&master, Vec::new()).expect("its name");
        stdio.attach(master).expect("attached");
        drop(peer);
        settle().await;
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let again = rustix::fs::openat(CWD, name, flags, Mode::empty()).expect("opened again");
        rustix::io::write(&again, b"login: ").expect("written");
        drop(again);
        stdio.leader_exited();
        assert_eq!(read_to_end(&reader).await, b"login: ");
    });
}

#[test]
fn a_survivor_on_the_terminal_delays_nobody() {
    run(async {
        let place = Place::new();
        let reader = place.reader("stdout");
        let (stdio, peer) = attached(&place, IMPATIENT).await;
        stdio.leader_exited();
        assert_eq!(stdio.drained().await.cut, 1);
        assert!(read_to_end(&reader).await.is_empty());
        rustix::io::ioctl_fionbio(&peer, false).expect("blocking");
        let writes = tokio::task::spawn_blocking(move || {
            std::fs::File::from(peer).write_all(&vec![b'x'; 300_000]).expect("nobody is in the way");
        });
        writes.await.expect("written");
    });
}

#[test]
fn a_terminal_that_is_not_read_does_not_lose_keys() {
    run(async {
        let place = Place::new();
        let (_stdio, peer) = attached(&place, PATIENT).await;
        let client = place.client("stdin", OFlags::WRONLY);
        let written = flood(&client).await;
        let mut got = Vec::new();
        while got.len() < written.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let (bytes, end) = read_now(&peer);
            assert!(!end);
            got.extend(bytes);
        }
        assert!(got == written);
    });
}

#[test]
fn output_to_nowhere_is_still_read() {
    run(async {
        let request = Request { terminal: true, ..request("", "", "") };
        let (stdio, _) = Stdio::open(&request, PATIENT).await.expect("streams");
        let (master, peer) = pty();
        stdio.attach(master).expect("attached");
        let writes = tokio::task::spawn_blocking(move || {
            std::fs::File::from(peer).write_all(&vec![b'x'; 300_000]).expect("nobody is in the way");
        });
        writes.await.expect("written");
        stdio.leader_exited();
        assert_eq!(stdio.drained().await.cut, 0);
    });
}

#[test]
fn a_process_without_a_terminal_has_no_size() {
    run(async {
        let (stdio, _) = open(&request("", "", ""), PATIENT).await.expect("streams");
        assert!(matches!(stdio.resize(80, 25), Err(Error::NoTerminal)));
        assert!(matches!(stdio.attach(pty().0), Err(Error::NoTerminal)));
    });
}
