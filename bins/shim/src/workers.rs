//! A small set of threads for calls that can sleep in the kernel on a container's account.
//!
//! A thread is made when one is needed and ends when it had nothing to do for a while, so a quiet shim has none. Who
//! does not come back in time is abandoned: its thread no longer counts against the bound, the caller gets an error, and
//! the log says what is stuck since when.
//!
//! A thread that comes free takes what a container with the fewest threads waits for: the queue of one that hangs holds
//! up no other container of the pod.
//!
//! **Invariant:** the number of threads is bounded, the stuck ones included.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// How many may work at once.
const WORKING: usize = 8;

/// How many may be stuck before no more work is taken.
const STUCK: usize = 32;

/// How long work waits while no other is begun before one thread more is made: whoever is slow holds up nobody else.
const SLOW: Duration = Duration::from_millis(500);

/// How long a thread waits for more work.
const IDLE: Duration = Duration::from_secs(2);

/// Stack of a thread in bytes; pages that are never touched are never there.
const STACK: usize = 256 << 10;

type Job = Box<dyn FnOnce() + Send>;

/// A piece of work in the queue.
struct Queued {
    container: String,
    taker: Taker,
    job: Job,
}

/// The threads.
#[derive(Clone, Debug, Default)]
pub struct Workers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    /// How many threads work for a container, the abandoned ones included; none is not there.
    occupied: BTreeMap<String, usize>,
    /// Threads that wait for work.
    idle: usize,
    /// Threads that are there and not abandoned.
    threads: usize,
    abandoned: usize,
    /// When work was begun last, or a thread made to begin some.
    begun: Option<Instant>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { queue, idle, threads, abandoned, .. } = self;
        write!(formatter, "{} queued, {idle} idle of {threads}, {abandoned} stuck", queue.len())
    }
}

impl State {
    /// Takes a piece of work from the queue: of those that a free thread was woken for, else of those whose container
    /// occupies the fewest threads, the one that waits longest.
    fn take(&mut self) -> Option<Queued> {
        let order = |queued: &Queued| (queued.taker, self.occupied.get(&queued.container).copied());
        let (next, _) = self.queue.iter().enumerate().min_by_key(|(_, queued)| order(queued))?;
        let queued = self.queue.remove(next)?;
        *self.occupied.entry(queued.container.clone()).or_default() += 1;
        self.begun = Some(Instant::now());
        Some(queued)
    }

    /// A thread is done with work for this container.
    fn leave(&mut self, container: &str) {
        let Some(threads) = self.occupied.get_mut(container) else { return };
        *threads -= 1;
        if *threads == 0 {
            self.occupied.remove(container);
        }
    }

    /// Counts one more thread, if those that are there begin nothing; with the stuck ones they have a bound. Of many who
    /// wait one gets it: it may be enough for all, and else the next is made when it has begun nothing for a while.
    fn takes_another(&mut self) -> bool {
        let slow = self.begun.is_none_or(|begun| begun.elapsed() >= SLOW);
        let more = slow && self.threads + self.abandoned < WORKING + STUCK;
        if more {
            self.threads += 1;
            self.begun = Some(Instant::now());
        }
        more
    }
}

/// What a piece of work is called, whom it is for, and how long it may take.
#[derive(Clone, Debug)]
pub struct Task {
    /// For the log and for the error.
    pub name: String,
    /// Id of the container on whose account it may sleep; empty where it is the shim's own.
    pub container: String,
    /// After this it is abandoned.
    pub limit: Duration,
}

/// Who takes a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Taker {
    /// A thread that has nothing else to do: it needs no look whether any begins it, and so nothing overtakes it.
    Free,
    /// Whoever comes to it.
    Anyone,
}

/// Where a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Queued,
    Running,
    /// Nobody waits for it any more.
    Abandoned,
    Done,
}

impl Workers {
    /// Carries out `work` on a thread and gives what it returns.
    ///
    /// # Errors
    /// [`Failure::Stuck`] or [`Failure::NotBegun`] after the limit, [`Failure::Exhausted`], [`Failure::Panicked`].
    pub async fn run<T: Send + 'static>(
        &self,
        task: Task,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = oneshot::channel();
        let progress = Arc::new(Mutex::new(Progress::Queued));
        let job = self.job(Arc::clone(&progress), move || {
            let _ = sender.send(work());
        });
        let taker = self.submit(task.container.clone(), job)?;
        let begun = Instant::now();
        tokio::select! {
            biased;
            outcome = receiver => outcome.map_err(|_| Failure::Panicked),
            never = self.relieve(&progress, taker) => match never {},
            () = tokio::time::sleep(task.limit) => Err(self.abandon(&task, &progress, begun)),
        }
    }

    /// Makes a thread whenever this piece of work waits and none is begun for a while.
    async fn relieve(&self, progress: &Mutex<Progress>, taker: Taker) -> Infallible {
        // Without a timer that would be the next one to end, and so wake the control thread twice.
        if taker == Taker::Free {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(SLOW).await;
            if *progress.lock().unwrap_or_else(PoisonError::into_inner) != Progress::Queued {
                return std::future::pending().await;
            }
            if self.state().takes_another()
                && let Err(error) = self.spawn()
            {
                log::warn!("{error}");
            }
        }
    }

    /// How many threads are stuck.
    #[must_use]
    pub fn stuck(&self) -> usize {
        self.state().abandoned
    }

    fn job(&self, progress: Arc<Mutex<Progress>>, work: impl FnOnce() + Send + 'static) -> Job {
        let workers = self.clone();
        Box::new(move || {
            if !step(&progress, Progress::Queued, Progress::Running) {
                return;
            }
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                log::error!("a worker panicked");
            }
            if !step(&progress, Progress::Running, Progress::Done) {
                workers.come_back();
            }
        })
    }

    fn submit(&self, container: String, job: Job) -> Result<Taker, Failure> {
        let mut state = self.state();
        if state.abandoned >= STUCK {
            return Err(Failure::Exhausted { count: state.abandoned });
        }
        let wakes = state.idle > state.queue.len();
        let makes = !wakes && state.threads < WORKING;
        // With others in the queue the new thread may take one of them.
        let taker = if wakes || (makes && state.queue.is_empty()) { Taker::Free } else { Taker::Anyone };
        state.queue.push_back(Queued { container, taker, job });
        state.threads += usize::from(makes);
        // First let go of the lock: who is woken wants it, and would sleep again at once.
        drop(state);
        if wakes {
            self.0.wake.notify_one();
        }
        if makes {
            self.spawn()?;
        }
        Ok(taker)
    }

    fn spawn(&self) -> Result<(), Failure> {
        let workers = self.clone();
        let made = std::thread::Builder::new().stack_size(STACK).spawn(move || workers.work());
        let Err(error) = made else { return Ok(()) };
        let mut state = self.state();
        state.threads -= 1;
        if state.threads == 0 {
            state.queue.clear();
        }
        let source = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::AGAIN);
        Err(Failure::Step { step: "make a thread of the shim", source })
    }

    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(Queued { container, job, .. }) = state.take() {
                drop(state);
                job();
                state = self.state();
                state.leave(&container);
                continue;
            }
            // There are more threads than that when some were slow, or came back.
            if state.threads > WORKING {
                break;
            }
            state.idle += 1;
            let waited = self.0.wake.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            state.idle -= 1;
            if waited.1.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn abandon(&self, task: &Task, progress: &Mutex<Progress>, begun: Instant) -> Failure {
        let (what, limit) = (task.name.clone(), task.limit);
        if step(progress, Progress::Queued, Progress::Abandoned) {
            let count = self.stuck();
            log::warn!(
                "{what}: no thread was free for it within {} ms; {count} stuck",
                begun.elapsed().as_millis()
            );
            return Failure::NotBegun { what, limit, count };
        }
        let at = if step(progress, Progress::Running, Progress::Abandoned) {
            self.replace();
            "it sleeps in the kernel"
        } else {
            "it ended this moment"
        };
        let stuck = self.stuck();
        log::warn!("{what}: {at} after {} ms; {stuck} stuck", begun.elapsed().as_millis());
        Failure::Stuck { what, limit, at: at.to_owned() }
    }

    /// A thread is stuck: another one takes its place if work waits.
    fn replace(&self) {
        let mut state = self.state();
        state.abandoned += 1;
        state.threads -= 1;
        if !state.queue.is_empty() && state.threads < WORKING {
            state.threads += 1;
            drop(state);
            if let Err(error) = self.spawn() {
                log::error!("{error}");
            }
        }
    }

    fn come_back(&self) {
        let mut state = self.state();
        state.abandoned -= 1;
        state.threads += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes from one state to the next, unless it is in another.
fn step(progress: &Mutex<Progress>, from: Progress, to: Progress) -> bool {
    let mut now = progress.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = *now == from;
    if fits {
        *now = to;
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn task(limit: Duration) -> Task {
        task_of("a", limit)
    }

    fn task_of(container: &str, limit: Duration) -> Task {
        Task { name: "a test".to_owned(), container: container.to_owned(), limit }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(future)
    }

    #[test]
    fn a_stuck_worker_is_abandoned_counted_and_taken_back() {
        let workers = Workers::default();
        let (release, held) = mpsc::channel::<()>();
        let (back, came) = mpsc::channel::<()>();
        let work = move || {
            let _ = held.recv();
            let _ = back.send(());
        };
        let outcome = run(workers.run(task(Duration::from_secs(2)), work));
        assert!(matches!(outcome, Err(Failure::Stuck { .. })), "{outcome:?}");
        assert_eq!(workers.stuck(), 1);
        // The others are not held up.
        assert_eq!(run(workers.run(task(Duration::from_secs(60)), || 7)).expect("free"), 7);
        release.send(()).expect("it waits");
        came.recv().expect("it goes on");
        while workers.stuck() > 0 {
            std::thread::yield_now();
        }
    }

    /// Work that ends when the sender is dropped.
    fn slow() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (release, held) = mpsc::channel::<()>();
        let work = move || {
            let _ = held.recv();
        };
        (release, work)
    }

    #[test]
    fn work_that_is_slow_holds_up_no_other() {
        let workers = Workers::default();
        let (releases, works): (Vec<_>, Vec<_>) = (0..WORKING + 2).map(|_| slow()).unzip();
        run(async {
            let limit = Duration::from_secs(3600);
            let begin = |work| {
                let workers = workers.clone();
                tokio::spawn(async move { workers.run(task(limit), work).await })
            };
            let running = works.into_iter().map(begin).collect::<Vec<_>>();
            // They have the threads now, and the others of them come first.
            tokio::task::yield_now().await;
            assert_eq!(workers.run(task(limit), || 7).await.expect("a thread"), 7);
            drop(releases);
            for one in running {
                one.await.expect("no panic").expect("released");
            }
        });
    }

    #[test]
    fn the_queue_of_a_container_that_hangs_holds_up_no_other() {
        const HUNG: usize = WORKING + 20;
        let workers = Workers::default();
        let begun = Arc::new(Mutex::new(Vec::new()));
        let (releases, works): (Vec<_>, Vec<_>) = (0..HUNG).map(|_| slow()).unzip();
        run(async {
            let limit = Duration::from_secs(3600);
            let begin = |container: &'static str, work: Box<dyn FnOnce() + Send>| {
                let (workers, begun) = (workers.clone(), Arc::clone(&begun));
                let noted = move || {
                    begun.lock().expect("no panic").push(container);
                    work();
                };
                tokio::spawn(async move { workers.run(task_of(container, limit), noted).await })
            };
            let running = works.into_iter().map(|work| begin("hung", Box::new(work))).collect::<Vec<_>>();
            tokio::task::yield_now().await;
            begin("neighbour", Box::new(|| ())).await.expect("no panic").expect("a thread");
            drop(releases);
            for one in running {
                one.await.expect("no panic").expect("released");
            }
        });
        let order = begun.lock().expect("no panic");
        let before = order.iter().position(|container| *container == "neighbour").expect("it ran");
        // A machine that is slow may begin a few more between a thread's taking of work and the note of it.
        assert!(before < WORKING + 10, "{before} of {HUNG} were begun before it");
        assert_eq!(order.len(), HUNG + 1);
        // A thread tells the result first, and leaves the container then.
        while !workers.state().occupied.is_empty() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_of_the_container_with_the_fewest_threads_is_taken_first_but_none_overtakes_who_has_a_thread() {
        let queued = |(container, taker): (&str, _)| Queued {
            container: container.to_owned(),
            taker,
            job: Box::new(|| ()),
        };
        let queue = [
            ("a", Taker::Anyone),
            ("a", Taker::Free),
            ("a", Taker::Anyone),
            ("b", Taker::Anyone),
            ("b", Taker::Anyone),
        ];
        let mut state = State { queue: queue.map(queued).into(), ..State::default() };
        let taken = std::iter::from_fn(|| state.take().map(|queued| queued.container)).collect::<Vec<_>>();
        assert_eq!(taken, ["a", "b", "a", "b", "a"]);
        state.leave("b");
        assert_eq!(state.occupied.get("b"), Some(&1));
        state.leave("b");
        assert_eq!(state.occupied, BTreeMap::from([("a".to_owned(), 3)]));
    }

    #[test]
    fn there_are_never_more_threads_than_may_work_and_be_stuck() {
        let mut state = State { threads: WORKING, abandoned: STUCK - 1, ..State::default() };
        assert!(state.takes_another());
        state.begun = None;
        assert!(!state.takes_another());
        let mut busy = State { begun: Some(Instant::now()), ..State::default() };
        assert!(!busy.takes_another(), "work is begun");
    }

    #[test]
    fn of_many_who_wait_at_once_one_gets_a_thread() {
        let long_ago = Instant::now().checked_sub(SLOW);
        let mut state = State { threads: WORKING, begun: long_ago, ..State::default() };
        let made = (0..STUCK).filter(|_| state.takes_another()).count();
        assert_eq!((made, state.threads), (1, WORKING + 1));
        state.begun = long_ago;
        assert!(state.takes_another(), "it began nothing either");
    }

    #[test]
    fn a_panic_ends_its_own_work_only() {
        let workers = Workers::default();
        let outcome = run(workers.run(task(Duration::from_secs(60)), || panic!("on purpose")));
        assert!(matches!(outcome, Err(Failure::Panicked)), "{outcome:?}");
        assert_eq!(run(workers.run(task(Duration::from_secs(60)), || 1)).expect("alive"), 1);
    }

    #[test]
    fn more_work_than_threads_waits_its_turn() {
        let workers = Workers::default();
        let many = (0..100).map(|number| workers.run(task(Duration::from_secs(60)), move || number));
        let sum = run(async move {
            let mut sum = 0;
            for one in many.map(Box::pin).collect::<Vec<_>>() {
                sum += one.await.expect("done");
            }
            sum
        });
        assert_eq!(sum, 4950);
        assert!(workers.state().threads <= WORKING);
    }
}
