//! Profiles that libseccomp 2.5 may compile wrongly, so that they cannot be compared.
//!
//! When several rules of one system call look at the same word of an argument, libseccomp tests them one after
//! the other and loads the word only once. If the first rule loads something else before it fails (the other
//! half of a 64-bit argument, or another argument), the next rule compares that instead: the filter lets
//! calls pass that no rule allows, or refuses what a rule allows. Here each rule is tested as it is written.

use seccomp::{Arg, Operator, Profile};

use crate::runc;

/// Whether the profile has such rules.
pub(crate) fn is(profile: &Profile) -> bool {
    let names = profile.syscalls.iter().flat_map(|syscall| &syscall.names);
    names.into_iter().any(|name| {
        let rules = profile.syscalls.iter().filter(|syscall| syscall.names.contains(name));
        let alternatives: Vec<Vec<Arg>> =
            rules.flat_map(|syscall| runc::alternatives(&syscall.args)).collect();
        let mut pairs = alternatives
            .iter()
            .enumerate()
            .flat_map(|(at, one)| alternatives[at + 1..].iter().map(move |two| (one, two)));
        pairs.any(|(one, two)| one != two && !harmless(one, two))
    })
}

/// Equalities with one argument that differ in the low half only are tested without a reload in between.
fn harmless(one: &[Arg], two: &[Arg]) -> bool {
    if let ([one], [two]) = (one, two) {
        let equal = one.op == Operator::Equal && two.op == Operator::Equal;
        if equal && one.index == two.index && one.value >> 32 == two.value >> 32 {
            return true;
        }
    }
    one.iter().all(|one| two.iter().all(|two| one.index != two.index))
}
