//! A profile as runc reads it, in two forms: as requests to libseccomp with runc's own additions, and as a
//! naive evaluator that looks at one system call at a time.
//!
//! Source: runc 1.5, libcontainer/seccomp/seccomp_linux.go and patchbpf/enosys_linux.go

use seccomp::interpret::{self, Data};
use seccomp::syscalls::{self, Number};
use seccomp::{Action, Arch, Arg, Instruction, Operator, Profile};

use crate::oracle::{self, Oracle};

pub(crate) const ENOSYS: u32 = 0x0005_0026;
pub(crate) const KILL: u32 = 0;
const X32_BIT: u32 = 0x4000_0000;

/// `SECCOMP_RET_*` of an action.
pub(crate) fn returns(action: Action, errno: Option<u32>) -> u32 {
    match action {
        Action::Kill | Action::KillThread => KILL,
        Action::KillProcess => 0x8000_0000,
        Action::Trap => 0x0003_0000,
        Action::Errno => 0x0005_0000 + errno.unwrap_or(1),
        Action::Notify => 0x7fc0_0000,
        Action::Trace => 0x7ff0_0000 + errno.unwrap_or(1),
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
    }
}

pub(crate) fn default_returns(profile: &Profile) -> u32 {
    returns(profile.default_action.expect("a default action"), profile.default_errno_ret)
}

/// The native architecture and those of the profile, each once.
pub(crate) fn archs(profile: &Profile, native: Arch) -> Vec<Arch> {
    let mut archs = vec![native];
    archs.extend(profile.architectures.iter().filter(|arch| **arch != native));
    archs.sort();
    archs.dedup();
    archs
}

/// Conditions that hold together; several sets where one argument occurs twice.
pub(crate) fn alternatives(args: &[Arg]) -> Vec<Vec<Arg>> {
    let twice = (0..6).any(|index| args.iter().filter(|arg| arg.index == index).count() > 1);
    if twice { args.iter().map(|arg| vec![arg.clone()]).collect() } else { vec![args.to_vec()] }
}

/// Forms of libseccomp's filters: one rule after the other (runc 1.1), or a tree over the numbers (runc since
/// 1.2, for more than 32 names). `SCMP_FLTATR_CTL_OPTIMIZE`
pub(crate) const LINEAR: u32 = 1;
pub(crate) const BINARY_TREE: u32 = 2;

/// What stock runc loads: libseccomp's filter behind runc's own part.
pub(crate) struct Stock {
    pub(crate) filter: Vec<Instruction>,
    newest: Vec<(Arch, u32)>,
    native: Arch,
}

impl Stock {
    /// Asks libseccomp for the filter; the error is its errno.
    pub(crate) fn compile(oracle: &mut Oracle, profile: &Profile, native: Arch) -> Result<Stock, i32> {
        let names = profile.syscalls.iter().flat_map(|syscall| &syscall.names);
        let form = if names.count() > 32 { BINARY_TREE } else { LINEAR };
        Stock::compile_as(oracle, profile, native, form)
    }

    /// The same in a given form.
    pub(crate) fn compile_as(
        oracle: &mut Oracle,
        profile: &Profile,
        native: Arch,
        optimize: u32,
    ) -> Result<Stock, i32> {
        let default = default_returns(profile);
        let mut rules = Vec::new();
        for syscall in &profile.syscalls {
            let returns = returns(syscall.action, syscall.errno_ret);
            for name in syscall.names.iter().filter(|_| returns != default) {
                for conditions in alternatives(&syscall.args) {
                    let conditions = conditions.iter().map(condition).collect();
                    rules.push(oracle::Rule { returns, name, conditions });
                }
            }
        }
        let archs = archs(profile, native);
        let request = oracle::Request { native, archs: archs.clone(), default, optimize, rules };
        let filter = oracle.compile(&request)?;
        let newest = match profile.default_action {
            Some(Action::Allow | Action::Log | Action::Trace) => Vec::new(),
            _ => archs.iter().map(|arch| (*arch, newest(oracle, profile, *arch))).collect(),
        };
        Ok(Stock { filter, newest, native })
    }

    /// The answer to a system call, and the steps that libseccomp's part takes for it.
    pub(crate) fn answer(&self, data: &Data) -> interpret::Answer {
        let answer = interpret::run(&self.filter, data, self.native.byte_order()).expect("a sound filter");
        if newer(&self.newest, data) { interpret::Answer { returns: ENOSYS, ..answer } } else { answer }
    }
}

fn newest(oracle: &mut Oracle, profile: &Profile, arch: Arch) -> u32 {
    let names = profile.syscalls.iter().flat_map(|syscall| &syscall.names);
    names.map(|name| oracle.resolve(arch, name)).max().unwrap_or(0).max(0).cast_unsigned()
}

fn condition(arg: &Arg) -> (u32, u32, u64, u64) {
    let operator = match arg.op {
        Operator::NotEqual => 1,
        Operator::Less => 2,
        Operator::LessOrEqual => 3,
        Operator::Equal => 4,
        Operator::GreaterOrEqual => 5,
        Operator::Greater => 6,
        Operator::MaskedEqual => 7,
    };
    (arg.index, operator, arg.value, arg.value_two)
}

/// Whether runc's stub answers before the filter. An architecture whose newest number is 0 has no stub.
fn newer(newest: &[(Arch, u32)], data: &Data) -> bool {
    newest.iter().any(|(arch, newest)| {
        let x32 = data.nr & X32_BIT != 0;
        let same_abi = match arch {
            Arch::X86_64 => !x32,
            Arch::X32 => x32,
            _ => true,
        };
        let multiplexed = matches!(arch, Arch::S390 | Arch::S390x) && data.nr == 0;
        *newest != 0 && arch.audit() == data.arch && same_abi && (data.nr > *newest || multiplexed)
    })
}

/// All answers that the rules which hold for a system call give; the default action if there is none.
///
/// Several only where the profile gives one system call several actions.
pub(crate) fn naive(profile: &Profile, native: Arch, data: &Data) -> Vec<u32> {
    let default = default_returns(profile);
    let archs = archs(profile, native);
    let x32 = data.arch == Arch::X32.audit() && data.nr >= X32_BIT;
    let abi = archs.iter().find(|arch| arch.audit() == data.arch && (**arch == Arch::X32) == x32);
    if let Some(answer) = stub(profile, &archs, data) {
        return vec![answer];
    }
    let Some(abi) = abi else {
        let skipped = data.nr == u32::MAX && archs.iter().any(|arch| arch.audit() == data.arch);
        return vec![if skipped { default } else { KILL }];
    };
    let mut answers = Vec::new();
    for syscall in &profile.syscalls {
        let returns = returns(syscall.action, syscall.errno_ret);
        let named = syscall.names.iter().any(|name| syscalls::number(*abi, name) == Number::Is(data.nr));
        let sets = alternatives(&syscall.args);
        let met = sets.iter().any(|set| set.iter().all(|arg| holds(arg, *abi, data)));
        let asks_nothing = |arg: &Arg| arg.op == Operator::MaskedEqual && mask(*abi) & arg.value == 0;
        let always = sets.iter().any(|set| set.iter().all(asks_nothing));
        match (named && met && returns != default, always) {
            (true, true) => return vec![returns],
            (true, false) => answers.push(returns),
            (false, _) => {}
        }
    }
    if answers.is_empty() { vec![default] } else { answers }
}

fn stub(profile: &Profile, archs: &[Arch], data: &Data) -> Option<u32> {
    if matches!(profile.default_action, Some(Action::Allow | Action::Log | Action::Trace)) {
        return None;
    }
    let newest = archs.iter().map(|arch| {
        let names = profile.syscalls.iter().flat_map(|syscall| &syscall.names);
        let numbers = names.filter_map(|name| match syscalls::number(*arch, name) {
            Number::Is(number) => Some(number),
            _ => None,
        });
        (*arch, numbers.max().unwrap_or(0))
    });
    newer(&newest.collect::<Vec<_>>(), data).then_some(ENOSYS)
}

fn mask(abi: Arch) -> u64 {
    let narrow =
        [Arch::X86, Arch::X32, Arch::Arm, Arch::Mips, Arch::Mipsel, Arch::Mips64N32, Arch::Mipsel64N32];
    let narrow = narrow.contains(&abi) || [Arch::Ppc, Arch::S390].contains(&abi);
    if narrow { u64::from(u32::MAX) } else { u64::MAX }
}

fn holds(arg: &Arg, abi: Arch, data: &Data) -> bool {
    let mask = mask(abi);
    let (is, value, two) = (data.args[arg.index as usize] & mask, arg.value & mask, arg.value_two & mask);
    match arg.op {
        Operator::NotEqual => is != value,
        Operator::Less => is < value,
        Operator::LessOrEqual => is <= value,
        Operator::Equal => is == value,
        Operator::GreaterOrEqual => is >= value,
        Operator::Greater => is > value,
        Operator::MaskedEqual => is & value == two & value,
    }
}
