//! `--console-socket` and `--pidfd-socket`: one descriptor is sent, with the terminal's name.

use serde_json::json;
use testkit::fd_socket::FdSocket;
use testkit::pty::Terminal;
use testkit::{Config, conformance, process};

conformance! {
    fn create_sends_the_terminal_of_init(lab) {
        let script = "tty; stty size; read x; echo got $x; ls -l /dev/console";
        let c = lab.bundle(&Config::new().set("/process/terminal", json!(true)).script(script));
        let socket = FdSocket::bind(&lab.path("console"));
        c.create_with(&["--console-socket", socket.path().to_str().unwrap()]).ok();
        let received = socket.receive();
        assert!(received.name.contains("/dev/p"), "{}", received.name);
        let mut terminal = Terminal::new(received.fd);
        c.start().ok();
        terminal.send("hello\n");
        let seen = terminal.expect("got hello");
        assert!(seen.contains("/dev/pts/0") || seen.contains("/dev/console"), "{seen}");
        terminal.expect("/dev/console");
        c.wait_status("stopped");
    }

    fn the_console_size_is_set(lab) {
        let config = Config::new().set("/process/terminal", json!(true)).script("stty size");
        let c = lab.bundle(&config.set("/process/consoleSize", json!({"height": 21, "width": 83})));
        let socket = FdSocket::bind(&lab.path("console"));
        c.create_with(&["--console-socket", socket.path().to_str().unwrap()]).ok();
        let mut terminal = Terminal::new(socket.receive().fd);
        c.start().ok();
        terminal.expect("21 83");
    }

    fn the_terminal_belongs_to_the_user(lab) {
        let config = Config::new()
            .set("/process/terminal", json!(true))
            .set("/process/user", json!({"uid": 1000, "gid": 1000}));
        let c = lab.bundle(&config.script("stat -c 'owner %u mode %a' $(tty); echo x > /dev/tty"));
        let socket = FdSocket::bind(&lab.path("console"));
        c.create_with(&["--console-socket", socket.path().to_str().unwrap()]).ok();
        let mut terminal = Terminal::new(socket.receive().fd);
        c.start().ok();
        terminal.expect("owner 1000");
    }

    fn exec_sends_its_own_terminal(lab) {
        let c = lab.sleeper();
        let socket = FdSocket::bind(&lab.path("console"));
        let flags = ["--tty", "--detach", "--console-socket", socket.path().to_str().unwrap()];
        c.exec_with(&flags, &["sh", "-c", "echo hello $(tty)"]).ok();
        let received = socket.receive();
        Terminal::new(received.fd).expect("hello /dev/pts/0");
    }

    fn exec_by_process_file_has_a_terminal_too(lab) {
        let c = lab.sleeper();
        let socket = FdSocket::bind(&lab.path("console"));
        let process = json!({"terminal": true, "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"],
            "args": ["sh", "-c", "stty size; read x; exit $x"], "consoleSize": {"height": 12, "width": 34}});
        let file = lab.write("process.json", &process.to_string());
        let pid_file = lab.path("pid");
        let flags = [
            "-d",
            "--process",
            file.to_str().unwrap(),
            "--console-socket",
            socket.path().to_str().unwrap(),
            "--pid-file",
            pid_file.to_str().unwrap(),
        ];
        c.exec_with(&flags, &[]).ok();
        let mut terminal = Terminal::new(socket.receive().fd);
        terminal.expect("12 34");
        terminal.send("17\n");
        let pid = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
        assert_eq!(process::reap(pid).exit_status(), Some(17));
    }

    fn a_detached_exec_with_a_terminal_needs_a_socket(lab) {
        let c = lab.sleeper();
        let output = c.exec_with(&["--tty", "--detach"], &["true"]).run().code(255);
        output.says("cannot allocate tty if").says("will detach without setting console socket");
    }

    fn a_socket_without_a_terminal_is_refused(lab) {
        let c = lab.sleeper();
        let output = c.exec_with(&["--detach", "--console-socket", "/nowhere"], &["true"]).run().code(255);
        output.says("cannot use console socket if").says("will not detach or allocate tty");
    }

    fn a_socket_nobody_listens_on_is_an_error(lab) {
        let c = lab.bundle(&Config::new().set("/process/terminal", json!(true)));
        c.create_with(&["--console-socket", "/nowhere/socket"]).run().code(1).says("/nowhere/socket");
        assert!(!lab.root().join(c.id()).exists());
    }

    fn create_sends_the_pidfd_of_init(lab) {
        if lab.reference_lacks("--pidfd-socket: since runc 1.2") {
            return;
        }
        let c = lab.bundle(&Config::new());
        let socket = FdSocket::bind(&lab.path("pidfd"));
        c.create_with(&["--pidfd-socket", socket.path().to_str().unwrap()]).ok();
        assert_eq!(pid_of(&socket), c.pid());
    }

    fn exec_sends_the_pidfd_of_the_process(lab) {
        if lab.reference_lacks("--pidfd-socket: since runc 1.2") {
            return;
        }
        let c = lab.sleeper();
        let socket = FdSocket::bind(&lab.path("pidfd"));
        let file = lab.path("pid");
        let flags =
            ["-d", "--pid-file", file.to_str().unwrap(), "--pidfd-socket", socket.path().to_str().unwrap()];
        c.exec_with(&flags, &["sleep", "1000000"]).ok();
        assert_eq!(pid_of(&socket).to_string(), std::fs::read_to_string(file).unwrap());
    }
}

fn pid_of(socket: &FdSocket) -> i32 {
    use std::os::fd::AsRawFd;
    let fd = socket.receive().fd;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    process::status_value(&text, "Pid").parse().unwrap()
}
