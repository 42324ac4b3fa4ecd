//! Goroutine dumps of dockerd, containerd and shims: what each goroutine waits for, who holds the lock that a queue
//! waits on, and how the wait goes on in the next process.
//!
//! ```text
//!     bytes -> lines -> goroutines -> groups of equal stacks -> queues behind locks, their holders
//!                                                              -> chain over the dumps of several processes
//! ```
//!
//! Read are `debug=1` (counts), `debug=2` and SIGUSR1 (text), crash dumps, and each of them inside log lines.
//!
//! **Invariant:** memory grows with different stacks, not with goroutines: equal ones are counted.

mod chain;
mod lines;
mod parse;
mod queue;
mod stack;
mod wait;

pub use chain::{Link, chain};
pub use parse::{Dump, Form, read};
pub use queue::{Holder, Queue, queues};
pub use stack::{Frame, Group, Program};
pub use wait::{Wait, operation};
