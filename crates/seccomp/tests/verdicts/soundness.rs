//! Nothing in a profile can upset the compiler, and what it makes is a program that the kernel loads.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use seccomp::interpret::{self, Data};
use seccomp::{
    Action, Arch, Arg, ByteOrder, Error, Instruction, MAX_INSTRUCTIONS, Operator, Profile, Syscall, syscalls,
};

fn allow_values(values: impl Iterator<Item = u64>) -> Profile {
    let arg = |value| Arg { index: 0, value, value_two: 0, op: Operator::Equal };
    let names = vec!["personality".to_owned()];
    let args = values.map(arg).collect();
    let syscalls = vec![Syscall { names, action: Action::Allow, errno_ret: None, args }];
    Profile { default_action: Some(Action::Errno), syscalls, ..Profile::default() }
}

#[test]
fn targets_beyond_the_reach_of_a_test_are_reached() {
    let profile = allow_values((0..1000).map(|value| (value << 33) + value * 3));
    let compiled = seccomp::compile_for(&profile, Arch::X86_64).unwrap();
    assert!(compiled.instructions.len() > 2000);
    for value in [0, 1, 400, 999] {
        for (argument, expected) in
            [((value << 33) + value * 3, 0x7fff_0000), ((value << 33) + value * 3 + 1, 0x0005_0001)]
        {
            let data = Data {
                nr: 135,
                arch: Arch::X86_64.audit(),
                args: [argument, 0, 0, 0, 0, 0],
                ..Data::default()
            };
            let answer = interpret::run(&compiled.instructions, &data, ByteOrder::Little).unwrap();
            assert_eq!(answer.returns, expected, "{argument:#x}");
        }
    }
}

#[test]
fn a_filter_that_the_kernel_would_refuse_is_too_long() {
    for count in [4200, 100_000] {
        let error = seccomp::compile_for(&allow_values(0..count), Arch::X86_64).unwrap_err();
        assert_eq!(error, Error::TooLong { instructions: MAX_INSTRUCTIONS + 1, limit: MAX_INSTRUCTIONS });
    }
}

/// What the kernel checks of a program before it loads it.
fn sound(program: &[Instruction]) -> bool {
    let inside = |at: usize, skip: usize| at + 1 + skip < program.len();
    let instruction = |(at, one): (usize, &Instruction)| match one.code {
        0x06 => true,
        0x20 => one.k.is_multiple_of(4) && one.k < 64 && inside(at, 0),
        0x54 => inside(at, 0),
        0x05 => inside(at, one.k as usize),
        0x15 | 0x25 | 0x35 | 0x45 => inside(at, one.jt.into()) && inside(at, one.jf.into()),
        _ => false,
    };
    (1..=MAX_INSTRUCTIONS).contains(&program.len()) && program.iter().enumerate().all(instruction)
}

fn anything() -> impl Strategy<Value = Profile> {
    let arg = (0..8_u32, any::<u64>(), any::<u64>(), select(Operator::ALL.to_vec()))
        .prop_map(|(index, value, value_two, op)| Arg { index, value, value_two, op });
    let known = select(syscalls::names().collect::<Vec<_>>()).prop_map(str::to_owned);
    let name = prop_oneof![19 => known, 1 => any::<String>()];
    let action = || select(Action::ALL.to_vec());
    let errno = proptest::option::of(0..66_000_u32);
    let syscall = (vec(name, 0..30), action(), errno, vec(arg, 0..4))
        .prop_map(|(names, action, errno_ret, args)| Syscall { names, action, errno_ret, args });
    let default = proptest::option::weighted(0.9, action());
    (default, subsequence(Arch::ALL.to_vec(), 0..=3), vec(syscall, 0..8)).prop_map(
        |(default_action, architectures, syscalls)| Profile {
            default_action,
            architectures,
            syscalls,
            ..Profile::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_profile_says_its_filter_is_sound(profile in anything(), native in select(Arch::ALL.to_vec())) {
        if let Ok(compiled) = seccomp::compile_for(&profile, native) {
            prop_assert!(sound(&compiled.instructions));
            let bytes = compiled.to_bytes();
            prop_assert_eq!(seccomp::Compiled::from_bytes(&bytes), Ok(compiled.instructions));
        }
    }

    #[test]
    fn no_text_upsets_the_reader(text in any::<String>(), cut in 0..4000_usize) {
        serde_json::from_str::<Profile>(&text).ok();
        let known: String = crate::DOCKER_DEFAULT.chars().take(cut).collect();
        prop_assert!(serde_json::from_str::<Profile>(&known).is_err());
    }
}
