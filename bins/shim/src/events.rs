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

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim::events::ForwardRequest;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::topics;
use protobuf::well_known_types::any::Any;
use protobuf::well_known_types::timestamp::Timestamp;
use protobuf::{Message, MessageField};
use tokio::sync::Notify;
use ttrpc::asynchronous::transport::Socket;

/// How many events may wait before some are dropped.
const BOUND: usize = 1024;

/// How long containerd may take for one event.
const ANSWER: Duration = Duration::from_secs(5);

/// The shortest and the longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

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
        let mut connection = None;
        loop {
            self.0.more.notified().await;
            while let Some(envelope) = self.head() {
                if address.is_empty() || self.deliver(&address, &mut connection, envelope).await {
                    self.taken();
                }
            }
        }
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

    /// Tries until containerd has it.
    async fn deliver(
        &self,
        address: &str,
        connection: &mut Option<EventsClient>,
        envelope: Envelope,
    ) -> bool {
        let mut pause = PAUSE.0;
        let request = ForwardRequest { envelope: MessageField::some(envelope), ..ForwardRequest::default() };
        loop {
            match attempt(address, connection, &request).await {
                Ok(()) => return true,
                // It understood and does not want it: the next attempt would end the same.
                Err(ttrpc::Error::RpcStatus(status)) if is_final(&status) => {
                    log::warn!("containerd refuses an event: {}", status.message);
                    return true;
                }
                Err(error) => log::debug!("send an event: {error}"),
            }
            *connection = None;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
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

impl Waiting {
    /// Drops the oldest event but the head, which is on its way, that is no exit and no OOM kill.
    fn make_room(&mut self) {
        let dear = [topics::TASK_EXIT_EVENT_TOPIC, topics::TASK_OOM_EVENT_TOPIC];
        let cheap = |event: &Event| !dear.contains(&event.envelope.topic.as_str());
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

async fn connect(address: &str) -> ttrpc::Result<EventsClient> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    let connected = tokio::time::timeout(ANSWER, tokio::net::UnixStream::connect(path)).await;
    let stream = connected
        .map_err(|_| ttrpc::Error::Others("connect: no answer".to_owned()))?
        .map_err(|error| ttrpc::Error::Others(format!("connect to {path}: {error}")))?;
    Ok(EventsClient::new(Client::new(Socket::new(stream))))
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
