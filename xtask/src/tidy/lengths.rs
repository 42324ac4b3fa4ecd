//! Lengths of functions: half below 8 lines, nine in ten below 30, none above 80 unless it says why.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::findings::Finding;
use crate::tree::Tree;

/// The longest function that needs no reason, in lines from brace to brace.
const SCREEN: usize = 80;

/// One function.
struct Function {
    path: String,
    line: usize,
    name: String,
    lines: usize,
    excused: bool,
}

/// Finds functions longer than a screen that do not expect `clippy::too_many_lines`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let long = functions(tree).into_iter().filter(|function| function.lines > SCREEN && !function.excused);
    let tell = |function: Function| {
        let text = format!("fn {} has {} lines; split it into named steps", function.name, function.lines);
        Finding::new(&function.path, function.line, text)
    };
    long.map(tell).collect()
}

/// One line of figures over all functions.
pub(crate) fn statistics(tree: &Tree) -> String {
    let mut lengths: Vec<usize> = functions(tree).iter().map(|function| function.lines).collect();
    lengths.sort_unstable();
    let at = |share: usize| lengths.get(lengths.len() * share / 100).copied().unwrap_or(0);
    let longest = lengths.last().copied().unwrap_or(0);
    let count = lengths.len();
    format!(
        "{count} functions: half below {}, nine in ten below {}, longest {longest} lines",
        at(50) + 1,
        at(90) + 1
    )
}

fn functions(tree: &Tree) -> Vec<Function> {
    let mut all = Vec::new();
    for (source, file) in tree.rust() {
        let mut walk = Walk { path: &source.path, found: Vec::new() };
        walk.visit_file(file);
        all.extend(walk.found);
    }
    all
}

/// Collects the functions of one file.
struct Walk<'a> {
    path: &'a str,
    found: Vec<Function>,
}

impl Walk<'_> {
    fn note(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], body: &syn::Block) {
        let start = body.span().start().line;
        let lines = body.span().end().line + 1 - start;
        let excused = attributes.iter().any(expects_many_lines);
        self.found.push(Function {
            path: self.path.to_owned(),
            line: start,
            name: name.to_string(),
            lines,
            excused,
        });
    }
}

impl<'a> Visit<'a> for Walk<'_> {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.note(&item.sig.ident, &item.attrs, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.note(&item.sig.ident, &item.attrs, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

fn expects_many_lines(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("expect") && list.tokens.to_string().contains("too_many_lines")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(attribute: &str, lines: usize) -> Tree {
        Tree::of(&[("a.rs", &format!("{attribute}fn f() {{\n{}}}\n", "g();\n".repeat(lines)))])
    }

    #[test]
    fn a_long_function_is_found_unless_it_says_why() {
        assert_eq!(check(&file("", 78)), []);
        assert_eq!(check(&file("", 79)).len(), 1);
        assert_eq!(check(&file("#[expect(clippy::too_many_lines, reason = \"a table\")]\n", 200)), []);
    }

    #[test]
    fn figures_of_an_empty_tree_are_zero() {
        assert!(statistics(&Tree::of(&[])).starts_with("0 functions"));
    }
}
