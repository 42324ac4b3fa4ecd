//! The ends of child processes, each known by its pidfd.
//!
//! Nobody waits for "any child": who was started is waited for by its pidfd, so no exit can be taken for another's, and
//! a process that ends before it is registered is still there. What remains are strangers, orphans of containers that
//! share the host's pids; they are looked at first and taken away only when they are nobody's.
//!
//! **Invariant:** a process is taken away by its own waiter, never by the sweep.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use launch::process::{Reap, ended};
use launch::{Ended, Process};
use rustix::fd::AsFd;
use tokio::io::Interest;
use tokio::sync::Notify;

use crate::watched::watched;

/// The children of this process.
#[derive(Clone, Debug, Default)]
pub struct Children(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Pids that have a waiter.
    owned: Mutex<HashSet<i32>>,
    /// Births under way: a child may be there whose waiter is not.
    births: AtomicUsize,
    /// The last sweep may have left something to whoever held it up.
    missed: AtomicBool,
    sweep: Notify,
}

/// A birth under way. Held until the child has its waiter, or none came of it.
#[derive(Debug)]
pub struct Birth(Children);

/// A child that is being waited for.
#[derive(Debug)]
pub struct Child {
    children: Children,
    process: Arc<Process>,
}

impl Children {
    /// Announces a birth: from now on no unknown child is taken away.
    #[must_use]
    pub fn birth(&self) -> Birth {
        self.0.births.fetch_add(1, Ordering::SeqCst);
        Birth(self.clone())
    }

    /// Takes a process that is a child, or will be when its parent ends.
    #[must_use]
    pub fn adopt(&self, process: Arc<Process>) -> Child {
        self.owned().insert(process.pid);
        Child { children: self.clone(), process }
    }

    /// Some child has ended.
    pub fn look(&self) {
        self.0.sweep.notify_one();
    }

    /// Takes strangers away for ever.
    pub async fn sweep(self) {
        loop {
            self.0.sweep.notified().await;
            self.sweep_all();
        }
    }

    /// A birth, or a dead child that has a waiter, ends the round; whoever held it up calls again.
    fn sweep_all(&self) {
        // Before the look: who lets go during it has to find that.
        self.0.missed.store(true, Ordering::SeqCst);
        while self.0.births.load(Ordering::SeqCst) == 0 {
            let Ok(Some(pid)) = sys::children::next_dead() else {
                self.0.missed.store(false, Ordering::SeqCst);
                return;
            };
            if self.owned().contains(&pid) {
                return;
            }
            log::debug!("orphan {pid} has ended");
            if sys::children::reap(pid).is_err() {
                return;
            }
        }
    }

    /// Somebody who may have held a sweep up does so no more.
    fn let_go(&self) {
        if self.0.missed.swap(false, Ordering::SeqCst) {
            self.look();
        }
    }

    fn owned(&self) -> std::sync::MutexGuard<'_, HashSet<i32>> {
        self.0.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Birth {
    fn drop(&mut self) {
        self.0.0.births.fetch_sub(1, Ordering::SeqCst);
        self.0.let_go();
    }
}

impl Child {
    /// Its pid; for messages only.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Its identity.
    #[must_use]
    pub fn pidfd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.process.pidfd.as_fd()
    }

    /// Kills it, if it lives.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.process.pidfd, rustix::process::Signal::KILL);
    }

    /// Waits until the process is dead; it stays to be looked at.
    ///
    /// # Errors
    /// When the kernel does not let it be waited for.
    pub async fn dead(&self) -> std::io::Result<()> {
        let pidfd = watched(self.process.pidfd.as_fd(), Interest::READABLE)?;
        let _ready = pidfd.readable().await?;
        Ok(())
    }

    /// Waits for the end and takes the process away. `None` when somebody else has.
    ///
    /// # Errors
    /// When the kernel does not let it be waited for.
    pub async fn end(self) -> std::io::Result<Option<Ended>> {
        self.dead().await?;
        loop {
            match ended(&self.process, Reap::Yes) {
                Ok(Some(how)) => return Ok(Some(how)),
                // Kernel: a dead child that is traced belongs to its tracer first; one whose parent still lives is not
                // our child yet.
                Ok(None) => {}
                Err(launch::Error::Wait { source: rustix::io::Errno::CHILD, .. }) => return Ok(None),
                Err(error) => log::warn!("{error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.children.owned().remove(&self.process.pid);
        self.children.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Whether a sweep was called for.
    fn called(children: &Children) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            tokio::time::timeout(Duration::ZERO, children.0.sweep.notified()).await.is_ok()
        })
    }

    #[test]
    fn a_sweep_that_a_birth_held_up_is_made_up_for_and_no_other() {
        let children = Children::default();
        drop(children.birth());
        assert!(!called(&children), "nothing was held up");
        let (first, second) = (children.birth(), children.birth());
        children.sweep_all();
        drop(first);
        assert!(called(&children));
        // It is held up by the second.
        children.sweep_all();
        drop(second);
        assert!(called(&children));
        drop(children.birth());
        assert!(!called(&children));
    }
}
