//! `docs/errors.md`: every error text of the shipped code, collected from the source, with its answers.
//!
//! A text is what `#[error("...")]` of thiserror says. What the command exits with is one rule (1, in exec 255) with
//! the exceptions of [`exit`]; what dockerd makes of it depends on the text. So only a text that begins with
//! `exec: "PROGRAM":` and thus is about the program may hold one of dockerd's phrases. No daemon reads the doctor's.

mod collect;
mod dockerd;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::findings::Finding;
use crate::tree::Tree;
use crate::workspace::Workspace;

use collect::Condition;

/// Prints every text with what dockerd answers.
pub(crate) fn run(workspace: &Workspace, _arguments: &[String]) -> Result<ExitCode, Failure> {
    let tree = Tree::read(&workspace.root)?;
    for condition in collect::conditions(&tree) {
        println!("{:<4} {:<24} {}", docker(&condition), condition.name, condition.text);
    }
    Ok(ExitCode::SUCCESS)
}

/// How a text about the program begins: its operand is shown in quotes.
const ABOUT_THE_PROGRAM: &str = "exec: \"{";

/// Finds texts that dockerd would take for a missing or forbidden program although they are about something else.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    collect::conditions(tree).iter().filter_map(misunderstanding).collect()
}

fn misunderstanding(condition: &Condition) -> Option<Finding> {
    if is_doctors(condition) {
        return None;
    }
    let answer = dockerd::answer(&condition.text);
    let fine = answer == dockerd::OTHER || condition.text.starts_with(ABOUT_THE_PROGRAM);
    let text = format!(
        "{}: dockerd reads {answer} out of \"{}\", which is not about the program",
        condition.name, condition.text
    );
    (!fine).then(|| Finding::new(&condition.path, condition.line, text))
}

/// The table of docs/errors.md: one section per file that defines errors.
pub(crate) fn table(tree: &Tree) -> String {
    let mut text = String::new();
    let mut path = "";
    let conditions = collect::conditions(tree);
    for condition in &conditions {
        if condition.path != path {
            path = &condition.path;
            text.push_str(&format!("\n### [{path}](../{path})\n\n"));
            text.push_str("| condition | text | exit | docker |\n|---|---|---|---|\n");
        }
        text.push_str(&row(condition));
    }
    text
}

/// Failures of the command line that come before `exec` is known to be the verb, or that it cannot have.
const NEVER_OF_EXEC: &[&str] = &[
    "Failure::Usage",
    "Failure::UnknownVerb",
    "Failure::LogFormat",
    "Failure::Format",
    "Failure::RootIsRoot",
    "Failure::WorkingDirectory",
    "Failure::OpenLog",
    "Failure::RunPs",
    "Failure::PsFailed",
    "Failure::PsStuck",
    "Failure::NoPidColumn",
    "Failure::NoCriu",
];

/// Where the shim is a command that containerd runs; what its server answers has no exit code.
const SHIM_COMMANDS: &[&str] = &["argv.rs", "info.rs", "refused.rs", "socket.rs", "start.rs"];

/// The exit code: a warning has none, some failures have one only.
fn exit(condition: &Condition) -> &'static str {
    let name = condition.name.as_str();
    match name {
        _ if is_doctors(condition) => "64",
        _ if name.starts_with("Warning::") => "none",
        _ if condition.path.starts_with(SHIM) => shim_exit(&condition.path),
        "Failure::NoCommand" => "255",
        _ if NEVER_OF_EXEC.contains(&name) => "1",
        _ => "1, exec 255",
    }
}

const SHIM: &str = "bins/shim/src/";

fn shim_exit(path: &str) -> &'static str {
    let is_commands = SHIM_COMMANDS.iter().any(|file| path.strip_prefix(SHIM) == Some(file));
    if is_commands { "1" } else { "none" }
}

/// What `docker run` exits with.
fn docker(condition: &Condition) -> String {
    if is_doctors(condition) { "none".to_owned() } else { dockerd::answer(&condition.text).to_string() }
}

fn is_doctors(condition: &Condition) -> bool {
    ["bins/doctor/", "crates/diagnose/"].iter().any(|folder| condition.path.starts_with(folder))
}

fn row(condition: &Condition) -> String {
    let words = condition.text.replace('|', "\\|").replace('`', "'");
    format!(
        "| {}: {} | `{words}` | {} | {} |\n",
        condition.name,
        condition.meaning.replace('|', "\\|"),
        exit(condition),
        docker(condition)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: &str = "crates/x/src/error.rs";
    const DOCTOR: &str = "crates/diagnose/src/error.rs";

    fn tree(path: &'static str, text: &str) -> Tree {
        let body =
            format!("//! Errors of x.\nenum Error {{\n/// Cause.\n#[error({text:?})]\nA {{ n: u8 }},\n}}\n");
        Tree::of(&[(path, &body)])
    }

    #[test]
    fn only_a_text_about_the_program_may_hold_a_phrase_of_dockerd() {
        let table = [
            ("open {n}: no such file or directory", 1),
            ("exec: working directory {n:?}: no such file or directory", 1),
            ("exec: {n:?}: no such file or directory", 0),
            ("exec: {n:?}: the filter forbids it", 0),
        ];
        for (text, findings) in table {
            assert_eq!(check(&tree(RUNTIME, text)).len(), findings, "{text}");
            assert_eq!(check(&tree(DOCTOR, text)).len(), 0, "{text}");
        }
    }

    #[test]
    fn the_exit_code_is_that_of_the_program_which_says_it() {
        let table = [
            ("Warning::A", RUNTIME, "none"),
            ("Failure::Usage", RUNTIME, "1"),
            ("Error::A", RUNTIME, "1, exec 255"),
            ("Error::A", "bins/shim/src/start.rs", "1"),
            ("Failure::A", "bins/shim/src/failure.rs", "none"),
            ("Warning::A", "bins/shim/src/start.rs", "none"),
            ("Error::A", DOCTOR, "64"),
            ("Failure::A", "bins/doctor/src/failure.rs", "64"),
        ];
        for (name, path, code) in table {
            let (name, path) = (name.to_owned(), path.to_owned());
            let (text, meaning, line) = (String::new(), String::new(), 1);
            let condition = Condition { path, line, name, text, meaning };
            assert_eq!(exit(&condition), code, "{} in {}", condition.name, condition.path);
        }
    }

    #[test]
    fn the_table_has_a_row_per_variant() {
        let text = table(&tree(RUNTIME, "a|b {n}"));
        assert!(text.contains("| Error::A: Cause. | `a\\|b {n}` | 1, exec 255 | 128 |"), "{text}");
        let text = table(&tree(DOCTOR, "a"));
        assert!(text.contains("| Error::A: Cause. | `a` | 64 | none |"), "{text}");
    }
}
