//! `--systemd-cgroup`: systemd makes the groups. Where systemd is not PID 1 there is nothing to run.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod bad_input;
mod bus;
mod scope;
mod unit;
mod update;
