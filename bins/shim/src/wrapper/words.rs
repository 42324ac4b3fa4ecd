//! What a runtime says: its log, its answers, and what its errors mean.

use serde_json::Value;

/// What an error of a runtime means for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The process has ended already.
    Finished,
    /// There is no such container.
    NoContainer,
    /// The state of the container does not allow it.
    State,
    /// Something else.
    Other,
}

/// Compat: containerd, `pkg/process/utils.go`, `checkKillError`, and the words of crun beside them.
pub(super) fn meaning(text: &str) -> Meaning {
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["process already finished", "container not running", "no such process", "is not running"]) {
        Meaning::Finished
    } else if has(&["does not exist", "no such container", "error opening file"]) {
        Meaning::NoContainer
    } else if has(&["paused", "not paused", "stopped container", "cannot start"]) {
        Meaning::State
    } else {
        Meaning::Other
    }
}

/// The message of the last error in a log of JSON lines; a line that is none is taken as it is.
pub(super) fn last_error(log: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(log);
    let message = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(entry) if entry.get("level").and_then(Value::as_str) == Some("error") => {
            entry.get("msg").and_then(Value::as_str).map(str::to_owned)
        }
        Ok(_) => None,
        Err(_) => Some(line.to_owned()).filter(|line| !line.trim().is_empty()),
    };
    text.lines().rev().find_map(message)
}

/// The last line with anything in it.
pub(super) fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// `[1, 2]`; an empty answer is an empty list, and so is `null`.
pub(super) fn pids(answer: &[u8]) -> Option<Vec<i32>> {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Some(Vec::new());
    }
    serde_json::from_slice::<Option<Vec<i32>>>(answer).ok().map(Option::unwrap_or_default)
}

/// `status` of a state.
pub(super) fn status(answer: &[u8]) -> Option<String> {
    let state: Value = serde_json::from_slice(answer).ok()?;
    state.get("status")?.as_str().map(str::to_owned)
}

/// An id as a file name: callers choose exec ids.
pub(super) fn file_name(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let part = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
    let mut name: String = id.bytes().map(part).collect();
    name.truncate(160);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_runc_and_of_crun_mean_the_same() {
        for text in ["os: process already finished", "container not running", "kill: No such process"] {
            assert_eq!(meaning(text), Meaning::Finished, "{text}");
        }
        assert_eq!(meaning("container does not exist"), Meaning::NoContainer);
        assert_eq!(meaning("error opening file `/r/x/status`: No such file"), Meaning::NoContainer);
        assert_eq!(meaning("cannot exec in a paused container"), Meaning::State);
        assert_eq!(meaning("read init-p: connection reset by peer"), Meaning::Other);
    }

    #[test]
    fn the_last_error_counts_and_a_line_of_another_form_is_told_too() {
        let log = b"{\"level\":\"error\",\"msg\":\"first\"}\n{\"level\":\"error\",\"msg\":\"last\"}\n{\"level\":\"info\",\"msg\":\"x\"}\n";
        assert_eq!(last_error(log).as_deref(), Some("last"));
        assert_eq!(last_error(b"panic: boom\n\n").as_deref(), Some("panic: boom"));
        assert_eq!(last_error(b""), None);
        assert_eq!(last_line(b"a\n b \n\n").as_deref(), Some("b"));
    }

    #[test]
    fn lists_of_pids() {
        assert_eq!(pids(b"[3,4]\n"), Some(vec![3, 4]));
        assert_eq!(pids(b"null\n"), Some(Vec::new()));
        assert_eq!(pids(b"PID\n1\n"), None);
        assert_eq!(status(b"{\"status\":\"running\"}").as_deref(), Some("running"));
    }

    #[test]
    fn an_id_cannot_lead_out_of_the_bundle() {
        assert_eq!(file_name("../a b"), "%2e%2e%2fa%20b");
        assert_ne!(file_name("a/b"), file_name("a%2fb"));
    }
}
