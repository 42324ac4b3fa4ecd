//! One shim without containerd: started as containerd starts it, asked through its socket, with a server of ours in the
//! place of containerd's that takes its events.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use containerd_shim_protos::api::{
    CreateTaskRequest, CreateTaskResponse, DeleteRequest, DeleteResponse, ExecProcessRequest, KillRequest,
    StartRequest, StartResponse, StateRequest, StateResponse, Status, WaitRequest, WaitResponse,
};
use containerd_shim_protos::events::task::{TaskExecStarted, TaskExit};
use containerd_shim_protos::shim::events::ForwardRequest;
use containerd_shim_protos::shim::oci::Options;
use containerd_shim_protos::{Events, create_events};
use protobuf::well_known_types::any::Any;
use protobuf::well_known_types::empty::Empty;
use protobuf::{Message, MessageField};
use serde_json::json;
use testkit::command::Running;
use testkit::hang::{eventually, eventually_some};
use testkit::shim::Shim;
use testkit::{Config, Container, Lab, Runtime, partner};
use ttrpc::{Client, Code, Server, TtrpcContext};

/// containerd's namespace of these tests.
pub(crate) const NAMESPACE: &str = "test";

/// How long an answer may take.
const LONGEST: Duration = Duration::from_mins(4);

/// Declares tests: `fn name(session) { ... }` becomes `name::stock` and `name::sluice`, or with `ours` only the latter,
/// for what the stock shim is known to get wrong.
macro_rules! sessions {
    (@one $shim:ident $name:ident $session:ident $body:block) => {
        #[test]
        fn $name() {
            $crate::session::run(::testkit::shim::Shim::$shim, |$session| $body);
        }
    };
    ($(#[doc = $doc:literal] fn $name:ident($session:ident) $body:block)*) => {$(
        #[doc = $doc]
        mod $name {
            use super::*;
            sessions! { @one Stock stock $session $body }
            sessions! { @one Sluice sluice $session $body }
        }
    )*};
    ($(ours $(#[doc = $doc:literal])+ fn $name:ident($session:ident) $body:block)*) => {$(
        $(#[doc = $doc])+
        mod $name {
            use super::*;
            sessions! { @one Sluice sluice $session $body }
        }
    )*};
}
pub(crate) use sessions;

/// Runs `body` with a shim of its own, and asserts that it leaves nothing.
pub(crate) fn run(shim: Shim, body: impl FnOnce(&Session<'_>)) {
    if !partner::is_root() {
        return;
    }
    let (Some(binary), Some(runc)) = (shim.find(), partner::find("runc")) else { return };
    let lab = Lab::new(Runtime::Runc, runc);
    let session = Session::start(&lab, shim, binary);
    body(&session);
    session.end();
    lab.assert_nothing_left();
}

/// An event as it came.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) topic: String,
    pub(crate) value: Vec<u8>,
}

/// Takes the events that containerd would.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Event>>>);

impl Recorder {
    /// Listens on the lab's socket for events.
    pub(crate) fn serve(&self, lab: &Lab) -> Server {
        let server = Server::new().bind(&format!("unix://{}", lab.path("e").display())).unwrap();
        let mut server = server.register_service(create_events(Arc::new(self.clone())));
        server.start().unwrap();
        server
    }

    /// Takes no event as long as this is kept.
    pub(crate) fn hold(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every event so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Events for Recorder {
    fn forward(&self, _context: &TtrpcContext, request: ForwardRequest) -> ttrpc::Result<Empty> {
        let envelope = request.envelope.unwrap();
        assert_eq!(envelope.namespace, NAMESPACE);
        let event = Event { topic: envelope.topic, value: envelope.event.unwrap().value };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        Ok(Empty::new())
    }
}

/// A shim that runs.
pub(crate) struct Session<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) shim: Shim,
    pub(crate) binary: PathBuf,
    recorder: Recorder,
    server: Mutex<Option<Server>>,
    address: String,
    client: Client,
    first: Container<'lab>,
}

impl<'lab> Session<'lab> {
    fn start(lab: &'lab Lab, shim: Shim, binary: PathBuf) -> Self {
        let recorder = Recorder::default();
        let server = Mutex::new(Some(recorder.serve(lab)));
        let first = lab.bundle(&Config::new());
        let output = begin(lab, &binary, &first, &Beginning::default());
        let address = String::from_utf8(output.stdout).unwrap();
        assert!(address.starts_with("unix://"), "{address} {}", String::from_utf8_lossy(&output.stderr));
        let client = Client::connect(&address).unwrap();
        Self { lab, shim, binary, recorder, server, address, client, first }
    }

    /// True for the stock shim, after saying aloud what it does instead.
    pub(crate) fn stock_differs(&self, how: &str) -> bool {
        let stock = self.shim == Shim::Stock;
        if stock {
            testkit::partner::not_run(&format!("the stock shim {how}"));
        }
        stock
    }

    /// Another client.
    pub(crate) fn another_client(&self) -> Client {
        Client::connect(&self.address).unwrap()
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.address.trim_start_matches("unix://").into()
    }

    /// The container that the shim was started for.
    pub(crate) fn first(&self) -> &Container<'lab> {
        &self.first
    }

    /// Calls a method of the task service.
    pub(crate) fn call<Q: Message, A: Message>(&self, method: &str, request: &Q) -> Result<A, ttrpc::Error> {
        call(&self.client, method, request)
    }

    /// Calls a method that must succeed.
    #[track_caller]
    pub(crate) fn ok<Q: Message, A: Message>(&self, method: &str, request: &Q) -> A {
        self.call(method, request).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method that must fail with this code; gives the message.
    #[track_caller]
    pub(crate) fn refused<Q: Message>(&self, method: &str, request: &Q, code: Code) -> String {
        match self.call::<Q, Empty>(method, request) {
            Err(ttrpc::Error::RpcStatus(status)) => {
                assert_eq!(status.code(), code, "{method}: {}", status.message);
                status.message
            }
            other => panic!("{method}: {other:?}"),
        }
    }

    /// `Create` without streams.
    pub(crate) fn create(&self, container: &Container<'_>) -> Result<CreateTaskResponse, ttrpc::Error> {
        self.call("Create", &self.create_request(container))
    }

    /// What `Create` is asked for.
    pub(crate) fn create_request(&self, container: &Container<'_>) -> CreateTaskRequest {
        let options = Options { root: self.lab.path("state").display().to_string(), ..Options::default() };
        CreateTaskRequest {
            id: container.id().to_owned(),
            bundle: container.bundle().display().to_string(),
            options: MessageField::some(any("containerd.runc.v1.Options", &options)),
            ..CreateTaskRequest::default()
        }
    }

    /// Changes the options of what `Create` is asked for.
    pub(crate) fn options(request: &mut CreateTaskRequest, change: impl FnOnce(&mut Options)) {
        let given = request.options.as_mut().unwrap();
        let mut options = Options::parse_from_bytes(&given.value).unwrap();
        change(&mut options);
        given.value = options.write_to_bytes().unwrap();
    }

    /// Creates and starts the first container; gives its pid.
    #[track_caller]
    pub(crate) fn run_first(&self) -> u32 {
        self.create(&self.first).unwrap();
        self.start_process(self.first.id(), "").unwrap()
    }

    /// `Start`; gives the pid.
    pub(crate) fn start_process(&self, id: &str, exec_id: &str) -> Result<u32, ttrpc::Error> {
        let request = StartRequest { id: id.into(), exec_id: exec_id.into(), ..StartRequest::default() };
        self.call("Start", &request).map(|answer: StartResponse| answer.pid)
    }

    /// `Exec` of a command in the first container.
    pub(crate) fn add_exec(&self, exec_id: &str, args: &[&str]) -> Result<Empty, ttrpc::Error> {
        self.call("Exec", &self.exec_request(exec_id, args))
    }

    /// What `Exec` is asked for.
    pub(crate) fn exec_request(&self, exec_id: &str, args: &[&str]) -> ExecProcessRequest {
        let spec = json!({"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}});
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Process".to_owned();
        ExecProcessRequest {
            id: self.first.id().to_owned(),
            exec_id: exec_id.to_owned(),
            spec: MessageField::some(Any { type_url, value: spec.to_string().into(), ..Any::default() }),
            ..ExecProcessRequest::default()
        }
    }

    /// Adds and starts an exec in the first container; gives its pid.
    #[track_caller]
    pub(crate) fn exec(&self, exec_id: &str, args: &[&str]) -> u32 {
        self.add_exec(exec_id, args).unwrap();
        self.start_process(self.first.id(), exec_id).unwrap()
    }

    /// `Wait` on a process of the first container.
    #[track_caller]
    pub(crate) fn wait(&self, exec_id: &str) -> u32 {
        let request =
            WaitRequest { id: self.first.id().into(), exec_id: exec_id.into(), ..WaitRequest::default() };
        self.ok::<_, WaitResponse>("Wait", &request).exit_status
    }

    /// `State` of a process of the first container.
    #[track_caller]
    pub(crate) fn state(&self, exec_id: &str) -> StateResponse {
        self.ok("State", &self.state_request(exec_id))
    }

    pub(crate) fn state_request(&self, exec_id: &str) -> StateRequest {
        StateRequest { id: self.first.id().into(), exec_id: exec_id.into(), ..StateRequest::default() }
    }

    /// Its status.
    #[track_caller]
    pub(crate) fn status(&self, exec_id: &str) -> Status {
        self.state(exec_id).status.enum_value().unwrap()
    }

    /// What `Kill` is asked for, on a process of the first container.
    pub(crate) fn kill_request(&self, exec_id: &str, signal: u32) -> KillRequest {
        KillRequest { id: self.first.id().into(), exec_id: exec_id.into(), signal, ..KillRequest::default() }
    }

    /// What `Delete` is asked for, on a process of the first container.
    pub(crate) fn delete_request(&self, exec_id: &str) -> DeleteRequest {
        DeleteRequest { id: self.first.id().into(), exec_id: exec_id.into(), ..DeleteRequest::default() }
    }

    /// Kills and deletes the first container.
    #[track_caller]
    pub(crate) fn remove_first(&self) -> DeleteResponse {
        let _ended: Result<Empty, _> = self.call("Kill", &self.kill_request("", 9));
        self.wait("");
        self.ok("Delete", &self.delete_request(""))
    }

    /// Every event so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.recorder.events()
    }

    /// Does something while nobody takes events, as while containerd restarts.
    pub(crate) fn without_containerd(&self, meanwhile: impl FnOnce()) {
        let mut server = self.server.lock().unwrap();
        server.take().unwrap().shutdown();
        std::fs::remove_file(self.lab.path("e")).unwrap();
        meanwhile();
        *server = Some(self.recorder.serve(self.lab));
    }

    /// The exits so far, in their order.
    pub(crate) fn exits(&self) -> Vec<TaskExit> {
        let events = self.events().into_iter().filter(|event| event.topic == "/tasks/exit");
        events.map(|event| TaskExit::parse_from_bytes(&event.value).unwrap()).collect()
    }

    /// Waits for the exit of a process; the id is that of the exec, or of the container.
    #[track_caller]
    pub(crate) fn exit_of(&self, id: &str) -> TaskExit {
        eventually_some(&format!("the exit of {id}"), || self.exits().into_iter().find(|exit| exit.id == id))
    }

    /// Where in the order of events the first one is that `fits`.
    #[track_caller]
    pub(crate) fn place(&self, what: &str, fits: impl Fn(&Event) -> bool) -> usize {
        eventually_some(what, || self.events().iter().position(&fits))
    }

    /// Ends the shim as containerd does when nothing is left.
    fn end(&self) {
        let socket = self.socket();
        let request = containerd_shim_protos::api::ShutdownRequest::new();
        let _gone: Result<Empty, _> = self.call("Shutdown", &request);
        eventually("the socket to go", || !socket.exists());
        eventually("the shim to end", || self.lab.processes().is_empty());
    }
}

impl Event {
    /// Whether it is the start of this exec.
    pub(crate) fn starts(&self, exec_id: &str) -> bool {
        self.topic == "/tasks/exec-started"
            && TaskExecStarted::parse_from_bytes(&self.value).unwrap().exec_id == exec_id
    }

    /// Whether it is the exit of this process.
    pub(crate) fn ends(&self, id: &str) -> bool {
        self.topic == "/tasks/exit" && TaskExit::parse_from_bytes(&self.value).unwrap().id == id
    }
}

/// How a shim is started.
pub(crate) struct Beginning<'a> {
    /// containerd's namespace.
    pub(crate) namespace: &'a str,
    /// More of the environment.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Standard input.
    pub(crate) input: &'a [u8],
}

impl Default for Beginning<'_> {
    fn default() -> Self {
        Self { namespace: NAMESPACE, environment: &[], input: b"" }
    }
}

/// Starts a shim for a container, or finds one.
pub(crate) fn begin(lab: &Lab, binary: &Path, container: &Container<'_>, how: &Beginning<'_>) -> Output {
    make_log(&container.bundle().join("log"));
    let events = lab.path("e").display().to_string();
    let command = lab.daemon(binary).cwd(container.bundle()).env("TTRPC_ADDRESS", events);
    let command = how.environment.iter().fold(command, |command, (name, value)| command.env(name, value));
    let lab_id = lab.path("ctd").display().to_string();
    let flags = ["-namespace", how.namespace, "-address", &lab_id, "-publish-binary", "/bin/false"];
    let running: Running =
        command.stdin_bytes(how.input).args(flags).args(["-id", container.id(), "start"]).spawn();
    let ended = running.wait();
    Output { status: ended.status, stdout: ended.stdout.into_bytes(), stderr: ended.stderr.into_bytes() }
}

/// The fifo that containerd makes for the log of a shim, without which the stock one ends at once; nobody reads it.
///
/// It is open for reading, too, until the end of the tests: the stock shim waits for that, and ours would not notice.
fn make_log(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode};
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => panic!("make {}: {errno}", path.display()),
    }
    let log = File::options().read(true).write(true).open(path).unwrap();
    LOGS.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), log));
}

/// The log of the first container's shim, read on to what is waited for.
pub(crate) struct LogReader {
    fifo: File,
    text: String,
}

impl LogReader {
    /// From the lines that nobody has read yet.
    pub(crate) fn new(session: &Session<'_>) -> Self {
        let path = session.first.bundle().join("log");
        let logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, fifo) = logs.iter().find(|(known, _)| *known == path).unwrap();
        let fifo = fifo.try_clone().unwrap();
        rustix::io::ioctl_fionbio(&fifo, true).unwrap();
        Self { fifo, text: String::new() }
    }

    /// Waits until it says this.
    #[track_caller]
    pub(crate) fn wait(&mut self, wanted: &str) {
        eventually(&format!("the log to say {wanted:?}"), || {
            self.read();
            self.text.contains(wanted)
        });
    }

    /// Takes what is there.
    pub(crate) fn read(&mut self) {
        let mut bytes = [0; 4096];
        while let Ok(count) = std::io::Read::read(&mut self.fifo, &mut bytes) {
            self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// What it has said.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

static LOGS: Mutex<Vec<(PathBuf, File)>> = Mutex::new(Vec::new());

/// Calls a method of the task service under its older name, which both shims have.
pub(crate) fn call<Q: Message, A: Message>(
    client: &Client,
    method: &str,
    request: &Q,
) -> Result<A, ttrpc::Error> {
    call_of(client, "containerd.task.v2.Task", method, request)
}

/// Calls a method of a service.
pub(crate) fn call_of<Q: Message, A: Message>(
    client: &Client,
    service: &str,
    method: &str,
    request: &Q,
) -> Result<A, ttrpc::Error> {
    let mut envelope = ttrpc::Request::new();
    envelope.service = service.to_owned();
    envelope.method = method.to_owned();
    envelope.payload = request.write_to_bytes().unwrap();
    // A hang guard: without it a shim that does not answer holds the test for ever.
    envelope.timeout_nano = i64::try_from(LONGEST.as_nanos()).unwrap();
    let answer = client.request(envelope)?;
    Ok(A::parse_from_bytes(&answer.payload).unwrap())
}

/// A message in an envelope.
pub(crate) fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.write_to_bytes().unwrap(), ..Any::default() }
}
