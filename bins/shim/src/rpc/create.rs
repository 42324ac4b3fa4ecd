//! `Create`: a container up to its program.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cgroup::Paths;
use container::{ContainerId, Store};
use containerd_shim_protos::api::{CreateTaskRequest, CreateTaskResponse};
use containerd_shim_protos::events::task::{TaskCreate, TaskIO};
use containerd_shim_protos::topics::TASK_CREATE_EVENT_TOPIC;
use launch::Process as Born;
use protobuf::MessageField;

use crate::attend;
use crate::failure::Failure;
use crate::io::{self, Bounds, ChildEnds, Owner, Stdio};
use crate::journal::{Container, Journal, Record};
use crate::oom_watch;
use crate::operations::Operation;
use crate::options::{Options, Owned};
use crate::pod::{Pod, Reserved};
use crate::process::{Process, Streams};
use crate::reap::{Birth, Child};
use crate::task::{Place, Task};
use crate::verb::ask::Done;
use crate::verb::{Create, Mount, Request, Verb};
use crate::wire;
use crate::workers;
use crate::wrapper::{Choice, choose};

/// How long the disk may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long the answer waits for the removal of what was created in vain; the removal goes on.
const REMOVAL: Duration = Duration::from_secs(5);

/// How long a removal that could not begin waits for its next try.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a removal is tried. After that the container is left to the `delete` of containerd.
const REMOVALS: Duration = Duration::from_mins(3);

pub(crate) async fn create(
    pod: Arc<Pod>,
    operation: Operation,
    request: CreateTaskRequest,
) -> Result<CreateTaskResponse, Failure> {
    let reserved = pod.reserve(&request.id)?;
    let options = checked(&pod, &request).await?;
    operation.stage("open the streams");
    let streams = streams(&request);
    let owner = Owner { uid: options.io_uid, gid: options.io_gid };
    // Until a logger and init have their waiters no child is taken for a stranger.
    let birth = pod.children.birth();
    let (stdio, ends) = open(&pod.namespace, &request.id, &streams, owner).await?;
    let binary = chosen(&pod, &request.id, &options).await?;
    let verb = verb(&pod, &request, &options, binary);
    let delete = verb.with(Verb::Delete);
    let made = match pod.verbs.ask(&operation, &verb, pipes(ends)).await {
        Err(failure) if !failure.is_broken_off() => {
            stdio.close();
            return Err(failure);
        }
        made => made,
    };
    let remains = Remains { request: delete, init: made.as_ref().ok().and_then(twin) };
    let known = (verb, options, streams);
    let taken = match made {
        Ok(done) => take_up((&pod, &reserved), known, Arc::clone(&stdio), done).await,
        Err(failure) => Err(failure),
    };
    let (task, child) = match taken {
        Ok(taken) => taken,
        Err(failure) => {
            let left = remains.remove(pod, operation, (reserved, birth)).await;
            stdio.close();
            return Err(failure.with_remains(left));
        }
    };
    drop((birth, reserved));
    let pid = child.pid();
    tell(&pod, request, pid);
    attend::init(&pod, &task, child);
    oom_watch::begin(&pod, &task);
    Ok(CreateTaskResponse { pid: wire::pid(pid), ..CreateTaskResponse::default() })
}

async fn checked(pod: &Pod, request: &CreateTaskRequest) -> Result<Options, Failure> {
    if !request.checkpoint.is_empty() {
        return Err(Failure::Unsupported { what: "a start from a checkpoint" });
    }
    if !request.bundle.starts_with('/') {
        let reason = format!("{:?} is no absolute path", request.bundle);
        return Err(Failure::Invalid { field: "bundle", reason });
    }
    let given = request.options.clone();
    let task =
        workers::Task { name: "read the options".to_owned(), container: request.id.clone(), limit: LIMIT };
    Ok(pod.workers.run(task, move || Options::decode(given.as_ref())).await??)
}

fn streams(request: &CreateTaskRequest) -> Streams {
    Streams {
        stdin: request.stdin.clone(),
        stdout: request.stdout.clone(),
        stderr: request.stderr.clone(),
        terminal: request.terminal,
    }
}

/// Opens the streams of a process; its output is read from now on.
///
/// # Errors
/// As [`Stdio::open`].
pub(crate) async fn open(
    namespace: &str,
    id: &str,
    streams: &Streams,
    owner: Owner,
) -> Result<(Arc<Stdio>, ChildEnds), Failure> {
    let Streams { stdin, stdout, stderr, terminal } = streams;
    let request = io::Request { namespace, id, stdin, stdout, stderr, terminal: *terminal, owner };
    let (stdio, ends) = Stdio::open(&request, Bounds::default()).await?;
    Ok((Arc::new(stdio), ends))
}

/// The descriptors that a process gets; none with a terminal.
pub(crate) fn pipes(ends: ChildEnds) -> Option<[OwnedFd; 3]> {
    match ends {
        ChildEnds::Pipes { stdin, stdout, stderr } => Some([stdin, stdout, stderr]),
        ChildEnds::Terminal => None,
    }
}

/// The OCI runtime that the options name, if it is another one.
async fn chosen(pod: &Pod, id: &str, options: &Options) -> Result<Option<PathBuf>, Failure> {
    let (name, search) = (options.binary_name.clone(), pod.search.clone());
    let task = workers::Task {
        name: format!("look for the runtime {name}"),
        container: id.to_owned(),
        limit: LIMIT,
    };
    match pod.workers.run(task, move || choose(&name, search.as_deref())).await? {
        Choice::InProcess => Ok(None),
        Choice::Program(path) => Ok(Some(path)),
    }
}

fn verb(pod: &Pod, request: &CreateTaskRequest, options: &Options, binary: Option<PathBuf>) -> Request {
    let mount = |mount: &containerd_shim_protos::api::Mount| Mount {
        kind: mount.type_.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        options: mount.options.clone(),
    };
    let create = Create {
        rootfs: request.rootfs.iter().map(mount).collect(),
        no_pivot_root: options.no_pivot_root,
        no_new_keyring: options.no_new_keyring,
        terminal: request.terminal,
    };
    let owner = if binary.is_some() { Owned::Elsewhere } else { Owned::Here };
    Request {
        root: options.state_root(&pod.namespace, owner),
        id: request.id.clone(),
        bundle: PathBuf::from(&request.bundle),
        systemd_cgroup: options.systemd_cgroup,
        binary,
        verb: Verb::Create(Box::new(create)),
    }
}

fn adopt(pod: &Pod, task: &Task, stdio: Arc<Stdio>, done: Done) -> Result<Child, Failure> {
    let mut descriptors = done.descriptors.into_iter();
    let missing = || Failure::VerbDied { verb: "create", how: "it sent no pidfd".to_owned() };
    let pidfd = descriptors.next().ok_or_else(missing)?;
    if let Some(master) = descriptors.next() {
        stdio.attach(master)?;
    }
    let born = Arc::new(Born { pid: done.pid, pidfd });
    task.init.born(Arc::clone(&born));
    task.init.keep_streams(stdio);
    Ok(pod.children.adopt(born))
}

/// Makes the container that a verb has made one that is known here.
async fn take_up(
    (pod, reserved): (&Pod, &Reserved),
    (verb, options, streams): (Request, Options, Streams),
    stdio: Arc<Stdio>,
    done: Done,
) -> Result<(Arc<Task>, Child), Failure> {
    let init = Arc::new(Process::new("", streams, Vec::new()));
    let place = place(pod, verb, done.pid).await?;
    let task = Arc::new(Task::new(place, options, init));
    let child = adopt(pod, &task, stdio, done)?;
    // A worker that comes back when all is over would write into the journal of the next container of that id.
    let begun = begin_journal(pod, &task).await.and_then(|()| reserved.fill(&task));
    begun.inspect_err(|_| task.journal.lose())?;
    Ok((task, child))
}

/// What a create has left that came to nothing: a container that nobody will know of, or a part of one.
struct Remains {
    request: Request,
    init: Option<OwnedFd>,
}

impl Remains {
    /// Removes it; says what is in the way, if it is still there. What is below it can lie on the disk that made it
    /// useless: so its init is killed first, which needs no disk, and the answer has a bound. The id is free again, and
    /// strangers are taken away, when the removal is over.
    async fn remove(self, pod: Arc<Pod>, operation: Operation, held: (Reserved, Birth)) -> Option<String> {
        if let Some(init) = &self.init {
            let _ = rustix::process::pidfd_send_signal(init, rustix::process::Signal::KILL);
        }
        operation.stage("remove what was created");
        let id = self.request.id.clone();
        let removal = tokio::spawn(async move {
            let left = self.delete(&pod, &operation).await;
            drop(held);
            left
        });
        match tokio::time::timeout(REMOVAL, removal).await {
            Ok(left) => left.unwrap_or_else(|panic| Some(panic.to_string())),
            Err(_) => {
                let left = format!("its removal is not over after {} s and goes on", REMOVAL.as_secs());
                log::warn!("{id}: {left}");
                Some(left)
            }
        }
    }

    /// Tries again while so much is stuck that nothing can be begun: that ends when what holds it up does, mostly.
    async fn delete(&self, pod: &Pod, operation: &Operation) -> Option<String> {
        let deadline = Instant::now() + REMOVALS;
        loop {
            let failure = pod.verbs.ask(operation, &self.request, None).await.err()?;
            if !failure.is_want_of_threads() || Instant::now() >= deadline {
                let left = container::chain(&failure);
                log::error!(
                    "{}: it was created, is of no use and cannot be removed: {left}",
                    self.request.id
                );
                return Some(left);
            }
            operation.stage("a free thread, to remove what was created");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// A second descriptor of a new init.
fn twin(done: &Done) -> Option<OwnedFd> {
    done.descriptors.first().and_then(|pidfd| pidfd.try_clone().ok())
}

/// Where it is, asked on a worker: the state lies on somebody's disk.
async fn place(pod: &Pod, verb: Request, pid: i32) -> Result<Place, Failure> {
    let task = workers::Task {
        name: format!("read the state of {}", verb.id),
        container: verb.id.clone(),
        limit: LIMIT,
    };
    let work = move || {
        let Request { id, bundle, root, binary, .. } = verb;
        let known = binary.is_none().then(|| recorded(&root, &id)).flatten();
        let groups = known.or_else(|| groups_of(pid)).unwrap_or_default();
        Place { id, bundle, root, binary, groups }
    };
    pod.workers.run(task, work).await
}

fn recorded(root: &Path, id: &str) -> Option<Paths> {
    let record = ContainerId::parse(id).and_then(|id| Store::open(root)?.entry(&id)?.read());
    record.ok().map(|record| record.cgroup)
}

/// The groups of a process that another runtime has placed.
fn groups_of(pid: i32) -> Option<Paths> {
    let proc = proc::Procfs::host().ok()?;
    let layout = cgroup::Layout::of(&proc).ok()?;
    Some(Paths::of_process(&layout, &proc.cgroups(pid).ok()?))
}

async fn begin_journal(pod: &Pod, task: &Arc<Task>) -> Result<(), Failure> {
    let container = Container {
        id: task.id.clone(),
        namespace: pod.namespace.clone(),
        root: task.root.clone(),
        binary: task.binary.clone(),
        systemd_cgroup: task.options.systemd_cgroup,
    };
    let work = workers::Task {
        name: format!("begin the journal of {}", task.id),
        container: task.id.clone(),
        limit: LIMIT,
    };
    let task = Arc::clone(task);
    let write = move || {
        match Journal::open(&task.bundle) {
            Ok(journal) => task.journal.keep(journal),
            Err(error) => {
                log::warn!("{}", container::chain(&error));
                task.journal.lose();
            }
        }
        task.journal.note(Record::Created(container));
        task.note_started("", task.init.pid());
        task.journal.write();
    };
    pod.workers.run(work, write).await
}

fn tell(pod: &Pod, request: CreateTaskRequest, pid: i32) {
    let io = TaskIO {
        stdin: request.stdin,
        stdout: request.stdout,
        stderr: request.stderr,
        terminal: request.terminal,
        ..TaskIO::default()
    };
    let event = TaskCreate {
        container_id: request.id,
        bundle: request.bundle,
        rootfs: request.rootfs,
        io: MessageField::some(io),
        checkpoint: request.checkpoint,
        pid: wire::pid(pid),
        ..TaskCreate::default()
    };
    pod.events.push(TASK_CREATE_EVENT_TOPIC, &event);
}
