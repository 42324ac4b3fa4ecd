//! The crates that run after `clone3` are `no_std` and cannot even name an allocator.

use syn::visit::{self, Visit};

use crate::findings::Finding;
use crate::tree::{Source, Tree};

/// Crates whose code runs on the child side.
const CHILD_SIDE: &[&str] = &["crates/sys/", "crates/child/"];

/// Finds a child-side crate without `#![no_std]`, and any door to `std` or `alloc` outside its tests.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (source, file) in tree.rust() {
        let Some(folder) = CHILD_SIDE.iter().find(|folder| source.path.starts_with(*folder)) else {
            continue;
        };
        if source.path == format!("{folder}src/lib.rs") && !file.attrs.iter().any(is_no_std) {
            findings.push(Finding::new(&source.path, 1, "say `#![no_std]`"));
        }
        if source.path.starts_with(&format!("{folder}src/")) {
            let mut doors = Doors { source, findings: Vec::new() };
            doors.visit_file(file);
            findings.extend(doors.findings);
        }
    }
    findings
}

fn is_no_std(attribute: &syn::Attribute) -> bool {
    match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("no_std"),
        syn::Meta::List(list) => {
            let words = list.tokens.to_string();
            list.path.is_ident("cfg_attr") && words.replace(' ', "") == "not(test),no_std"
        }
        syn::Meta::NameValue(_) => false,
    }
}

/// Walks a file and notes each `extern crate` that is not for tests.
struct Doors<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl<'a> Visit<'a> for Doors<'a> {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_extern_crate(&mut self, item: &'a syn::ItemExternCrate) {
        if !is_for_tests(&item.attrs) {
            let text = format!("`extern crate {}` has no place on the child side", item.ident);
            self.findings.push(Finding::new(&self.source.path, item.ident.span().start().line, text));
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_crate_without_no_std_or_with_alloc_is_found() {
        let found = check(&Tree::of(&[("crates/child/src/lib.rs", "//! x\nextern crate alloc;\n")]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn tests_of_the_child_side_may_use_std() {
        let text =
            "#![no_std]\n#[cfg(test)]\nextern crate std;\n#[cfg(test)]\nmod tests { extern crate std; }\n";
        assert_eq!(check(&Tree::of(&[("crates/child/src/lib.rs", text)])), []);
    }
}
