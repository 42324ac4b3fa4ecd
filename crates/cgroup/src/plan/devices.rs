//! `linux.resources.devices` on v1: `devices.deny` and `devices.allow`.
//!
//! In the configuration the last matching rule counts. The kernel keeps a default and a list of exceptions and
//! cannot make an exception from an exception, so the rules are first brought to that form.
//!
//! Source: the kernel's admin-guide/cgroup-v1/devices.

use super::{Write, invalid};
use crate::{DeviceRule, Kind, Result};

/// Read, write and mknod as bits; the numbers are those of `BPF_DEVCG_ACC_*`.
pub(crate) const MKNOD: u8 = 1;
pub(crate) const READ: u8 = 2;
pub(crate) const WRITE: u8 = 4;
pub(crate) const EVERYTHING: u8 = MKNOD | READ | WRITE;

/// A rule for one kind of device, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) allow: bool,
    pub(crate) kind: DeviceKind,
    /// None is any.
    pub(crate) major: Option<u32>,
    /// None is any.
    pub(crate) minor: Option<u32>,
    pub(crate) access: u8,
}

/// Character or block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Block,
    Character,
}

/// Checks the rules and splits those for all devices into one for each kind.
pub(crate) fn checked(rules: &[DeviceRule]) -> Result<Vec<Rule>> {
    let mut all = Vec::with_capacity(rules.len());
    for (number, rule) in rules.iter().enumerate() {
        let field = format!("devices/{number}");
        let kinds: &[DeviceKind] = match rule.kind.as_deref().unwrap_or("a") {
            "" | "a" => &[DeviceKind::Block, DeviceKind::Character],
            "b" => &[DeviceKind::Block],
            // Compat: runc takes `u`, unbuffered, as character.
            "c" | "u" => &[DeviceKind::Character],
            other => return Err(invalid(&format!("{field}/type"), format!("{other:?} is none of a, b, c"))),
        };
        let access = access(rule.access.as_deref(), &field)?;
        let major = device_number(rule.major, &format!("{field}/major"))?;
        let minor = device_number(rule.minor, &format!("{field}/minor"))?;
        all.extend(kinds.iter().map(|kind| Rule { allow: rule.allow, kind: *kind, major, minor, access }));
    }
    Ok(all)
}

fn device_number(number: Option<i64>, field: &str) -> Result<Option<u32>> {
    match number {
        None | Some(-1) => Ok(None),
        Some(number) => match u32::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(invalid(field, format!("{number} is not a device number; -1 is any"))),
        },
    }
}

fn access(letters: Option<&str>, field: &str) -> Result<u8> {
    let bit = |letter| match letter {
        'r' => Ok(READ),
        'w' => Ok(WRITE),
        'm' => Ok(MKNOD),
        other => Err(invalid(&format!("{field}/access"), format!("{other:?} is none of r, w, m"))),
    };
    match letters {
        None | Some("") => Ok(EVERYTHING),
        Some(letters) => letters.chars().try_fold(0, |bits, letter| Ok(bits | bit(letter)?)),
    }
}

impl Rule {
    fn same_devices(&self, other: &Self) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }

    /// Whether all devices of `other` are also devices of this rule.
    fn covers(&self, other: &Self) -> bool {
        let covers = |own: Option<u32>, other| own.is_none() || own == other;
        self.kind == other.kind && covers(self.major, other.major) && covers(self.minor, other.minor)
    }

    /// Whether some device is one of both rules.
    fn meets(&self, other: &Self) -> bool {
        let meet = |own: Option<u32>, other: Option<u32>| own.is_none() || other.is_none() || own == other;
        self.kind == other.kind && meet(self.major, other.major) && meet(self.minor, other.minor)
    }

    /// As the kernel writes it: `c 1:3 rwm`.
    fn text(&self) -> String {
        let kind = if self.kind == DeviceKind::Block { 'b' } else { 'c' };
        let part = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
        let letters = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')];
        let access: String =
            letters.iter().filter(|(bit, _)| self.access & bit != 0).map(|(_, l)| l).collect();
        format!("{kind} {}:{} {access}", part(self.major), part(self.minor))
    }
}

/// What the kernel keeps: a default, and exceptions of the other sense.
#[derive(Debug, PartialEq, Eq)]
struct List {
    allow_by_default: bool,
    exceptions: Vec<Rule>,
}

impl List {
    /// Nothing is allowed before the first rule. Compat: runc.
    fn of(rules: &[Rule]) -> Result<Self, Rule> {
        let mut list = Self { allow_by_default: false, exceptions: Vec::new() };
        let mut rest = rules;
        while let Some((rule, after)) = rest.split_first() {
            if let Some(after) = whole_reset(rule, after) {
                list = Self { allow_by_default: rule.allow, exceptions: Vec::new() };
                rest = after;
            } else {
                list.add(*rule)?;
                rest = after;
            }
        }
        Ok(list)
    }

    fn add(&mut self, rule: Rule) -> Result<(), Rule> {
        if rule.allow == self.allow_by_default {
            return self.subtract(rule);
        }
        match self.exceptions.iter_mut().find(|known| known.same_devices(&rule)) {
            Some(known) => known.access |= rule.access,
            None => self.exceptions.push(rule),
        }
        Ok(())
    }

    /// Takes the default's sense back for these devices: no exception may reach beyond them.
    fn subtract(&mut self, rule: Rule) -> Result<(), Rule> {
        for known in &mut self.exceptions {
            if rule.covers(known) {
                known.access &= !rule.access;
            } else if rule.meets(known) && rule.access & known.access != 0 {
                return Err(*known);
            }
        }
        self.exceptions.retain(|known| known.access != 0);
        Ok(())
    }
}

/// Two neighbours that set everything for both kinds of device: the kernel's `a`. Returns what follows.
fn whole_reset<'a>(rule: &Rule, after: &'a [Rule]) -> Option<&'a [Rule]> {
    let is_whole = |rule: &Rule| rule.major.is_none() && rule.minor.is_none() && rule.access == EVERYTHING;
    let (next, rest) = after.split_first()?;
    let pair = is_whole(rule) && is_whole(next) && rule.kind != next.kind && rule.allow == next.allow;
    pair.then_some(rest)
}

pub(super) fn plan(kind: Kind, rules: &[DeviceRule], writes: &mut Vec<Write>) -> Result<()> {
    let rules = checked(rules)?;
    if kind == Kind::V2 || rules.is_empty() {
        return Ok(());
    }
    let list = List::of(&rules).map_err(|wider| {
        let text = format!("cgroup v1 cannot make an exception from the wider rule `{}`", wider.text());
        invalid("devices", text)
    })?;
    let (reset, except) = match list.allow_by_default {
        true => ("devices.allow", "devices.deny"),
        false => ("devices.deny", "devices.allow"),
    };
    writes.push(Write::new("devices", reset, "a", "devices"));
    writes.extend(list.exceptions.iter().map(|rule| Write::new("devices", except, rule.text(), "devices")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    const DENY: &str = r#"{"allow": false, "access": "rwm"}"#;

    fn v1(rules: &str) -> Vec<String> {
        lines(Kind::V1, &format!(r#"{{"devices": [{rules}]}}"#))
    }

    #[test]
    fn an_allow_list_is_a_denial_of_all_and_its_exceptions() {
        let null = r#"{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}"#;
        let mknod = r#"{"allow": true, "type": "c", "access": "m"}"#;
        let pts = r#"{"allow": true, "type": "c", "major": 136, "minor": -1}"#;
        let expected = [
            "devices.deny=a",
            "devices.allow=c 1:3 rw",
            "devices.allow=c *:* m",
            "devices.allow=c 136:* rwm",
        ];
        assert_eq!(v1(&format!("{DENY}, {null}, {mknod}, {pts}")), expected);
        assert_eq!(v1(&format!("{null}, {mknod}, {pts}")), expected);
    }

    #[test]
    fn privileged_is_one_write() {
        assert_eq!(v1(&format!(r#"{DENY}, {{"allow": true}}"#)), ["devices.allow=a"]);
    }

    #[test]
    fn a_rule_without_type_is_for_both_kinds() {
        let fuse = r#"{"allow": true, "major": 10, "minor": 229, "access": "rwm"}"#;
        assert_eq!(v1(fuse), ["devices.deny=a", "devices.allow=b 10:229 rwm", "devices.allow=c 10:229 rwm"]);
    }

    #[test]
    fn accesses_to_one_device_are_merged_and_taken_back() {
        let rule = |allow, access| {
            format!(r#"{{"allow": {allow}, "type": "c", "major": 1, "minor": 3, "access": "{access}"}}"#)
        };
        let rules = [rule(true, "r"), rule(true, "wm"), rule(false, "m")].join(", ");
        assert_eq!(v1(&rules), ["devices.deny=a", "devices.allow=c 1:3 rw"]);
    }

    #[test]
    fn a_hole_in_a_wider_rule_is_refused() {
        let rules = r#"{"allow": true, "type": "c", "access": "m"}, {"allow": false, "type": "c", "major": 1, "minor": 3, "access": "m"}"#;
        let text =
            "linux/resources/devices: cgroup v1 cannot make an exception from the wider rule `c *:* m`";
        assert_eq!(v1(rules), [text]);
    }

    #[test]
    fn bad_rules_are_named() {
        let table = [
            (r#"{"allow": true, "type": "x"}"#, "linux/resources/devices/0/type: \"x\" is none of a, b, c"),
            (
                r#"{"allow": true, "access": "rx"}"#,
                "linux/resources/devices/0/access: 'x' is none of r, w, m",
            ),
            (
                r#"{"allow": true, "major": -7}"#,
                "linux/resources/devices/0/major: -7 is not a device number; -1 is any",
            ),
        ];
        for (rule, expected) in table {
            assert_eq!(v1(rule), [expected]);
        }
    }
}
