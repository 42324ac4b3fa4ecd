//! Signal names and numbers as callers write them.

/// Parses `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3` or `SIGRTMAX-1` to a signal number.
///
/// Source: signal(7), x86-64 and arm64 numbers. Compat: runc, kill.go, `parseSignal`: a number is taken as it is,
/// a name with or without `SIG` in any case. The real-time signals are the C library's, which keeps two to itself.
pub(crate) fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=64).contains(&number).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    NAMES.iter().find(|known| known.0 == name).map(|known| known.1).or_else(|| real_time(name))
}

const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("UNUSED", 31),
];

fn real_time(name: &str) -> Option<i32> {
    let (base, offset) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(offset), _) => (RTMIN, offset),
        (_, Some(offset)) => (RTMAX, offset),
        _ => return None,
    };
    let sign = if base == RTMIN { '+' } else { '-' };
    let offset = match offset.strip_prefix(sign) {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse::<i32>().ok()?,
        None if offset.is_empty() => 0,
        _ => return None,
    };
    let number = if base == RTMIN { base.checked_add(offset)? } else { base.checked_sub(offset)? };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood() {
        for (text, number) in [
            ("9", Some(9)),
            ("0", Some(0)),
            ("64", Some(64)),
            ("KILL", Some(9)),
            ("SIGKILL", Some(9)),
            ("sigterm", Some(15)),
            ("Hup", Some(1)),
            ("SIGCLD", Some(17)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("rtmax-1", Some(63)),
            ("RTMAX", Some(64)),
            ("RTMIN+30", Some(64)),
            ("RTMIN+31", None),
            ("RTMAX-31", None),
            ("RTMIN-1", None),
            ("RTMIN+", None),
            ("RTMIN++1", None),
            ("65", None),
            ("-1", None),
            ("", None),
            ("SIG", None),
            ("SIGSIGKILL", None),
        ] {
            assert_eq!(parse(text), number, "{text:?}");
        }
    }
}
