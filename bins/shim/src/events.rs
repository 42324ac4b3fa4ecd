//! Events to containerd: one queue, in the order in which things happened.
//!
//! The head of the queue is sent until it is taken; what comes after waits. So nothing overtakes, and nothing is lost
//! while containerd is away. A queue that grows beyond its bound drops what can be asked for later, never an exit and
//! never an OOM kill.
//!
//! ```text
//!     shim                               containerd
//!       | -- Forward{exec-started} ------->  |
//!       | <------------------- Empty --------|
//!       | -- Forward{exit} --------------->  |   containerd restarts
//!       |    connect, refused, wait, connect |
//!       | -- Forward{exit} --------------->  |   again: it was not acknowledged
//! ```
//!
//! containerd passes an event on to who listens at that moment. dockerd comes back a little later than containerd, so
//! exits that are told right after a return are told again. That harms nobody: a container that runs again has another
//! shim, and this one ends with its last container. But who hears of the end of a container first does not want to hear of
//! its execs any more, and their clients wait for ever. So an init's exit that comes right after those of execs waits until
//! everybody is back, and these are told once more before it; what comes after it waits, too, five seconds at most. A shim
//! that ends does not wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use containerd_shim_protos::events::task::TaskExit;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim::events::ForwardRequest;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::topics;
use protobuf::well_known_types::any::Any;
use protobuf::well_known_types::timestamp::Timestamp;
use protobuf::{Message, MessageField};
use tokio::io::BufReader;
use tokio::sync::Notify;
use ttrpc::asynchronous::transport::Socket;

/// How many events may wait before some are dropped.
const BOUND: usize = 1024;

/// How long containerd may take for one event.
const ANSWER: Duration = Duration::from_secs(5);

/// What is read at once, in bytes: an answer with its header.
const READ: usize = 256;

/// The shortest and the longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// For how long after its return containerd's own clients may still be on their way back to it.
const SETTLING: Duration = Duration::from_secs(5);

/// When an exit that it took in that time is told again: who was not back yet has not heard it, and would wait for ever.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// Called when containerd has taken an event.
pub type Taken = Box<dyn FnOnce() + Send>;

/// The queue.
#[derive(Clone, Default)]
pub struct Events(Arc<Shared>);

#[derive(Default)]
struct Shared {
    namespace: String,
    waiting: Mutex<Waiting>,
    more: Notify,
    /// The shim ends.
    hurry: Notify,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Event>,
    dropped: u64,
    sent: u64,
}

struct Event {
    envelope: Envelope,
    taken: Option<Taken>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (waiting, sent, dropped) = self.figures();
        write!(formatter, "{waiting} waiting, {sent} sent, {dropped} dropped")
    }
}

impl Events {
    /// An empty queue for containers of a namespace.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self(Arc::new(Shared { namespace: namespace.to_owned(), ..Shared::default() }))
    }

    /// Appends an event.
    pub fn push(&self, topic: &'static str, event: &impl Message) {
        self.append(topic, event, None);
    }

    /// Appends an event; `taken` is called when containerd has it.
    pub fn push_and_tell(&self, topic: &'static str, event: &impl Message, taken: Taken) {
        self.append(topic, event, Some(taken));
    }

    /// How many wait, were sent, were dropped.
    #[must_use]
    pub fn figures(&self) -> (usize, u64, u64) {
        let waiting = self.waiting();
        (waiting.queue.len(), waiting.sent, waiting.dropped)
    }

    fn append(&self, topic: &'static str, event: &impl Message, taken: Option<Taken>) {
        let envelope = Envelope {
            timestamp: MessageField::some(timestamp(SystemTime::now())),
            namespace: self.0.namespace.clone(),
            topic: topic.to_owned(),
            event: MessageField::some(any("containerd.events", event)),
            ..Envelope::default()
        };
        let mut waiting = self.waiting();
        if waiting.queue.len() >= BOUND {
            waiting.make_room();
        }
        waiting.queue.push_back(Event { envelope, taken });
        drop(waiting);
        self.0.more.notify_one();
    }

    /// Sends events for ever to the socket at `address`. Without an address nothing is kept.
    pub async fn send(self, address: String) {
        let mut link = Link { address, shared: Arc::clone(&self.0), ..Link::default() };
        loop {
            self.0.more.notified().await;
            while let Some(envelope) = self.head() {
                if !link.address.is_empty() {
                    link.deliver(envelope).await;
                }
                self.taken();
            }
        }
    }

    /// Waits no more for clients of containerd that are on their way back to it.
    pub fn hurry(&self) {
        self.0.hurry.notify_one();
    }

    /// Waits until the queue is empty, at most `limit`.
    pub async fn flush(&self, limit: Duration) {
        let empty = async {
            while self.figures().0 > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(limit, empty).await.is_err() {
            log::warn!("{} events are not sent", self.figures().0);
        }
    }

    fn head(&self) -> Option<Envelope> {
        self.waiting().queue.front().map(|event| event.envelope.clone())
    }

    fn taken(&self) {
        let event = {
            let mut waiting = self.waiting();
            waiting.sent += 1;
            waiting.queue.pop_front()
        };
        if let Some(taken) = event.and_then(|event| event.taken) {
            taken();
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to containerd.
#[derive(Default)]
struct Link {
    address: String,
    shared: Arc<Shared>,
    connection: Option<EventsClient>,
    /// When it was found again after it had been away.
    returned: Option<Instant>,
    /// Exits of execs that it took since then, and that perhaps nobody has heard, with their containers.
    unheard: Vec<(String, ForwardRequest)>,
}

impl Link {
    /// Tries until containerd has it; what has to be told before is told then.
    async fn deliver(&mut self, envelope: Envelope) {
        let ended = Ended::of(&envelope);
        let request = ForwardRequest { envelope: MessageField::some(envelope), ..ForwardRequest::default() };
        while ended.as_ref().is_some_and(|ended| self.is_too_early(ended)) {
            self.settle().await;
        }
        self.persist(&request).await;
        if !self.is_settling() {
            self.unheard.clear();
        } else if let Some(ended) = ended {
            tokio::spawn(repeat(self.address.clone(), request.clone()));
            if ended.whose == Whose::Exec {
                self.unheard.push((ended.container, request));
            }
        }
    }

    /// Whether this is the end of a container, and those of its execs perhaps nobody has heard.
    fn is_too_early(&self, ended: &Ended) -> bool {
        let is_unheard = || self.unheard.iter().any(|(container, _)| *container == ended.container);
        ended.whose == Whose::Init && self.is_settling() && is_unheard()
    }

    /// Whether its other clients may still be on their way back to it.
    fn is_settling(&self) -> bool {
        self.returned.is_some_and(|returned| returned.elapsed() < SETTLING)
    }

    /// Waits until they are back, and tells again of the execs.
    ///
    /// Compat: dockerd forgets the execs of a container whose end it hears (moby, daemon/start.go, `Cleanup`).
    async fn settle(&mut self) {
        let since = self.returned.map(|returned| returned.elapsed()).unwrap_or_default();
        let back = tokio::time::sleep(SETTLING.saturating_sub(since));
        tokio::select! {
            () = back => {}
            () = self.shared.hurry.notified() => self.returned = None,
        }
        let unheard = std::mem::take(&mut self.unheard);
        for (_, request) in &unheard {
            self.persist(request).await;
        }
        if self.is_settling() {
            // It was away once more.
            self.unheard = unheard;
        }
    }

    /// Tries until containerd has it.
    async fn persist(&mut self, request: &ForwardRequest) {
        let mut pause = PAUSE.0;
        let mut away = false;
        loop {
            match attempt(&self.address, &mut self.connection, request).await {
                Ok(()) => break,
                // It understood and does not want it: the next attempt would end the same.
                Err(ttrpc::Error::RpcStatus(status)) if is_final(&status) => {
                    log::warn!("containerd refuses an event: {}", status.message);
                    break;
                }
                Err(error) => log::debug!("send an event: {error}"),
            }
            (self.connection, away) = (None, true);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
        if away {
            self.returned = Some(Instant::now());
        }
    }
}

/// An exit that an event tells.
#[derive(Debug)]
struct Ended {
    container: String,
    whose: Whose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Init,
    Exec,
}

impl Ended {
    /// `None` for what is no exit.
    fn of(envelope: &Envelope) -> Option<Self> {
        if envelope.topic != topics::TASK_EXIT_EVENT_TOPIC {
            return None;
        }
        let exit = TaskExit::parse_from_bytes(&envelope.event.value).ok()?;
        let whose = if exit.id == exit.container_id { Whose::Init } else { Whose::Exec };
        Some(Self { container: exit.container_id, whose })
    }
}

/// Tells an event again. One that does not get through this time was heard the first time, or nobody is there.
async fn repeat(address: String, request: ForwardRequest) {
    for pause in AGAIN {
        tokio::time::sleep(pause).await;
        if let Err(error) = attempt(&address, &mut None, &request).await {
            log::debug!("send an event again: {error}");
        }
    }
}

/// What nobody can ask for later.
fn is_dear(topic: &str) -> bool {
    [topics::TASK_EXIT_EVENT_TOPIC, topics::TASK_OOM_EVENT_TOPIC].contains(&topic)
}

impl Waiting {
    /// Drops the oldest event but the head, which is on its way, that is no exit and no OOM kill.
    fn make_room(&mut self) {
        let cheap = |event: &Event| !is_dear(&event.envelope.topic);
        if let Some(found) = self.queue.iter().skip(1).position(cheap) {
            self.queue.remove(found + 1);
            self.dropped += 1;
        }
    }
}

async fn attempt(
    address: &str,
    connection: &mut Option<EventsClient>,
    request: &ForwardRequest,
) -> ttrpc::Result<()> {
    let client = match connection {
        Some(client) => client,
        None => connection.insert(connect(address).await?),
    };
    let nanoseconds = i64::try_from(ANSWER.as_nanos()).unwrap_or(i64::MAX);
    client.forward(ttrpc::context::with_timeout(nanoseconds), request).await.map(drop)
}

/// Whether somebody listens at this address.
pub async fn is_there(address: &str, limit: Duration) -> bool {
    tokio::time::timeout(limit, connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

async fn connect(address: &str) -> ttrpc::Result<EventsClient> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    let connected = tokio::time::timeout(ANSWER, tokio::net::UnixStream::connect(path)).await;
    let stream = connected
        .map_err(|_| ttrpc::Error::Others("connect: no answer".to_owned()))?
        .map_err(|error| ttrpc::Error::Others(format!("connect to {path}: {error}")))?;
    Ok(EventsClient::new(Client::new(Socket::new(BufReader::with_capacity(READ, stream)))))
}

fn is_final(status: &ttrpc::Status) -> bool {
    use ttrpc::Code;
    [Code::INVALID_ARGUMENT, Code::NOT_FOUND, Code::ALREADY_EXISTS, Code::UNIMPLEMENTED]
        .contains(&status.code())
}

/// A message of a package in an envelope, under its bare name.
///
/// Compat: containerd registers no prefix for these types. The name is not asked of the message's descriptor, which would
/// be decoded for it and take more memory than the rest of the shim.
#[must_use]
pub fn any<M: Message>(package: &str, message: &M) -> Any {
    Any {
        type_url: format!("{package}.{}", M::NAME),
        value: message.write_to_bytes().unwrap_or_default(),
        ..Any::default()
    }
}

/// A time on the wire.
#[must_use]
pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
        ..Timestamp::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containerd_shim_protos::events::task::{TaskExit, TaskStart};

    fn topics_of(events: &Events) -> Vec<String> {
        events.waiting().queue.iter().map(|event| event.envelope.topic.clone()).collect()
    }

    #[test]
    fn the_type_is_a_bare_name() {
        assert_eq!(any("containerd.events", &TaskExit::new()).type_url, "containerd.events.TaskExit");
    }

    #[test]
    fn a_full_queue_drops_starts_and_keeps_exits_in_order() {
        let events = Events::new("ns");
        events.push(topics::TASK_START_EVENT_TOPIC, &TaskStart::new());
        for _ in 0..BOUND {
            events.push(topics::TASK_START_EVENT_TOPIC, &TaskStart::new());
            events.push(topics::TASK_EXIT_EVENT_TOPIC, &TaskExit::new());
        }
        let kept = topics_of(&events);
        let exits = kept.iter().filter(|topic| *topic == topics::TASK_EXIT_EVENT_TOPIC).count();
        assert_eq!(exits, BOUND);
        assert_eq!(kept[0], topics::TASK_START_EVENT_TOPIC, "the head is on its way");
        assert!(kept.len() <= BOUND + 1, "{}", kept.len());
        assert!(events.figures().2 > 0);
    }
}
