//! The compiled tree against the naive evaluator, for random profiles.

use proptest::prelude::*;
use seccomp::{Arch, ByteOrder, Profile, interpret};

use crate::{oracle, probes, runc, strategies};

/// Compares everything that is not made through a multiplexer, which the evaluator does not know.
fn compare(profile: &Profile, native: Arch) -> Result<(), TestCaseError> {
    let compiled = match seccomp::compile_for(profile, native) {
        Ok(compiled) => compiled,
        Err(seccomp::Error::Contradiction { .. }) => return Ok(()),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    for data in probes::of(profile, native) {
        if [102, 117, 4102, 4117].contains(&data.nr) {
            continue;
        }
        let answer = interpret::run(&compiled.instructions, &data, native.byte_order());
        let answer = answer.map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        let expected = runc::naive(profile, native, &data);
        prop_assert!(
            expected.contains(&answer.returns),
            "{data:x?}: {answer:x?}, expected one of {expected:x?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_answers_what_its_profile_says(profile in strategies::one_action(without_multiplexers(ByteOrder::Little))) {
        compare(&profile, Arch::X86_64)?;
    }

    #[test]
    fn a_filter_of_the_other_byte_order_answers_what_its_profile_says(
        profile in strategies::one_action(without_multiplexers(ByteOrder::Big)),
    ) {
        compare(&profile, Arch::Mips64)?;
    }

    #[test]
    fn of_several_actions_one_whose_rule_holds_is_taken(
        profile in strategies::many_actions(without_multiplexers(ByteOrder::Little)),
    ) {
        compare(&profile, Arch::Aarch64)?;
    }
}

/// runc's search for the newest number skips calls that can be multiplexed; the evaluator does not.
fn without_multiplexers(order: ByteOrder) -> Vec<Arch> {
    let with =
        [Arch::X86, Arch::Mips, Arch::Mipsel, Arch::Ppc, Arch::Ppc64, Arch::Ppc64le, Arch::S390, Arch::S390x];
    oracle::of_order(order).into_iter().filter(|arch| !with.contains(arch)).collect()
}
