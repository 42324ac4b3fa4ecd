//! Supervision of real processes.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::OpenptFlags;

use super::*;

/// Signals to this process reach whichever test has its signalfd open, so one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[expect(clippy::zombie_processes, reason = "supervision reaps it")]
fn process(command: &mut Command) -> Process {
    let child = command.spawn().expect("a child");
    let pid = i32::try_from(child.id()).expect("a pid");
    let pidfd = pidfd_open(Pid::from_raw(pid).expect("a pid"), PidfdFlags::empty()).expect("a pidfd");
    Process { pid, pidfd }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

fn supervise(command: &mut Command) -> Ended {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let foreground = Foreground::prepare(Subreaper::No).expect("prepared");
    let supervised = Supervised { process: process(command), console: None, notify: None };
    foreground.supervise(supervised).expect("an end")
}

#[test]
fn the_exit_status_is_the_process_own_or_128_and_the_signal() {
    for (script, ended, status) in [
        ("exit 0", Ended::Exited(0), 0),
        ("exit 255", Ended::Exited(255), 255),
        ("kill -9 $$", Ended::Signaled(9), 137),
        // A signal that supervision does not block: std's children inherit the mask, the runtime's do not.
        ("kill -SEGV $$", Ended::Signaled(11), 139),
    ] {
        let got = supervise(&mut shell(script));
        assert_eq!((got, got.shell_status()), (ended, status), "{script}");
    }
}

#[test]
fn the_last_words_of_a_terminal_are_not_lost() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    for _ in 0..20 {
        let master = rustix::pty::openpt(flags).expect("a terminal");
        rustix::pty::unlockpt(&master).expect("unlocked");
        let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("its peer");
        let (screen, output) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let (input, _keys) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let foreground = Foreground::prepare(Subreaper::No).expect("prepared");
        let mut command = shell("echo first; echo last");
        command.stdout(peer.try_clone().expect("a copy")).stderr(peer).process_group(0);
        let process = process(&mut command);
        drop(command);
        let streams = std::cell::Cell::new(Some(Caller { input, output }));
        let supervised = Supervised { process, console: Some(master), notify: None };
        let ended = foreground.supervise_for(supervised, || Ok(streams.take().expect("asked once")));
        assert_eq!(ended.expect("an end"), Ended::Exited(0));
        drop(streams);
        let text = std::io::read_to_string(std::fs::File::from(screen)).expect("text");
        assert_eq!(text, "first\r\nlast\r\n");
    }
}
