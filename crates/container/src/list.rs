//! `list`: every container of a state root.

use crate::record::Record;
use crate::state::{StateView, owner, view};
use crate::{ContainerId, Error, Store};
use proc::Procfs;

/// A container whose state cannot be read, and why.
pub type Unreadable = (ContainerId, Error);

/// All containers by id. One whose state cannot be read is named in the second list: it never hides the others.
///
/// # Errors
/// [`Error::StateRoot`], [`Error::Proc`].
pub fn list(store: &Store) -> Result<(Vec<StateView>, Vec<Unreadable>), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let (mut views, mut unreadable) = (Vec::new(), Vec::new());
    for id in store.ids()? {
        match store.entry(&id).and_then(|entry| entry.read()).and_then(|record| owned(&proc, record)) {
            Ok(view) => views.push(view),
            // Deleted between the two looks.
            Err(Error::NotFound { .. }) => {}
            Err(error) => unreadable.push((id, error)),
        }
    }
    Ok((views, unreadable))
}

fn owned(proc: &Procfs, record: Record) -> Result<StateView, Error> {
    let owner = owner(record.owner);
    Ok(StateView { owner, ..view(proc, record)? })
}
