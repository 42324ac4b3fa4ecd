//! A bus that is not there, does not answer, or is restarted.

use crate::scope::{Scope, systemd_alone};
use std::os::unix::net::UnixListener;
use testkit::hang::eventually;
use testkit::{Config, conformance};

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
        eventually("systemd to forget the unit", || scope.property("LoadState") == "not-found");
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
}
