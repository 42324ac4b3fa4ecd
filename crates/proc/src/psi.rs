//! Pressure stall information: `cpu.pressure`, `memory.pressure`, `io.pressure`.
//!
//! Source: the kernel's accounting/psi.

/// One line of a pressure file.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// Share of the last 10 s, in percent.
    pub avg10: f64,
    /// Share of the last 60 s, in percent.
    pub avg60: f64,
    /// Share of the last 300 s, in percent.
    pub avg300: f64,
    /// Since the start, in microseconds.
    pub total_us: u64,
}

/// The `some` and the `full` line, each if it is there and well-formed.
#[must_use]
pub fn parse(text: &str) -> (Option<Pressure>, Option<Pressure>) {
    let line = |name| text.lines().find_map(|line| parse_line(line.strip_prefix(name)?));
    (line("some "), line("full "))
}

fn parse_line(pairs: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    for pair in pairs.split_ascii_whitespace() {
        let (name, value) = pair.split_once('=')?;
        match name {
            "avg10" => pressure.avg10 = value.parse().ok()?,
            "avg60" => pressure.avg60 = value.parse().ok()?,
            "avg300" => pressure.avg300 = value.parse().ok()?,
            "total" => pressure.total_us = value.parse().ok()?,
            _ => {}
        }
    }
    Some(pressure)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_lines_are_read() {
        let (some, full) =
            parse("some avg10=1.50 avg60=0.20 avg300=0.00 total=77\nfull avg10=0.00 total=5\n");
        assert_eq!(some, Some(Pressure { avg10: 1.5, avg60: 0.2, avg300: 0.0, total_us: 77 }));
        assert_eq!(full.map(|line| line.total_us), Some(5));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(some |full |avg10=|total=|[0-9.]{0,9}|\\PC|\n){0,20}") {
            let _ = parse(&text);
        }
    }
}
