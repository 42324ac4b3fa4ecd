//! A bus that is not there, does not answer, or is restarted.

use crate::scope::{Scope, systemd, systemd_alone};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::hang::eventually;
use testkit::systemd::wait_gone;
use testkit::{Config, Lab, conformance};

/// A bus that passes everything on until systemd is asked to start a unit, and from then on nothing.
struct Relay {
    address: String,
    holds: Arc<AtomicBool>,
}

impl Relay {
    fn new(lab: &Lab) -> Self {
        let path = lab.path("relay");
        let listener = UnixListener::bind(&path).unwrap();
        let holds = Arc::new(AtomicBool::new(false));
        let relay = Self { address: format!("unix:path={}", path.display()), holds: Arc::clone(&holds) };
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let bus = UnixStream::connect("/run/dbus/system_bus_socket").unwrap();
                let (answers, back) = (bus.try_clone().unwrap(), caller.try_clone().unwrap());
                std::thread::spawn(move || copy(answers, back, |_| true));
                let holds = Arc::clone(&holds);
                let passes = move |bytes: &[u8]| {
                    let starts = bytes.windows(18).any(|window| window == b"StartTransientUnit");
                    holds.fetch_or(starts, Ordering::SeqCst);
                    !starts
                };
                std::thread::spawn(move || copy(caller, bus, passes));
            }
        });
        relay
    }
}

/// Copies until the end, or for ever nothing more after bytes that do not pass.
fn copy(mut from: UnixStream, mut to: UnixStream, passes: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    let mut holds = false;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        holds |= !passes(&buffer[..count]);
        if !holds && to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

conformance! {
    fn no_bus_is_told_with_its_address(lab) {
        // The reference has a second way to systemd.
        if lab.reference_lacks("an address for the bus") {
            return;
        }
        let scope = Scope::bundle(lab, &Config::new());
        let socket = lab.path("no-bus");
        let address = format!("unix:path={}", socket.display());
        let output = scope.create().env("DBUS_SYSTEM_BUS_ADDRESS", &address).run().code(1);
        output.says(&format!("connect to systemd's bus {address}: is dbus running?")).says("cgroupfs");
        let output = scope.create().env("DBUS_SYSTEM_BUS_ADDRESS", "tcp:host=h").run().code(1);
        output.says("must be unix:path=FILE");
    }

    fn a_bus_that_does_not_answer_ends_the_command_within_its_bound(lab) {
        if lab.reference_lacks("a bound") {
            return;
        }
        let scope = Scope::bundle(lab, &Config::new());
        let socket = lab.path("silent-bus");
        let listener = UnixListener::bind(&socket).unwrap();
        let address = format!("unix:path={}", socket.display());
        let output = scope.create().env("DBUS_SYSTEM_BUS_ADDRESS", &address).run().code(1);
        output.says("log in to the bus: no answer on systemd's bus").says(&address);
        drop(listener);
    }

    fn a_restart_of_bus_and_systemd_between_create_and_delete_is_no_matter(lab) {
        let Some(_peace) = systemd_alone() else { return };
        let scope = Scope::sleeper(lab, &Config::new());
        lab.program("systemctl").args(["daemon-reexec"]).ok();
        lab.program("systemctl").args(["restart", "dbus.service"]).ok();
        scope.container.verb("update", &["--pids-limit=21"], &[]).ok();
        assert_eq!(scope.read("pids", "pids.max"), "21");
        scope.container.delete_force().ok();
        wait_gone(lab, &scope.unit());
    }

    fn a_create_during_a_restart_of_systemd_comes_to_an_end(lab) {
        let Some(_peace) = systemd_alone() else { return };
        if lab.reference_lacks("a second question") {
            return;
        }
        let scope = Scope::bundle(lab, &Config::new());
        let reexec = lab.program("systemctl").args(["daemon-reexec"]).spawn();
        scope.create().ok();
        reexec.wait();
        assert_eq!(scope.property("ActiveState"), "active");
        scope.container.delete_force().ok();
    }

    fn without_a_bus_systemd_is_asked_at_its_own_socket(lab) {
        let Some(_peace) = systemd() else { return };
        let scope = Scope::bundle(lab, &Config::new());
        let without_bus = |words: Vec<std::ffi::OsString>| {
            let script = "mount -t tmpfs none /run/dbus && exec \"$@\"";
            lab.program("unshare").args(["--mount", "sh", "-ec", script, "sh"]).args(words)
        };
        without_bus(scope.create().words()).ok();
        assert_eq!(scope.property("ActiveState"), "active");
        without_bus(scope.container.verb("update", &["--pids-limit=21"], &[]).words()).ok();
        assert_eq!((scope.read("pids", "pids.max").as_str(), scope.property("TasksMax").as_str()), ("21", "21"));
        without_bus(scope.container.verb("delete", &["--force"], &[]).words()).ok();
        wait_gone(lab, &scope.unit());
    }

    fn a_create_that_dies_before_systemd_hears_of_it_has_no_unit(lab) {
        let Some(_peace) = systemd() else { return };
        if lab.reference_lacks("an address for the bus") {
            return;
        }
        let relay = Relay::new(lab);
        let scope = Scope::bundle(lab, &Config::new());
        let create = scope.create().env("DBUS_SYSTEM_BUS_ADDRESS", &relay.address).spawn();
        eventually("the request for the unit", || relay.holds.load(Ordering::SeqCst));
        let other = ["--scope", "--quiet", "--slice=sluicetest.slice", "--unit", &scope.unit(), "sleep", "1000000"];
        let other = lab.program("systemd-run").args(other).spawn();
        eventually("the other unit", || scope.property("ActiveState") == "active");
        create.signal(rustix::process::Signal::KILL);
        create.wait();
        scope.container.delete_force().ok();
        let state = scope.property("ActiveState");
        assert!(state == "active" && !other.has_ended(), "the unit of another is {state}");
        other.signal(rustix::process::Signal::KILL);
        other.wait();
    }
}
