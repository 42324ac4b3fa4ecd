//! `NOTIFY_SOCKET`: readiness of the program, told to the service manager.

use testkit::notify::NotifySocket;
use testkit::{Config, compile, conformance};

const NOTIFY: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(void) {
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path) return 9;
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&to, sizeof to) != 7) return 8;
    sleep(1000000);
}
"#;

conformance! {
    fn readiness_and_the_main_pid_are_forwarded(lab) {
        let socket = NotifySocket::bind(&lab.path("notify"));
        let program = compile::compile(&lab.path("io"), "notify", NOTIFY);
        let c = lab.bundle(&Config::new().args(&["/bin/notify"]));
        std::fs::copy(program, c.rootfs("/bin/notify")).unwrap();
        c.create_with(&[]).env("NOTIFY_SOCKET", socket.path()).ok();
        let starting = c.verb("start", &[], &[]).env("NOTIFY_SOCKET", socket.path()).spawn();
        let mut seen = String::new();
        // The last word. Whoever sends after the socket has gone fails.
        let last = if lab.is_reference() { "MAINPID=" } else { "BARRIER=1" };
        while !seen.contains(last) {
            seen.push_str(&socket.receive());
        }
        assert!(seen.contains("READY=1") && seen.contains(&format!("MAINPID={}", c.pid())), "{seen}");
        // With the socket goes the descriptor of the barrier, which the runtime waits for.
        drop(socket);
        starting.wait().ok();
    }

    fn without_the_variable_there_is_none_inside(lab) {
        lab.run_once(&Config::new().script("test -z \"$NOTIFY_SOCKET\"")).ok();
    }
}
