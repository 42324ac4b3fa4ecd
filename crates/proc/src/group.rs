//! The group database of a container, `/etc/group`, as text.
//!
//! Source: group(5). The text comes from the image and is not trusted: lines of another form are left out.

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Login names of the members.
    pub members: Vec<String>,
}

/// All well-formed groups in the order of the file.
#[must_use]
pub fn parse(text: &str) -> Vec<Group> {
    text.lines().filter_map(parse_line).collect()
}

/// The ids of the groups that list this login name, in the order of the file.
#[must_use]
pub fn groups_of(text: &str, user: &str) -> Vec<u32> {
    let listed = |group: &Group| group.members.iter().any(|member| member == user);
    parse(text).iter().filter(|group| listed(group)).map(|group| group.gid).collect()
}

fn parse_line(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or("");
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some(Group { name, gid, members })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_groups_of_a_user_are_those_that_list_it() {
        let text = "root:x:0:\nadm:x:4:alice,bob\naudio:x:29:bob\nbad:x:x:bob\n";
        assert_eq!(groups_of(text, "bob"), [4, 29]);
        assert_eq!(groups_of(text, "root"), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z0-9:,]|\\PC|\n){0,60}") {
            let _ = parse(&text);
        }
    }
}
