//! The rule by which dockerd turns the text of a failed start into an exit code.

/// What dockerd answers to a text that holds none of its phrases.
pub(super) const OTHER: u8 = 128;

/// Phrases in lower case with their answers, in the order in which they win.
///
/// Compat: dockerd (daemon/errors.go, the function that translates a containerd start error).
const PHRASES: &[(&str, u8)] = &[
    ("not a directory", 127),
    ("permission denied", 126),
    ("is a directory", 126),
    ("executable file not found", 127),
    ("no such file or directory", 127),
    ("system cannot find the file specified", 127),
    ("failed to run runc create/exec call", 127),
];

/// The exit code that dockerd derives from a text.
pub(super) fn answer(text: &str) -> u8 {
    let text = text.to_lowercase();
    PHRASES.iter().find(|(phrase, _)| text.contains(phrase)).map_or(OTHER, |(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerd_looks_for_phrases_without_regard_to_case() {
        let table = [
            ("exec: \"foo\": executable file not found in $PATH", 127),
            ("exec: \"/x\": stat /x: No such file or directory", 127),
            ("exec: \"/x\": Permission denied", 126),
            ("exec: \"/bin\": is a directory", 126),
            ("mount /a on /b: not a directory", 127),
            ("the container has 20 of 20 pids", 128),
            ("", 128),
        ];
        for (text, code) in table {
            assert_eq!(answer(text), code, "{text}");
        }
    }
}
