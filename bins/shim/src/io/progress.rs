//! What became of the streams of a process.

use std::sync::Arc;

use tokio::sync::watch;

/// What became of the output of a process, its streams taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that were handed to the reader.
    pub delivered: u64,
    /// Bytes written before the leader's exit that nobody got.
    pub lost: u64,
    /// How many streams were cut while survivors held them.
    pub cut: u32,
}

/// How far the streams are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Streams of output that have not ended.
    pub(super) open: u32,
    /// Of those that have.
    pub(super) outcome: Outcome,
}

/// The duty of one stream to say how it ended; when it is dropped without a word, the stream still counts as ended.
#[derive(Debug)]
pub(super) struct Report {
    progress: Arc<watch::Sender<Progress>>,
    /// For the log: whose stream, and which.
    name: String,
}

impl Report {
    /// Counts one more open stream.
    pub(super) fn new(progress: &Arc<watch::Sender<Progress>>, name: String) -> Self {
        progress.send_modify(|progress| progress.open += 1);
        Self { progress: Arc::clone(progress), name }
    }

    /// Whose stream it is, for the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The end of the stream; a loss and a cut are said in the log as well.
    pub(super) fn ended(self, outcome: Outcome) {
        let Outcome { delivered, lost, cut } = outcome;
        if lost > 0 {
            log::warn!("{}: {lost} bytes were written and taken by nobody", self.name);
        }
        if cut > 0 {
            log::warn!(
                "{}: cut after {delivered} bytes: processes that survived the leader hold it",
                self.name
            );
        }
        self.progress.send_modify(|progress| {
            progress.outcome.delivered += delivered;
            progress.outcome.lost += lost;
            progress.outcome.cut += cut;
        });
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.progress.send_modify(|progress| progress.open -= 1);
    }
}
