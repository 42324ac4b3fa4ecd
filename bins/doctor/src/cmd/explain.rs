//! `sluice-doctor explain`.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use diagnose::explain::{Class, Consequences, Explainer, Explanation, Group, Summary, Totals, meanings};
use diagnose::harmless;
use serde_json::json;

use crate::answer::{self, Reader};
use crate::failure::Failure;
use crate::quiet::{Audience, Quiet};

/// Name and version of what `--json` prints; the number rises when a field changes its meaning or goes away.
const SCHEMA: &str = "sluice-doctor.explain/1";
/// Longer lines are cut in the answer for people, in characters.
const LINE: usize = 400;
/// Explanations are printed in pieces of about this size, in bytes.
const PIECE: usize = 1 << 16;

/// Says which failure class a log line is, what it follows from, and what to look at next.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Lines, files, or `-` for standard input (the default): plain logs, logrus, klog, json-file, kernel logs,
    /// `journalctl -o short|json|export`.
    inputs: Vec<String>,
    /// One JSON object for each line that reads as a failure.
    #[arg(long)]
    json: bool,
    /// Version of runc, for `exit status N` (1.0.0-rc5).
    #[arg(long, value_name = "VERSION")]
    runtime_version: Option<String>,
}

/// Carries it out.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let explainer = Explainer::new()?;
    let mut report = Report::new(&explainer, options);
    if options.inputs.is_empty() {
        report.follow()?;
    }
    for input in &options.inputs {
        if report.reader == Reader::There {
            report.input(input)?;
        }
    }
    report.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What is being said, as it is found.
struct Report<'a> {
    explainer: &'a Explainer,
    options: &'a Options,
    consequences: Consequences<'a>,
    summary: Summary,
    totals: Totals,
    text: String,
    reader: Reader,
    /// Why something could not be said.
    failed: Option<Failure>,
}

impl Audience for RefCell<&mut Report<'_>> {
    fn quiet(&self) {
        let mut report = self.borrow_mut();
        if let Err(failure) = report.say_so_far() {
            report.failed.get_or_insert(failure);
        }
    }

    fn has_enough(&self) -> bool {
        let report = self.borrow();
        report.failed.is_some() || report.reader == Reader::Gone
    }
}

impl<'a> Report<'a> {
    fn new(explainer: &'a Explainer, options: &'a Options) -> Self {
        Self {
            explainer,
            options,
            consequences: Consequences::new(explainer),
            summary: Summary::default(),
            totals: Totals::default(),
            text: String::new(),
            reader: Reader::There,
            failed: None,
        }
    }

    /// A file if it is named, else the text itself.
    fn input(&mut self, input: &str) -> Result<(), Failure> {
        if input == "-" {
            return self.follow();
        }
        if names_a_file(input) {
            let failed = |source| Failure::Open { path: input.into(), source };
            return self.read(&mut std::fs::File::open(input).map_err(failed)?);
        }
        let before = self.totals.failures;
        self.read(&mut input.as_bytes())?;
        if self.totals.failures == before && input.trim().contains('\n') {
            self.read(&mut input.replace('\n', " ").as_bytes())?;
        }
        Ok(())
    }

    /// Standard input, which may be a log that is still being written: when nothing more comes, all is said that has, and when
    /// nobody hears it any more, no more is read.
    fn follow(&mut self) -> Result<(), Failure> {
        answer::await_input();
        let (explainer, before) = (self.explainer, self.totals.lines);
        let report = RefCell::new(self);
        let mut input = Quiet::new(std::io::stdin().lock(), &report);
        let totals = explainer.read(&mut input, &mut |found| report.borrow_mut().take(found, before))?;
        report.into_inner().count(totals)
    }

    fn read(&mut self, input: &mut dyn Read) -> Result<(), Failure> {
        let (explainer, before) = (self.explainer, self.totals.lines);
        let totals = explainer.read(input, &mut |found| self.take(found, before))?;
        self.count(totals)
    }

    /// Takes what was found in a line of an input that has `before` lines before it.
    fn take(&mut self, found: Explanation, before: u64) {
        let next = self.consequences.push(Explanation { number: before + found.number, ..found });
        if let Some(Err(failure)) = next.map(|next| self.say(next)) {
            self.failed.get_or_insert(failure);
        }
    }

    fn count(&mut self, totals: Totals) -> Result<(), Failure> {
        self.totals.lines += totals.lines;
        self.totals.bytes += totals.bytes;
        self.totals.failures += totals.failures;
        self.failed.take().map_or(Ok(()), Err)
    }

    fn say(&mut self, mut explanation: Explanation) -> Result<(), Failure> {
        if let Some(version) = &self.options.runtime_version {
            explanation.meanings = meanings(&explanation.line, Some(version));
        }
        if !self.options.json {
            self.summary.add(explanation);
            return Ok(());
        }
        let object = answer::json(&object(&explanation, self.explainer))?;
        let _ = writeln!(self.text, "{object}");
        if self.text.len() > PIECE { self.print() } else { Ok(()) }
    }

    fn print(&mut self) -> Result<(), Failure> {
        // Nothing at all can be written to anybody: who is gone stays so.
        let text = std::mem::take(&mut self.text);
        let printed = if self.options.json { answer::write(&text) } else { answer::print(&text) };
        if printed? == Reader::Gone {
            self.reader = Reader::Gone;
        }
        Ok(())
    }

    /// Says what has come, as if there were no more.
    fn say_so_far(&mut self) -> Result<(), Failure> {
        while let Some(held) = self.consequences.pop() {
            self.say(held)?;
        }
        if !self.options.json {
            self.text = people(&std::mem::take(&mut self.summary), self.explainer);
        }
        self.print()
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.say_so_far()?;
        if !self.options.json {
            let Totals { lines, failures, .. } = self.totals;
            self.text = format!("{lines} lines read, {failures} read as a failure\n");
        }
        self.print()
    }
}

fn object(explanation: &Explanation, explainer: &Explainer) -> serde_json::Value {
    let class = explanation.class.as_ref().and_then(|id| explainer.class(id));
    let meanings: Vec<serde_json::Value> = explanation
        .meanings
        .iter()
        .map(|meaning| json!({ "version": meaning.version, "text": meaning.text }))
        .collect();
    json!({
        "schema": SCHEMA,
        "line": explanation.line,
        "number": explanation.number,
        "time": explanation.time,
        "class": explanation.class,
        "title": class.map(|class| &class.title),
        "also": explanation.also,
        "nearest": explanation.nearest,
        "consequence_of": explanation.consequence_of,
        "cause_line": explanation.cause_line,
        "exit_status": meanings,
    })
}

fn people(summary: &Summary, explainer: &Explainer) -> String {
    let mut text = String::new();
    let is_symptom = |id: &str| explainer.class(id).is_some_and(|class| class.noise || class.symptom);
    for group in summary.groups(&is_symptom) {
        match group.first.class.as_ref().and_then(|id| explainer.class(id)) {
            Some(class) => known(&mut text, (group, class), summary, explainer),
            None => unknown(&mut text, group, explainer),
        }
        text.push('\n');
    }
    if summary.uncounted > 0 {
        let _ = writeln!(text, "{} more lines of other unknown kinds", summary.uncounted);
    }
    text
}

fn known(text: &mut String, (group, class): (&Group, &Class), summary: &Summary, explainer: &Explainer) {
    let _ = writeln!(text, "{}  {}", class.id, class.title);
    occurrence(text, group);
    for (version, meaning) in exit_status(group) {
        row(text, "status", &format!("{meaning}  (runc {version})"));
    }
    for cause in &group.causes {
        let title = explainer.class(cause).map_or("", |cause| &cause.title);
        row(text, "follows", &format!("from {cause}  {title}"));
    }
    if group.causes.is_empty() && !class.consequence_of.is_empty() {
        row(text, "follows", &format!("often from {}", class.consequence_of.join(", ")));
    }
    row(text, "why", &class.cause);
    row(text, "look", &class.confirm);
    row(text, "do", &class.remedy);
    row(text, "has it", &class.known_bad.join("; "));
    row(text, "see", &class.references.join(" "));
    row(text, "maybe", &group.first.also.join(", "));
    for (folded, count) in summary.folded(group) {
        let title = explainer.class(folded).map_or("", |class| &class.title);
        row(text, "folded", &format!("{count} x {folded}  {title}"));
    }
}

fn unknown(text: &mut String, group: &Group, explainer: &Explainer) {
    let _ = writeln!(text, "unknown  no class has this line");
    occurrence(text, group);
    for id in &group.first.nearest {
        let title = explainer.class(id).map_or("", |class| &class.title);
        row(text, "nearest", &format!("{id}  {title}"));
    }
}

fn occurrence(text: &mut String, group: &Group) {
    let line: String = group.first.line.trim().chars().take(LINE).map(harmless::shown).collect();
    row(text, "line", &line);
    if group.count > 1 {
        let span = format!("{} times, lines {} to {}", group.count, group.first.number, group.last);
        row(text, "seen", &span);
    }
}

/// Versions that say the same are one row.
fn exit_status(group: &Group) -> Vec<(String, &'static str)> {
    let mut rows: Vec<(String, &'static str)> = Vec::new();
    for meaning in &group.first.meanings {
        match rows.iter_mut().find(|row| row.1 == meaning.text) {
            Some(row) => {
                row.0.push_str(", ");
                row.0.push_str(meaning.version);
            }
            None => rows.push((meaning.version.to_owned(), meaning.text)),
        }
    }
    rows
}

fn row(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(text, "  {name:<8} {value}");
    }
}

/// Whether an input is the name of a file: one that is there, or a path in one word. A log line is neither, and a path
/// with a slip of the pen must not be read as a line without a failure.
fn names_a_file(input: &str) -> bool {
    let is_path = ["/", "./", "../"].iter().any(|start| input.starts_with(start));
    let is_word = !input.contains(char::is_whitespace);
    !input.contains('\n') && (Path::new(input).is_file() || is_path && is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(line: &str) -> serde_json::Value {
        let explainer = Explainer::new().unwrap();
        object(&explainer.explain(line).unwrap(), &explainer)
    }

    #[test]
    fn an_object_has_the_fields_that_programs_were_promised() {
        let known = explained("OCI runtime exec failed: exec failed: EOF: unknown");
        let fields: Vec<&str> = known.as_object().unwrap().keys().map(String::as_str).collect();
        let mut promised = [
            "schema",
            "line",
            "number",
            "time",
            "class",
            "title",
            "also",
            "nearest",
            "consequence_of",
            "cause_line",
            "exit_status",
        ];
        promised.sort_unstable();
        assert_eq!(fields, promised);
        assert_eq!((&known["schema"], &known["class"]), (&SCHEMA.into(), &"EX-01".into()));
        let unknown = explained("dockerd: failed to do what nobody has ever heard of in a container");
        assert_eq!(unknown["class"], serde_json::Value::Null);
        assert!(unknown["nearest"].as_array().unwrap().len() <= 3, "{unknown}");
    }
}
