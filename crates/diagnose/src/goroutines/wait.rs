//! What a goroutine waits for, and on whose behalf, by its stack.
//!
//! Compat: function names of dockerd 17.03 to 28, containerd 1.0 to 2.3 and their shims.

use super::stack::{Frame, Group};

/// What a goroutine waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A lock that the named function takes.
    Lock {
        /// The function that asks for it.
        caller: String,
        /// The address of the mutex, if the dump tells.
        mutex: Option<String>,
    },
    /// An answer of the next process.
    Answer {
        /// Who answers: `containerd`, `shim`.
        of: &'static str,
        /// The call: `Tasks.Start`.
        call: String,
    },
    /// A process that it started.
    Child {
        /// Which: `runc exec`.
        of: String,
    },
    /// Bytes from a pipe, a socket or a file.
    Read,
    /// Room in a pipe or a socket.
    Write,
    /// A channel, a condition, a timer: its own state says.
    State(String),
}

impl Wait {
    /// What the goroutines of a group wait for.
    #[must_use]
    pub fn of(group: &Group) -> Self {
        lock(group)
            .or_else(|| answer(&group.frames))
            .or_else(|| child(&group.frames))
            .or_else(|| bytes(&group.frames))
            .unwrap_or_else(|| Self::State(group.state.clone()))
    }

    /// In a few words.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Lock { caller, .. } => format!("a lock, in {caller}"),
            Self::Answer { of, call } => format!("{of}'s answer to {call}"),
            Self::Child { of } => format!("the end of `{of}`"),
            Self::Read => "bytes to read".to_owned(),
            Self::Write => "room to write".to_owned(),
            Self::State(state) if state.is_empty() => "something unknown".to_owned(),
            Self::State(state) => state.clone(),
        }
    }
}

/// The functions of `sync` on top of the stack, and the function below that called them.
fn lock(group: &Group) -> Option<Wait> {
    let depth = group.frames.iter().take_while(|frame| is_sync(frame)).count();
    let is_lock = group.frames.iter().take(depth).any(|frame| {
        let name = frame.short();
        name.contains("Mutex).") || name.ends_with("SemacquireMutex") || name.contains("RWMutexRLock")
    });
    let caller = group.frames.get(depth)?;
    let has_group = group.frames.iter().take(depth).any(|frame| frame.short().contains("WaitGroup"));
    (is_lock && !has_group)
        .then(|| Wait::Lock { caller: caller.short().to_owned(), mutex: group.mutex.clone() })
}

fn is_sync(frame: &Frame) -> bool {
    let name = &frame.function;
    name.starts_with("sync.") || name.starts_with("internal/sync.") || name.starts_with("runtime.")
}

/// A call over gRPC or ttrpc in progress: the transport on top, the client's method below it.
fn answer(frames: &[Frame]) -> Option<Wait> {
    let transport = frames.iter().position(|frame| {
        let name = frame.short();
        name.starts_with("ttrpc.(*Client).") || name.contains("(*ClientConn).Invoke") || name == "grpc.invoke"
    })?;
    // A reader of the connection has the transport's name too, but no method below it.
    let method = frames.iter().skip(transport).find(|frame| client(frame.short()).is_some())?;
    let (of, service) = client(method.short())?;
    let name = method.short().rsplit('.').next().unwrap_or_default();
    Some(Wait::Answer { of, call: format!("{service}.{name}") })
}

/// The process that a generated client speaks to.
fn client(function: &str) -> Option<(&'static str, &'static str)> {
    const CLIENTS: &[(&str, &str, &str)] = &[
        ("(*tasksClient).", "containerd", "Tasks"),
        ("(*containersClient).", "containerd", "Containers"),
        ("(*eventsClient).", "containerd", "Events"),
        ("(*shimClient).", "shim", "Shim"),
        ("(*taskClient).", "shim", "Task"),
        ("(*ttrpctaskClient).", "shim", "Task"),
        ("(*tTRPCTaskClient).", "shim", "Task"),
        ("(*runtimeServiceClient).", "containerd", "RuntimeService"),
    ];
    CLIENTS.iter().find(|row| function.contains(row.0)).map(|row| (row.1, row.2))
}

fn child(frames: &[Frame]) -> Option<Wait> {
    let runc = frames.iter().find_map(|frame| frame.short().strip_prefix("go-runc.(*Runc)."));
    let is_waiting = frames.iter().take(4).any(|frame| {
        let name = frame.short();
        name.contains("(*Monitor).Wait") || name.ends_with("(*Process).wait") || name.ends_with("(*Cmd).Wait")
    });
    match runc {
        Some(verb) if is_waiting => Some(Wait::Child { of: format!("runc {}", verb.to_lowercase()) }),
        None if is_waiting => Some(Wait::Child { of: "a process it started".to_owned() }),
        _ => None,
    }
}

fn bytes(frames: &[Frame]) -> Option<Wait> {
    frames.iter().take(8).find_map(|frame| match frame.short() {
        "poll.(*FD).Read" | "poll.(*FD).ReadMsg" | "poll.(*FD).Accept" | "fifo.(*fifo).Read" => {
            Some(Wait::Read)
        }
        "poll.(*FD).Write" | "fifo.(*fifo).Write" => Some(Wait::Write),
        _ => None,
    })
}

/// What the goroutine does in the words of its caller: `docker inspect`, `Tasks.Start`; the outermost function of the
/// program when no caller is known.
#[must_use]
pub fn operation(group: &Group) -> String {
    const DOORS: &[(&str, &str)] = &[
        ("getContainersByName", "docker inspect"),
        ("getContainersStats", "docker stats"),
        ("getContainersJSON", "docker ps"),
        ("getContainersTop", "docker top"),
        ("getContainersLogs", "docker logs"),
        ("postContainerExecStart", "docker exec"),
        ("postContainerExecCreate", "docker exec (create)"),
        ("getExecByID", "docker exec (inspect)"),
        ("postContainersStop", "docker stop"),
        ("postContainersKill", "docker kill"),
        ("postContainersStart", "docker start"),
        ("postContainersRestart", "docker restart"),
        ("postContainersPause", "docker pause"),
        ("postContainersAttach", "docker attach"),
        ("deleteContainers", "docker rm"),
        ("postContainersPrune", "docker container prune"),
        ("getInfo", "docker info"),
        ("execCommandGC", "cleaning of finished execs"),
        ("(*Daemon).restore", "start of the daemon"),
        ("handleContainerExit", "end of a container"),
        ("processExits", "collecting of exits"),
    ];
    let known = group.frames.iter().rev().find_map(|frame| {
        let name = frame.short();
        DOORS.iter().find(|door| name.contains(door.0)).map(|door| door.1.to_owned())
    });
    known.or_else(|| handler(group)).unwrap_or_else(|| outermost(group))
}

/// A request that this process serves: `v1._Tasks_Start_Handler`, `task.(*service).Start`.
fn handler(group: &Group) -> Option<String> {
    group.frames.iter().rev().find_map(|frame| {
        let name = frame.short();
        let served = name.split("._").nth(1).and_then(|rest| rest.split("_Handler").next());
        match (served, name.strip_prefix("task.(*service).")) {
            (Some(served), _) if name.contains("_Handler") => Some(served.replace('_', ".")),
            (_, Some(method)) => Some(format!("Task.{method}")),
            _ => None,
        }
    })
}

fn outermost(group: &Group) -> String {
    let is_program = |frame: &&Frame| frame.function.contains('/') || frame.function.starts_with("main.");
    group
        .frames
        .iter()
        .rfind(is_program)
        .or(group.frames.last())
        .map_or_else(|| "nothing".to_owned(), |frame| frame.short().to_owned())
}
