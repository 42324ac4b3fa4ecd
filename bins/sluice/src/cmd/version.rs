//! `sluice --version`.

use container::features::OCI_VERSION_MAX;

/// The commit this binary was built from; the Makefile sets it.
pub(crate) const COMMIT: Option<&str> = option_env!("SLUICE_COMMIT");

/// The lines that callers parse.
///
/// Compat: dockerd, daemon/info_unix.go, `parseRuntimeVersion`: name and version are what stands around the word
/// "version" in the last line that holds it, so only the first one does. go-runc looks for a line that begins
/// with `runc version` and leaves its fields empty otherwise: this is not runc and does not say so.
pub(crate) fn text() -> String {
    let commit = COMMIT.map(|commit| format!("commit: {commit}\n")).unwrap_or_default();
    format!("sluice version {}\n{commit}spec: {OCI_VERSION_MAX}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_holds_the_word_that_dockerd_looks_for() {
        let text = text();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("version")).collect();
        assert_eq!(lines, [format!("sluice version {}", env!("CARGO_PKG_VERSION"))]);
        assert!(text.lines().any(|line| line.starts_with("spec: ")));
    }
}
