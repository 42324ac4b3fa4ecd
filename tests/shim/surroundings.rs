//! What may happen around a shim: a log that nobody reads, a bundle that goes, a shim that ends while it is wanted.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use containerd_shim_protos::api::{ShutdownRequest, Status};
use protobuf::well_known_types::empty::Empty;
use serde_json::json;
use testkit::Config;
use testkit::hang::eventually;
use ttrpc::Code;

use crate::session::{LogReader, call, sessions};

sessions! {
    ours
    /// A full log drops lines; it holds up nobody.
    fn a_full_log_holds_up_nobody(session) {
        session.run_first();
        let log = session.first().bundle().join("log");
        let mut fifo = std::fs::File::options().read(true).write(true).custom_flags(0o4000).open(log).unwrap();
        while std::io::Write::write(&mut fifo, &[b'x'; 4096]).is_ok() {}
        // Each of these has something to say.
        for number in 0..20 {
            let id = format!("e{number}");
            session.add_exec(&id, &["/no/such"]).unwrap();
            assert!(session.start_process(session.first().id(), &id).is_err());
        }
        assert_eq!(session.status(""), Status::RUNNING);
        let mut bytes = [0; 16];
        assert_eq!(fifo.read(&mut bytes).unwrap(), 16);
        assert_eq!(bytes, [b'x'; 16]);
        session.remove_first();
    }

    ours
    /// containerd removes the bundle, which is the shim's working directory; execs and the end go on without it.
    fn a_bundle_that_vanishes_harms_nobody(session) {
        session.run_first();
        let bundle = session.first().bundle().to_owned();
        let away = session.lab.path("away");
        std::fs::rename(&bundle, &away).unwrap();
        session.exec("e", &["/bin/true"]);
        assert_eq!(session.wait("e"), 0);
        assert_eq!(session.status(""), Status::RUNNING);
        std::fs::rename(&away, &bundle).unwrap();
        session.remove_first();
    }

    ours
    /// A shim with a container does not shut down; one that does takes no container any more and is not found.
    fn a_shim_that_shuts_down_takes_no_container(session) {
        session.run_first();
        let _stays: Empty = session.ok("Shutdown", &ShutdownRequest::new());
        assert_eq!(session.status(""), Status::RUNNING);
        session.remove_first();
        let other = session.another_client();
        let request = session.create_request(session.first());
        let _ends: Empty = session.ok("Shutdown", &ShutdownRequest::new());
        assert!(!session.socket().exists());
        let refused = call::<_, Empty>(&other, "Create", &request).unwrap_err();
        match refused {
            ttrpc::Error::RpcStatus(status) => assert_eq!(status.code(), Code::UNAVAILABLE, "{}", status.message),
            gone => eprintln!("it was gone already: {gone}"),
        }
    }

    ours
    /// On v1 a frozen process does not die of SIGKILL, as one in an uninterruptible sleep: the kill is answered, the
    /// process is said to run because it does, and the log names it. The stock shim says nothing.
    fn a_process_that_cannot_die_is_named_and_not_said_to_be_dead(session) {
        session.run_first();
        let freezer = session.first().control("freezer", "freezer.state");
        if !freezer.exists() {
            session.remove_first();
            return testkit::partner::not_run("no v1 freezer here: on v2 a frozen process dies of SIGKILL");
        }
        session.exec("e", &["/bin/sleep", "1000000"]);
        std::fs::OpenOptions::new().write(true).open(&freezer).and_then(|mut file| {
            std::io::Write::write_all(&mut file, b"FROZEN")
        }).unwrap();
        let _answered: Empty = session.ok("Kill", &session.kill_request("e", 9));
        assert_eq!(session.status("e"), Status::RUNNING);
        let log = session.first().bundle().join("log");
        let mut fifo = std::fs::File::options().read(true).write(true).custom_flags(0o4000).open(log).unwrap();
        let mut text = String::new();
        eventually("the log to name the process", || {
            let mut bytes = [0; 4096];
            if let Ok(count) = fifo.read(&mut bytes) {
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            text.contains("not ended")
        });
        assert_eq!(session.status("e"), Status::RUNNING);
        std::fs::OpenOptions::new().write(true).open(&freezer).and_then(|mut file| {
            std::io::Write::write_all(&mut file, b"THAWED")
        }).unwrap();
        assert_eq!(session.wait("e"), 137);
        session.remove_first();
    }

    ours
    /// The path of somebody who uses the systemd driver, and options that do not say so. The stock shim, too, makes a
    /// directory with colons in its name, and says nothing.
    fn a_scope_that_nobody_has_systemd_make_is_warned_of(session) {
        let path = format!("sluice_test.slice:cri-containerd:{}", session.first().id());
        session.first().write_config(&Config::new().set("/linux/cgroupsPath", json!(path)));
        let mut log = LogReader::new(session);
        session.run_first();
        log.wait("names a slice and a scope, but systemd is not asked");
        session.remove_first();
    }
}
