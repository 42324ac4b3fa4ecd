//! apt's newer format of sources: paragraphs of `Field: value`, values go on in indented lines.
//!
//! Source: sources.list(5), "deb822-style format".

use std::path::PathBuf;

use super::Source;

/// One paragraph: fields in small letters with their values, lines joined by spaces.
type Paragraph = Vec<(String, String)>;

/// Reads a file; paragraphs that are no enabled source of binary packages are left out.
pub(super) fn parse(text: &str) -> Vec<Source> {
    paragraphs(text).iter().flat_map(sources).collect()
}

fn paragraphs(text: &str) -> Vec<Paragraph> {
    let mut all = vec![Paragraph::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            all.push(Paragraph::new());
        } else if let Some(paragraph) = all.last_mut() {
            take(paragraph, line);
        }
    }
    all
}

fn take(paragraph: &mut Paragraph, line: &str) {
    if line.starts_with([' ', '\t']) {
        if let Some((_, value)) = paragraph.last_mut() {
            value.push(' ');
            value.push_str(line.trim());
        }
    } else if let Some((field, value)) = line.split_once(':') {
        paragraph.push((field.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// A paragraph means every URI with every suite.
fn sources(paragraph: &Paragraph) -> Vec<Source> {
    let field = |name: &str| {
        let found = paragraph.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let words = |name: &str| field(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if field("enabled").eq_ignore_ascii_case("no") || !words("types").contains(&"deb".to_owned()) {
        return Vec::new();
    }
    let source = |uri: &String, suite: String| Source {
        uri: uri.clone(),
        suite,
        components: words("components"),
        signed_by: keys(field("signed-by")),
        trusted: field("trusted").eq_ignore_ascii_case("yes"),
    };
    words("uris")
        .iter()
        .flat_map(|uri| words("suites").into_iter().map(move |suite| source(uri, suite)))
        .collect()
}

/// The field holds a file, or the keys themselves, which are armoured.
fn keys(value: &str) -> Option<PathBuf> {
    value.starts_with('/').then(|| value.split([',', ' ']).next().unwrap_or(value)).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uri_goes_with_every_suite() {
        let text = "\
# where Debian is
Types: deb deb-src
URIs: http://mirror.example/debian
# a comment amid a paragraph
Suites: bookworm
  bookworm-updates
components: main contrib
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://a.example/sec http://b.example/sec
Suites: bookworm-security
Components: main
Trusted: yes
";
        let sources = parse(text);
        let places: Vec<_> = sources.iter().map(|one| (one.uri.as_str(), one.suite.as_str())).collect();
        assert_eq!(
            places,
            [
                ("http://mirror.example/debian", "bookworm"),
                ("http://mirror.example/debian", "bookworm-updates"),
                ("http://a.example/sec", "bookworm-security"),
                ("http://b.example/sec", "bookworm-security"),
            ]
        );
        assert_eq!(sources[0].components, ["main", "contrib"]);
        assert_eq!(sources[0].signed_by, Some(PathBuf::from("/keys/debian.gpg")));
        assert_eq!((sources[0].trusted, sources[2].trusted), (false, true));
    }

    #[test]
    fn keys_within_the_file_are_no_path() {
        let text = "Types: deb\nURIs: http://m.example/d\nSuites: sid\nComponents: main\nSigned-By:\n \
                    -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(parse(text)[0].signed_by, None);
    }

    #[test]
    fn what_is_off_or_brings_no_binaries_is_left_out() {
        for head in ["Enabled: no\nTypes: deb", "Types: deb-src"] {
            let text = format!("{head}\nURIs: http://m.example/d\nSuites: sid\nComponents: main\n");
            assert_eq!(parse(&text), [], "{head}");
        }
        assert_eq!(parse(" indented without a field\n\n\nno field\n"), []);
    }
}
