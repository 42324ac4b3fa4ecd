//! `linux.seccomp` of an OCI bundle's `config.json`.
//!
//! An unknown action, operator, architecture or flag is refused here, by its name; an unknown name of a
//! system call is not: profiles are written for many kernels, and [`compile`](crate::compile) skips it.
//!
//! Source: OCI runtime-spec, config-linux.md, section "Seccomp".

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Arch;

/// `linux.seccomp`: what a container may ask of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to a system call no rule speaks of. Absent only in a disabled profile.
    #[serde(default, deserialize_with = "absent_or_empty", skip_serializing_if = "Option::is_none")]
    pub default_action: Option<Action>,
    /// The errno (or the tracer's data) of `default_action`; absent means `EPERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// ABIs the rules are for, beside the native one, which is always included.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Arch>,
    /// `SECCOMP_FILTER_FLAG_*`; absent means `SECCOMP_FILTER_FLAG_SPEC_ALLOW`, an empty list means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<Flag>>,
    /// Path of the UNIX socket that gets the listener's descriptor (`SCMP_ACT_NOTIFY`).
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    /// Opaque text that is passed along to the listener.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    /// The rules.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<Syscall>,
}

/// One entry of `linux.seccomp.syscalls`: an action for some system calls, perhaps only with certain arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Syscall {
    /// Names of the system calls.
    #[serde(deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
    /// What happens to them.
    pub action: Action,
    /// The errno (or the tracer's data) of `action`; absent means `EPERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions that must all hold; but if two of them look at the same argument, one is enough.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
}

/// A condition on one argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arg {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ`.
    pub value: u64,
    /// What the masked argument must be (`SCMP_CMP_MASKED_EQ` only).
    #[serde(default)]
    pub value_two: u64,
    /// How it is compared, always without sign.
    pub op: Operator,
}

/// What the kernel does with a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Kills the thread, an older name of [`Action::KillThread`].
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    /// Kills the thread with `SIGSYS`.
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// Kills the whole process with `SIGSYS`.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// Sends `SIGSYS`, which the process may handle.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// The call fails with an errno.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// Asks a tracer; without one the call fails with `ENOSYS`.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// Goes ahead.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// Goes ahead and is logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// Asks the listener behind `listenerPath`.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

impl Action {
    /// All actions, as `features` lists them.
    pub const ALL: [Action; 9] = [
        Action::Kill,
        Action::KillThread,
        Action::KillProcess,
        Action::Trap,
        Action::Errno,
        Action::Trace,
        Action::Allow,
        Action::Log,
        Action::Notify,
    ];
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// argument != value
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// argument < value
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    /// argument <= value
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    /// argument == value
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// argument >= value
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    /// argument > value
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// argument & value == valueTwo & value
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

impl Operator {
    /// All operators, as `features` lists them.
    pub const ALL: [Operator; 7] = [
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Equal,
        Operator::GreaterOrEqual,
        Operator::Greater,
        Operator::MaskedEqual,
    ];
}

/// A flag of seccomp(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Flag {
    /// Accepted without effect: the filter is loaded by a process that has one thread.
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    /// Every action but allow is logged.
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    /// Does not turn on the mitigation of Speculative Store Bypass.
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    /// Only a fatal signal interrupts a call that its listener has received.
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillableRecv,
}

impl Flag {
    /// All flags, as `features` lists them.
    pub const ALL: [Flag; 4] = [Flag::Tsync, Flag::SpecAllow, Flag::Log, Flag::WaitKillableRecv];
}

impl Profile {
    /// Whether the profile is the empty one, with which a container runs without a filter.
    ///
    /// Compat: runc, specconv: no default action and no rules means that seccomp is off.
    pub fn is_disabled(&self) -> bool {
        self.default_action.is_none() && self.syscalls.is_empty()
    }
}

/// Go's encoder writes an empty list or text as `null` where the field has no `omitempty`.
fn null_is_empty<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

/// An action, or the empty text that Go writes for none.
fn absent_or_empty<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Action>, D::Error> {
    match Option::<String>::deserialize(source)?.as_deref() {
        None | Some("") => Ok(None),
        Some(word) => Action::deserialize(word.into_deserializer()).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Profile, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_unknown_word_is_refused_by_its_name() {
        let rows = [
            r#"{"defaultAction":"SCMP_ACT_WRONG"}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_WRONG"]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WRONG"]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_WRONG"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG",
                "args":[{"index":0,"value":0,"op":"SCMP_CMP_WRONG"}]}]}"#,
        ];
        for json in rows {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains("unknown variant `S") && error.contains("_WRONG`"), "{error}");
        }
    }

    #[test]
    fn what_go_leaves_out_or_writes_as_null_is_empty() {
        let sparse = r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":null,"flags":null,"syscalls":
            [{"names":["read"],"action":"SCMP_ACT_ALLOW","args":null,"errnoRet":null}]}"#;
        let profile = parse(sparse).unwrap();
        assert_eq!(profile.default_action, Some(Action::Errno));
        assert_eq!(profile.flags, None);
        assert_eq!(profile.syscalls[0].args, []);
        assert_eq!(parse(r#"{"defaultAction":"SCMP_ACT_LOG","flags":[]}"#).unwrap().flags, Some(vec![]));
    }

    #[test]
    fn a_profile_without_default_action_and_rules_is_disabled() {
        for json in ["{}", r#"{"defaultAction":""}"#, r#"{"defaultAction":null,"syscalls":[]}"#] {
            assert!(parse(json).unwrap().is_disabled(), "{json}");
        }
        assert!(!parse(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap().is_disabled());
    }

    #[test]
    fn every_word_of_the_specification_is_read_and_written_alike() {
        for action in Action::ALL {
            let word = serde_json::to_string(&action).unwrap();
            assert_eq!(serde_json::from_str::<Action>(&word).unwrap(), action);
        }
        let full = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86"],
            "flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"/run/l","listenerMetadata":"m","syscalls":[{"names":["read"],
            "action":"SCMP_ACT_TRACE","errnoRet":7,"args":[{"index":5,"value":18446744073709551615,"valueTwo":1,
            "op":"SCMP_CMP_MASKED_EQ"}]}]}"#;
        let profile = parse(full).unwrap();
        let again = parse(&serde_json::to_string(&profile).unwrap()).unwrap();
        assert_eq!(profile, again);
        assert_eq!(profile.syscalls[0].args[0].value, u64::MAX);
    }
}
