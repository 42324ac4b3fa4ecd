//! What comes beside the filter: refusals, flags and warnings; and the answer for numbers of the future.

use seccomp::interpret::{self, Data};
use seccomp::{Action, Arch, ByteOrder, Error, Flag, Profile, Syscall, Warning};

use crate::profile;

fn error(json: &str) -> String {
    seccomp::compile_for(&profile(json), Arch::X86_64).unwrap_err().to_string()
}

#[test]
fn a_refused_profile_names_the_place_and_what_would_be_right() {
    let rows = [
        (
            r#"{"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
            "defaultAction: absent, but a profile with rules needs one, for example SCMP_ACT_ERRNO",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":65536}"#,
            "defaultErrnoRet: 65536 is not an errno, the largest that a filter can return is 65535",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRACE","errnoRet":70000}]}"#,
            "syscalls/0/errnoRet: 70000 is not an errno, the largest that a filter can return is 65535",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":
               [{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
            "syscalls/0/args/1/index: there is no argument 6, a system call has the arguments 0 to 5",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read",""],"action":"SCMP_ACT_LOG"}]}"#,
            "syscalls/0/names/1: empty, but must name a system call",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#,
            "defaultAction: SCMP_ACT_NOTIFY cannot be used for all system calls, which is needed to hand over the listener",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["write"],"action":"SCMP_ACT_NOTIFY"}]}"#,
            "syscalls/0/action: SCMP_ACT_NOTIFY cannot be used for write, which is needed to hand over the listener",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["sendmsg"],"action":"SCMP_ACT_NOTIFY"}]}"#,
            "syscalls/0/action: SCMP_ACT_NOTIFY cannot be used for sendmsg, which is needed to hand over the listener",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
            "flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_S390X"]}"#,
            "architectures: S390x has not the byte order of X86_64, which this filter is for",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
               {"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]},
               {"names":["read"],"action":"SCMP_ACT_TRAP","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
            "syscalls/1/names/0: another rule gives read a different action under the same conditions",
        ),
    ];
    for (json, expected) in rows {
        assert_eq!(error(json), expected);
    }
}

#[test]
fn flags_are_the_bits_of_seccomp_2() {
    let notify =
        Syscall { names: vec!["mount".into()], action: Action::Notify, errno_ret: None, args: Vec::new() };
    let rows = [
        (None, false, 1 << 2),
        (Some(vec![]), false, 0),
        (Some(vec![Flag::Tsync]), false, 0),
        (Some(vec![Flag::Log, Flag::SpecAllow]), false, 1 << 1 | 1 << 2),
        (Some(vec![]), true, 1 << 3),
        (Some(vec![Flag::WaitKillableRecv]), true, 1 << 5 | 1 << 3),
    ];
    for (flags, listens, expected) in rows {
        let syscalls = if listens { vec![notify.clone()] } else { Vec::new() };
        let profile = Profile { default_action: Some(Action::Allow), flags, syscalls, ..Profile::default() };
        let compiled = seccomp::compile(&profile).unwrap();
        assert_eq!((compiled.flags, compiled.notify), (expected, listens), "{:?}", profile.flags);
    }
}

#[test]
fn an_unknown_name_is_skipped_with_one_warning() {
    let syscall = |names: &[&str]| Syscall {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        action: Action::Allow,
        errno_ret: None,
        args: Vec::new(),
    };
    let syscalls = vec![syscall(&["read", "frobnicate"]), syscall(&["frobnicate", "socketcall"])];
    let profile = Profile { default_action: Some(Action::Errno), syscalls, ..Profile::default() };
    let compiled = seccomp::compile_for(&profile, Arch::X86_64).unwrap();
    assert_eq!(compiled.warnings, [Warning::UnknownSyscall { name: "frobnicate".into() }]);
}

#[test]
fn a_number_newer_than_the_profile_does_not_exist() {
    let rows = [
        ("SCMP_ACT_ERRNO", 0x0005_0026),
        ("SCMP_ACT_KILL_PROCESS", 0x0005_0026),
        ("SCMP_ACT_TRAP", 0x0005_0026),
        ("SCMP_ACT_ALLOW", 0x7fff_0000),
        ("SCMP_ACT_LOG", 0x7ffc_0000),
        ("SCMP_ACT_TRACE", 0x7ff0_0001),
    ];
    for (default, expected) in rows {
        let text = format!(
            r#"{{"defaultAction":"{default}","syscalls":[{{"names":["clone3"],"action":"SCMP_ACT_KILL"}}]}}"#
        );
        let compiled = seccomp::compile_for(&profile(&text), Arch::X86_64).unwrap();
        for nr in [436, 1000, 0x3fff_ffff] {
            let data = Data { nr, arch: Arch::X86_64.audit(), ..Data::default() };
            let answer = interpret::run(&compiled.instructions, &data, ByteOrder::Little).unwrap();
            assert_eq!(answer.returns, expected, "{default} {nr}");
        }
    }
}

#[test]
fn a_disabled_profile_is_not_compiled() {
    assert!(Profile::default().is_disabled());
    assert_eq!(seccomp::compile(&Profile::default()), Err(Error::NoDefaultAction));
}
