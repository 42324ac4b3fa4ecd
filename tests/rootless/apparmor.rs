//! `process.apparmorProfile` and `exec --apparmor`, with a profile that is loaded into the kernel.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use testkit::{Config, Lab, conformance, partner, process};

/// A profile in the kernel; taken out when dropped.
struct Profile<'lab> {
    lab: &'lab Lab,
    name: String,
    file: PathBuf,
}

impl<'lab> Profile<'lab> {
    /// A profile that allows everything but one file. `None`, said aloud, where the kernel has no `AppArmor`.
    fn load(lab: &'lab Lab) -> Option<Self> {
        let enabled = fs::read("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        if !enabled.starts_with(b"Y") {
            partner::not_run("this kernel runs without AppArmor");
            return None;
        }
        partner::find("apparmor_parser")?;
        let name = lab.group().trim_start_matches('/').to_owned();
        let rules = "file, capability, network, signal, ptrace, mount, umount, pivot_root, deny /secret rw,";
        let text = format!("profile {name} flags=(attach_disconnected,mediate_deleted) {{ {rules} }}\n");
        let profile = Self { lab, name, file: lab.write("profile", &text) };
        profile.parser("--replace");
        Some(profile)
    }

    fn parser(&self, action: &str) {
        self.lab.program("apparmor_parser").args([action]).args([&self.file]).ok();
    }

    fn confined(&self) -> Config {
        Config::new().set("/process/apparmorProfile", json!(self.name))
    }
}

impl Drop for Profile<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.parser("--remove");
        }
    }
}

fn current(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/attr/current")).unwrap().trim().to_owned()
}

conformance! {
    fn a_container_and_its_execs_run_under_the_profile(lab) {
        let Some(profile) = Profile::load(lab) else { return };
        for no_new_privileges in [false, true] {
            let config = profile.confined().set("/process/noNewPrivileges", json!(no_new_privileges));
            let c = lab.started(&config);
            let enforced = format!("{} (enforce)", profile.name);
            testkit::hang::eventually("init to sleep", || process::status_line(c.pid(), "Name") == "sleep");
            assert_eq!(current(c.pid()), enforced);
            c.exec(&["cat", "/proc/self/attr/current"]).ok().prints(&enforced);
            c.exec(&["sh", "-c", "echo open > /open && cat /open"]).ok().prints("open");
            c.exec(&["sh", "-c", "echo hidden > /secret"]).code(1).says("permission denied");
            c.delete_force();
        }
    }

    fn an_exec_can_have_another_profile(lab) {
        let Some(profile) = Profile::load(lab) else { return };
        let c = lab.sleeper();
        c.exec_with(&["--apparmor", &profile.name], &["cat", "/proc/self/attr/current"])
            .ok()
            .prints(&format!("{} (enforce)", profile.name));
        assert_eq!(current(c.pid()), "unconfined");
    }

    fn a_profile_that_is_not_loaded_is_named(lab) {
        let Some(_enabled) = Profile::load(lab) else { return };
        let missing = "sluice-test-nobody-loaded-it";
        let c = lab.bundle(&Config::new().set("/process/apparmorProfile", json!(missing)));
        let create = c.create().code(1);
        let running = lab.sleeper();
        let exec = running.exec_with(&["--apparmor", missing], &["true"]).run().code(255);
        if !lab.is_reference() {
            for output in [create, exec] {
                output.says(&format!("the AppArmor profile \"{missing}\" is not loaded: load it with apparmor_parser"));
            }
        }
    }
}
