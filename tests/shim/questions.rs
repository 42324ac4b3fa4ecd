//! Questions, and the operations of other containers, are answered while a verb is stuck.

use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{
    ConnectRequest, ConnectResponse, DeleteRequest, DeleteResponse, KillRequest, PidsRequest, PidsResponse,
    StatsRequest, StatsResponse, Status, WaitRequest, WaitResponse,
};
use protobuf::well_known_types::empty::Empty;
use testkit::hang::eventually;
use testkit::{Config, Container};

use crate::session::{Session, call, sessions};

/// A hook that stalls until the file `go` is there, and says by the file `stalled` that it does.
pub(crate) struct Stall {
    stalled: PathBuf,
    go: PathBuf,
}

impl Stall {
    pub(crate) fn new(session: &Session<'_>) -> Self {
        Self { stalled: session.lab.path("stalled"), go: session.lab.path("go") }
    }

    pub(crate) fn script(&self) -> String {
        let Self { stalled, go } = self;
        format!("touch {}; while [ ! -e {} ]; do sleep 0.01; done", stalled.display(), go.display())
    }

    pub(crate) fn wait(&self) {
        eventually("the verb to stall", || self.stalled.exists());
    }

    pub(crate) fn end(&self, session: &Session<'_>) {
        assert_eq!(self.go, session.lab.path("go"));
        session.lab.write("go", "");
    }
}

/// Everything that must be answered about the first container, and an exec in it.
fn assert_answers(session: &Session<'_>, exec_id: &str) {
    let id = session.first().id().to_owned();
    assert_eq!(session.status(""), Status::RUNNING);
    let pids: PidsResponse = session.ok("Pids", &PidsRequest { id: id.clone(), ..PidsRequest::default() });
    assert!(!pids.processes.is_empty());
    let _stats: StatsResponse =
        session.ok("Stats", &StatsRequest { id: id.clone(), ..StatsRequest::default() });
    let _connect: ConnectResponse =
        session.ok("Connect", &ConnectRequest { id, ..ConnectRequest::default() });
    session.exec(exec_id, &["/bin/true"]);
    assert_eq!(session.wait(exec_id), 0);
}

/// Kills and deletes a container other than the first.
pub(crate) fn remove(session: &Session<'_>, id: &str) {
    let kill = KillRequest { id: id.into(), signal: 9, all: true, ..KillRequest::default() };
    let _ended: Result<Empty, _> = session.call("Kill", &kill);
    let wait = WaitRequest { id: id.into(), ..WaitRequest::default() };
    let _ended: WaitResponse = session.ok("Wait", &wait);
    let _gone: DeleteResponse =
        session.ok("Delete", &DeleteRequest { id: id.into(), ..DeleteRequest::default() });
}

/// Runs `verb` on a client of its own while the first container is asked.
fn while_stalled(
    session: &Session<'_>,
    stall: &Stall,
    exec_id: &str,
    verb: impl FnOnce(&ttrpc::Client) + Send,
) {
    std::thread::scope(|scope| {
        let client = session.another_client();
        let verb = scope.spawn(move || verb(&client));
        stall.wait();
        assert_answers(session, exec_id);
        stall.end(session);
        verb.join().unwrap();
    });
}

fn hooked<'lab>(session: &Session<'lab>, kind: &str, stall: &Stall) -> Container<'lab> {
    session.lab.bundle(&Config::new().hook(kind, &stall.script()))
}

fn exists(path: &Path) -> bool {
    path.exists()
}

sessions! {
    ours
    /// The stock shim answers too while a container is created, since that is not in its table yet.
    fn a_create_that_is_stuck_holds_up_nobody(session) {
        session.run_first();
        let stall = Stall::new(session);
        let other = hooked(session, "createRuntime", &stall);
        let request = session.create_request(&other);
        while_stalled(session, &stall, "during", |client| {
            let _made: containerd_shim_protos::api::CreateTaskResponse = call(client, "Create", &request).unwrap();
        });
        remove(session, other.id());
        session.remove_first();
    }

    ours
    /// With the stock shim `State` waits for the lock of the init that is being started.
    fn a_start_that_is_stuck_holds_up_nobody(session) {
        session.run_first();
        let stall = Stall::new(session);
        let other = hooked(session, "poststart", &stall);
        session.create(&other).unwrap();
        let id = other.id().to_owned();
        while_stalled(session, &stall, "during", |client| {
            let start = containerd_shim_protos::api::StartRequest { id, ..Default::default() };
            let _begun: containerd_shim_protos::api::StartResponse = call(client, "Start", &start).unwrap();
        });
        remove(session, other.id());
        session.remove_first();
    }

    ours
    /// With the stock shim `State` of that container waits as long as its deletion does.
    fn a_delete_that_is_stuck_holds_up_nobody(session) {
        session.run_first();
        let stall = Stall::new(session);
        let other = hooked(session, "poststop", &stall);
        session.create(&other).unwrap();
        let id = other.id().to_owned();
        while_stalled(session, &stall, "during", |client| {
            let delete = DeleteRequest { id, ..DeleteRequest::default() };
            let _gone: DeleteResponse = call(client, "Delete", &delete).unwrap();
        });
        assert!(exists(&stall.stalled));
        session.remove_first();
    }
}
