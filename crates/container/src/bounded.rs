//! A look into a container's files that cannot hang who looks.
//!
//! A process with one thread has a child look first, which can be killed. In the child of a process with several threads
//! every lock would stay as it was at its birth, the allocator's among them; so there a thread looks, and is left behind
//! when the files do not answer. A process cannot end while one of its threads sleeps in the kernel, so a command, which
//! somebody waits for, does better with the child.
//!
//! **Invariant:** a child is made by a process with one thread only, so that it may use all of its memory; the number of
//! threads left behind is bounded.

use launch::Process;
use launch::process::{Reap, ended, wait_dead};
use proc::Procfs;
use rustix::fd::AsFd;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sys::clone::{Clone3, Parent, Side, clone3};

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(2);

/// How many threads may look at once; who comes then waits for as long as a look may take.
const MOST: usize = 32;

/// How many of them may look into one container: one whose files do not answer leaves places to the others.
const SHARE: usize = 8;

/// Stack of a thread that looks, in bytes.
const STACK: usize = 256 << 10;

/// Who is looked into, once for each thread that looks or is left behind.
static LOOKING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Told when one of them ends.
static FREED: Condvar = Condvar::new();

/// Why nothing was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// The files do not answer.
    Silent,
    /// As many threads as may look at once do so already, in this container or in all; this one was not looked at.
    Busy,
    /// No process or thread could be made that looks, or it broke; this container was not looked at to the end.
    Failed,
}

impl Unseen {
    /// The end of a sentence that begins with what was to be seen.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::Silent => "the container's files do not answer",
            Self::Busy => "too many looks into containers whose files do not answer are under way",
            Self::Failed => "no process or thread that looks could do so",
        }
    }
}

/// What `look` gives, unless it does not come to an end; it is carried out twice in a process with one thread. `init` is
/// the pid of the first process of the container that is looked into.
///
/// # Errors
/// [`Unseen`].
pub(crate) fn look<T: Send + 'static>(
    proc: &Procfs,
    init: i32,
    look: impl Fn() -> T + Send + 'static,
) -> Result<T, Unseen> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    if proc.threads(own).len() == 1 { in_child(&look).map(|()| look()) } else { on_thread(init, look) }
}

fn on_thread<T: Send + 'static>(init: i32, look: impl Fn() -> T + Send + 'static) -> Result<T, Unseen> {
    let place = Place::take(init).ok_or(Unseen::Busy)?;
    let (tell, told) = mpsc::sync_channel(1);
    let looker = move || {
        let _place = place;
        let _ = tell.send(look());
    };
    let thread = std::thread::Builder::new().name("look".to_owned()).stack_size(STACK);
    if let Err(error) = thread.spawn(looker) {
        log::warn!("make a thread that looks into the container: {error}");
        return Err(Unseen::Failed);
    }
    told.recv_timeout(LIMIT).map_err(|error| match error {
        RecvTimeoutError::Timeout => Unseen::Silent,
        RecvTimeoutError::Disconnected => Unseen::Failed,
    })
}

/// The right to be one of the threads that look into the container of this init.
struct Place(i32);

impl Place {
    fn take(init: i32) -> Option<Self> {
        let here = |looking: &Vec<i32>| looking.iter().filter(|other| **other == init).count();
        let is_full = |looking: &mut Vec<i32>| here(looking) >= SHARE || looking.len() >= MOST;
        let waited = FREED.wait_timeout_while(looking(), LIMIT, is_full);
        let (mut looking, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            let (all, here) = (looking.len(), here(&looking));
            drop(looking);
            log::warn!(
                "no place to look into a container in {} s: {all} threads look into containers whose files do not \
                 answer, {here} into that of process {init}",
                LIMIT.as_secs()
            );
            return None;
        }
        looking.push(init);
        Some(Self(init))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut looking = looking();
        if let Some(place) = looking.iter().position(|init| *init == self.0) {
            looking.swap_remove(place);
            drop(looking);
            FREED.notify_all();
        }
    }
}

fn looking() -> MutexGuard<'static, Vec<i32>> {
    LOOKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `look` comes to an end in a child; one that does not is killed.
fn in_child<T>(look: &impl Fn() -> T) -> Result<(), Unseen> {
    let how = Clone3 { namespaces: 0, cgroup: None, parent: Parent::Caller };
    match clone3(&how) {
        Ok(Side::Child) => {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(look())));
            sys::clone::exit(0)
        }
        Ok(Side::Parent { pid, pidfd }) => {
            if ends(&Process { pid, pidfd }) {
                Ok(())
            } else {
                Err(Unseen::Silent)
            }
        }
        Err(errno) => {
            log::warn!("make a process that looks into the container: {errno}");
            Err(Unseen::Failed)
        }
    }
}

fn ends(looker: &Process) -> bool {
    // One that hangs in a file system may outlive its kill; it dies with the answer.
    const KILLED: Duration = Duration::from_millis(500);
    let dead = |limit| matches!(wait_dead(looker.pidfd.as_fd(), limit), Ok(true));
    let in_time = dead(LIMIT);
    if !in_time {
        let _ = rustix::process::pidfd_send_signal(&looker.pidfd, rustix::process::Signal::KILL);
    }
    if !in_time && !dead(KILLED) {
        log::warn!("process {} looks into the container and does not end", looker.pid);
        return false;
    }
    if let Err(error) = ended(looker, Reap::Yes) {
        log::debug!("{error}");
    }
    in_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn proc() -> Procfs {
        Procfs::host().unwrap()
    }

    /// Whoever holds it lets go of it when the look has begun, of which the holder of a child's copy would never hear.
    #[test]
    fn a_lock_that_another_thread_holds_is_let_go_of() {
        static LOCK: Mutex<u8> = Mutex::new(7);
        let (begun, heard) = mpsc::channel();
        let (held, ready) = mpsc::channel();
        let holder = std::thread::spawn(move || {
            let guard = LOCK.lock().unwrap();
            held.send(()).unwrap();
            heard.recv().unwrap();
            drop(guard);
        });
        ready.recv().unwrap();
        let found = look(&proc(), 0, move || {
            begun.send(()).unwrap();
            *LOCK.lock().unwrap()
        });
        assert_eq!(found, Ok(7));
        holder.join().unwrap();
    }

    #[test]
    fn a_look_that_does_not_end_is_given_up() {
        let (go, stay) = mpsc::channel::<()>();
        let stay = Mutex::new(stay);
        let (gone, end) = mpsc::channel();
        let found = look(&proc(), 0, move || {
            let _ = stay.lock().unwrap().recv();
            gone.send(()).unwrap();
        });
        assert_eq!(found, Err(Unseen::Silent));
        go.send(()).unwrap();
        end.recv().unwrap();
    }

    #[test]
    fn a_look_that_panics_finds_nothing() {
        let found: Result<(), Unseen> = look(&proc(), 0, || panic!("on purpose"));
        assert_eq!(found, Err(Unseen::Failed));
    }

    #[test]
    fn a_container_whose_files_do_not_answer_leaves_places_to_the_others() {
        let hung = || Place::take(-1);
        let held = std::iter::from_fn(hung).take(MOST).collect::<Vec<_>>();
        assert_eq!(held.len(), SHARE);
        assert!(Place::take(-2).is_some());
        drop(held);
        assert!(hung().is_some());
    }
}
