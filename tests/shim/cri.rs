//! containerd as a kubelet sees it: the CRI on containerd's socket, and pods through it.
//!
//! `curl` speaks HTTP/2, with the headers and trailers that gRPC needs; a message is what `protobuf` makes of fields by
//! their numbers. Source: kubernetes/cri-api, `pkg/apis/runtime/v1/api.proto`; grpc/doc/PROTOCOL-HTTP2.md.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use protobuf::well_known_types::empty::Empty;
use protobuf::{Message as _, UnknownValueRef};
use testkit::cgroup_driver::CgroupDriver;
use testkit::containerd::Containerd;
use testkit::hang::eventually;
use testkit::runtime::Runtime;
use testkit::shim::Shim;
use testkit::{Lab, partner, process};

/// Status of gRPC: the time was up.
pub(crate) const DEADLINE_EXCEEDED: u32 = 4;

/// `ContainerState`: it runs.
pub(crate) const RUNNING: u64 = 1;

/// `ContainerState`: it has ended.
pub(crate) const EXITED: u64 = 2;

/// The image of every container, the one of the pods, too.
const IMAGE: &str = "localhost/test:1";

/// `NamespaceMode`: the container's own.
const CONTAINER: u64 = 1;

/// `NamespaceMode`: the host's. Such a pod needs no plugin for networks.
const NODE: u64 = 2;

/// Number of the next call.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// A lab for pods; `None`, said aloud, where something is missing.
pub(crate) fn lab() -> Option<Lab> {
    if !partner::is_root() {
        return None;
    }
    partner::find("curl")?;
    partner::find("ctr")?;
    Shim::Sluice.find()?;
    Some(Lab::new(Runtime::Runc, partner::find("runc")?))
}

/// A message by the numbers of its fields.
#[derive(Debug, Default)]
pub(crate) struct Message(Empty);

impl Message {
    pub(crate) fn text(mut self, field: u32, value: impl AsRef<[u8]>) -> Self {
        let fields = self.0.special_fields.mut_unknown_fields();
        fields.add_length_delimited(field, value.as_ref().to_vec());
        self
    }

    pub(crate) fn texts(self, field: u32, values: &[&str]) -> Self {
        values.iter().fold(self, |message, value| message.text(field, value))
    }

    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        self.0.special_fields.mut_unknown_fields().add_varint(field, value);
        self
    }

    pub(crate) fn message(self, field: u32, value: Self) -> Self {
        let bytes = value.0.write_to_bytes().unwrap();
        self.text(field, bytes)
    }

    fn parse(bytes: &[u8]) -> Self {
        Self(Empty::parse_from_bytes(bytes).unwrap())
    }

    fn field(&self, number: u32) -> Option<UnknownValueRef<'_>> {
        self.0.special_fields.unknown_fields().get(number)
    }

    /// The bytes of a field; none where it is not there.
    fn bytes_of(&self, field: u32) -> Vec<u8> {
        match self.field(field) {
            Some(UnknownValueRef::LengthDelimited(bytes)) => bytes.to_vec(),
            _ => Vec::new(),
        }
    }

    fn text_of(&self, field: u32) -> String {
        String::from_utf8(self.bytes_of(field)).unwrap()
    }

    fn number_of(&self, field: u32) -> u64 {
        match self.field(field) {
            Some(UnknownValueRef::Varint(value)) => value,
            _ => 0,
        }
    }
}

/// What containerd refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The status of gRPC.
    pub(crate) code: u32,
    pub(crate) message: String,
}

/// The answer to a probe.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit_code: u64,
}

/// How a container is.
#[derive(Debug)]
pub(crate) struct Status {
    /// [`RUNNING`] or [`EXITED`].
    pub(crate) state: u64,
    pub(crate) exit_code: u64,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// A containerd with its CRI, and the runtime handler that pods name.
pub(crate) struct Cri<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) containerd: Containerd<'lab>,
    handler: &'static str,
}

impl<'lab> Cri<'lab> {
    /// Pods get this shim.
    pub(crate) fn start(lab: &'lab Lab, shim: Shim) -> Self {
        let handler = if shim == Shim::Stock { "stock" } else { "sluice" };
        lab.step(&format!("pods with the handler {handler}"));
        let systemd = lab.driver().is_systemd().to_string();
        let options = format!("Root = \"{}\"\nSystemdCgroup = {systemd}\n", lab.path("state").display());
        let options = lab.write("options.toml", &options);
        let config = CONFIG
            .replace("OPTIONS", &options.display().to_string())
            .replace("SYSTEMD", &systemd)
            .replace("ROOT", &lab.path("state").display().to_string())
            .replace("IMAGE", IMAGE);
        let ours = Shim::Sluice.find().unwrap();
        let cri = Self { lab, containerd: Containerd::start_with_cri(lab, &ours, &config), handler };
        cri.containerd.ctr("k8s.io").args(["images", "import"]).args([archive(lab)]).ok();
        // The CRI hears of the image by an event.
        let image = || Message::default().message(1, Message::default().text(1, IMAGE));
        eventually("the image to be known", || {
            let status = cri.service("ImageService", "ImageStatus", image());
            status.is_ok_and(|status| !status.bytes_of(1).is_empty())
        });
        cri
    }

    /// Starts containerd again after it was killed, and waits until its CRI has taken up the pods.
    pub(crate) fn start_again(&mut self) {
        self.containerd.start_again();
        eventually("the CRI to answer", || self.call("Status", Message::default()).is_ok());
    }

    /// Calls a method of the runtime service.
    pub(crate) fn call(&self, method: &str, request: Message) -> Result<Message, Refusal> {
        self.service("RuntimeService", method, request)
    }

    fn service(&self, service: &str, method: &str, request: Message) -> Result<Message, Refusal> {
        let bytes = request.0.write_to_bytes().unwrap();
        // No compression, then the length of the message.
        let head = [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes()].concat();
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let path = |part: &str| self.lab.path(&format!("io/{method}-{call}.{part}"));
        let [body, headers, answer] = ["body", "headers", "answer"].map(path);
        make_file(&body, &[head, bytes].concat());
        let curl = self.lab.program("curl").args(["--silent", "--show-error", "--http2-prior-knowledge"]);
        curl.args(["--unix-socket"])
            .args([self.containerd.socket()])
            .args(["-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary"])
            .args([format!("@{}", body.display())])
            .args(["--dump-header"])
            .args([&headers])
            .args(["--output"])
            .args([&answer])
            .args([format!("http://localhost/runtime.v1.{service}/{method}")])
            .ok();
        let headers = fs::read_to_string(headers).unwrap();
        let header = |name: &str| headers.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        match header("grpc-status:").unwrap().parse().unwrap() {
            0 => Ok(Message::parse(&fs::read(answer).unwrap()[5..])),
            code => {
                let message = header("grpc-message:").unwrap_or_default().to_owned();
                Err(Refusal { code, message })
            }
        }
    }

    /// Starts a pod in the lab's group, or with systemd's driver in the lab's slice.
    pub(crate) fn pod(&self, name: &str) -> Pod {
        let logs = self.lab.path("logs").join(name);
        fs::create_dir_all(&logs).unwrap();
        let metadata = Message::default().text(1, name).text(2, name).text(3, "test");
        let security = Message::default().message(1, namespaces());
        let linux = Message::default().text(1, self.lab.cgroup_parent()).message(2, security);
        let config =
            Message::default().message(1, metadata).text(3, logs.to_str().unwrap()).message(8, linux);
        let config = config.0.write_to_bytes().unwrap();
        let request = Message::default().text(1, &config).text(2, self.handler);
        let id = self.call("RunPodSandbox", request).unwrap().text_of(1);
        Pod { id, config }
    }

    /// The group of a container.
    pub(crate) fn group(&self, id: &str) -> String {
        match self.lab.driver() {
            CgroupDriver::Cgroupfs => format!("{}/{id}", self.lab.group()),
            // Compat: the CRI names scope and slice so that runc finds them in `linux.cgroupsPath`.
            CgroupDriver::Systemd => format!("/{}/cri-containerd-{id}.scope", self.lab.slice()),
        }
    }

    /// Creates a container; `resources` are a `LinuxContainerResources`.
    fn create(&self, pod: &Pod, name: &str, resources: Message, command: &[&str]) -> String {
        let security = Message::default().message(3, namespaces());
        let container = Message::default()
            .message(1, Message::default().text(1, name))
            .message(2, Message::default().text(1, IMAGE))
            .texts(3, command)
            .text(11, format!("{name}.log"))
            .message(15, Message::default().message(1, resources).message(2, security));
        let request = Message::default().text(1, &pod.id).message(2, container).text(3, &pod.config);
        self.call("CreateContainer", request).unwrap().text_of(1)
    }

    /// Starts a container without limits.
    pub(crate) fn run(&self, pod: &Pod, name: &str, command: &[&str]) -> String {
        self.run_within(pod, name, Message::default(), command)
    }

    /// Starts a container with these limits.
    pub(crate) fn run_within(&self, pod: &Pod, name: &str, limits: Message, command: &[&str]) -> String {
        let id = self.create(pod, name, limits, command);
        self.call("StartContainer", Message::default().text(1, &id)).unwrap();
        id
    }

    /// Tries to start a container that cannot be.
    pub(crate) fn run_in_vain(&self, pod: &Pod, name: &str, command: &[&str]) -> (String, Refusal) {
        let id = self.create(pod, name, Message::default(), command);
        let refusal = self.call("StartContainer", Message::default().text(1, &id)).unwrap_err();
        (id, refusal)
    }

    /// Stops a pod and removes it with its containers.
    pub(crate) fn remove(&self, pod: Pod) {
        let Pod { id, .. } = pod;
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            self.call(method, Message::default().text(1, &id)).unwrap();
        }
    }

    /// Runs a command to its end as a probe does.
    pub(crate) fn exec(&self, id: &str, timeout_s: u64, command: &[&str]) -> Result<Probe, Refusal> {
        let request = Message::default().text(1, id).texts(2, command).number(3, timeout_s);
        let answer = self.call("ExecSync", request)?;
        Ok(Probe { stdout: answer.text_of(1), stderr: answer.text_of(2), exit_code: answer.number_of(3) })
    }

    pub(crate) fn status(&self, id: &str) -> Status {
        let answer = self.call("ContainerStatus", Message::default().text(1, id)).unwrap();
        let status = Message::parse(&answer.bytes_of(1));
        Status {
            state: status.number_of(3),
            exit_code: status.number_of(7),
            reason: status.text_of(10),
            message: status.text_of(11),
        }
    }

    /// Waits for the end of a container.
    pub(crate) fn ended(&self, id: &str) -> Status {
        eventually("the container to end", || self.status(id).state == EXITED);
        self.status(id)
    }

    /// The shims that run for this containerd, by the names of their programs.
    pub(crate) fn shims(&self) -> Vec<String> {
        // A process that has the lab's mark and sits in its group is there twice.
        let pids: BTreeSet<i32> = self.lab.processes().into_iter().collect();
        let names = pids.into_iter().filter_map(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let program = line.split('\0').next()?.rsplit('/').next()?.to_owned();
            (process::is_alive(pid) && program.starts_with("containerd-shim")).then_some(program)
        });
        names.collect()
    }

    /// Takes containerd down; the pods are gone already, and nothing of them is left.
    pub(crate) fn end(self) {
        eventually("the shims to end", || self.shims().is_empty());
        let Self { lab, containerd, .. } = self;
        assert_eq!(lab.mounts(), Vec::<PathBuf>::new(), "mounts of pods left");
        drop(containerd);
        lab.assert_nothing_left();
    }
}

/// A pod that runs.
#[derive(Debug)]
pub(crate) struct Pod {
    id: String,
    /// Its `PodSandboxConfig`, which each of its containers is created with.
    config: Vec<u8>,
}

/// `NamespaceOption` of a pod whose containers see their own processes only.
fn namespaces() -> Message {
    Message::default().number(1, NODE).number(2, CONTAINER)
}

fn make_file(path: &Path, bytes: &[u8]) {
    fs::File::options().create_new(true).write(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// An image in the form of `docker save`; returns its path.
fn archive(lab: &Lab) -> PathBuf {
    let layer = lab.image();
    let digest = lab.program("sha256sum").args([&layer]).ok().stdout;
    let digest = digest.split(' ').next().unwrap();
    let config = format!(
        r#"{{"architecture": "{}", "os": "linux",
          "config": {{"Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "1000000"]}},
          "rootfs": {{"type": "layers", "diff_ids": ["sha256:{digest}"]}}}}"#,
        if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
    );
    lab.write("config.json", &config);
    let manifest =
        format!(r#"[{{"Config": "config.json", "RepoTags": ["{IMAGE}"], "Layers": ["image.tar"]}}]"#);
    lab.write("manifest.json", &manifest);
    let archive = lab.path("archive.tar");
    let tar = lab.program("tar").args(["-C"]).args([lab.path("")]).args(["-cf"]).args([&archive]);
    tar.args(["manifest.json", "config.json", "image.tar"]).ok();
    archive
}

/// Handlers as `docs/install-shim.md` has them for containerd 1.6 of Debian 12, with a root of the lab's own and the driver
/// of this host.
const CONFIG: &str = r#"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "IMAGE"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "stock"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.stock]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.stock.options]
  Root = "ROOT"
  SystemdCgroup = SYSTEMD
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sluice]
  runtime_type = "io.containerd.sluice.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sluice.options]
  ConfigPath = "OPTIONS"
"#;
