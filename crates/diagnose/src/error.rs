//! What can fail here: reading the input, and nothing else that a user can cause.

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input ended with an error.
    #[error("read the input after {bytes} bytes")]
    Input {
        /// How much was read before.
        bytes: u64,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The list of failure classes in this build cannot be read.
    #[error("read the failure classes of {area}")]
    Classes {
        /// The file of `classes/`, without its ending.
        area: &'static str,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A log line's pattern in this build is no regular expression.
    #[error("{class}: compile `{pattern}`")]
    Pattern {
        /// The class it belongs to.
        class: String,
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: Box<regex_syntax::Error>,
    },
    /// The literals of all patterns do not fit into one automaton.
    #[error("build the search for {literals} words")]
    Search {
        /// How many words there are.
        literals: usize,
        /// Why not.
        #[source]
        source: Box<aho_corasick::BuildError>,
    },
}
