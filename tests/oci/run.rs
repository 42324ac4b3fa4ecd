//! `run`: in the foreground it is the program; detached it is create and start.

use std::fs;

use rustix::process::Signal;
use rustix::termios::LocalModes;
use serde_json::json;
use testkit::freezer::Freezer;
use testkit::{Config, conformance, hang, hierarchy, process, pty};

conformance! {
    fn the_exit_status_is_the_programs(lab) {
        for code in [0, 1, 42, 255] {
            lab.run_once(&Config::new().script(&format!("exit {code}"))).code(code);
        }
    }

    fn death_by_a_signal_is_128_and_its_number(lab) {
        let c = lab.bundle(&Config::new().script("echo ready; sleep 1000000"));
        let running = c.run_with(&[]).spawn();
        running.wait_stdout("ready");
        c.kill("KILL").ok();
        running.wait().code(137);
    }

    fn the_streams_are_the_callers(lab) {
        let c = lab.bundle(&Config::new().script("read line; echo out $line; echo err $line >&2"));
        let output = c.run_with(&[]).stdin_bytes(b"hello\n").ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out hello\n", "err hello\n"));
    }

    fn end_of_input_reaches_the_program(lab) {
        let c = lab.bundle(&Config::new().script("echo ready; cat; echo end"));
        let mut running = c.run_with(&[]).stdin_pipe().spawn();
        running.wait_stdout("ready");
        drop(running.stdin());
        assert_eq!(running.wait().ok().stdout, "ready\nend\n");
    }

    fn nothing_is_left_afterwards(lab) {
        let c = lab.bundle(&Config::new().args(&["true"]));
        c.run().ok();
        assert!(!lab.root().join(c.id()).exists());
        assert!(hierarchy::existing(&c.group()).is_empty());
    }

    fn keep_leaves_the_stopped_container(lab) {
        let c = lab.bundle(&Config::new().args(&["true"]));
        c.run_with(&["--keep"]).ok();
        assert_eq!(c.status(), "stopped");
        c.delete().ok();
    }

    fn signals_are_forwarded(lab) {
        let script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        let c = lab.bundle(&Config::new().script(script));
        let running = c.run_with(&[]).spawn();
        running.wait_stdout("ready");
        running.signal(Signal::TERM);
        assert_eq!(running.wait().code(5).stdout, "ready\ngot\n");
    }

    fn detached_returns_while_the_program_runs(lab) {
        let c = lab.bundle(&Config::new());
        let file = lab.path("pid");
        c.run_with(&["--detach", "--pid-file", file.to_str().unwrap()]).ok().prints("");
        c.wait_status("running");
        assert_eq!(fs::read_to_string(file).unwrap(), c.pid().to_string());
    }

    fn a_missing_program_is_told_and_nothing_left(lab) {
        let c = lab.bundle(&Config::new().args(&["no-such-program"]));
        c.run().code(1).says("executable file not found in $PATH");
        assert!(!lab.root().join(c.id()).exists());
    }

    fn a_terminal_in_the_foreground_is_the_callers(lab) {
        // The size follows the start: until then it is 0 by 0, or an error to `stty`.
        let script = "tty; until stty size 2>&1 | grep 33; do sleep 0.05; done; read x; echo got $x; exit 3";
        let c = lab.bundle(&Config::new().set("/process/terminal", json!(true)).script(script));
        let (mut terminal, side) = pty::open();
        terminal.resize(33, 77);
        let running = c.run_with(&[]).on_terminal(&side).spawn();
        drop(side);
        terminal.expect("33 77");
        terminal.send("hello\n");
        terminal.expect("got hello");
        running.wait().code(3);
    }

    fn a_background_job_leaves_the_terminal_to_the_shell(lab) {
        let script = "echo ready; read x; echo got $x; exit 3";
        let c = lab.bundle(&Config::new().set("/process/terminal", json!(true)).script(script));
        let (mut terminal, side) = pty::open();
        let lines = |side| rustix::termios::tcgetattr(side).unwrap().local_modes.contains(LocalModes::ICANON);
        let running = c.run_with(&[]).in_the_background_of(&side).spawn();
        terminal.expect("ready");
        assert!(lines(&side), "the shell's terminal was made raw");
        terminal.send("\n");
        hang::eventually("the foreground", || !lines(&side));
        terminal.send("hello\n");
        terminal.expect("got hello");
        running.wait().code(3);
        assert!(lines(&side), "the terminal stayed raw");
    }

    fn the_terminals_size_follows_the_callers(lab) {
        let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
        let c = lab.bundle(&Config::new().set("/process/terminal", json!(true)).script(script));
        let (mut terminal, side) = pty::open();
        let running = c.run_with(&[]).on_terminal(&side).spawn();
        drop(side);
        terminal.expect("ready");
        terminal.resize(44, 99);
        terminal.expect("44 99");
        c.kill("KILL").ok();
        running.wait().code(137);
    }

    fn exec_has_a_terminal_on_demand(lab) {
        let c = lab.sleeper();
        let (mut terminal, side) = pty::open();
        let command = c.exec_with(&["--tty"], &["sh", "-c", "echo on $(tty); read x; echo got $x; exit 4"]);
        let running = command.on_terminal(&side).spawn();
        drop(side);
        terminal.expect("on /dev/pts/0");
        terminal.send("hello\n");
        terminal.expect("got hello");
        running.wait().code(4);
    }

    fn two_containers_do_not_share_a_group(lab) {
        let c = lab.sleeper();
        let other = lab.bundle(&Config::new().set("/linux/cgroupsPath", json!(c.group())).args(&["true"]));
        if lab.reference_lacks("the refusal of a group in use: a warning until runc 1.2") {
            return;
        }
        other.run().code(1).says("cgroup");
        assert!(process::is_alive(c.pid()));
    }

    fn a_frozen_group_is_not_entered(lab) {
        let c = lab.bundle(&Config::new().args(&["true"]));
        let freezer = Freezer::of(&c.group());
        fs::create_dir_all(freezer.directory()).unwrap();
        freezer.freeze();
        c.run().code(1).says("frozen");
        if freezer.directory().exists() {
            freezer.thaw();
            fs::remove_dir(freezer.directory()).unwrap();
        }
    }

    fn the_program_outlives_the_callers_pipe_end(lab) {
        let c = lab.bundle(&Config::new().script("touch /mark; exec sleep 1000000"));
        c.run_with(&["-d"]).ok();
        hang::eventually("the program", || c.rootfs("/mark").exists());
        assert_eq!(c.status(), "running");
    }
}
