//! A step that the system refused to the shim itself, on its way to serving.

/// What was refused, and why.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct Refused {
    /// What was to be done.
    pub step: &'static str,
    /// The cause.
    pub source: std::io::Error,
}

/// Adds the step to its cause.
pub fn refused<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> Refused {
    move |source| Refused { step, source: source.into() }
}
