//! `linux.resources.pids`.

use super::Write;
use crate::Pids;

/// A limit of 0 writes nothing; see [`Pids::limit`]. A negative one writes `max`.
pub(super) fn plan(pids: &Pids, writes: &mut Vec<Write>) {
    let value = match pids.limit {
        None | Some(0) => return,
        Some(limit) if limit < 0 => "max".to_owned(),
        Some(limit) => limit.to_string(),
    };
    writes.push(Write::new("pids", "pids.max", value, "pids/limit"));
}
