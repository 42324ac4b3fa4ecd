//! Programs that are missing, closed, or no programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::json;
use testkit::{Config, Container, Lab};

use crate::refusal::{process, refused, refused_process};
use crate::truth;

/// Puts a file into the container; it is closed before anything executes it.
fn plant(c: &Container<'_>, path: &str, bytes: &[u8], mode: u32) {
    let file = c.rootfs(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, bytes).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
}

/// A program of the host that needs the C library's loader.
fn dynamic_program(lab: &Lab) -> Vec<u8> {
    let source = lab.write("dynamic.c", "int main(void) { return 0; }\n");
    let program = lab.path("dynamic");
    lab.program("cc").args(["-o"]).args([&program, &source]).ok();
    fs::read(program).unwrap()
}

fn busybox(c: &Container<'_>) -> Vec<u8> {
    fs::read(c.rootfs("/bin/busybox")).unwrap()
}

truth! {
    fn a_missing_program_is_named(lab) {
        let c = lab.sleeper();
        plant(&c, "/tool", b"x", 0o644);
        symlink("/no/where", c.rootfs("/dangling")).unwrap();
        for (program, text) in [
            ("no-such", "exec: \"no-such\": executable file not found in $PATH"),
            ("/no/such", "exec: \"/no/such\": no such file or directory"),
            ("./such", "exec: \"./such\": no such file or directory"),
            ("/dangling", "exec: \"/dangling\": no such file or directory"),
            ("/tool/x", "exec: \"/tool/x\": not a directory: /tool is a file"),
        ] {
            refused(lab, &c, &[], &[program], text);
        }
        let text = "exec: \"sh\": executable file not found in $PATH";
        refused(lab, &c, &["--env", "PATH=/empty:relative"], &["sh"], text);
        refused(lab, &c, &["--env", "PATH="], &["sh"], text);
    }

    fn a_program_whose_loader_is_missing_names_the_loader(lab) {
        let c = lab.sleeper();
        plant(&c, "/bin/dynamic", &dynamic_program(lab), 0o755);
        let reason =
            "no such file or directory: it needs the loader /lib64/ld-linux-x86-64.so.2, which the image lacks";
        refused(lab, &c, &[], &["/bin/dynamic"], &format!("exec: \"/bin/dynamic\": {reason}"));
        refused(lab, &c, &[], &["dynamic"], &format!("exec: \"dynamic\": {reason}"));
    }

    fn a_script_whose_interpreter_is_missing_names_it(lab) {
        let c = lab.sleeper();
        plant(&c, "/script", b"#!/no/such/interp -x\nexit 0\n", 0o755);
        plant(&c, "/windows", b"#!/bin/sh\r\nexit 0\r\n", 0o755);
        plant(&c, "/second", b"#!/script\n", 0o755);
        for (program, interpreter) in [
            ("/script", "/no/such/interp"),
            ("/windows", "/bin/sh\\r"),
            ("/second", "/script, and that wants /no/such/interp"),
        ] {
            let reason = format!("the script wants {interpreter}, which the image lacks");
            let text = format!("exec: \"{program}\": no such file or directory: {reason}");
            refused(lab, &c, &[], &[program], &text);
        }
    }

    fn a_file_that_is_no_program_says_what_it_is(lab) {
        let c = lab.sleeper();
        let program = busybox(&c);
        let mut arm = program.clone();
        arm[18] = 183;
        plant(&c, "/text", b"echo hello\n", 0o755);
        plant(&c, "/empty", b"", 0o755);
        plant(&c, "/short", &program[..20], 0o755);
        plant(&c, "/cut", &program[..100], 0o755);
        plant(&c, "/arm", &arm, 0o755);
        for (program, reason) in [
            ("/text", "it is neither an ELF program nor a script with a \"#!\" line"),
            ("/empty", "the file is empty"),
            ("/short", "the ELF header is cut short"),
            ("/cut", "the ELF program is cut short or damaged"),
            ("/arm", "it is built for aarch64, this host is x86_64"),
        ] {
            let text = format!("exec: \"{program}\": exec format error (permission denied to run it): {reason}");
            refused(lab, &c, &[], &[program], &text);
        }
    }

    fn a_file_that_nobody_may_execute_says_why(lab) {
        let c = lab.started(&Config::new().mount("/noexec", "tmpfs", "tmpfs", &["noexec", "mode=755"]));
        lab.program("mkfifo").args([c.rootfs("/fifo")]).ok();
        c.exec(&["cp", "/bin/busybox", "/noexec/busybox"]).ok();
        let noexec = "it lies on a file system mounted noexec";
        for (program, text) in [
            ("/etc/passwd", "permission denied: the file is not executable (mode 0644)"),
            ("/etc", "is a directory"),
            ("/dev/null", "permission denied: it is a character device, not a program"),
            ("/fifo", "permission denied: it is a fifo, not a program"),
            ("/proc/version", "permission denied: the file is not executable (mode 0444)"),
            ("/proc/self/status", "permission denied"),
            ("/noexec/busybox", &format!("permission denied: {noexec}")),
        ] {
            refused(lab, &c, &[], &[program], &format!("exec: \"{program}\": {text}"));
        }
    }

    fn a_user_without_the_right_is_named_with_the_place(lab) {
        // CAP_DAC_OVERRIDE would open every file with some execute bit.
        let c = lab.started(&Config::new().capabilities(&["CAP_KILL"]));
        plant(&c, "/own", &busybox(&c), 0o700);
        plant(&c, "/closed/deep/busybox", &busybox(&c), 0o755);
        fs::set_permissions(c.rootfs("/closed"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("/closed/deep/busybox", c.rootfs("/link")).unwrap();
        let flags = ["--user", "1000:1000"];
        for (program, reason) in [
            ("/own", "uid 1000 may not execute it (mode 0700, owner 0:0)"),
            ("/closed/deep/busybox", "uid 1000 may not search /closed (mode 0700, owner 0:0)"),
            ("/link", "uid 1000 may not search /closed (mode 0700, owner 0:0)"),
        ] {
            let text = format!("exec: \"{program}\": permission denied: {reason}");
            refused(lab, &c, &flags, &[program], &text);
        }
    }

    fn a_capability_or_an_id_of_the_container_is_not_what_closes_a_directory(lab) {
        // Root goes through with CAP_DAC_OVERRIDE; in its user namespace 1000 owns what is 101000's on the host.
        for (config, owner) in [(Config::new(), 1000), (Config::new().user_namespace(100_000), 101_000)] {
            let c = lab.bundle(&config);
            plant(&c, "/home/u/prog", &busybox(&c), 0o644);
            for path in ["/home/u", "/home/u/prog"] {
                chown(c.rootfs(path), Some(owner), Some(owner)).unwrap();
            }
            fs::set_permissions(c.rootfs("/home/u"), fs::Permissions::from_mode(0o700)).unwrap();
            c.create().ok();
            c.start().ok();
            for user in ["0:0", "1000:1000"] {
                let text = "exec: \"/home/u/prog\": permission denied: the file is not executable (mode 0644)";
                refused(lab, &c, &["--user", user], &["/home/u/prog"], text);
            }
        }
    }

    fn a_file_of_an_id_that_is_not_mapped_is_not_roots(lab) {
        let c = lab.bundle(&Config::new().user_namespace(100_000));
        plant(&c, "/foreign/busybox", &busybox(&c), 0o755);
        chown(c.rootfs("/foreign"), Some(5), Some(100_007)).unwrap();
        fs::set_permissions(c.rootfs("/foreign"), fs::Permissions::from_mode(0o750)).unwrap();
        c.create().ok();
        c.start().ok();
        let text = "exec: \"/foreign/busybox\": permission denied: \
                    uid 0 may not search /foreign (mode 0750, owner 65534:7)";
        refused(lab, &c, &[], &["/foreign/busybox"], text);
    }

    fn a_script_whose_interpreter_may_not_run_says_so(lab) {
        let c = lab.sleeper();
        plant(&c, "/script", b"#!/etc/passwd\n", 0o755);
        let text = "exec: \"/script\": permission denied: its interpreter /etc/passwd is not executable (mode 0644)";
        refused(lab, &c, &[], &["/script"], text);
    }

    fn links_in_a_circle_are_told(lab) {
        let c = lab.sleeper();
        symlink("/b", c.rootfs("/a")).unwrap();
        symlink("/a", c.rootfs("/b")).unwrap();
        let text = "exec: \"/a\": no such file or directory: the symbolic links go in a circle";
        refused(lab, &c, &[], &["/a"], text);
    }

    fn a_program_open_for_writing_is_busy(lab) {
        let c = lab.sleeper();
        plant(&c, "/busy", &busybox(&c), 0o755);
        let open = fs::File::options().append(true).open(c.rootfs("/busy")).unwrap();
        let text = "exec: \"/busy\": text file busy (permission denied to run it): it is open for writing";
        refused(lab, &c, &[], &["/busy"], text);
        drop(open);
    }

    fn one_argument_too_long_is_counted(lab) {
        let c = lab.sleeper();
        let long = "x".repeat(131_072);
        let text = |what| format!("exec: \"true\": {what} is 131073 bytes, the kernel takes 131072");
        refused_process(lab, &c, &process(&["true", "a", &long]), &text("argument 2"));
        let mut wanted = process(&["true"]);
        wanted["env"] = json!(["PATH=/bin", format!("V={}", &long[2..])]);
        refused_process(lab, &c, &wanted, &text("environment entry 1"));
        let longest = lab.write("process.json", &process(&["true", &long[1..]]).to_string());
        c.exec_with(&["--process", longest.to_str().unwrap()], &[]).ok();
    }

    fn arguments_too_long_together_are_counted(lab) {
        let c = lab.sleeper();
        let long = "x".repeat(99_999);
        let arguments: Vec<&str> = std::iter::once("true").chain(std::iter::repeat_n(&*long, 70)).collect();
        let bytes = 5 + 70 * 100_000 + "PATH=/bin".len() + 1 + "HOME=/root".len() + 1;
        let text = format!(
            "exec: \"true\": arguments and environment are {bytes} bytes, more than the kernel takes \
             (a quarter of RLIMIT_STACK, at most 6 MiB)"
        );
        let mut description = process(&arguments);
        description["env"] = serde_json::json!(["PATH=/bin", "HOME=/root"]);
        refused_process(lab, &c, &description, &text);
    }

    fn a_read_only_root_is_no_obstacle(lab) {
        let c = lab.started(&Config::new().set("/root/readonly", json!(true)));
        c.exec(&["true"]).ok();
    }

    fn a_hidden_proc_is_no_obstacle(lab) {
        let hidden = Config::new().set("/mounts/0/destination", json!("/run/proc"));
        let hidden = hidden.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
        let c = lab.started(&hidden);
        assert!(!Path::new(&format!("/proc/{}/root/proc/self", c.pid())).exists());
        c.exec(&["true"]).ok();
        refused(lab, &c, &[], &["/no/such"], "exec: \"/no/such\": no such file or directory");
    }
}
