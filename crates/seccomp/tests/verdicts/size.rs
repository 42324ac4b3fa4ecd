//! How long the filter for Docker's default profile is, and how many steps a system call costs.

use seccomp::interpret::{self, Data};
use seccomp::syscalls::{self, Number};
use seccomp::{Arch, ByteOrder};

use crate::oracle::Oracle;
use crate::runc::{self, Stock};
use crate::{DOCKER_DEFAULT, profile};

/// Every system call that x86_64 has.
fn calls() -> Vec<Data> {
    let numbers = syscalls::names().filter_map(|name| match syscalls::number(Arch::X86_64, name) {
        Number::Is(nr) => Some(nr),
        _ => None,
    });
    numbers.map(|nr| Data { nr, arch: Arch::X86_64.audit(), ..Data::default() }).collect()
}

#[test]
fn docker_default_profile_is_short_and_each_call_takes_few_steps() {
    let profile = profile(DOCKER_DEFAULT);
    let compiled = seccomp::compile_for(&profile, Arch::X86_64).unwrap();
    let steps = |data: &Data| interpret::run(&compiled.instructions, data, ByteOrder::Little).unwrap().steps;
    let all: Vec<usize> = calls().iter().map(steps).collect();
    let (sum, most) = (all.iter().sum::<usize>(), all.iter().max().copied().unwrap_or(0));
    let length = compiled.instructions.len();
    println!("ours: {length} instructions, {} steps on average, {most} at most", sum / all.len());
    assert!(length <= 380, "{length} instructions");
    assert!(most <= 24, "{most} steps");
}

#[test]
fn libseccomp_needs_more_for_the_same() {
    let Some(mut oracle) = Oracle::start() else { return };
    for (form, name) in [(runc::LINEAR, "one after the other"), (runc::BINARY_TREE, "binary tree")] {
        let stock = Stock::compile_as(&mut oracle, &profile(DOCKER_DEFAULT), Arch::X86_64, form).unwrap();
        let all: Vec<usize> = calls().iter().map(|data| stock.answer(data).steps).collect();
        let (length, sum, most) =
            (stock.filter.len(), all.iter().sum::<usize>(), all.iter().max().copied().unwrap_or(0));
        println!(
            "libseccomp, {name}: {length} instructions, {} steps on average, {most} at most",
            sum / all.len()
        );
        assert!(length > 380, "{length} instructions");
    }
}
