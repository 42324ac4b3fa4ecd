//! The three forms of control files: one value, flat keyed (`memory.events`, `cpu.stat`), nested keyed (`io.stat`, `rdma.max`).
//!
//! Source: the kernel's admin-guide/cgroup-v2, "Format".

use std::fmt;
use std::str::FromStr;

/// A number or `max`. Unit: that of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// A plain number.
    Number(u64),
    /// No limit. Greater than every number.
    Max,
}

impl Amount {
    /// The number, or `None` for `max`.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Number(value) => Some(value),
            Self::Max => None,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => value.fmt(f),
            Self::Max => f.write_str("max"),
        }
    }
}

/// The text is neither a number nor `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a number nor max")]
pub struct NotAnAmount;

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "max" => Ok(Self::Max),
            number => number.parse().map(Self::Number).map_err(|_| NotAnAmount),
        }
    }
}

/// `KEY VALUE` a line. Lines of another form are left out.
#[must_use]
pub fn flat_keyed(text: &str) -> Vec<(&str, Amount)> {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key, value.parse().ok()?))
        })
        .collect()
}

/// The number of one key of a flat keyed text; `None` when it is absent or `max`.
#[must_use]
pub fn lookup(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// One line of a nested keyed file: its key and its pairs.
pub type Nested<'a> = (&'a str, Vec<(&'a str, Amount)>);

/// `KEY SUB=VALUE SUB=VALUE` a line. Pairs of another form are left out.
#[must_use]
pub fn nested_keyed(text: &str) -> Vec<Nested<'_>> {
    text.lines().filter_map(nested_line).collect()
}

fn nested_line(line: &str) -> Option<Nested<'_>> {
    let mut words = line.split_ascii_whitespace();
    let key = words.next()?;
    let pairs = words.filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        Some((name, value.parse().ok()?))
    });
    Some((key, pairs.collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn max_is_greater_than_every_number() {
        assert!("max\n".parse::<Amount>().unwrap() > Amount::Number(u64::MAX));
        assert!("maximum".parse::<Amount>().is_err());
    }

    #[test]
    fn flat_and_nested_forms() {
        assert_eq!(
            flat_keyed("low 0\nmax 7\nbad\n"),
            [("low", Amount::Number(0)), ("max", Amount::Number(7))]
        );
        assert_eq!(lookup("oom 1\noom_kill 2\n", "oom_kill"), Some(2));
        let nested = nested_keyed("8:0 rbps=1024 wiops=max x\n");
        assert_eq!(nested, [("8:0", vec![("rbps", Amount::Number(1024)), ("wiops", Amount::Max)])]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", key in "\\PC{0,5}") {
            let _ = (flat_keyed(&text), nested_keyed(&text), lookup(&text, &key));
        }

        #[test]
        fn an_amount_reads_back(value: u64) {
            let amount = Amount::Number(value);
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }
    }
}
