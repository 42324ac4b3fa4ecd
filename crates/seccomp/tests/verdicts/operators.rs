//! One profile per operator and value, and what each answers at its edges.

use seccomp::interpret::{self, Data};
use seccomp::{Action, Arch, Arg, ByteOrder, Operator, Profile, Syscall};

/// Values at the edges of 32 and 64 bits.
const VALUES: [u64; 11] = [
    0,
    1,
    0x7e02_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x5_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

pub(crate) fn allow_read_if(args: Vec<Arg>) -> Profile {
    let names = vec!["read".to_owned(), "socket".to_owned(), "shmat".to_owned()];
    Profile {
        default_action: Some(Action::Errno),
        syscalls: vec![Syscall { names, action: Action::Allow, errno_ret: None, args }],
        ..Profile::default()
    }
}

/// Every operator with every value, for the first and the last argument, alone and together; for ABIs of
/// either width and byte order, with and without multiplexers.
pub(crate) fn profiles() -> Vec<Profile> {
    let mut profiles = Vec::new();
    for op in Operator::ALL {
        for value in VALUES {
            for value_two in
                if op == Operator::MaskedEqual { vec![0, 0x2_0000, value, u64::MAX] } else { vec![0] }
            {
                let arg = |index| Arg { index, value, value_two, op };
                profiles.push(allow_read_if(vec![arg(0)]));
                profiles.push(allow_read_if(vec![arg(5)]));
                profiles.push(allow_read_if(vec![
                    arg(1),
                    Arg { index: 2, value: 7, value_two: 0, op: Operator::Equal },
                ]));
                profiles.push(allow_read_if(vec![
                    arg(1),
                    Arg { index: 1, value: 7, value_two: 0, op: Operator::Equal },
                ]));
            }
        }
    }
    let archs = [Arch::X86, Arch::X32, Arch::Ppc64le, Arch::S390, Arch::Ppc64];
    profiles.iter_mut().for_each(|profile| profile.architectures = archs.to_vec());
    profiles
}

#[test]
fn comparisons_are_of_64_bits_and_without_sign() {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, MaskedEqual, NotEqual};
    let big = 0x1_0000_0005_u64;
    let rows = [
        (Equal, [false, true, false, false, false]),
        (NotEqual, [true, false, true, true, true]),
        (Less, [true, false, false, true, false]),
        (LessOrEqual, [true, true, false, true, false]),
        (Greater, [false, false, true, false, true]),
        (GreaterOrEqual, [false, true, true, false, true]),
        (MaskedEqual, [false, true, false, false, true]),
    ];
    for (op, expected) in rows {
        let value_two = if op == MaskedEqual { big } else { 0 };
        let profile = allow_read_if(vec![Arg { index: 3, value: big, value_two, op }]);
        let compiled = seccomp::compile_for(&profile, Arch::X86_64).unwrap();
        for (value, allowed) in [big - 1, big, big + 1, 5, u64::MAX].into_iter().zip(expected) {
            let data = Data { arch: Arch::X86_64.audit(), args: [0, 0, 0, value, 0, 0], ..Data::default() };
            let answer = interpret::run(&compiled.instructions, &data, ByteOrder::Little).unwrap();
            assert_eq!(answer.returns == 0x7fff_0000, allowed, "{value:#x} {op:?}");
        }
    }
}
