//! Random profiles.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use seccomp::{Action, Arch, Arg, Operator, Profile, Syscall};

use crate::runc;

/// Values that make conditions meet: small, around the border of the halves, and any.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..8_u64,
        2 => (0..4_u64, 0..4_u64).prop_map(|(high, low)| (high << 32) | low),
        1 => select(vec![0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_0000_0000, u64::MAX, u64::MAX - 1]),
        1 => any::<u64>(),
    ]
}

fn arg() -> impl Strategy<Value = Arg> {
    (0..3_u32, value(), value(), select(Operator::ALL.to_vec()))
        .prop_map(|(index, value, value_two, op)| Arg { index, value, value_two, op })
}

/// Names that differ in how architectures number them, and one that none has.
fn names() -> impl Strategy<Value = Vec<String>> {
    let all = [
        "read",
        "openat",
        "clone",
        "personality",
        "socket",
        "accept",
        "semop",
        "mmap",
        "kexec_load",
        "no_such",
    ];
    subsequence(all.to_vec(), 1..4).prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn syscall(action: impl Strategy<Value = Action>) -> impl Strategy<Value = Syscall> {
    (names(), action, option::of(0..4096_u32), vec(arg(), 0..4))
        .prop_map(|(names, action, errno_ret, args)| Syscall { names, action, errno_ret, args })
}

fn any_action() -> impl Strategy<Value = Action> {
    select(Action::ALL.into_iter().filter(|action| *action != Action::Notify).collect::<Vec<_>>())
}

/// Profiles for `archs` whose rules all have one action.
pub(crate) fn one_action(archs: Vec<Arch>) -> impl Strategy<Value = Profile> {
    any_action().prop_flat_map(move |action| profile(archs.clone(), Just(action).boxed(), 0..4)).prop_map(
        |mut profile| {
            profile.syscalls.iter_mut().for_each(|syscall| syscall.errno_ret = None);
            with_plain_rule(profile)
        },
    )
}

/// Adds a rule without conditions for numbers that every architecture has: without one, libseccomp forgets to
/// load the number for an architecture whose only rules are for what `ipc` and `socketcall` carry.
fn with_plain_rule(mut profile: Profile) -> Profile {
    let default = runc::default_returns(&profile);
    let counts = |syscall: &&Syscall| runc::returns(syscall.action, syscall.errno_ret) != default;
    let names = || vec!["close".to_owned(), "getpid".to_owned()];
    let plain = profile.syscalls.iter().find(counts);
    let plain = plain.map(|like| Syscall { names: names(), args: Vec::new(), ..like.clone() });
    profile.syscalls.extend(plain);
    profile
}

/// Profiles for `archs` whose rules have any actions.
pub(crate) fn many_actions(archs: Vec<Arch>) -> impl Strategy<Value = Profile> {
    profile(archs, any_action().boxed(), 0..5).prop_map(with_plain_rule)
}

fn profile(
    archs: Vec<Arch>,
    action: BoxedStrategy<Action>,
    rules: std::ops::Range<usize>,
) -> impl Strategy<Value = Profile> {
    let count = archs.len();
    (any_action(), option::of(0..4096_u32), subsequence(archs, 0..=count.min(3)), vec(syscall(action), rules))
        .prop_map(|(default, default_errno_ret, architectures, syscalls)| Profile {
            default_action: Some(default),
            default_errno_ret,
            architectures,
            syscalls,
            ..Profile::default()
        })
}
