//! Long lines on a terminal: broken between words, and continued below their own text.
//!
//! Drawn lines and commands that are there to be copied stay as they are, and so does all that is not for a terminal.

use std::os::fd::AsFd;

/// Narrower terminals break lines better themselves.
const NARROWEST: usize = 40;

/// What lines begin with that are to be copied whole.
const WHOLE: &[&str] = &["    command:"];

/// How wide the terminal is; none when it is no terminal.
pub(crate) fn of(out: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(out).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= NARROWEST)
}

/// The text in lines of so many columns.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    text.split_inclusive('\n').map(|line| fitted_line(line, columns)).collect()
}

fn fitted_line(line: &str, columns: usize) -> String {
    let is_drawn = line.contains(['\u{2502}', '\u{2514}']) || line.starts_with('>');
    let fits = line.trim_end_matches('\n').chars().count() <= columns;
    if fits || is_drawn || WHOLE.iter().any(|start| line.starts_with(start)) {
        return line.to_owned();
    }
    let indent = indent(line).min(columns / 2);
    let (start, rest) = line.split_at(line.len() - line.trim_start().len());
    let mut fitted = start.to_owned();
    let mut used = start.len();
    for word in rest.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used + length > columns && used > indent {
            fitted.truncate(fitted.trim_end().len());
            fitted.push('\n');
            fitted.push_str(&" ".repeat(indent));
            used = indent;
        }
        fitted.push_str(word);
        used += word.chars().count();
    }
    fitted
}

/// Where the text of a line begins: behind its first word when two spaces follow that, as in a list with two columns.
fn indent(line: &str) -> usize {
    let start = line.len() - line.trim_start().len();
    let Some(word) = line[start..].find(' ') else { return start };
    let gap = line[start + word..].len() - line[start + word..].trim_start().len();
    if gap >= 2 || line[start..start + word].len() >= 8 && start > 0 { start + word + gap } else { start + 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_below_its_text() {
        let line = "  evidence  pipe:[11404725]: 65536 of 65536 bytes, and more\n";
        let expected = "  evidence  pipe:[11404725]: 65536 of\n            65536 bytes, and more\n";
        assert_eq!(fitted(line, 40), expected);
        let expected = "CRITICAL [EX-03] head cannot write its\n  error output\n";
        assert_eq!(fitted("CRITICAL [EX-03] head cannot write its error output\n", 40), expected);
    }

    #[test]
    fn what_fits_is_drawn_or_is_a_command_stays() {
        let long = "x ".repeat(40);
        for line in [
            "  evidence  short\n",
            "    command: sluice-doctor heal --apply full_pipe/1 --remedy drain\n",
            &format!("  \u{2514}\u{2500} {long}\n"),
            &format!(">  {long}\n"),
        ] {
            assert_eq!(fitted(line, 40), line);
        }
    }
}
