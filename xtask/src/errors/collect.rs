//! Finds the error texts of the shipped code in its syntax trees.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, LitStr, Token};

use crate::tree::Tree;

/// Folders whose code is shipped.
const SHIPPED: &[&str] = &["crates/", "bins/"];

/// One way to fail.
pub(super) struct Condition {
    /// File that defines it.
    pub(super) path: String,
    /// Line of the variant.
    pub(super) line: usize,
    /// Type and variant.
    pub(super) name: String,
    /// First sentence of its documentation.
    pub(super) meaning: String,
    /// What is printed, with the operands in braces.
    pub(super) text: String,
    /// The answer of dockerd that its documentation declares.
    pub(super) declared: Option<u8>,
}

/// Every condition, in the order of files and lines.
pub(super) fn conditions(tree: &Tree) -> Vec<Condition> {
    let mut found = Vec::new();
    for (source, file) in tree.rust() {
        let folder = SHIPPED.iter().any(|folder| source.path.starts_with(folder));
        if folder && !source.path.contains("/tests/") {
            in_items(&source.path, &file.items, &mut found);
        }
    }
    found
}

fn in_items(path: &str, items: &[syn::Item], found: &mut Vec<Condition>) {
    for item in items {
        match item {
            syn::Item::Enum(item) => {
                let variants = item.variants.iter();
                found.extend(variants.filter_map(|variant| {
                    let name = format!("{}::{}", item.ident, variant.ident);
                    condition(path, name, &variant.ident, &variant.attrs)
                }));
            }
            syn::Item::Struct(item) => {
                found.extend(condition(path, item.ident.to_string(), &item.ident, &item.attrs));
            }
            syn::Item::Mod(module) => {
                let inner = module.content.as_ref().map(|content| content.1.as_slice());
                in_items(path, inner.unwrap_or(&[]), found);
            }
            _ => {}
        }
    }
}

fn condition(path: &str, name: String, place: &syn::Ident, attributes: &[Attribute]) -> Option<Condition> {
    let error = attributes.iter().find(|attribute| attribute.path().is_ident("error"))?;
    let syn::Meta::List(list) = &error.meta else { return None };
    let documentation = documentation(attributes);
    let line = place.span().start().line;
    let declared = declared(&documentation);
    let meaning = first_sentence(&documentation);
    Some(Condition {
        path: path.to_owned(),
        line,
        name,
        meaning,
        text: text_of(list.tokens.clone()),
        declared,
    })
}

/// The arguments of `#[error(...)]`.
struct Arguments {
    template: LitStr,
    values: Punctuated<Expr, Token![,]>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let template = input.parse()?;
        let _comma: Option<Token![,]> = input.parse()?;
        Ok(Self { template, values: Punctuated::parse_terminated(input)? })
    }
}

/// The template with each `{}` replaced by the name of its value.
fn text_of(tokens: TokenStream) -> String {
    let Ok(arguments) = syn::parse2::<Arguments>(tokens.clone()) else {
        return format!("({tokens})");
    };
    let mut text = arguments.template.value();
    for value in arguments.values.iter().filter(|value| !matches!(value, Expr::Assign(_))) {
        text = text.replacen("{}", &format!("{{{}}}", operand(value)), 1);
    }
    text.replace(":?}", "}")
}

/// `path.display()` and `.0.display()` are shown as `path` and `0`.
fn operand(value: &Expr) -> String {
    match value {
        Expr::MethodCall(call) => operand(&call.receiver),
        Expr::Reference(reference) => operand(&reference.expr),
        Expr::Path(path) => path.path.segments.last().map(|name| name.ident.to_string()).unwrap_or_default(),
        Expr::Call(call) => call.args.first().map(operand).unwrap_or_default(),
        _ => "…".to_owned(),
    }
}

fn documentation(attributes: &[Attribute]) -> String {
    let lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
            let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
            let Expr::Lit(literal) = &pair.value else { return None };
            let syn::Lit::Str(words) = &literal.lit else { return None };
            Some(words.value().trim().to_owned())
        });
    lines.collect::<Vec<_>>().join(" ")
}

fn first_sentence(documentation: &str) -> String {
    let end = documentation.find(". ").map_or(documentation.len(), |at| at + 1);
    documentation.get(..end).unwrap_or(documentation).trim().to_owned()
}

fn declared(documentation: &str) -> Option<u8> {
    let after = documentation.split("Compat: dockerd ").nth(1)?;
    after.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<String> {
        let tree = Tree::of(&[("crates/x/src/lib.rs", body)]);
        conditions(&tree).into_iter().map(|condition| condition.text).collect()
    }

    #[test]
    fn operands_are_shown_by_name() {
        let body = r#"enum E { #[error("write {value:?} to {}", path.display())] A, #[error("{0}")] B, #[error(transparent)] C, D }"#;
        assert_eq!(texts(body), ["write {value} to {path}", "{0}", "(transparent)"]);
    }

    #[test]
    fn structs_and_inner_modules_count() {
        assert_eq!(texts("mod m { #[error(\"a {n}\")] struct S { n: u8 } }"), ["a {n}"]);
    }

    #[test]
    fn the_first_sentence_explains() {
        assert_eq!(first_sentence("One. Two."), "One.");
        assert_eq!(first_sentence("One"), "One");
        assert_eq!(declared("x. Compat: dockerd 127 (not found)."), Some(127));
        assert_eq!(declared("x"), None);
    }
}
