//! apt's older format of sources: `deb [option=value ...] URI suite component...`.
//!
//! Source: sources.list(5), "one-line-style format".

use std::path::PathBuf;

use super::Source;

/// Reads a file; lines that are no source of binary packages are left out.
pub(super) fn parse(text: &str) -> Vec<Source> {
    text.lines().filter_map(source).collect()
}

fn source(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim().strip_prefix("deb")?;
    let line = line.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match line.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", line),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let mut source = Source { uri: words.next()?, suite: words.next()?, ..Source::default() };
    source.components = words.collect();
    for (name, value) in options.split_whitespace().filter_map(|option| option.split_once('=')) {
        match name {
            "signed-by" => source.signed_by = value.split(',').next().map(PathBuf::from),
            "trusted" => source.trusted = value == "yes",
            _ => {}
        }
    }
    Some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_source() {
        let text = "\
# a comment
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # another

deb [ arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg trusted=yes ] https://mirror.example/sec bookworm-security main
";
        let sources = parse(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].uri, "http://mirror.example/debian");
        assert_eq!(sources[0].components, ["main", "contrib"]);
        assert_eq!((sources[0].signed_by.as_ref(), sources[0].trusted), (None, false));
        assert_eq!(sources[1].suite, "bookworm-security");
        assert_eq!(sources[1].signed_by, Some(PathBuf::from("/keys/a.gpg")));
        assert!(sources[1].trusted);
    }

    #[test]
    fn halves_of_lines_are_no_sources() {
        for line in
            ["deb", "deb http://mirror.example/debian", "deb [arch=amd64 http://m/ s main", "debug x y z"]
        {
            assert_eq!(parse(line), [], "{line}");
        }
    }
}
