//! Loading Docker's seccomp profile: our compiled filter against the one that libseccomp builds from the same profile,
//! as runc and crun load it.
//!
//! libseccomp is reached through a small C program, compiled when it is wanted: this task is linked statically.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::bench::contestant::Standing;
use crate::bench::fact::Fact;
use crate::bench::lab::Lab;
use crate::bench::options::Options;
use crate::bench::sample::{Result as Measured, Samples};
use crate::bench::usage::Usage;
use crate::failure::Failure;

/// Who builds the filter that ours is compared with.
pub(super) const LIBSECCOMP: &str = "libseccomp";

/// Blocks of loads, in turn. Without a C compiler or libseccomp's headers there are none, said aloud.
///
/// # Errors
/// When our container has no filter, or one of the two is refused by the kernel.
pub(super) fn measure(
    lab: &Lab,
    standing: &[Standing<'_>],
    options: &Options,
    facts: &mut Vec<Fact>,
) -> Result<Vec<Measured>, Failure> {
    let Some(ours) = standing.iter().find(|one| one.contestant.name == "sluice") else {
        return Ok(Vec::new());
    };
    eprintln!("bench: loading the seccomp profile");
    let program = lab.path("filter");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-x", "c", "-", "-lseccomp", "-o"]).arg(&program);
    if let Err(failure) = answer_to(&mut cc, include_str!("filter.c")) {
        let why = crate::failure::chain(&failure);
        eprintln!("bench: SKIPPED: libseccomp-dev and a C compiler are needed: {why}");
        return Ok(Vec::new());
    }
    let file = lab.state_of("sluice").join(&ours.id).join("seccomp.bpf");
    let mut request = rules(lab.seccomp());
    let _ = writeln!(request, "other {}", file.display());
    let _ = writeln!(request, "load {} {}", options.blocks, options.block);
    Ok(rows(&answer_to(&mut Command::new(program), &request)?, facts))
}

/// The first line has the lengths, then the contestants' blocks alternate.
fn rows(answer: &str, facts: &mut Vec<Fact>) -> Vec<Measured> {
    let mut lines = answer.lines();
    let lengths = lines.next().unwrap_or_default().split(' ').map(|word| word.parse().unwrap_or(0.0));
    let names = [LIBSECCOMP, "sluice"];
    for (name, length) in names.iter().zip(lengths) {
        facts.push(Fact::new("seccomp filter of Docker's profile", name, length, "instructions"));
    }
    let mut all = [Samples::default(), Samples::default()];
    for (index, line) in lines.enumerate() {
        let times = line.split_whitespace().filter_map(|word| word.parse().ok());
        all[index % 2].add(times.map(Duration::from_nanos).collect(), Usage::default());
    }
    let scenario = "loading the seccomp profile";
    names.iter().zip(&all).map(|(name, samples)| samples.result(scenario, name)).collect()
}

/// Runs a program that reads its request from standard input.
fn answer_to(command: &mut Command, request: &str) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| Failure::Start { program: program.clone(), source };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(request.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Ended { program, status: output.status.to_string(), text })
}

/// The profile in the words of `filter.c`.
fn rules(profile: &Value) -> String {
    let default = returns(profile["defaultAction"].as_str(), &profile["defaultErrnoRet"]);
    let mut text = format!("default {default:x}\n");
    for arch in profile["architectures"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(text, "arch {}", arch.trim_start_matches("SCMP_ARCH_").to_lowercase());
    }
    for entry in profile["syscalls"].as_array().into_iter().flatten() {
        let action = returns(entry["action"].as_str(), &entry["errnoRet"]);
        if action == default {
            continue;
        }
        let conditions: String = entry["args"].as_array().into_iter().flatten().map(condition).collect();
        for name in entry["names"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let _ = writeln!(text, "rule {action:x} {name}{conditions}");
        }
    }
    text
}

/// Source: linux/seccomp.h. Docker's profile has no other actions.
fn returns(action: Option<&str>, errno: &Value) -> u64 {
    const ALLOW: u64 = 0x7fff_0000;
    const ERRNO: u64 = 0x0005_0000;
    const EPERM: u64 = 1;
    if action == Some("SCMP_ACT_ALLOW") { ALLOW } else { ERRNO | errno.as_u64().unwrap_or(EPERM) }
}

/// Source: seccomp.h of libseccomp, `enum scmp_compare`.
fn condition(arg: &Value) -> String {
    const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let name = arg["op"].as_str().unwrap_or_default().trim_start_matches("SCMP_CMP_");
    let operator = OPERATORS.iter().position(|known| *known == name).map_or(0, |place| place + 1);
    let number = |key: &str| arg[key].as_u64().unwrap_or(0);
    format!(" {} {operator} {} {}", number("index"), number("value"), number("valueTwo"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_profile_becomes_lines() {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                { "names": ["read", "write"], "action": "SCMP_ACT_ALLOW" },
                { "names": ["clone"], "action": "SCMP_ACT_ALLOW",
                  "args": [{ "index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] },
                { "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 },
                { "names": ["reboot"], "action": "SCMP_ACT_ERRNO" }
            ]
        });
        let expected = "default 50001\narch x86_64\nrule 7fff0000 read\nrule 7fff0000 write\n\
                        rule 7fff0000 clone 0 7 8 0\nrule 50026 clone3\n";
        assert_eq!(rules(&profile), expected);
    }

    #[test]
    fn blocks_alternate() {
        let mut facts = Vec::new();
        let rows = rows("1001 212\n2000 4000 \n1000 1000 \n", &mut facts);
        let medians: Vec<(&str, f64)> =
            rows.iter().map(|row| (row.contestant.as_str(), row.median)).collect();
        assert_eq!(medians, [("libseccomp", 3.0), ("sluice", 1.0)]);
        assert!(facts.len() == 2 && facts[0].value > facts[1].value);
    }
}
