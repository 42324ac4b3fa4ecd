//! Containers whose init is dead, dying, or only half there.

use testkit::{Config, Container, Lab, compile, hang, hierarchy, process};

use crate::refusal::{self, exec, refused, text, verb};
use crate::truth;

const STOPPED: &str = "cannot exec in a stopped container";

/// Its first thread ends, its second lives on.
const LEADERLESS: &str = r"
#include <pthread.h>
#include <unistd.h>
static void *stay(void *unused) { for (;;) pause(); return unused; }
int main(void) {
    pthread_t second;
    pthread_create(&second, 0, stay, 0);
    pthread_exit(0);
}
";

/// A caller that takes over orphans and never reaps them: runs its arguments, then holds their orphans as zombies.
const KEEPER: &str = r#"
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **words) {
    int status;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t child = fork();
    if (child == 0) { execv(words[1], words + 1); _exit(127); }
    waitpid(child, &status, 0);
    write(1, "ready\n", 6);
    for (;;) pause();
}
"#;

fn with_program<'lab>(lab: &'lab Lab, name: &str, source: &str) -> Container<'lab> {
    let program = compile::compile(&lab.path(""), name, source);
    let c = lab.bundle(&Config::new().args(&[&format!("/{name}")]));
    std::fs::copy(program, c.rootfs(&format!("/{name}"))).unwrap();
    c
}

truth! {
    fn a_dead_init_is_refused(lab) {
        let c = lab.sleeper();
        c.stop();
        refused(lab, &c, &[], &["true"], STOPPED);
    }

    fn an_init_that_nobody_reaps_is_refused(lab) {
        let keeper = compile::compile(&lab.path(""), "keeper", KEEPER);
        let c = lab.bundle(&Config::new());
        let holds = c.create_with(&[]).through_shell(&format!("exec {} \"$@\"", keeper.display())).spawn();
        holds.wait_stdout("ready");
        c.start().ok();
        let init = c.pid();
        c.kill("KILL").ok();
        hang::eventually("init to be a zombie", || process::stat(init).is_some_and(|stat| stat.state == 'Z'));
        refused(lab, &c, &[], &["true"], STOPPED);
        assert_eq!(c.status(), "stopped");
        verb(lab, "delete", &[]).args([c.id()]).ok();
    }

    fn an_init_without_its_first_thread_is_alive_and_named(lab) {
        let c = with_program(lab, "leaderless", LEADERLESS);
        c.create().ok();
        c.start().ok();
        let init = c.pid();
        hang::eventually("the first thread to end", || process::stat(init).is_some_and(|stat| stat.state == 'Z'));
        assert_eq!(c.status(), "running");
        let text = format!(
            "exec: the main thread of the container's init {init} has exited while 1 other threads live, so its namespaces cannot be joined"
        );
        refused(lab, &c, &[], &["true"], &text);
        let held = process::pidfd(init).unwrap();
        verb(lab, "delete", &["--force"]).args([c.id()]).ok();
        process::wait_exit(&held, "init's second thread");
        assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
    }

    fn an_init_killed_while_the_exec_starts_is_told(lab) {
        for step in ["setsid", "chdir", "execve"] {
            let c = lab.sleeper();
            let pid = c.pid();
            let init = process::pidfd(pid).unwrap();
            let hold = refusal::hold_before(lab, step, 3_000_000);
            let running = exec(lab, &c, &[], &["sh", "-c", "exit 7"]).through_shell(&hold).spawn();
            let joined = || hierarchy::pids(&c.group()).len() > 1;
            hang::eventually("the child to be in the container", || joined() || running.has_ended());
            process::signal(pid, rustix::process::Signal::KILL);
            let output = running.wait().code(255);
            process::wait_exit(&init, "init");
            let text = text(&output);
            let told = text.starts_with("exec: the container stopped while the exec was in the step to ")
                || text == "exec: container is not running";
            assert!(told, "{step}: {text}");
            c.wait_status("stopped");
        }
    }

    fn execs_into_a_container_that_is_being_deleted_each_know_it(lab) {
        for round in 0..12_u64 {
            let c = lab.sleeper();
            let running: Vec<_> =
                (0..4).map(|_| exec(lab, &c, &[], &["sh", "-c", "exit 7"]).spawn()).collect();
            // Not a wait for anything: the moment of the deletion is what is varied.
            std::thread::sleep(std::time::Duration::from_millis(round));
            verb(lab, "delete", &["--force"]).args([c.id()]).ok();
            for running in running {
                let output = running.wait();
                match output.status.code() {
                    Some(7 | 137) => {}
                    Some(255) => assert!(means_gone(&text(&output), c.id()), "round {round}: {output}"),
                    _ => panic!("round {round}: {output}"),
                }
            }
            assert_eq!(hierarchy::pids(&c.group()), Vec::<i32>::new());
        }
    }
}

/// Whether a text says that the container is gone or going, in one of the ways it can be met.
fn means_gone(text: &str, id: &str) -> bool {
    text == STOPPED
        || text == "exec: container is not running"
        || text == format!("container does not exist: {id}")
        || text.starts_with("exec: the container stopped while the exec was in the step to ")
        || text.starts_with("exec: the container's cgroup is gone (")
        || text.starts_with("exec: the container is paused (")
}
