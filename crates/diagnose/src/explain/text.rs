//! One form for all ways in which a message is quoted, escaped and wrapped.

/// Lower case, quotes without backslashes, typographic quotes as `"`, escaped and repeated white space as one space.
pub(super) fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, &mut out),
            '\u{201c}' | '\u{201d}' => out.push('"'),
            '\u{2018}' | '\u{2019}' => out.push('\''),
            _ if character.is_whitespace() || character.is_control() => space(&mut out),
            _ => out.push(character.to_ascii_lowercase()),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// What stands after a backslash: white space, a quote, or something that keeps its backslash (`\x2d`).
fn escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    match rest.peek() {
        Some('n' | 't' | 'r') => {
            rest.next();
            space(out);
        }
        Some('"' | '\'' | '\\' | '\u{201c}' | '\u{201d}' | '/') => {}
        Some('u') => unicode(rest, out),
        _ => out.push('\\'),
    }
}

/// `\u003c` and its like, as Go writes `<`, `>` and `&` into JSON.
fn unicode(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let digits: String = rest.clone().skip(1).take(4).collect();
    match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
        Some(character) if digits.len() == 4 => {
            for _ in 0..5 {
                rest.next();
            }
            out.push(character.to_ascii_lowercase());
        }
        _ => out.push('\\'),
    }
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_depths_of_quoting_look_alike() {
        let plain = "process caused \"exit status 22\"";
        for escaped in [
            "Process  caused \\\"exit status 22\\\"",
            "process caused \\\\\\\"exit status 22\\\\\\\"",
            "process\\ncaused \u{201c}exit status 22\u{201d}",
        ] {
            assert_eq!(normalised(escaped), plain);
        }
        assert_eq!(normalised("run-docker-runtime\\x2drunc"), "run-docker-runtime\\x2drunc");
        assert_eq!(normalised("\\u003cdefunct\\u003e \\u00"), "<defunct> \\u00");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_line(text in ".{0,200}") {
            let out = normalised(&text);
            prop_assert!(!out.contains('\n') && !out.contains("  "));
        }
    }
}
