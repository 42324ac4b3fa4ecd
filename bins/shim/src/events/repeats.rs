//! Exits that are told again after containerd was away.
//!
//! containerd passes an event on to whoever listens at that moment and forgets it. After its restart dockerd needs some
//! seconds to listen again; what containerd took before that is lost to it.
//!
//! Compat: dockerd 20.10, `libcontainerd/remote/client.go`: it tries again every 100 ms, over a connection that gRPC
//! makes again after three seconds at most. An exit that comes twice finds nobody waiting and changes nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::topics;

/// When exits are told again, after containerd has come back.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6), Duration::from_secs(10)];

/// How long an exit is kept after containerd has taken it: longer than the last of [`AGAIN`].
const KEPT: Duration = Duration::from_secs(15);

/// How many are kept.
const BOUND: usize = 256;

/// The exits and OOM kills that containerd took in the last seconds, and when to tell them again.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    recent: VecDeque<(Instant, Envelope)>,
    due: VecDeque<Instant>,
}

impl Repeats {
    /// containerd has taken an event.
    pub(super) fn taken(&mut self, envelope: &Envelope, now: Instant) {
        let dear = [topics::TASK_EXIT_EVENT_TOPIC, topics::TASK_OOM_EVENT_TOPIC];
        if !dear.contains(&envelope.topic.as_str()) {
            return;
        }
        self.forget(now);
        if self.recent.len() == BOUND {
            self.recent.pop_front();
        }
        self.recent.push_back((now, envelope.clone()));
    }

    /// containerd is there again after an attempt had failed.
    pub(super) fn returned(&mut self, now: Instant) {
        self.due = AGAIN.iter().map(|after| now + *after).collect();
    }

    /// When [`Repeats::again`] has something to tell.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.front().copied()
    }

    /// What is to be told again now, in its order.
    pub(super) fn again(&mut self, now: Instant) -> Vec<Envelope> {
        if self.due.front().is_none_or(|due| *due > now) {
            return Vec::new();
        }
        self.due.pop_front();
        self.forget(now);
        self.recent.iter().map(|(_, envelope)| envelope.clone()).collect()
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(taken, _)| now.duration_since(*taken) > KEPT) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(topic: &str, namespace: &str) -> Envelope {
        Envelope { topic: topic.to_owned(), namespace: namespace.to_owned(), ..Envelope::default() }
    }

    fn names(envelopes: &[Envelope]) -> Vec<&str> {
        envelopes.iter().map(|envelope| envelope.namespace.as_str()).collect()
    }

    #[test]
    fn exits_around_a_return_are_told_again_and_others_are_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut repeats = Repeats::default();
        repeats.taken(&event(topics::TASK_EXIT_EVENT_TOPIC, "long ago"), start);
        repeats.taken(&event(topics::TASK_EXIT_EVENT_TOPIC, "before"), at(19));
        assert_eq!((repeats.next(), repeats.again(at(20)).len()), (None, 0), "nobody was away");
        repeats.returned(at(20));
        repeats.taken(&event(topics::TASK_EXIT_EVENT_TOPIC, "first"), at(20));
        repeats.taken(&event(topics::TASK_START_EVENT_TOPIC, "start"), at(20));
        repeats.taken(&event(topics::TASK_OOM_EVENT_TOPIC, "oom"), at(20));
        assert!(repeats.again(at(20)).is_empty(), "not yet");
        assert_eq!(names(&repeats.again(at(21))), ["before", "first", "oom"]);
        repeats.taken(&event(topics::TASK_EXIT_EVENT_TOPIC, "later"), at(22));
        assert_eq!(repeats.next(), Some(at(23)));
        for second in [23, 26, 30] {
            assert_eq!(names(&repeats.again(at(second))), ["before", "first", "oom", "later"]);
        }
        assert_eq!((repeats.next(), repeats.again(at(99)).len()), (None, 0));
    }

    #[test]
    fn the_memory_for_them_is_bounded() {
        let now = Instant::now();
        let mut repeats = Repeats::default();
        (0..BOUND + 9).for_each(|_| repeats.taken(&event(topics::TASK_EXIT_EVENT_TOPIC, ""), now));
        repeats.returned(now);
        assert_eq!(repeats.again(now + AGAIN[0]).len(), BOUND);
    }
}
