//! Log lines: which failure class a line is, what it is a mere consequence of, what to look at next.
//!
//! ```text
//!     bytes -> lines -> record (who says it, how loud, what) -> class -> consequence_of
//!               |                                                 |
//!               one search for every word that matters            nearest classes when unknown
//! ```
//!
//! **Invariant:** a line is judged by its text alone, and what a container wrote is never taken for what a daemon
//! said; unknown is said to be unknown.

mod class;
mod classify;
mod consequence;
mod exit_status;
mod journal;
mod nearest;
mod pattern;
mod record;
mod routine;
mod stream;
mod summary;
mod text;

pub use class::{AREAS, Class, classes};
pub use classify::{Explainer, Explanation};
pub use consequence::Consequences;
pub use exit_status::{Meaning, meanings};
pub use record::{Level, Record, Speaker};
pub use stream::Totals;
pub use summary::{Group, Summary};
