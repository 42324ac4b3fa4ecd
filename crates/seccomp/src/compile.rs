//! From a profile to a filter that the kernel can load.

use crate::action;
use crate::arch::Arch;
use crate::dispatch::{self, Newer};
use crate::graph::Graph;
use crate::instruction::{self, Instruction};
use crate::layout;
use crate::profile::{Action, Flag, Profile};
use crate::rules::{Name, Names, Rules};
use crate::{Error, Warning};

/// A filter, and how it is to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The program: 1 to 4096 instructions.
    pub instructions: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*` for seccomp(2), `SECCOMP_FILTER_FLAG_NEW_LISTENER` included if `notify`.
    pub flags: u32,
    /// Whether loading the filter gives a listener, which belongs to the profile's `listenerPath`.
    pub notify: bool,
    /// What was skipped, each once.
    pub warnings: Vec<Warning>,
}

impl Compiled {
    /// The program as the native `struct sock_filter[]`, 8 bytes per instruction.
    pub fn to_bytes(&self) -> Vec<u8> {
        instruction::to_bytes(&self.instructions)
    }

    /// The program out of what [`Compiled::to_bytes`] has written. Flags are not part of the bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] if `bytes` are not a whole number of instructions from 1 to 4096.
    pub fn from_bytes(bytes: &[u8]) -> Result<Vec<Instruction>, Error> {
        instruction::from_bytes(bytes)
    }
}

/// Compiles `profile` for the machine this program was built for.
///
/// # Errors
/// What a profile can be refused for: every variant of [`Error`] but [`Error::Truncated`]. A disabled
/// profile (see [`Profile::is_disabled`]) is [`Error::NoDefaultAction`]: the caller loads no filter then.
pub fn compile(profile: &Profile) -> Result<Compiled, Error> {
    compile_for(profile, Arch::NATIVE)
}

/// Compiles `profile` for a machine whose main ABI is `native`.
///
/// # Errors
/// As [`compile`].
pub fn compile_for(profile: &Profile, native: Arch) -> Result<Compiled, Error> {
    let default_action = profile.default_action.ok_or(Error::NoDefaultAction)?;
    let default = action::returns(default_action, profile.default_errno_ret, || "defaultErrnoRet".into())?;
    let notify = uses_notify(profile, default_action)?;
    let flags = flags(profile, notify)?;
    let names = names(profile)?;

    let mut archs = Vec::new();
    for arch in architectures(profile, native)? {
        archs.push((arch, Rules::of(profile, &names, arch, default)?));
    }
    let mut graph = Graph::default();
    let root = dispatch::by_architecture(&mut graph, &archs, default, newer(default_action));
    let instructions = layout::instructions(&graph, root)?;
    Ok(Compiled { instructions, flags, notify, warnings: warnings(profile, &names) })
}

/// Compat: runc leaves numbers it does not know to a default action that lets calls pass, or to a tracer.
fn newer(default_action: Action) -> Newer {
    match default_action {
        Action::Allow | Action::Log | Action::Trace => Newer::Default,
        _ => Newer::Enosys,
    }
}

/// How a process says that it has a listener, and how it sends it.
const HAND_OVER: [&str; 2] = ["write", "sendmsg"];

/// Whether a rule asks a listener.
///
/// Compat: runc refuses what would make its own hand-over of the listener wait for that listener.
fn uses_notify(profile: &Profile, default_action: Action) -> Result<bool, Error> {
    if default_action == Action::Notify {
        return Err(Error::NotifyNotPossible { place: "defaultAction".into(), what: "all system calls" });
    }
    let mut used = false;
    for (entry, syscall) in profile.syscalls.iter().enumerate() {
        if syscall.action != Action::Notify || syscall.names.is_empty() {
            continue;
        }
        if let Some(what) = HAND_OVER.into_iter().find(|what| syscall.names.iter().any(|name| name == what)) {
            let place = format!("syscalls/{entry}/action");
            return Err(Error::NotifyNotPossible { place, what });
        }
        used = true;
    }
    Ok(used)
}

/// The bits for seccomp(2). Source: `linux/seccomp.h`
///
/// Compat: runc gives `SPEC_ALLOW` to a profile without `flags`, and takes `TSYNC` without effect.
fn flags(profile: &Profile, notify: bool) -> Result<u32, Error> {
    const NEW_LISTENER: u32 = 1 << 3;
    let named = profile.flags.as_deref().unwrap_or(&[Flag::SpecAllow]);
    if named.contains(&Flag::WaitKillableRecv) && !notify {
        return Err(Error::WaitKillableWithoutNotify);
    }
    let bits = named.iter().map(|flag| match flag {
        Flag::Tsync => 0,
        Flag::Log => 1 << 1,
        Flag::SpecAllow => 1 << 2,
        Flag::WaitKillableRecv => 1 << 5,
    });
    Ok(bits.fold(if notify { NEW_LISTENER } else { 0 }, |all, bit| all | bit))
}

/// Looks every name up and refuses empty ones.
fn names(profile: &Profile) -> Result<Names<'_>, Error> {
    let mut all = Names::with_capacity(profile.syscalls.len());
    for (entry, syscall) in profile.syscalls.iter().enumerate() {
        if let Some(position) = syscall.names.iter().position(String::is_empty) {
            return Err(Error::EmptyName { place: format!("syscalls/{entry}/names/{position}") });
        }
        all.push(syscall.names.iter().map(|name| Name::find(name)).collect());
    }
    Ok(all)
}

/// Lists unknown names.
fn warnings(profile: &Profile, names: &Names<'_>) -> Vec<Warning> {
    let texts = profile.syscalls.iter().flat_map(|syscall| &syscall.names);
    let unknown = texts.zip(names.iter().flatten()).filter(|(_, name)| !name.is_known());
    let mut warnings: Vec<Warning> =
        unknown.map(|(text, _)| Warning::UnknownSyscall { name: text.clone() }).collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

/// `native` and the profile's architectures, each once, those of one `AUDIT_ARCH_*` side by side.
fn architectures(profile: &Profile, native: Arch) -> Result<Vec<Arch>, Error> {
    let mut archs = vec![native];
    for &arch in &profile.architectures {
        if arch.byte_order() != native.byte_order() {
            return Err(Error::ForeignByteOrder { arch, native });
        }
        if !archs.contains(&arch) {
            archs.push(arch);
        }
    }
    archs.sort_by_key(|arch| (arch.audit() != native.audit(), arch.audit()));
    Ok(archs)
}
