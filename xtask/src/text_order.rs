//! `cargo xtask text-order`: which functions the shim runs from its start through its execs, for the linker to lay them
//! side by side (docs/decisions/0030-text-order.md).
//!
//! A shim is built in which every function has pages of its own, a container and execs are run with it under a containerd,
//! and the kernel tells which pages are mapped. Names that are in the list stay there as long as the program has them: another
//! host (v1 or v2) runs other functions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use object::{Object as _, ObjectSymbol as _, SymbolKind};

use crate::bench;
use crate::failure::Failure;
use crate::workspace::{Workspace, output_of, read_bytes};

/// The list, from the repository's root.
const LIST: &str = "bins/shim/text-order.txt";

const HEAD: &str =
    "# Functions of the shim that run from its start through its execs; written by `cargo xtask text-order`.";

const BINARY: &str = "containerd-shim-sluice-v2";

/// What the compiler puts before the hash at the end of a name. Source: the legacy mangling of rustc.
const HASH: &str = "17h";

/// Digits of that hash.
const DIGITS: usize = 16;

/// Pages that are never in two functions, in bytes: `AROUND` of the shim's build script.
const AROUND: u64 = 65536;

/// Writes the list. `arguments` are for cargo (`--target`).
///
/// # Errors
/// When a build, a daemon or a call fails, or without root.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, Failure> {
    let binary = build(workspace, arguments)?;
    let functions = functions(&binary)?;
    let pages = bench::touched(workspace, &binary)?;
    let windows: BTreeSet<u64> = pages.into_iter().map(|page| page / AROUND).collect();
    let runs = |function: &&Function| {
        let last = (function.address + function.size.max(1) - 1) / AROUND;
        (function.address / AROUND..=last).any(|window| windows.contains(&window))
    };
    let running: Vec<&Function> = functions.iter().filter(runs).collect();
    let ran: BTreeSet<String> = running.iter().map(|function| pattern(&function.name)).collect();
    let known: BTreeSet<String> = functions.iter().map(|function| pattern(&function.name)).collect();
    let path = workspace.root.join(LIST);
    let before = listed(&String::from_utf8_lossy(&read_bytes(&path)?));
    let kept: BTreeSet<String> = before.intersection(&known).cloned().collect();
    println!("{} of {} functions ran, by {} names", running.len(), functions.len(), ran.len());
    println!("the list had {}, of which {} are gone", before.len(), before.len() - kept.len());
    let after: Vec<String> = kept.union(&ran).cloned().collect();
    let text = format!("{HEAD}\n{}\n", after.join("\n"));
    bench::write_file(&path, text.as_bytes(), 0o644).map_err(|source| Failure::File {
        operation: "write",
        path,
        source,
    })?;
    println!("{LIST}: {} names", after.len());
    Ok(ExitCode::SUCCESS)
}

/// Builds the shim with its functions apart and their names in it.
fn build(workspace: &Workspace, arguments: &[String]) -> Result<PathBuf, Failure> {
    let mut command = workspace.cargo();
    command.args(["build", "--quiet", "--release", "--locked", "--package", "sluice-shim", "--bin", BINARY]);
    command.args(["--config", "profile.release.strip=false", "--message-format=json-render-diagnostics"]);
    command.args(arguments).env("SLUICE_TEXT_ORDER", "apart");
    crate::child_side::executable(&output_of(&mut command)?)?
        .ok_or_else(|| Failure::Usage("cargo named no executable".to_owned()))
}

/// A function of the program.
struct Function {
    name: String,
    address: u64,
    /// In bytes.
    size: u64,
}

fn functions(binary: &Path) -> Result<Vec<Function>, Failure> {
    let bytes = read_bytes(binary)?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|source| Failure::Object { path: binary.display().to_string(), source })?;
    let symbols = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let function = |symbol: object::Symbol<'_, '_>| {
        let name = symbol.name().unwrap_or_default().to_owned();
        Function { name, address: symbol.address(), size: symbol.size() }
    };
    Ok(symbols.map(function).filter(|function| !function.name.is_empty()).collect())
}

fn listed(text: &str) -> BTreeSet<String> {
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// A name without what the next compilation changes: hashes, and numbers that tell copies apart.
fn pattern(name: &str) -> String {
    let name = match name.rsplit_once('.') {
        Some((start, end)) if !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}*", start.trim_end_matches(".llvm"))
        }
        _ => name.to_owned(),
    };
    if name.starts_with("_R") { without_crate_hashes(&name) } else { without_hash(&name) }
}

/// Legacy mangling: `_ZN...17h0123456789abcdefE`.
fn without_hash(name: &str) -> String {
    match name.rsplit_once(HASH) {
        Some((start, end)) if end.len() > DIGITS && end.is_char_boundary(DIGITS) => {
            let (hash, rest) = end.split_at(DIGITS);
            let is_hash = hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && rest.starts_with('E');
            if is_hash { format!("{start}{HASH}*") } else { name.to_owned() }
        }
        _ => name.to_owned(),
    }
}

/// The mangling of RFC 2603: a crate is `Cs`, its hash, `_` and its name.
fn without_crate_hashes(name: &str) -> String {
    let mut parts = name.split("Cs");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        pattern.push_str("Cs");
        match part.split_once('_') {
            Some((hash, rest))
                if !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                pattern.push_str("*_");
                pattern.push_str(rest);
            }
            _ => pattern.push_str(part),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_compilation_changes_is_no_part_of_a_name() {
        let cases = [
            ("_ZN4shim3rpc5start5start17h0123456789abcdefE", "_ZN4shim3rpc5start5start17h*"),
            ("_ZN4shim3rpc5start5start17h0123456789abcdefE.llvm.77", "_ZN4shim3rpc5start5start17h*"),
            ("_RNvNtCsaz6eC2DG7lh_3std3env7getenv", "_RNvNtCs*_3std3env7getenv"),
            (
                "_RNvMs5_NtNtCsaz6eC2DG7lh_3std2io5errorNtB5_5Error4kind.2291",
                "_RNvMs5_NtNtCs*_3std2io5errorNtB5_5Error4kind*",
            ),
            ("memcpy", "memcpy"),
            ("_ZN3abc17hE", "_ZN3abc17hE"),
        ];
        for (name, expected) in cases {
            assert_eq!(pattern(name), expected);
        }
    }

    #[test]
    fn a_list_is_its_lines_without_remarks() {
        assert_eq!(listed("# a\nb\nc\n"), BTreeSet::from(["b".to_owned(), "c".to_owned()]));
    }
}
