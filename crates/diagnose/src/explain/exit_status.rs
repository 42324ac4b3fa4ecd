//! What `exit status N` of runc's namespace helper means, which depends on runc's version.
//!
//! In runc 1.0.0-rc2 to rc8 the number counts the places in `nsexec.c` that give up. Older messages name their own
//! source lines (`process_linux.go:86`), and these tell the version: both tables are in `classes/`.
//! Source: nsexec.c, container_linux.go and process_linux.go of each release.

const STATUSES: &str = include_str!("../../classes/nsexec-exit-status.tsv");
const SOURCE_LINES: &str = include_str!("../../classes/runc-source-lines.tsv");

/// What one number means in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The version: `v1.0.0-rc5`, or the Docker release whose runc stood between two.
    pub version: &'static str,
    /// What the helper would have said.
    pub text: &'static str,
}

/// What the exit status in a message can mean: one row for each version that the message's source lines, or `version`
/// (`1.0.0-rc5`), leave possible. Empty when there is no such number in the message or in the tables.
#[must_use]
pub fn meanings(message: &str, version: Option<&str>) -> Vec<Meaning> {
    let Some(status) = status(message) else {
        return Vec::new();
    };
    let versions = match version {
        Some(version) => versions_named(version),
        None => versions_of(message),
    };
    STATUSES
        .lines()
        .skip(1)
        .filter_map(|row| meaning(row, status))
        .filter(|meaning| versions.is_empty() || versions.contains(&meaning.version))
        .collect()
}

fn meaning(row: &'static str, wanted: &str) -> Option<Meaning> {
    let mut cells = row.split('\t');
    let (version, status, text) = (cells.next()?, cells.next()?, cells.next()?);
    (status == wanted).then_some(Meaning { version, text })
}

/// The number of the last `setns process ... exit status N`.
fn status(message: &str) -> Option<&str> {
    let (_, after) = message.rsplit_once("setns process")?;
    let number = after.split("exit status ").nth(1)?;
    let end = number.find(|character: char| !character.is_ascii_digit()).unwrap_or(number.len());
    number.get(..end).filter(|digits| !digits.is_empty())
}

fn versions_named(version: &str) -> Vec<&'static str> {
    let version = version.trim_start_matches('v');
    table().map(|row| row.0).filter(|tag| tag.trim_start_matches('v') == version).collect()
}

/// The versions in which every source line that the message names reports something; empty when it names none.
fn versions_of(message: &str) -> Vec<&'static str> {
    let named: Vec<(&str, &str)> = ["container_linux.go", "process_linux.go"]
        .iter()
        .filter_map(|file| Some((*file, line_of(message, file)?)))
        .collect();
    let mut versions: Vec<&'static str> = table().map(|row| row.0).collect();
    versions.sort_unstable();
    versions.dedup();
    for (file, line) in &named {
        let having: Vec<&str> = table()
            .filter(|row| row.1 == *file && row.2.split(' ').any(|number| number == *line))
            .map(|row| row.0)
            .collect();
        versions.retain(|version| having.contains(version));
    }
    if named.is_empty() { Vec::new() } else { versions }
}

fn table() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    SOURCE_LINES.lines().skip(1).filter_map(|row| {
        let mut cells = row.split('\t');
        Some((cells.next()?, cells.next()?, cells.next()?))
    })
}

fn line_of<'a>(message: &'a str, file: &str) -> Option<&'a str> {
    let after = message.split(file).nth(1)?.strip_prefix(':')?;
    let end = after.find(|character: char| !character.is_ascii_digit()).unwrap_or(after.len());
    after.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(message: &str, version: Option<&str>) -> Vec<&'static str> {
        let mut texts: Vec<&str> = meanings(message, version).iter().map(|meaning| meaning.text).collect();
        texts.dedup();
        texts
    }

    #[test]
    fn the_source_lines_tell_the_version() {
        let message = "container_linux.go:247: starting container process caused \
                       \"process_linux.go:245: running exec setns process for init caused \\\"exit status 6\\\"\"";
        assert_eq!(texts(message, None), ["unable to fork"]);
        let message = "exec failed: container_linux.go:345: starting container process caused \
                       \"process_linux.go:91: executing setns process caused \\\"exit status 22\\\"\": unknown";
        assert_eq!(texts(message, None), ["failed to setns to %s"]);
    }

    #[test]
    fn a_version_that_is_told_decides() {
        let message = "executing setns process caused \"exit status 22\"";
        assert!(texts(message, None).len() > 1);
        assert_eq!(texts(message, Some("1.0.0-rc2")), ["setsid failed"]);
        assert_eq!(texts(message, Some("v1.0.0-rc2")), ["setsid failed"]);
    }

    #[test]
    fn other_numbers_mean_nothing_here() {
        for message in ["exit status 22", "executing setns process caused \"exit status 9999\"", ""] {
            assert_eq!(meanings(message, None), []);
        }
    }
}
