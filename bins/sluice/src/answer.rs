//! Standard output: the answer, and nothing else.

use std::io::{self, IsTerminal, Write};

use crate::environment::Environment;
use crate::failure::Failure;

/// Whether text may hold escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// A terminal that wants them.
    On,
    /// Anything else.
    Off,
}

/// What standard output is.
pub(crate) fn colour(environment: &Environment) -> Colour {
    if io::stdout().is_terminal() && !environment.plain { Colour::On } else { Colour::Off }
}

/// Writes text as it is.
///
/// # Errors
/// [`Failure::Answer`].
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Answer)
}

/// Writes one JSON value and a new line.
///
/// # Errors
/// [`Failure::Encode`], [`Failure::Answer`].
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let encoded = serde_json::to_string(value).map_err(Failure::Encode)?;
    text(&format!("{encoded}\n"))
}

/// Writes one JSON value that people read as well.
///
/// # Errors
/// [`Failure::Encode`], [`Failure::Answer`].
pub(crate) fn pretty_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let encoded = serde_json::to_string_pretty(value).map_err(Failure::Encode)?;
    text(&format!("{encoded}\n"))
}

/// Lays rows out in columns.
///
/// Compat: runc, list.go: columns are 12 wide at least, with 3 blanks between, the last one as long as it is.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let longest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (longest.unwrap_or(0) + 3).max(12)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    let mut line = String::from(cells.collect::<String>().trim_end());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = [
            vec![String::from("ID"), String::from("PID")],
            vec![String::from("a-rather-long-id"), String::from("1")],
        ];
        assert_eq!(table(&rows), "ID                 PID\na-rather-long-id   1\n");
        assert_eq!(table(&[]), "");
    }
}
