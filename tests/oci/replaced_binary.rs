//! The runtime's binary is replaced while its containers run, as a package upgrade does it.

use std::fs;

use testkit::{Config, conformance};

conformance! {
    fn containers_of_the_former_binary_are_served_by_the_next(lab) {
        let installed = lab.path("runtime");
        fs::copy(lab.binary(), &installed).unwrap();
        let c = lab.bundle(&Config::new());
        let upgraded = |arguments: &[&str]| lab.program(&installed).args(["--root"]).args([lab.root()]).args(arguments);
        upgraded(&["create", "--bundle", c.bundle().to_str().unwrap(), c.id()]).ok();
        upgraded(&["start", c.id()]).ok();
        let script = "echo ready; read line; exit 9";
        let mut running = upgraded(&["exec", c.id(), "sh", "-c", script]).stdin_pipe().spawn();
        running.wait_stdout("ready");

        fs::copy(lab.binary(), lab.path("next")).unwrap();
        fs::rename(lab.path("next"), &installed).unwrap();
        upgraded(&["state", c.id()]).ok();
        upgraded(&["exec", c.id(), "true"]).ok();
        upgraded(&["pause", c.id()]).ok();
        upgraded(&["resume", c.id()]).ok();
        drop(running.stdin());
        running.wait().code(9);
        upgraded(&["delete", "--force", c.id()]).ok();
    }
}
