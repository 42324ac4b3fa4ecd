//! Proof from object code that nothing which runs between `clone3` and `execve` can panic or allocate.
//!
//! Looked at is the very object that the linker makes the release binary of: the whole program after link-time
//! optimisation, every function in a section of its own. From each function of the crate `child`, and from the way in of
//! each child that is made elsewhere, the relocations are followed, through `sys`, `rustix` and `core`, to everything that
//! can be reached. No function that panics or allocates, and no C function outside a short list, may be among it.
//!
//! What `create` makes, init and who goes between, is no part of this: it is the fork of a process with one thread, also
//! in the shim, which has a process for each verb (docs/decisions/0008-create-forks.md).
//!
//! The few lines between `clone3` and an entrance (`sys::clone::clone3` itself, the ends of `launch::spawn` and
//! `launch::through`) are in functions that the parent runs as well, and so are read, not proved.
//!
//! **Invariant:** an entrance that was inlined into its caller cannot be seen, so one that is missing is a finding too; a
//! way in says `#[inline(never)]`.

mod graph;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::failure::Failure;
use crate::findings::Finding;
use crate::workspace::{Workspace, output_of, read_bytes};

use graph::Graph;

/// A program, and the children that it makes.
struct Program {
    package: &'static str,
    binary: &'static str,
    /// The functions that the children begin with.
    entrances: &'static [&'static str],
}

const PROGRAMS: &[Program] = &[
    Program {
        package: "sluice",
        binary: "sluice",
        entrances: &["child::exec::run", "container::hooks::child_of_hook", "launch::through::go_in"],
    },
    Program {
        package: "sluice-shim",
        binary: "containerd-shim-sluice-v2",
        entrances: &[
            "child::exec::run",
            "child::again::run",
            "container::hooks::child_of_hook",
            "launch::through::go_in",
            "shim::io::logger::child_of_logger",
        ],
    },
];

/// All of this crate is an entrance.
const CRATE: &str = "child::";
/// Where a way must not lead: each of these panics or allocates.
const FORBIDDEN: &[&str] =
    &["core::panicking::", "alloc::", "std::", "__rust_alloc", "__rust_dealloc", "rust_begin_unwind"];
/// C functions that neither allocate nor lock. `syscall` is how `sys` asks the kernel; `_Unwind_Resume` stands at the end
/// of landing pads, which run only while a panic unwinds, and none can begin.
const ALLOWED: &[&str] = &[
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
    "strlen",
    "close",
    "syscall",
    "__errno_location",
    "_Unwind_Resume",
];

/// Builds each release binary, with `arguments` for cargo (`--target`), follows the calls of the child side, and tells
/// what is wrong.
///
/// # Errors
/// When a build fails or an object file cannot be read.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, Failure> {
    let mut wrong = 0;
    for program in PROGRAMS {
        let object = object_of(program, workspace, arguments)?;
        let graph = Graph::read(&object.to_string_lossy(), &read_bytes(&object)?)?;
        let (summary, findings) = judge(&graph, program.entrances);
        println!("child side of {}: {summary}", program.binary);
        for finding in &findings {
            println!("     {finding}");
        }
        wrong += findings.len();
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn judge(graph: &Graph, entrances: &[&str]) -> (String, Vec<Finding>) {
    let mut findings = Vec::new();
    for entrance in entrances.iter().filter(|entrance| !graph.defines(entrance)) {
        let text = format!("{entrance} is no function of the binary; is it `#[inline(never)]`?");
        findings.push(Finding::new("crates/child", 0, text));
    }
    let enters = |name: &str| name.starts_with(CRATE) || entrances.contains(&name);
    let reached = graph.reach(enters, |name| FORBIDDEN.iter().any(|start| name.starts_with(start)));
    for end in reached.ends.iter().filter(|end| !ALLOWED.contains(&end.name.as_str())) {
        let text = format!("{} can be reached: {}", end.name, end.way.join(" -> "));
        findings.push(Finding::new("crates/child", 0, text));
    }
    let verdict = if findings.is_empty() { "none can panic or allocate" } else { "not all are harmless" };
    let summary =
        format!("{} functions reached from {} entrances, {verdict}", reached.functions, reached.entrances);
    (summary, findings)
}

/// Builds exactly as `make build` does and gives the object file beside the binary.
fn object_of(program: &Program, workspace: &Workspace, arguments: &[String]) -> Result<PathBuf, Failure> {
    let mut command = workspace.cargo();
    command.args(["rustc", "--quiet", "--release", "--locked"]);
    command.args(["--package", program.package, "--bin", program.binary]);
    command.args(arguments);
    command.args(["--message-format=json-render-diagnostics", "--", "--emit=obj"]);
    let messages = output_of(&mut command)?;
    let Some(binary) = executable(&messages)? else {
        return Err(Failure::Usage("cargo named no executable".to_owned()));
    };
    object_beside(&binary)
}

/// The executable that cargo's messages name.
///
/// # Errors
/// When a line is no message.
pub(crate) fn executable(messages: &str) -> Result<Option<PathBuf>, Failure> {
    let mut found = None;
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Answer { program: "cargo rustc", source })?;
        found = message["executable"].as_str().map(PathBuf::from).or(found);
    }
    Ok(found)
}

/// The binary is a hard link to `deps/NAME-HASH`; the object is `deps/NAME-HASH.o`.
fn object_beside(binary: &Path) -> Result<PathBuf, Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::File { operation: "look at", path, source }
    };
    let inode = std::fs::metadata(binary).map_err(failed(binary))?.ino();
    let folder = binary.with_file_name("deps");
    for entry in std::fs::read_dir(&folder).map_err(failed(&folder))? {
        let entry = entry.map_err(failed(&folder))?;
        if entry.metadata().is_ok_and(|data| data.ino() == inode) {
            return Ok(entry.path().with_extension("o"));
        }
    }
    Err(Failure::Usage(format!("{} is no hard link into {}", binary.display(), folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles a crate named `child` and judges its object.
    fn verdict(body: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let (source, object) = (folder.path().join("child.rs"), folder.path().join("child.o"));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&source).unwrap();
        std::io::Write::write_all(&mut file, format!("#![no_std]\n{body}").as_bytes()).unwrap();
        let mut command = std::process::Command::new("rustc");
        command
            .args(["--crate-type=lib", "--crate-name=child", "-O", "--emit=obj", "-o"])
            .arg(&object)
            .arg(&source);
        output_of(&mut command).unwrap();
        let graph = Graph::read("child.o", &std::fs::read(&object).unwrap()).unwrap();
        judge(&graph, &["child::run"]).1.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_panic_is_found_with_the_way_to_it() {
        let body = "#[inline(never)] fn pick(a: &[u8], n: usize) -> u8 { a[n] }\n\
                    #[inline(never)] pub fn run(a: &[u8], n: usize) -> u8 { pick(a, n) }";
        let found = verdict(body);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("core::panicking::panic_bounds_check can be reached: child::"),
            "{found:?}"
        );
    }

    #[test]
    fn a_foreign_function_is_found_and_memcpy_is_fine() {
        let body = "unsafe extern \"C\" { fn malloc(n: usize) -> *mut u8; }\n\
                    #[inline(never)] pub fn run(n: usize) -> *mut u8 { unsafe { malloc(n) } }";
        assert_eq!(verdict(body), ["malloc can be reached: child::run"]);
        assert_eq!(
            verdict("#[inline(never)] pub fn run(a: &mut [u8; 900], b: &[u8; 900]) { *a = *b; }"),
            [""; 0]
        );
    }

    #[test]
    fn an_object_without_an_entrance_is_no_proof() {
        for body in ["", "#[inline(never)] pub fn other() {}"] {
            assert_eq!(verdict(body), ["child::run is no function of the binary; is it `#[inline(never)]`?"]);
        }
    }
}
