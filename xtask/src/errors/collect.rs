//! Finds the error texts of the shipped code in its syntax trees.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
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
    let words = Words::of(items);
    for item in items {
        match item {
            syn::Item::Enum(item) => {
                for variant in &item.variants {
                    let name = format!("{}::{}", item.ident, variant.ident);
                    found.extend(conditions_of(path, &name, &variant.ident, &variant.attrs, &words));
                }
            }
            syn::Item::Struct(item) => {
                found.extend(conditions_of(path, &item.ident.to_string(), &item.ident, &item.attrs, &words));
            }
            syn::Item::Mod(module) => {
                let inner = module.content.as_ref().map(|content| content.1.as_slice());
                in_items(path, inner.unwrap_or(&[]), found);
            }
            _ => {}
        }
    }
}

/// One condition for each text that the attribute can give.
fn conditions_of(
    path: &str,
    name: &str,
    place: &syn::Ident,
    attributes: &[Attribute],
    words: &Words,
) -> Vec<Condition> {
    let error = attributes.iter().find(|attribute| attribute.path().is_ident("error"));
    let Some(syn::Meta::List(list)) = error.map(|attribute| &attribute.meta) else { return Vec::new() };
    let meaning = first_sentence(&documentation(attributes));
    let condition = |text| Condition {
        path: path.to_owned(),
        line: place.span().start().line,
        name: name.to_owned(),
        meaning: meaning.clone(),
        text,
    };
    texts_of(list.tokens.clone(), words).into_iter().map(condition).collect()
}

/// Functions of a file that choose among fixed texts: name and texts.
struct Words(Vec<(String, Vec<String>)>);

impl Words {
    fn of(items: &[syn::Item]) -> Self {
        let functions = items.iter().filter_map(|item| match item {
            syn::Item::Fn(function) => Some(function),
            _ => None,
        });
        let chosen = |function: &syn::ItemFn| {
            let mut literals = Literals(Vec::new());
            literals.visit_block(&function.block);
            (function.sig.ident.to_string(), literals.0)
        };
        Self(functions.map(chosen).filter(|(_, texts)| !texts.is_empty()).collect())
    }

    /// The texts that a value can have, if it is a call of such a function.
    fn texts_of(&self, value: &Expr) -> Option<&[String]> {
        let Expr::Call(call) = value else { return None };
        let Expr::Path(path) = &*call.func else { return None };
        let row = self.0.iter().find(|(name, _)| path.path.is_ident(name));
        row.map(|(_, texts)| texts.as_slice())
    }
}

/// Collects the literal texts that arms and branches end with.
struct Literals(Vec<String>);

impl Visit<'_> for Literals {
    fn visit_arm(&mut self, arm: &syn::Arm) {
        self.take(&arm.body);
        visit::visit_expr(self, &arm.body);
    }

    fn visit_stmt(&mut self, statement: &syn::Stmt) {
        if let syn::Stmt::Expr(value, None) = statement {
            self.take(value);
        }
        visit::visit_stmt(self, statement);
    }
}

impl Literals {
    fn take(&mut self, value: &Expr) {
        if let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = value {
            self.0.push(text.value());
        }
    }
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

/// The template with each `{}` replaced by the name of its value, or by each of the texts it can have.
fn texts_of(tokens: TokenStream, words: &Words) -> Vec<String> {
    let Ok(arguments) = syn::parse2::<Arguments>(tokens.clone()) else {
        return vec![format!("({tokens})")];
    };
    let mut texts = vec![arguments.template.value()];
    for value in arguments.values.iter().filter(|value| !matches!(value, Expr::Assign(_))) {
        let name = [format!("{{{}}}", operand(value))];
        let replacements = words.texts_of(value).unwrap_or(&name);
        texts = texts
            .iter()
            .flat_map(|text| replacements.iter().map(|new| text.replacen("{}", new, 1)))
            .collect();
    }
    texts.iter().map(|text| shown(text)).collect()
}

/// `{path:?}` prints quotes around the path, `{mode:04o}` only the number.
fn shown(template: &str) -> String {
    let mut text = String::new();
    for (index, piece) in template.split('{').enumerate() {
        let Some((operand, rest)) = piece.split_once('}').filter(|_| index > 0) else {
            text.push_str(piece);
            continue;
        };
        let (name, format) = operand.split_once(':').unwrap_or((operand, ""));
        let quote = if format == "?" { "\"" } else { "" };
        text.push_str(&format!("{quote}{{{name}}}{quote}{rest}"));
    }
    text
}

/// `path.display()` and `.0.display()` are shown as `path` and `0`.
fn operand(value: &Expr) -> String {
    match value {
        Expr::MethodCall(call) => operand(&call.receiver),
        Expr::Reference(reference) => operand(&reference.expr),
        Expr::Unary(unary) => operand(&unary.expr),
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
        assert_eq!(texts(body), ["write \"{value}\" to {path}", "{0}", "(transparent)"]);
    }

    #[test]
    fn a_function_that_chooses_among_texts_gives_a_row_for_each() {
        let body = r#"enum E { #[error("x: {}", why(*n))] A }
            fn why(n: u8) -> &'static str { match n { 0 => "none", _ => "some" } }"#;
        assert_eq!(texts(body), ["x: none", "x: some"]);
    }

    #[test]
    fn structs_and_inner_modules_count() {
        assert_eq!(texts("mod m { #[error(\"a {n}\")] struct S { n: u8 } }"), ["a {n}"]);
    }

    #[test]
    fn the_first_sentence_explains() {
        assert_eq!(first_sentence("One. Two."), "One.");
        assert_eq!(first_sentence("One"), "One");
    }
}
