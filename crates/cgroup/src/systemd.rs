//! Groups that systemd makes: a container's group is the scope (or slice) of a unit that systemd starts over D-Bus.
//!
//! ```text
//!     create                    bus                    systemd
//!       | -- AUTH, Hello -------> |                       |
//!       | -- AddMatch ----------> |                       |  signals are asked for before there can be one
//!       | -- Subscribe, Get ControlGroup ---------------> |  below which group its slices are
//!       |  the unit's name is on disk, init is parked     |
//!       | -- StartTransientUnit (init's pid) -----------> |  makes the group, moves init into it
//!       | <------------------------------- path of a job -|
//!       | <---------------- JobRemoved (the job's result)-|
//!
//!     update   SetUnitProperties, so that a `daemon-reload` does not take the limits back
//!     delete   StopUnit, JobRemoved, ResetFailedUnit
//!     exec     never talks to systemd
//! ```
//!
//! Where no bus is up, the machine's systemd is asked without one, at its private socket.
//!
//! **Invariant**: the conversation has one thread and a deadline that every read and write obeys; whatever becomes of
//! the bus in between, the answer names the unit. A scope without processes ends by itself, so nothing that is killed
//! half-way leaves one.

mod address;
mod annotation;
mod bus;
mod calls;
mod error;
mod message;
mod name;
mod property;

pub use address::Address;
pub use annotation::annotated;
pub use calls::Manager;
pub use error::Error;
pub use name::{Owner, Unit};
pub use property::{Property, former, limits, membership};

pub use bus::LIMIT;
