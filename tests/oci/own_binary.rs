//! The runtime's binary cannot be written from a container (CVE-2019-5736).
//!
//! The attack: a process of the container holds the binary open through `/proc/PID/exe`, waits until nobody executes it
//! any more, and opens it once more for writing. Each attack is a container's root with Docker's capabilities or more.

use std::fs;
use std::io::{PipeReader, Write as _, pipe};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde_json::json;
use testkit::{Cmd, Config, Container, Lab, Running, conformance};

/// Opens the program of a process that has this command line or, for a number, this pid; tries to write when told.
const ATTACK: &str = r#"
found() { [ "$1" = "$2" ] || [ "$(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null)" = "$2 " ]; }
until [ -n "$held" ]; do
    for folder in /proc/[0-9]*; do
        pid=${folder#/proc/}
        if found "$pid" "$1" && head -c 1 "$folder/exe" >/dev/null 2>&1; then
            exec 7<"$folder/exe"
            held=$pid
        fi
    done
done
echo holding
read -r told
if echo overwritten 2>/dev/null >/proc/self/fd/7; then echo written; else echo refused; fi
"#;

/// A copy of the runtime, so that an attack that succeeds does no harm to the next test.
fn installed(lab: &Lab) -> PathBuf {
    let path = lab.path("runtime");
    fs::copy(lab.binary(), &path).unwrap();
    path
}

fn exec(lab: &Lab, runtime: &Path, c: &Container<'_>, arguments: &[&str]) -> Cmd {
    lab.program(runtime).args(["--root"]).args([lab.root()]).args(["exec", c.id()]).args(arguments)
}

/// A standard error that takes nothing: who complains to it stands still until it is read.
fn full_pipe() -> (PipeReader, std::os::fd::OwnedFd) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b' '; 4096]).is_ok() {}
    assert_eq!(rustix::io::write(&writer, b" "), Err(Errno::AGAIN), "the pipe is full");
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer.into())
}

fn attacker(lab: &Lab, runtime: &Path, c: &Container<'_>, victim: &str) -> Running {
    exec(lab, runtime, c, &["sh", "-c", ATTACK, "sh", victim]).stdin_pipe().spawn()
}

fn verdict(mut attacker: Running) -> String {
    attacker.stdin().write_all(b"now\n").unwrap();
    attacker.wait().ok().stdout.replace("holding", "").trim().to_owned()
}

/// An exec of a script whose interpreter is `interpreter`, which complains and so is held while the attacker opens it.
fn attack_interpreter(lab: &Lab, runtime: &Path, c: &Container<'_>, interpreter: &str) -> String {
    let script = lab.write(&format!("{}/rootfs/bin/evil", c.id()), &format!("#!{interpreter}\n"));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (reader, full) = full_pipe();
    let victim = exec(lab, runtime, c, &["/bin/evil"]).stderr_to(full).spawn();
    let attacker = attacker(lab, runtime, c, &format!("{interpreter} /bin/evil"));
    attacker.wait_stdout("holding");
    let drain = std::thread::spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()));
    victim.wait();
    let verdict = verdict(attacker);
    drain.join().unwrap().unwrap();
    verdict
}

/// Whether a process has a descriptor of this file, whatever mount it is of.
fn has_open(pid: i32, file: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    let wanted = identity(file);
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    links.into_iter().any(|link| identity(&link.path()) == wanted)
}

conformance! {
    fn a_script_that_runs_the_runtime_in_the_container_gives_no_way_to_overwrite_it(lab) {
        if lab.reference_lacks("the caller's own standard error for the process, by which it could be held still") {
            return;
        }
        let runtime = installed(lab);
        let c = lab.sleeper();
        // What the image brings itself can be overwritten this way, else the attack proves nothing.
        fs::copy(c.rootfs("/bin/busybox"), c.rootfs("/bin/victim")).unwrap();
        assert_eq!(attack_interpreter(lab, &runtime, &c, "/bin/victim"), "written");
        assert_eq!(fs::read_to_string(c.rootfs("/bin/victim")).unwrap(), "overwritten\n");

        assert_eq!(attack_interpreter(lab, &runtime, &c, "/proc/self/exe"), "refused");
        assert!(fs::read(&runtime).unwrap() == fs::read(lab.binary()).unwrap(), "the binary was changed");
    }

    fn no_process_of_a_container_keeps_a_descriptor_of_the_runtime(lab) {
        if lab.reference_lacks("a protected parent: only its init runs from a copy") {
            return;
        }
        let runtime = installed(lab);
        let c = lab.bundle(&Config::new().args(&["sleep", "1000"]));
        lab.program(&runtime)
            .args(["--root"])
            .args([lab.root()])
            .args(["create", "--bundle"])
            .args([c.bundle()])
            .args([c.id()])
            .run()
            .ok();
        // Else the look finds nothing wherever it is.
        let held = fs::File::open(&runtime).unwrap();
        assert!(has_open(std::process::id().cast_signed(), &runtime), "{held:?}");
        assert!(!has_open(c.pid(), &runtime), "the parked init");
        c.start().ok();
        let parent = exec(lab, &runtime, &c, &["sh", "-c", "echo ready; ls /proc/self/fd; read line"])
            .stdin_pipe()
            .spawn();
        parent.wait_stdout("ready\n0\n1\n2\n3\n");
        assert!(!has_open(parent.pid(), &runtime), "the parent of an exec");
    }

    fn the_parent_of_an_exec_gives_no_way_to_overwrite_the_runtime(lab) {
        if lab.reference_lacks("a protected parent: only its init runs from a copy") {
            return;
        }
        let runtime = installed(lab);
        let mut config = Config::new().args(&["sleep", "1000"]).without_namespace("pid");
        for set in ["bounding", "effective", "permitted"] {
            config = config.push(&format!("/process/capabilities/{set}"), json!("CAP_SYS_PTRACE"));
        }
        let c = lab.started(&config);
        let mut parent = exec(lab, &runtime, &c, &["sh", "-c", "echo ready; read line"]).stdin_pipe().spawn();
        parent.wait_stdout("ready");
        let attacker = attacker(lab, &runtime, &c, &parent.pid().to_string());
        attacker.wait_stdout("holding");
        drop(parent.stdin());
        parent.wait();
        assert_eq!(verdict(attacker), "refused");
        assert!(fs::read(&runtime).unwrap() == fs::read(lab.binary()).unwrap(), "the binary was changed");
    }
}
