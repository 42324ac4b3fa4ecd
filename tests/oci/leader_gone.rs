//! A container whose init ended its main thread while another thread works on.

use rustix::process::Signal;
use testkit::{Config, Container, Lab, compile, conformance, hang, process};

const LEADER_EXITS: &str = r#"
#include <pthread.h>
#include <unistd.h>
static void *work(void *unused) {
    for (;;) pause();
    return unused;
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, work, 0);
    pthread_exit(0);
}
"#;

conformance! {
    fn it_is_alive_and_can_be_asked(lab) {
        let (c, pid) = leaderless(lab);
        if lab.is_reference() {
            assert_eq!(c.status(), "stopped", "it takes the zombie leader for the end");
        } else {
            assert_eq!(c.status(), "running");
            // Kernel: the namespaces of a zombie leader cannot be opened, so the answer is a clear refusal.
            c.exec(&["true"]).code(255).says("main thread");
        }
        process::signal(pid, Signal::KILL);
        c.wait_status("stopped");
    }

    fn delete_removes_it_whole(lab) {
        let (c, pid) = leaderless(lab);
        let init = process::pidfd(pid).unwrap();
        if lab.reference_lacks("this promise: it leaves the process behind") {
            process::signal(pid, Signal::KILL);
        } else {
            c.delete().code(1).says("not stopped");
            c.delete_force().ok();
        }
        process::wait_exit(&init, "init");
    }
}

/// A container whose main thread is a zombie, and the pid of its init.
fn leaderless(lab: &Lab) -> (Container<'_>, i32) {
    let program = compile::compile(&lab.path("io"), "leader", LEADER_EXITS);
    let c = lab.bundle(&Config::new().args(&["/bin/leader"]));
    std::fs::copy(program, c.rootfs("/bin/leader")).unwrap();
    c.create().ok();
    let pid = c.pid();
    c.start().ok();
    hang::eventually("the main thread to exit", || process::stat(pid).is_some_and(|stat| stat.state == 'Z'));
    (c, pid)
}
