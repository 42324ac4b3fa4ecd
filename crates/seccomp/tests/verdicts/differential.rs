//! The compiled tree against libseccomp as runc uses it.

use std::cell::RefCell;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use seccomp::syscalls::{self, Number};
use seccomp::{Action, Arch, Arg, ByteOrder, Operator, Profile, Syscall, interpret};

use crate::oracle::{self, Oracle};
use crate::runc::Stock;
use crate::{
    DOCKER_ALL_CAPABILITIES, DOCKER_DEFAULT, PODMAN_DEFAULT, fragile, operators, probes, profile, strategies,
};

/// Where both accept the profile, every probe must get the same answer.
fn compare(oracle: &mut Oracle, profile: &Profile, native: Arch) -> Result<(), String> {
    let stock = Stock::compile(oracle, profile, native);
    let ours = seccomp::compile_for(profile, native);
    let (stock, ours) = match (stock, ours) {
        (Ok(stock), Ok(ours)) => (stock, ours),
        (Err(_), Err(seccomp::Error::Contradiction { .. })) => return Ok(()),
        (Err(oracle::CRASHED), Ok(_)) => {
            println!("libseccomp crashed over {profile:?}");
            return Ok(());
        }
        (stock, ours) => return Err(format!("libseccomp: {:?}, ours: {:?}", stock.err(), ours.err())),
    };
    for data in probes::of(profile, native) {
        let expected = stock.answer(&data).returns;
        let answer = interpret::run(&ours.instructions, &data, native.byte_order())
            .map_err(|fault| fault.to_string())?;
        if answer.returns != expected {
            return Err(format!("{data:x?}: libseccomp {expected:x}, ours {:x}", answer.returns));
        }
    }
    Ok(())
}

/// Docker's profile as it is since version 23: any socket but those of `AF_VSOCK`.
fn without_vsock(profile: &Profile) -> Profile {
    let mut profile = profile.clone();
    profile.syscalls.iter_mut().for_each(|syscall| syscall.names.retain(|name| name != "socket"));
    let family = Arg { index: 0, value: 40, value_two: 0, op: Operator::NotEqual };
    let names = vec!["socket".to_owned()];
    profile.syscalls.push(Syscall { names, action: Action::Allow, errno_ret: None, args: vec![family] });
    profile
}

/// The architectures that dockerd puts together.
const FAMILIES: [&[Arch]; 6] = [
    &[Arch::X86_64, Arch::X86, Arch::X32],
    &[Arch::X86_64],
    &[Arch::Aarch64, Arch::Arm],
    &[Arch::Mipsel64, Arch::Mipsel, Arch::Mipsel64N32],
    &[Arch::Ppc64le],
    &[Arch::Riscv64],
];

#[test]
fn profiles_of_docker_and_podman_answer_as_with_libseccomp() {
    let Some(mut oracle) = Oracle::start() else { return };
    let written = [DOCKER_DEFAULT, DOCKER_ALL_CAPABILITIES, PODMAN_DEFAULT].map(profile);
    for written in written.iter().chain([&without_vsock(&written[0])]) {
        for family in FAMILIES {
            let mut profile = written.clone();
            profile.architectures = family.to_vec();
            compare(&mut oracle, &profile, family[0]).unwrap_or_else(|error| panic!("{family:?}: {error}"));
        }
    }
}

/// Big-endian filters are compared with short profiles only: libseccomp copies a `return` that is out of a
/// jump's reach with its bytes swapped twice when it runs on a little-endian machine.
#[test]
fn every_operator_answers_as_with_libseccomp() {
    let Some(mut oracle) = Oracle::start() else { return };
    for profile in operators::profiles() {
        for native in [Arch::X86_64, Arch::S390x, Arch::Mips] {
            let mut profile = profile.clone();
            profile.architectures.retain(|arch| arch.byte_order() == native.byte_order());
            compare(&mut oracle, &profile, native).unwrap_or_else(|error| panic!("{error}\n{profile:#?}"));
        }
    }
}

#[test]
fn random_profiles_answer_as_with_libseccomp() {
    let Some(mut oracle) = Oracle::start() else { return };
    let archs = known_archs(&mut oracle, ByteOrder::Little);
    random(oracle, strategies::one_action(archs));
}

#[test]
fn random_profiles_of_several_actions_answer_as_with_libseccomp() {
    let Some(oracle) = Oracle::start() else { return };
    random(oracle, strategies::many_actions(vec![Arch::X86, Arch::X32, Arch::Aarch64]));
}

/// Two conditions on one argument are alternatives, and `& 0 == 0` asks for nothing: such a rule holds always, so that a
/// later one without conditions is not heard.
#[test]
fn a_rule_with_an_alternative_that_asks_nothing_answers_as_with_libseccomp() {
    let Some(mut oracle) = Oracle::start() else { return };
    let arg = |op| Arg { index: 1, value: 0, value_two: 0, op };
    let either = vec![arg(Operator::MaskedEqual), arg(Operator::NotEqual)];
    let rule = |action, args| {
        let names = vec!["personality".to_owned()];
        Syscall { names, action, errno_ret: None, args }
    };
    for (first, second) in [(Action::KillProcess, Action::KillThread), (Action::KillThread, Action::Log)] {
        let profile = Profile {
            default_action: Some(Action::Trap),
            syscalls: vec![rule(first, either.clone()), rule(second, Vec::new())],
            ..Profile::default()
        };
        compare(&mut oracle, &profile, Arch::X86_64).unwrap_or_else(|error| panic!("{error}\n{profile:#?}"));
    }
}

/// Compares profiles of `strategy` unless libseccomp may be wrong about them.
fn random(oracle: Oracle, strategy: impl Strategy<Value = Profile>) {
    let state = RefCell::new((oracle, 0, 0));
    let mut runner = TestRunner::new(Config { cases: 128, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&strategy, |profile| {
        let (oracle, compared, fragile) = &mut *state.borrow_mut();
        if fragile::is(&profile) {
            *fragile += 1;
            return Ok(());
        }
        *compared += 1;
        compare(oracle, &profile, Arch::X86_64).map_err(TestCaseError::fail)
    });
    let (_, compared, fragile) = state.into_inner();
    println!("{compared} random profiles compared, {fragile} left out because libseccomp may be wrong");
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_number_is_the_one_libseccomp_knows() {
    let Some(mut oracle) = Oracle::start() else { return };
    let archs: Vec<Arch> = [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .flat_map(|order| known_archs(&mut oracle, order))
        .collect();
    let mut newer = 0;
    for name in syscalls::names() {
        if !oracle.knows(name) {
            newer += 1;
            continue;
        }
        for arch in &archs {
            let theirs = oracle.resolve(*arch, name);
            let ours = match syscalls::number(*arch, name) {
                Number::Is(number) => number.cast_signed(),
                _ => -1,
            };
            let pseudo = theirs < -1 && (ours == -1 || multiplexed(*arch, name));
            let later = LATER.contains(&(*arch, name));
            assert!(theirs == ours || pseudo || later, "{arch:?} {name}: libseccomp {theirs}, ours {ours}");
        }
    }
    println!("{newer} names are newer than the installed libseccomp");
}

/// Numbers that an architecture got later than the others; Debian 12's libseccomp does not know them yet.
const LATER: [(Arch, &str); 1] = [(Arch::X32, "map_shadow_stack")];

/// libseccomp gives pseudo numbers to what `socketcall` and `ipc` can do, also where there is a direct one.
fn multiplexed(arch: Arch, name: &str) -> bool {
    let number = |name| matches!(syscalls::number(arch, name), Number::Is(_));
    let sockets =
        ["accept", "bind", "connect", "get", "listen", "recv", "send", "setsockopt", "shutdown", "socket"];
    let inner = ["sem", "msg", "shm"].iter().chain(&sockets).any(|prefix| name.starts_with(prefix));
    number("socketcall") && inner
}

/// The architectures of one byte order that the installed libseccomp knows.
fn known_archs(oracle: &mut Oracle, order: ByteOrder) -> Vec<Arch> {
    oracle::of_order(order).into_iter().filter(|arch| oracle.resolve(*arch, "write") >= 0).collect()
}
