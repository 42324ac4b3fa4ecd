//! Makes sure that a container cannot overwrite this executable.

use sys::start::Given;

use crate::cli::VERBS;
use crate::failure::Failure;
use crate::verb::Reach;

/// Executes this program once more if it will be needed, before it has done anything that would then be done twice.
///
/// Nothing is parsed: any word that is the name of such a verb is reason enough. A refusal is left to [`ensure`], which
/// comes when the verb is known.
pub(crate) fn hasten(given: &Given) {
    let reaches =
        |word: &[u8]| VERBS.iter().any(|verb| verb.reach == Reach::Container && verb.name.as_bytes() == word);
    if given.arguments().skip(1).any(|word| reaches(word.to_bytes())) {
        let _ = ensure(given);
    }
}

/// Comes back when this process runs from a file that nobody can write; executes itself once more otherwise, with
/// what it was given.
///
/// # Errors
/// The step that the kernel refused.
pub(crate) fn ensure(given: &Given) -> Result<(), Failure> {
    Ok(container::protect_first(given)?)
}
