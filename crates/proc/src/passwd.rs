//! The user database of a container, `/etc/passwd`, as text.
//!
//! Source: passwd(5). The text comes from the image and is not trusted: lines of another form are left out.

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory; may be empty.
    pub home: String,
}

/// All well-formed accounts in the order of the file.
#[must_use]
pub fn parse(text: &str) -> Vec<User> {
    text.lines().filter_map(parse_line).collect()
}

/// The first account with this user id, as getpwuid(3) would find it.
#[must_use]
pub fn by_uid(text: &str, uid: u32) -> Option<User> {
    text.lines().filter_map(parse_line).find(|user| user.uid == uid)
}

fn parse_line(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1).unwrap_or("").to_owned();
    Some(User { name, uid, gid, home })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_account_of_a_uid_wins() {
        let text = "# comment\nroot:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/toor:/bin/sh\nbin:*:1:1::/bin\n";
        assert_eq!(by_uid(text, 0).unwrap().home, "/root");
        assert_eq!(by_uid(text, 1).unwrap().gid, 1);
        assert_eq!(by_uid(text, 2), None);
        assert_eq!(parse(text).len(), 3);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z0-9:]|\\PC|\n){0,60}") {
            let _ = parse(&text);
        }
    }
}
