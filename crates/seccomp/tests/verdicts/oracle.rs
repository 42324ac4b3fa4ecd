//! The installed libseccomp, behind a small program (`oracle.c`) that is compiled when the tests run: the
//! tests are linked statically and cannot load a library themselves.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use seccomp::{Arch, ByteOrder, Instruction};

/// In place of an errno: libseccomp (2.5.4) crashed over the profile, as it once did over a random one.
pub(crate) const CRASHED: i32 = i32::MIN;

/// A running `oracle.c`; killed when dropped.
pub(crate) struct Oracle {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// A rule as libseccomp takes it: index, operator, value, second value per condition.
pub(crate) struct Rule<'a> {
    pub(crate) returns: u32,
    pub(crate) name: &'a str,
    pub(crate) conditions: Vec<(u32, u32, u64, u64)>,
}

/// A filter as libseccomp takes it.
pub(crate) struct Request<'a> {
    pub(crate) native: Arch,
    pub(crate) archs: Vec<Arch>,
    pub(crate) default: u32,
    /// `SCMP_FLTATR_CTL_OPTIMIZE`: 1 by priority, 2 binary tree.
    pub(crate) optimize: u32,
    pub(crate) rules: Vec<Rule<'a>>,
}

impl Oracle {
    /// Starts the oracle; `None`, said aloud, where there is no libseccomp or no C compiler.
    ///
    /// Where the partner is promised (`CI` or `SLUICE_REQUIRE_PARTNERS` is set) that is a failure.
    pub(crate) fn start() -> Option<Oracle> {
        static BUILT: OnceLock<Result<String, String>> = OnceLock::new();
        match BUILT.get_or_init(build) {
            Ok(path) => Some(Oracle::spawn(path)),
            Err(reason) => {
                let promised =
                    ["CI", "SLUICE_REQUIRE_PARTNERS"].map(std::env::var_os).iter().any(Option::is_some);
                assert!(!promised, "libseccomp is needed here: {reason}");
                println!("SKIPPED: no comparison with libseccomp: {reason}");
                None
            }
        }
    }

    fn spawn(path: &str) -> Oracle {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the oracle");
        let requests = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Oracle { child, requests, answers }
    }

    /// The number libseccomp has for `name` on `arch`: negative if it is a pseudo number, -1 if unknown.
    pub(crate) fn resolve(&mut self, arch: Arch, name: &str) -> i32 {
        writeln!(self.requests, "resolve {:x} {name}", token(arch)).expect("ask the oracle");
        self.line().parse().expect("a number")
    }

    /// Whether libseccomp knows `name` on any architecture.
    pub(crate) fn knows(&mut self, name: &str) -> bool {
        self.resolve(Arch::X86_64, name) != -1
    }

    /// The filter, or the errno with which libseccomp refuses a part of it, or [`CRASHED`], after which another oracle
    /// answers.
    pub(crate) fn compile(&mut self, request: &Request<'_>) -> Result<Vec<Instruction>, i32> {
        let mut text =
            format!("begin {:x} {:x} {:x}\n", token(request.native), request.default, request.optimize);
        for arch in &request.archs {
            text += &format!("arch {:x}\n", token(*arch));
        }
        for rule in &request.rules {
            text += &format!("rule {:x} {}", rule.returns, rule.name);
            for (index, operator, value, second) in &rule.conditions {
                text += &format!(" {index:x} {operator:x} {value:x} {second:x}");
            }
            text += "\n";
        }
        text += "end\n";
        self.requests.write_all(text.as_bytes()).expect("ask the oracle");
        let line = self.line();
        if line.is_empty() {
            let status = self.child.wait().expect("the end of the oracle");
            assert!(status.signal().is_some(), "the oracle ended: {status}");
            *self = Oracle::start().expect("it was started before");
            return Err(CRASHED);
        }
        let (error, length) = line.split_once(' ').expect("two numbers");
        let mut bytes = vec![0; length.parse().expect("a length")];
        self.answers.read_exact(&mut bytes).expect("a filter");
        match error.parse().expect("an errno") {
            0 => Ok(instructions(&bytes, request.native)),
            errno => Err(errno),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer of the oracle");
        line.trim_end().to_owned()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Compiles `oracle.c`; the error says what is missing.
fn build() -> Result<String, String> {
    let fresh = format!("{}/libseccomp-oracle-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let path = format!("{}/libseccomp-oracle", env!("CARGO_TARGET_TMPDIR"));
    let mut cc = Command::new("cc")
        .args(["-O1", "-x", "c", "-", "-o", &fresh, "-lseccomp"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("no C compiler `cc`: {error}"))?;
    let mut source = cc.stdin.take().expect("a pipe");
    source.write_all(include_bytes!("oracle.c")).map_err(|error| error.to_string())?;
    drop(source);
    let output = cc.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("package libseccomp-dev is missing or broken: {}", message.trim()));
    }
    std::fs::rename(&fresh, &path).map_err(|error| error.to_string())?;
    Ok(path)
}

/// libseccomp writes a filter in the byte order of its architecture.
fn instructions(bytes: &[u8], native: Arch) -> Vec<Instruction> {
    let instructions = seccomp::from_bytes(bytes).expect("whole instructions");
    if native.byte_order() == Arch::NATIVE.byte_order() {
        return instructions;
    }
    let swap = |one: &Instruction| Instruction { code: one.code.swap_bytes(), k: one.k.swap_bytes(), ..*one };
    instructions.iter().map(swap).collect()
}

/// `SCMP_ARCH_*`: the audit value, but for x32, which has none. Source: `seccomp.h`
fn token(arch: Arch) -> u32 {
    match arch {
        Arch::X32 => 0x4000_003e,
        _ => arch.audit(),
    }
}

/// Architectures of one byte order.
pub(crate) fn of_order(order: ByteOrder) -> Vec<Arch> {
    Arch::ALL.into_iter().filter(|arch| arch.byte_order() == order).collect()
}
