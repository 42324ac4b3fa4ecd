//! The option tables of the command line, for docs/compat.md: each option with a test that uses it.

use proc_macro2::{TokenStream, TokenTree};

use crate::tree::Tree;

/// Where the verbs and their options are.
const VERBS: &str = "bins/sluice/src/cmd/";
/// The functions that declare an option.
const DECLARATIONS: &str = "bins/sluice/src/flag.rs";

/// One section per verb: option, what it does, how far it is there, the test that uses it.
pub(crate) fn table(tree: &Tree) -> String {
    let declarations = declarations(tree);
    let tests = tests(tree);
    let mut text = String::new();
    let verbs = tree
        .rust()
        .filter(|(source, _)| source.path.starts_with(VERBS) && !source.path.ends_with("/tests.rs"));
    for (source, _) in
        tree.rust().filter(|(source, _)| source.path == "bins/sluice/src/globals.rs").chain(verbs)
    {
        let mut found = Vec::new();
        options(source.text.parse().unwrap_or_default(), &declarations, &mut found);
        let verb = source.stem();
        text.push_str(&format!("\n### {verb}\n\n"));
        if found.is_empty() {
            text.push_str("No options.\n");
            continue;
        }
        text.push_str("| option | meaning | state | a test that uses it |\n|---|---|---|---|\n");
        for (name, meaning) in found {
            let proof = proof(&tests, verb, &name);
            let state = state(verb, &meaning, proof.is_some());
            let proof = proof.map_or("none".to_owned(), |test| format!("`{test}`"));
            text.push_str(&format!("| `--{name}` | {} | {state} | {proof} |\n", meaning.replace('|', "\\|")));
        }
    }
    text
}

/// What is there of an option, in a word.
fn state(verb: &str, meaning: &str, has_test: bool) -> &'static str {
    let refused = matches!(verb, "checkpoint" | "restore") || meaning.contains("not supported");
    match (refused, meaning.is_empty() || meaning.contains("without effect"), has_test) {
        (true, ..) => "no",
        (_, true, _) => "accepted, without effect",
        (.., true) => "done",
        (.., false) => "not proven",
    }
}

fn declarations(tree: &Tree) -> Vec<String> {
    let file = tree.file(DECLARATIONS).and_then(|source| source.rust.as_ref());
    let functions = file.into_iter().flat_map(|file| &file.items).filter_map(|item| match item {
        syn::Item::Fn(function) => Some(function.sig.ident.to_string()),
        _ => None,
    });
    // `update` declares its limits through a function of its own.
    functions.chain(["limit".to_owned()]).collect()
}

/// Collects the calls that declare an option: its name is the first text, its help the last.
///
/// Looks at tokens, since the calls stand inside of `vec!`.
fn options(tokens: TokenStream, declarations: &[String], found: &mut Vec<(String, String)>) {
    let mut words = [String::new(), String::new()];
    for token in tokens {
        let TokenTree::Group(group) = &token else {
            words.rotate_left(1);
            words[1] = token.to_string();
            continue;
        };
        if declarations.contains(&words[1]) && words[0] != "fn" {
            let texts: Vec<String> = group.stream().into_iter().filter_map(literal).collect();
            if let [name, .., help] = texts.as_slice() {
                found.push((name.clone(), help.clone()));
            }
        }
        options(group.stream(), declarations, found);
    }
}

fn literal(token: TokenTree) -> Option<String> {
    let text = token.to_string();
    Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// A function of a test file: where it is, and its words and texts.
struct Test {
    path: String,
    name: String,
    words: Vec<String>,
}

fn tests(tree: &Tree) -> Vec<Test> {
    let mut found = Vec::new();
    for (source, _) in tree.rust().filter(|(source, _)| source.path.contains("tests/")) {
        let tokens: TokenStream = source.text.parse().unwrap_or_default();
        functions(&source.path, tokens, &mut found);
    }
    found
}

/// Every `fn name(...) { ... }`, also inside of macros that make a test of it.
fn functions(path: &str, tokens: TokenStream, found: &mut Vec<Test>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut name: Option<String> = None;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "fn" => name = tokens.peek().map(ToString::to_string),
            TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::Brace => {
                let mut words = Vec::new();
                collect_words(group.stream(), &mut words);
                match name.take() {
                    Some(name) => found.push(Test { path: path.to_owned(), name, words }),
                    None => functions(path, group.stream(), found),
                }
            }
            _ => {}
        }
    }
}

fn collect_words(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect_words(group.stream(), words),
            other => words.push(other.to_string().trim_matches('"').to_owned()),
        }
    }
}

/// A test that uses the option with the verb: one in the verb's own file first.
fn proof(tests: &[Test], verb: &str, option: &str) -> Option<String> {
    let flag = format!("--{option}");
    let uses =
        |test: &&Test| test.words.iter().any(|word| *word == flag || word.starts_with(&format!("{flag}=")));
    let own = format!("/{verb}.rs");
    let calls = |test: &&Test| {
        verb == "globals"
            || test.words.iter().any(|word| word == verb || word.starts_with(&format!("{verb}_")))
    };
    let mut users = tests.iter().filter(uses);
    let first = users.clone().find(|test| test.path.ends_with(&own)).or_else(|| users.find(calls));
    first.map(|test| format!("{}::{}", test.path, test.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_is_listed_with_a_test_that_uses_it() {
        let tree = Tree::of(&[
            ("bins/sluice/src/flag.rs", "fn switch() {} fn value() {}"),
            (
                "bins/sluice/src/cmd/exec.rs",
                "fn o() { a(switch(\"tty\", \"A tty\").short('t'), value(\"cwd\", \"DIR\", \"Where\")) }",
            ),
            ("tests/oci/exec.rs", "case! { fn a_tty_is_given(lab) { lab.exec(&[\"--tty\"]) } }"),
        ]);
        let text = table(&tree);
        assert!(text.contains("| `--tty` | A tty | done | `tests/oci/exec.rs::a_tty_is_given` |"), "{text}");
        assert!(text.contains("| `--cwd` | Where | not proven | none |"), "{text}");
    }
}
