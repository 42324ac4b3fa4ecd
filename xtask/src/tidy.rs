//! `cargo xtask tidy`: the house rules that a compiler does not check.

mod arrows;
mod confinement;
mod headers;
mod lengths;
mod links;
mod names;
mod no_std;
mod places;
mod proofs;
mod traps;
mod versions;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::findings::Finding;
use crate::terminal::Terminal;
use crate::tree::Tree;
use crate::workspace::Workspace;
use crate::{classes, documents, errors};

pub(crate) use arrows::picture;

/// A rule in a few words, and the check of it.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("arrows between crates point down", arrows::check),
    ("versions stand in [workspace.dependencies]", versions::check),
    ("unsafe only in crates/sys, tokio only in bins/shim", confinement::check),
    ("the child side is no_std without alloc", no_std::check),
    ("every .rs file opens with //!", headers::check),
    ("file names say what is inside", names::check),
    ("functions fit on a screen", lengths::check),
    ("links lead somewhere", links::check),
    ("no path of one person's machine", places::check),
    ("tests named as proof exist", proofs::check),
    ("each trap of the shim protocol has a test", traps::check),
    ("error texts mean to dockerd what they say", errors::check),
    ("every failure class is seen, or says why not", classes::check),
    ("generated documents are current", documents::check),
];

/// Runs every rule.
pub(crate) fn run(workspace: &Workspace, _arguments: &[String]) -> Result<ExitCode, Failure> {
    let terminal = Terminal::of_stdout();
    let tree = Tree::read(&workspace.root)?;
    let mut broken = 0;
    for (rule, check) in RULES {
        broken += report(terminal, rule, &check(&tree));
    }
    println!("{}", terminal.faint(&lengths::statistics(&tree)));
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(terminal: Terminal, rule: &str, findings: &[Finding]) -> usize {
    let mark = if findings.is_empty() { terminal.good("ok  ") } else { terminal.bad("FAIL") };
    println!("{mark} {rule}");
    for finding in findings {
        println!("     {finding}");
    }
    findings.len()
}
