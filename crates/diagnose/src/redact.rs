//! Secrets out of arguments, environments, configuration and log lines, before anything is kept.
//!
//! Names tell: what follows a name that sounds like a secret is replaced, as are credentials in URLs, what some programs
//! take after an option of one letter (`redis-cli -a`), and words that are tokens by their form. A secret under an
//! innocent name stays; whoever passes a snapshot on should look at it.

/// What stands in place of a secret.
pub const REDACTED: &str = "<redacted>";

/// Parts of names whose values are secrets, in lower case.
const SECRET: &[&str] = &[
    "passw",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "private-key",
    "credential",
    "authorization",
    "auth_key",
    "bearer",
    "cookie",
    "session_id",
    "pwd=",
    "signature",
    "privkey",
    "accountkey",
    "storepass",
    "keypass",
];

/// Last words of names whose values are secrets, in lower case: `db.pass`, `GITHUB_PAT`, `--auth`.
const LAST_WORDS: &[&str] = &["pass", "pw", "pat", "auth", "key"];

/// What a text without any secret name does not have.
const HINTS: &[&str] = &["pass", "pw", "_pat", "-pat", ".pat", "auth", "_key", "-key", ".key"];

/// Behind the password of a data source name, as in `user:password@tcp(db:3306)/shop`.
const BEHIND_PASSWORD: &[&str] = &["@tcp(", "@tcp6(", "@unix("];

/// Programs that are given a secret on their command line, probes among them, and the option of one letter before it.
const PROGRAMS: &[(&str, &str)] = &[
    ("redis-cli", "-a"),
    ("mysql", "-p"),
    ("mysqladmin", "-p"),
    ("mysqldump", "-p"),
    ("mariadb", "-p"),
    ("mariadb-admin", "-p"),
    ("mongo", "-p"),
    ("mongosh", "-p"),
    ("sshpass", "-p"),
    ("curl", "-u"),
];

/// How tokens of well-known services begin.
const TOKENS: &[&str] =
    &["eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-"];

/// Shorter words are no tokens.
const SHORTEST_TOKEN: usize = 16;

/// What stands between the words of a command line, in a log line too: `cmd=["redis-cli","-a","x"]`.
const BETWEEN: &[char] = &[' ', '\t', '\n', '"', '\'', ',', '[', ']', '\\'];

/// Whether a name sounds like that of a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET.iter().any(|part| lower.contains(part))
        || lower == "pwd" && name != "PWD"
        || ends_with_a_secret_word(&lower)
}

fn ends_with_a_secret_word(lower: &str) -> bool {
    let Some(at) = lower.rfind(['_', '-', '.']) else { return LAST_WORDS[..2].contains(&lower) };
    let is_bare_option = lower[..at].chars().all(|it| it == '-');
    let word = &lower[at + 1..];
    // `--key FILE` and `--pat GLOB` say where something is.
    LAST_WORDS.contains(&word) && !(is_bare_option && ["key", "pat"].contains(&word))
}

/// Arguments of a process: values of secret options, variables given with `-e`, credentials in URLs.
#[must_use]
pub fn arguments(args: &[String]) -> Vec<String> {
    let mut hide_next = false;
    let mut words = Words::default();
    args.iter()
        .map(|argument| {
            let argument = &words.argument(argument);
            let hidden = std::mem::take(&mut hide_next);
            if hidden && !argument.starts_with('-') {
                return REDACTED.to_owned();
            }
            hide_next = argument.starts_with('-') && !argument.contains('=') && is_secret(argument);
            by_name(argument)
        })
        .collect()
}

/// What the words so far say of the next ones.
#[derive(Default)]
struct Words {
    /// The option that a secret follows, of the program that was named last.
    option: Option<&'static str>,
    hide_next: bool,
}

impl Words {
    /// One argument without the secrets that its words show. An argument with blanks is a command line of its own; any other
    /// is one word, whatever else is in it.
    fn argument(&mut self, argument: &str) -> String {
        if argument.contains(' ') && !self.hide_next {
            return self.pass(argument);
        }
        self.kept(argument).map_or_else(|| argument.to_owned(), |kept| format!("{kept}{REDACTED}"))
    }

    /// The text without the secrets that its words show.
    fn pass(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(BETWEEN) {
            let word = piece.trim_end_matches(BETWEEN);
            match self.kept(word) {
                Some(kept) => out.extend([kept, REDACTED]),
                None => out.push_str(word),
            }
            out.push_str(&piece[word.len()..]);
        }
        out
    }

    /// What stays of a word that is or holds a secret; `None` when it holds none.
    fn kept<'a>(&mut self, word: &'a str) -> Option<&'a str> {
        if word.is_empty() {
            return None;
        }
        if std::mem::take(&mut self.hide_next) && !word.starts_with('-') {
            let user = word.find(':').filter(|_| self.option == Some("-u"));
            return Some(user.map_or("", |colon| &word[..=colon]));
        }
        let name = word.rsplit('/').next().unwrap_or(word);
        if let Some((_, option)) = PROGRAMS.iter().find(|(program, _)| *program == name) {
            self.option = Some(option);
        }
        if word.starts_with('-') && !word.contains(['=', ':']) && is_secret(word) {
            (self.option, self.hide_next) = (None, true);
            return None;
        }
        let option = self.option.filter(|option| word.starts_with(option));
        match option {
            Some(option) if word == option => self.hide_next = true,
            Some("-p") => return Some("-p"),
            _ => {}
        }
        is_token(word).then_some("")
    }
}

fn is_token(word: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    word.len() >= SHORTEST_TOKEN
        && TOKENS.iter().any(|start| word.starts_with(start))
        && word.bytes().all(is_plain)
}

/// A text with `secret=...`, `"secret": "..."`, `Secret: ...` and `scheme://user:password@host` made harmless.
#[must_use]
pub fn text(text: &str) -> String {
    if might_show_a_secret(text) { by_name(&Words::default().pass(text)) } else { by_name(text) }
}

/// A cheap look: whether a program or a token is in it.
fn might_show_a_secret(text: &str) -> bool {
    let has_option = [" -", "\"-", "'-"].iter().any(|start| text.contains(start));
    has_option && (PROGRAMS.iter().any(|(program, _)| text.contains(program)) || hints(text))
        || TOKENS.iter().any(|start| text.contains(start))
}

fn by_name(text: &str) -> String {
    if !might_hold_a_secret(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, value, after)) = next_secret(rest) {
        out.push_str(before);
        if !value.is_empty() {
            out.push_str(REDACTED);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A cheap look: nearly all texts hold nothing.
fn might_hold_a_secret(text: &str) -> bool {
    text.contains(['=', ':'])
        && (text.contains("://") || hints(text) || BEHIND_PASSWORD.iter().any(|it| text.contains(it)))
}

fn hints(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    SECRET.iter().chain(HINTS).any(|hint| lower.contains(hint))
}

/// The first secret: what stands before it, the secret, and what stands behind it.
fn next_secret(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find(['=', ':']) {
        let sign = from + at;
        let found = if text[sign..].starts_with("://") {
            credentials(text, sign + 3)
        } else if is_secret(name_before(&text[..sign])) {
            Some(value_at(text, sign + 1))
        } else {
            data_source(text, sign + 1).filter(|_| text[sign..].starts_with(':'))
        };
        if let Some((start, end)) = found.filter(|(start, end)| end > start) {
            return Some((&text[..start], &text[start..end], &text[end..]));
        }
        from = sign + 1;
    }
    None
}

/// The word before a sign, without quotes.
fn name_before(text: &str) -> &str {
    let text = text.trim_end_matches(['"', '\'', '\\', ' ']);
    let start = text.rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')));
    let word = start.map_or(text, |at| &text[at..]);
    word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// The value from a place on: quotes and blanks are left alone; `Bearer X` and `Basic X` belong together.
fn value_at(text: &str, from: usize) -> (usize, usize) {
    let rest = &text[from..];
    let lead = rest.len() - rest.trim_start_matches([' ', '"', '\'', '\\', '[']).len();
    let start = from + lead;
    let value = &text[start..];
    let scheme = ["Bearer ", "bearer ", "Basic ", "basic "].iter().find(|word| value.starts_with(**word));
    let skip = scheme.map_or(0, |word| word.len());
    let stop = value[skip..].find([' ', '"', '\'', '\\', ',', ';', '&', '\n', ']', '}']);
    let end = stop.map_or(text.len(), |at| start + skip + at);
    (start, end)
}

/// The password of a data source name, from a place on.
fn data_source(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = &text[from..];
    let word = &rest[..rest.find([' ', '"', '\'', '\n']).unwrap_or(rest.len())];
    let end = BEHIND_PASSWORD.iter().filter_map(|it| word.rfind(it)).max()?;
    Some((from, from + end))
}

/// `user:password` between `://` and `@`.
fn credentials(text: &str, from: usize) -> Option<(usize, usize)> {
    let authority =
        text[from..].find(['/', ' ', '"', '\'', '\n']).map_or(&text[from..], |at| &text[from..from + at]);
    let at = authority.rfind('@')?;
    let colon = authority[..at].find(':')?;
    (&authority[colon + 1..at] != REDACTED).then_some((from + colon + 1, from + at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_taken_out_and_nothing_else() {
        for (given, kept) in [
            ("--password=hunter2", "--password=<redacted>"),
            ("-e DB_PASSWORD=hunter2", "-e DB_PASSWORD=<redacted>"),
            ("Authorization: Bearer abc.def.ghi next", "Authorization: <redacted> next"),
            (r#"{"auth_token": "abc", "level":"info"}"#, r#"{"auth_token": "<redacted>", "level":"info"}"#),
            ("https://bob:hunter2@registry/v2", "https://bob:<redacted>@registry/v2"),
            ("https://registry/v2?x=1", "https://registry/v2?x=1"),
            ("/usr/bin/containerd-shim-runc-v2 -id abc", "/usr/bin/containerd-shim-runc-v2 -id abc"),
            ("time=2026 level=error msg=x", "time=2026 level=error msg=x"),
            ("GITHUB_PAT=abc PATH=/bin", "GITHUB_PAT=<redacted> PATH=/bin"),
            ("java -Ddb.pass=hunter2 x.jar", "java -Ddb.pass=<redacted> x.jar"),
            ("DSN=bob:hun:t@r2@tcp(db:3306)/shop x", "DSN=bob:<redacted>@tcp(db:3306)/shop x"),
            ("AccountName=a;AccountKey=Zm9v+/==;Suffix=b", "AccountName=a;AccountKey=<redacted>;Suffix=b"),
            ("keytool -list -storepass hunter2 -v", "keytool -list -storepass <redacted> -v"),
            ("author: bob, path=/x bypass=1 pw-dump=2", "author: bob, path=/x bypass=1 pw-dump=2"),
            ("AWS_SECRET_ACCESS_KEY=abc MODE=fast", "AWS_SECRET_ACCESS_KEY=<redacted> MODE=fast"),
        ] {
            assert_eq!(text(given), kept);
        }
    }

    #[test]
    fn the_word_after_a_secret_option_goes() {
        let args: Vec<String> = ["mysql", "--password", "hunter2", "-h", "db"].map(str::to_owned).to_vec();
        assert_eq!(arguments(&args), ["mysql", "--password", REDACTED, "-h", "db"]);
        for option in ["-storepass", "--pw", "--privkey", "--auth"] {
            let args = ["tool", option, "hunter2", "run"].map(str::to_owned);
            assert_eq!(arguments(&args), ["tool", option, REDACTED, "run"]);
            let args = ["sh", "-c", &format!("tool {option} hunter2 run")].map(str::to_owned);
            assert_eq!(arguments(&args)[2], format!("tool {option} <redacted> run"));
        }
    }

    #[test]
    fn what_some_programs_take_after_one_letter_goes() {
        let args = ["sh", "-c", "redis-cli -a hunter2 ping"].map(str::to_owned);
        assert_eq!(arguments(&args), ["sh", "-c", "redis-cli -a <redacted> ping"]);
        let args = ["/usr/bin/mysqladmin", "-uroot", "-phunter2", "ping"].map(str::to_owned);
        assert_eq!(arguments(&args), ["/usr/bin/mysqladmin", "-uroot", "-p<redacted>", "ping"]);
        let args = ["curl", "-u", "bob:hunter2", "http://web/"].map(str::to_owned);
        assert_eq!(arguments(&args), ["curl", "-u", "bob:<redacted>", "http://web/"]);
        let args = ["redis-cli", "-a", "hun,ter:2"].map(str::to_owned);
        assert_eq!(arguments(&args), ["redis-cli", "-a", REDACTED]);
        let args = ["docker", "run", "-p", "80:80", "-a", "stdout", "mysql:8"].map(str::to_owned);
        assert_eq!(arguments(&args), args, "not theirs");
        for (given, kept) in [
            (
                r#"ExecSync cmd=["redis-cli","-a","hunter2","ping"]"#,
                r#"ExecSync cmd=["redis-cli","-a","<redacted>","ping"]"#,
            ),
            ("login ghp_0123456789abcdefghij done", "login <redacted> done"),
            ("jwt \"eyJhbGciOi.eyJzdWIiOi.c2lnbmF0\"", "jwt \"<redacted>\""),
            ("eyJ is how tokens begin", "eyJ is how tokens begin"),
        ] {
            assert_eq!(text(given), kept);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_twice_is_once(given in "[ -~é]{0,60}") {
            let once = text(&given);
            prop_assert_eq!(text(&once), once);
        }

        #[test]
        fn a_password_never_comes_through(value in "[a-z0-9]{6,20}", before in "[a-z ]{0,9}") {
            prop_assume!(!REDACTED.contains(&value) && !before.contains(&value));
            let line = format!("{before} --registry-password={value} x");
            prop_assert!(!text(&line).contains(&value));
        }
    }
}
