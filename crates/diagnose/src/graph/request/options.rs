//! The options of a command line, by tables of those that take a value.

/// Options that take a value: by letter, and by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Valued {
    pub(super) short: &'static str,
    pub(super) long: &'static [&'static str],
}

/// Tables that hold at once.
#[derive(Debug)]
pub(super) struct Options(Vec<Valued>);

/// An option, without dashes, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<&'a str>,
}

/// What stands in front of an operand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read<'a> {
    pub(super) given: Vec<Given<'a>>,
    /// Where the first word stands that is neither an option nor the value of one.
    pub(super) operand: Option<usize>,
}

impl Options {
    pub(super) fn of(tables: impl IntoIterator<Item = Valued>) -> Self {
        Self(tables.into_iter().collect())
    }

    /// Reads options up to the first operand.
    pub(super) fn read<'a>(&self, words: &'a [String]) -> Read<'a> {
        let mut read = Read::default();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            match word.strip_prefix('-') {
                Some("-") => {
                    read.operand = (at + 1 < words.len()).then_some(at + 1);
                    break;
                }
                Some(option) if !option.is_empty() => {
                    let next = words.get(at + 1).map(String::as_str);
                    at += if self.option(option, next, &mut read.given) { 2 } else { 1 };
                }
                _ => {
                    read.operand = Some(at);
                    break;
                }
            }
        }
        read
    }

    /// Reads a word without its first dash: `-user`, `user=0`, `u0`, `itu`. Whether the next word is its value.
    fn option<'a>(&self, word: &'a str, next: Option<&'a str>, given: &mut Vec<Given<'a>>) -> bool {
        let plain = word.trim_start_matches('-');
        let (name, value) = plain.split_once('=').map_or((plain, None), |(name, value)| (name, Some(value)));
        let is_valued = self.0.iter().any(|table| table.long.contains(&name));
        if is_valued || word.starts_with('-') {
            let takes_next = is_valued && value.is_none();
            given.push(Given { name, value: if takes_next { next } else { value } });
            return takes_next;
        }
        self.letters(plain, next, given)
    }

    /// Reads letters up to the first that takes a value, which is the rest of the word or the next one.
    fn letters<'a>(&self, word: &'a str, next: Option<&'a str>, given: &mut Vec<Given<'a>>) -> bool {
        for (at, letter) in word.char_indices().take_while(|(_, letter)| *letter != '=') {
            let (name, rest) = word[at..].split_at(letter.len_utf8());
            if self.0.iter().any(|table| table.short.contains(letter)) {
                let takes_next = rest.is_empty();
                let value = if takes_next { next } else { Some(rest.strip_prefix('=').unwrap_or(rest)) };
                given.push(Given { name, value });
                return takes_next;
            }
            given.push(Given { name, value: None });
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_rest_of_its_word_or_the_next_one() {
        let options = Options::of([Valued { short: "u", long: &["user", "exec-id"] }]);
        for (line, expected) in [
            ("-u 0 x", "u=0 | 2"),
            ("-u0 x", "u=0 | 1"),
            ("-u=0 x", "u=0 | 1"),
            ("-itu 0 x", "i t u=0 | 2"),
            ("--user 0 x", "user=0 | 2"),
            ("--user=0 x", "user=0 | 1"),
            ("-exec-id 0 x", "exec-id=0 | 2"),
            ("--other 0 x", "other | 1"),
            ("-t=false x", "t | 1"),
            ("-u", "u | none"),
            ("-- -u", " | 1"),
            ("- x", " | 0"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let read = options.read(&words);
            let text = |it: &Given<'_>| {
                it.value.map_or_else(|| it.name.to_owned(), |value| format!("{}={value}", it.name))
            };
            let given: Vec<String> = read.given.iter().map(text).collect();
            let operand = read.operand.map_or_else(|| String::from("none"), |at| at.to_string());
            assert_eq!(format!("{} | {operand}", given.join(" ")), expected, "{line}");
        }
    }
}
