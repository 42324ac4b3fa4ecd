//! A profile's rules for one architecture: what happens to each number, and under which conditions.
//!
//! The meaning is libseccomp's, as runc uses it:
//!
//! * A rule whose action is the default action says nothing and is left out.
//! * Conditions of one rule must all hold. If two of them look at the same argument, each becomes a rule.
//! * The first rule without conditions decides a number alone, before and after all others.
//! * Rules with conditions are alternatives. Where two with different actions hold at once, the order is
//!   libseccomp's: [`Rule::precedence`], and not the order of the profile.
//! * On a 32-bit ABI only the low halves of argument and value are compared.
//!
//! Compat: runc 1.5, libcontainer/seccomp/seccomp_linux.go; libseccomp 2.5 and 2.6, db.c.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use crate::arch::{Arch, Width};
use crate::instruction::MAX_INSTRUCTIONS;
use crate::multiplex::Operation;
use crate::profile::{Arg, Operator, Profile, Syscall};
use crate::syscalls::{Known, Number};
use crate::{Error, action};

/// A condition on one argument, cut to the ABI's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Which argument, 0 to 5.
    pub(crate) index: u32,
    pub(crate) operator: Operator,
    /// Bits that count; all of them except for `MaskedEqual`.
    pub(crate) mask: u64,
    pub(crate) value: u64,
}

/// An action under conditions, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// At most one per argument, in the arguments' order.
    pub(crate) conditions: Vec<Condition>,
    /// `SECCOMP_RET_*` with its data.
    pub(crate) returns: u32,
}

/// What happens to one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The same whatever the arguments are.
    Always(u32),
    /// The first rule that holds; none: the default action. In order of precedence.
    FirstOf(Vec<Rule>),
}

/// A name of the profile, looked up once for all architectures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    text: &'a str,
    known: Option<Known>,
    operation: Option<Operation>,
}

impl<'a> Name<'a> {
    /// Looks a name up.
    pub(crate) fn find(text: &'a str) -> Self {
        Self { text, known: Known::find(text), operation: Operation::find(text) }
    }

    /// Whether any architecture has a system call of that name.
    pub(crate) fn is_known(self) -> bool {
        self.known.is_some()
    }
}

/// The names of each entry of the profile.
pub(crate) type Names<'a> = Vec<Vec<Name<'a>>>;

/// All rules of one architecture, by number.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    outcomes: Outcomes,
    /// The highest number the profile names, with whatever action; [`crate::dispatch`] uses it.
    pub(crate) newest: Option<u32>,
}

impl Rules {
    /// Reads `profile`, whose names are `names`, for `arch`.
    pub(crate) fn of(
        profile: &Profile,
        names: &Names<'_>,
        arch: Arch,
        default_returns: u32,
    ) -> Result<Self, Error> {
        let mut rules = Rules { outcomes: Outcomes::behind(arch.base()), newest: None };
        for (entry, (syscall, names)) in profile.syscalls.iter().zip(names).enumerate() {
            let returns =
                action::returns(syscall.action, syscall.errno_ret, || format!("syscalls/{entry}/errnoRet"))?;
            let alternatives = alternatives(syscall, arch, entry)?;
            for (position, name) in names.iter().enumerate() {
                let place = || format!("syscalls/{entry}/names/{position}");
                rules.count(arch, *name);
                if returns == default_returns {
                    continue;
                }
                for conditions in &alternatives {
                    let rule = Rule { conditions: conditions.clone(), returns };
                    rules.add_by_name(arch, *name, rule).map_err(|refusal| refusal.at(place(), name.text))?;
                }
            }
        }
        rules.sort();
        Ok(rules)
    }

    /// Remembers the highest number.
    ///
    /// Compat: a call that libseccomp knows under a pseudo number, because it can also be made through
    /// `socketcall` or `ipc`, does not count in runc's search for the highest one.
    fn count(&mut self, arch: Arch, name: Name<'_>) {
        if name.operation.and_then(|operation| operation.on(arch)).is_some() {
            return;
        }
        if let Some(Number::Is(number @ 1..)) = name.known.map(|known| known.number(arch)) {
            self.newest = self.newest.max(Some(number));
        }
    }

    /// Adds `rule` for the number of `name`, and for the multiplexer it can also be reached by.
    fn add_by_name(&mut self, arch: Arch, name: Name<'_>, rule: Rule) -> Result<(), Refusal> {
        if let Some(inner) = name.operation.and_then(|operation| operation.on(arch)) {
            self.add(inner.number, inner.rewrite(&rule))?;
        }
        match name.known.map(|known| known.number(arch)) {
            Some(Number::Is(number)) => self.add(number, rule),
            _ => Ok(()),
        }
    }

    fn add(&mut self, number: u32, rule: Rule) -> Result<(), Refusal> {
        match self.outcomes.of(number) {
            Some(Outcome::Always(_)) => {}
            place if rule.conditions.is_empty() => *place = Some(Outcome::Always(rule.returns)),
            Some(Outcome::FirstOf(rules)) => add_alternative(rules, rule)?,
            place => *place = Some(Outcome::FirstOf(vec![rule])),
        }
        Ok(())
    }

    fn sort(&mut self) {
        for outcome in self.outcomes.all_mut() {
            if let Outcome::FirstOf(rules) = outcome {
                rules.sort_by(Rule::precedence);
            }
        }
    }

    /// The numbers that have a rule, in order, with what happens to them.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (u32, &Outcome)> {
        self.outcomes.all()
    }
}

/// What happens to the numbers that have a rule. Numbers lie close together behind the ABI's base, so most are found
/// by their place.
#[derive(Debug, Default)]
struct Outcomes {
    base: u32,
    near: Vec<Option<Outcome>>,
    far: BTreeMap<u32, Option<Outcome>>,
}

impl Outcomes {
    /// No ABI has more numbers in a row.
    const NEAR: usize = 1024;

    fn behind(base: u32) -> Self {
        Self { base, ..Self::default() }
    }

    /// The place of a number.
    fn of(&mut self, number: u32) -> &mut Option<Outcome> {
        let offset = number.checked_sub(self.base).and_then(|offset| usize::try_from(offset).ok());
        match offset.filter(|offset| *offset < Self::NEAR) {
            Some(offset) => {
                if self.near.len() <= offset {
                    self.near.resize(offset + 1, None);
                }
                &mut self.near[offset]
            }
            None => self.far.entry(number).or_default(),
        }
    }

    /// In the order of the numbers: nothing lies before the base but by a mistake in the table.
    fn all(&self) -> impl Iterator<Item = (u32, &Outcome)> {
        let near = (self.base..).zip(&self.near);
        let far = self.far.iter().map(|(number, outcome)| (*number, outcome));
        near.chain(far).filter_map(|(number, outcome)| Some((number, outcome.as_ref()?)))
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Outcome> {
        self.near.iter_mut().chain(self.far.values_mut()).flatten()
    }
}

/// Why a rule cannot be added.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// Two rules of the same reach have different actions.
    Contradicts,
    /// One number has more alternatives than a filter has instructions.
    TooMany,
}

impl Refusal {
    fn at(self, place: String, name: &str) -> Error {
        match self {
            Refusal::Contradicts => Error::Contradiction { place, name: name.to_owned() },
            Refusal::TooMany => {
                Error::TooLong { instructions: MAX_INSTRUCTIONS + 1, limit: MAX_INSTRUCTIONS }
            }
        }
    }
}

/// Adds a rule to its alternatives.
///
/// Compat: libseccomp drops a rule that only narrows an earlier one, replaces an earlier one that narrows it,
/// and refuses the latter (`EEXIST`) when the actions differ.
fn add_alternative(rules: &mut Vec<Rule>, new: Rule) -> Result<(), Refusal> {
    let narrower = |rule: &Rule, than: &Rule| rule.conditions.starts_with(&than.conditions);
    if rules.iter().any(|old| narrower(old, &new) && old.returns != new.returns) {
        return Err(Refusal::Contradicts);
    }
    if rules.iter().any(|old| narrower(&new, old)) {
        return Ok(());
    }
    rules.retain(|old| !narrower(old, &new));
    if rules.len() >= MAX_INSTRUCTIONS {
        return Err(Refusal::TooMany);
    }
    rules.push(new);
    Ok(())
}

impl Rule {
    /// The order in which libseccomp tests alternatives: by the first condition in which they differ.
    fn precedence(&self, other: &Rule) -> Ordering {
        let pairs = self.conditions.iter().zip(&other.conditions);
        pairs
            .map(|(one, two)| one.precedence(two))
            .find(|order| order.is_ne())
            .unwrap_or(self.conditions.len().cmp(&other.conditions.len()))
    }
}

impl Condition {
    /// Later arguments first, exact comparisons before ranges, the narrower range first.
    fn precedence(&self, other: &Condition) -> Ordering {
        let kind = |operator| match operator {
            Operator::Equal | Operator::NotEqual | Operator::MaskedEqual => 0,
            Operator::Less | Operator::LessOrEqual => 1,
            Operator::Greater | Operator::GreaterOrEqual => 2,
        };
        let narrow = |condition: &Condition| match kind(condition.operator) {
            1 => condition.value,
            _ => u64::MAX - condition.value,
        };
        let key =
            |condition: &Condition| (Reverse(condition.index), kind(condition.operator), narrow(condition));
        key(self).cmp(&key(other))
    }
}

/// The sets of conditions that an entry of the profile stands for; one empty set if it has none.
fn alternatives(syscall: &Syscall, arch: Arch, entry: usize) -> Result<Vec<Vec<Condition>>, Error> {
    let mut conditions = Vec::with_capacity(syscall.args.len());
    for (position, arg) in syscall.args.iter().enumerate() {
        if arg.index > 5 {
            let place = format!("syscalls/{entry}/args/{position}/index");
            return Err(Error::NoSuchArgument { place, index: arg.index });
        }
        conditions.push(condition(arg, arch.width()));
    }
    conditions.sort_by_key(|condition| condition.index);
    let repeated = conditions.windows(2).any(|pair| pair[0].index == pair[1].index);
    let sets =
        if repeated { conditions.into_iter().map(|one| vec![one]).collect() } else { vec![conditions] };
    Ok(sets.into_iter().map(without_empty_masks).collect())
}

fn condition(arg: &Arg, width: Width) -> Condition {
    let all = width.all();
    let (mask, value) = match arg.op {
        Operator::MaskedEqual => (arg.value & all, arg.value_two & arg.value & all),
        _ => (all, arg.value & all),
    };
    Condition { index: arg.index, operator: arg.op, mask, value }
}

/// A comparison under an empty mask always holds.
fn without_empty_masks(mut conditions: Vec<Condition>) -> Vec<Condition> {
    conditions.retain(|condition| condition.mask != 0);
    conditions
}
