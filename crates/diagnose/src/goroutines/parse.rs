//! From lines to goroutines: the two forms that Go prints, wherever they stand.

use std::io::Read;

use super::lines;
use super::stack::{Frame, Group, Program, Stacks};
use crate::Error;

/// Frames of one stack that are kept.
const FRAMES: usize = 128;
/// Before a frame or a header in a log line there is no more than this, in bytes.
const PREFIX: usize = 240;

/// How a dump was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// One entry for each stack, with a count: `/debug/pprof/goroutine?debug=1`.
    Counts,
    /// One entry for each goroutine: `debug=2`, SIGUSR1, a crash.
    #[default]
    Text,
}

/// The goroutines of one process.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    /// Which program it is, by its functions.
    pub program: Program,
    /// How it was written.
    pub form: Form,
    /// Goroutines that the dump says it has, if it does: an excerpt has fewer.
    pub declared: Option<u64>,
    /// Goroutines that were read.
    pub goroutines: u64,
    /// Goroutines of stacks that were too many different ones to be kept.
    pub uncounted: u64,
    /// Equal stacks, the most frequent first.
    pub groups: Vec<Group>,
}

/// Reads every dump in the input; text around them is passed over.
///
/// # Errors
/// When the input cannot be read.
pub fn read(input: &mut dyn Read) -> Result<Vec<Dump>, Error> {
    let mut parser = Parser::default();
    lines::each(input, &mut |line| parser.line(line))?;
    parser.finish();
    Ok(parser.dumps)
}

#[derive(Default)]
struct Parser {
    dumps: Vec<Dump>,
    dump: Dump,
    stacks: Stacks,
    /// The goroutine that is being read, without its frames.
    entry: Option<Group>,
    /// Its frames, as function, tab, place and line end: also the key of its group.
    key: Vec<u8>,
    frames: usize,
    /// Log prefix of the line with the header: `dockerd[1]: `.
    prefix: Vec<u8>,
}

impl Parser {
    fn line(&mut self, line: &[u8]) {
        if may_begin(line) && self.header(line) {
            return;
        }
        if self.entry.is_none() {
            return;
        }
        let line = self.without_prefix(line);
        match line.first() {
            None => self.end(),
            // What follows the message in a line of docker's json-file.
            Some(b'"') => {}
            Some(b'#') => self.counted_frame(line),
            Some(b'\t') => self.place(line.trim_ascii()),
            Some(b'\\') if line.starts_with(b"\\t") => self.place(line.get(2..).unwrap_or_default()),
            Some(b' ') if line.trim_ascii().starts_with(b"/") => self.place(line.trim_ascii()),
            _ if is_call(line) => self.call(line),
            _ => self.end(),
        }
    }

    /// A line that begins a goroutine, an entry, or a dump.
    fn header(&mut self, line: &[u8]) -> bool {
        let text = String::from_utf8_lossy(line);
        if let Some(total) = text.split("goroutine profile: total ").nth(1) {
            self.finish();
            self.dump.form = Form::Counts;
            self.dump.declared = number(total);
            return true;
        }
        let entry = goroutine(&text).or_else(|| counted(&text).map(|entry| (0, entry)));
        let Some((start, entry)) = entry else {
            return false;
        };
        self.end();
        let is_counted = entry.first.is_none();
        if is_counted != (self.dump.form == Form::Counts) && self.dump.goroutines > 0 {
            self.finish();
        }
        self.dump.form = if is_counted { Form::Counts } else { Form::Text };
        self.prefix = program_prefix(line.get(..start).unwrap_or_default());
        self.entry = Some(entry);
        true
    }

    fn without_prefix<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let line = line.strip_prefix(b"{\"log\":\"").unwrap_or(line);
        if self.prefix.is_empty() {
            return line;
        }
        let head = line.get(..line.len().min(PREFIX)).unwrap_or_default();
        let found = memchr::memmem::find(head, &self.prefix);
        found.and_then(|at| line.get(at + self.prefix.len()..)).unwrap_or(line)
    }

    /// `package.function(0xc000, ...)`.
    fn call(&mut self, line: &[u8]) {
        let (function, arguments) = match line.strip_prefix(b"created by ") {
            Some(starter) => (starter, &b""[..]),
            None => line.split_at(line.iter().rposition(|byte| *byte == b'(').unwrap_or(line.len())),
        };
        let function = function.split(|byte| *byte == b' ').next().unwrap_or(function);
        self.note_mutex(function, arguments);
        self.push(function);
    }

    /// Go's `lockSlow` is never inlined, so its argument is the mutex.
    fn note_mutex(&mut self, function: &[u8], arguments: &[u8]) {
        let is_lock = function == b"sync.(*Mutex).lockSlow" || function == b"internal/sync.(*Mutex).lockSlow";
        if let (true, Some(entry)) = (is_lock, &mut self.entry) {
            let address = arguments.strip_prefix(b"(").unwrap_or_default();
            let end = address.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(0);
            let address = String::from_utf8_lossy(address.get(..end).unwrap_or_default()).into_owned();
            entry.mutex = address.starts_with("0x").then_some(address);
        }
    }

    /// One call of an entry with a count: number sign, address, function and offset, place, between tabs.
    fn counted_frame(&mut self, line: &[u8]) {
        let mut cells = line.split(|byte| *byte == b'\t').filter(|cell| !cell.is_empty());
        let (Some(function), place) = (cells.nth(2), cells.next()) else { return };
        let end = memchr::memmem::rfind(function, b"+0x").unwrap_or(function.len());
        self.push(function.get(..end).unwrap_or(function));
        self.place(place.unwrap_or_default());
    }

    fn push(&mut self, function: &[u8]) {
        self.frames += 1;
        if self.frames <= FRAMES {
            self.key.push(b'\n');
            self.key.extend_from_slice(function);
            self.key.push(b'\t');
        }
    }

    /// The file and line of the last call; the offset behind it differs between builds only.
    fn place(&mut self, place: &[u8]) {
        if self.frames == 0 || self.frames > FRAMES || self.key.last() != Some(&b'\t') {
            return;
        }
        let end = place.iter().position(|byte| *byte == b' ').unwrap_or(place.len());
        self.key.extend_from_slice(place.get(..end).unwrap_or_default());
    }

    /// The goroutine is complete.
    fn end(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        self.dump.goroutines = self.dump.goroutines.saturating_add(entry.count);
        self.key.extend_from_slice(b"\n\t");
        self.key.extend_from_slice(entry.state.as_bytes());
        self.key.extend_from_slice(entry.mutex.as_deref().unwrap_or_default().as_bytes());
        let key = std::mem::take(&mut self.key);
        self.stacks.count(&key, &entry, &|| frames(&key));
        self.key = key;
        self.key.clear();
        self.frames = 0;
    }

    /// The dump is complete.
    fn finish(&mut self) {
        self.end();
        let stacks = std::mem::take(&mut self.stacks);
        let mut dump = std::mem::take(&mut self.dump);
        dump.uncounted = stacks.uncounted;
        dump.groups = stacks.into_groups();
        dump.program = program(&dump.groups);
        if dump.goroutines > 0 {
            self.dumps.push(dump);
        }
    }
}

/// Whether a line can begin a goroutine, an entry, or a dump; most lines cannot, and are not looked at closer.
fn may_begin(line: &[u8]) -> bool {
    if line.starts_with(b"\t") || line.starts_with(b"#") {
        return false;
    }
    line.ends_with(b"]:")
        || memchr::memchr(b'@', line).is_some()
        || memchr::memmem::find(line, b"goroutine profile: total").is_some()
}

/// Whether it is `a.b(...)` or `created by a.b`.
fn is_call(line: &[u8]) -> bool {
    let is_name = line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    is_name && (line.ends_with(b")") || line.starts_with(b"created by "))
}

/// `goroutine 12 [semacquire, 17 minutes]:`, and where it starts in the line.
fn goroutine(text: &str) -> Option<(usize, Group)> {
    let start = text.rfind("goroutine ")?;
    let rest = text.get(start..)?.strip_prefix("goroutine ")?;
    let (id, rest) = rest.split_once(' ')?;
    let id: u64 = id.parse().ok()?;
    let inside = rest.get(rest.find('[')? + 1..rest.rfind("]:")?)?;
    let mut parts = inside.split(", ");
    let state = parts.next().unwrap_or_default().to_owned();
    let longest_minutes = parts.find_map(|part| number(part.strip_suffix(" minutes")?)).unwrap_or(0);
    Some((start, Group { count: 1, first: Some(id), state, longest_minutes, ..Group::default() }))
}

/// `45 @ 0x55 0x66`.
fn counted(text: &str) -> Option<Group> {
    let (count, addresses) = text.split_once(" @ ")?;
    let count = count.trim().parse().ok()?;
    addresses.trim_start().starts_with("0x").then(|| Group { count, ..Group::default() })
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// `dockerd[4085]: ` or `stderr F ` at the end of what stands before a header.
fn program_prefix(before: &[u8]) -> Vec<u8> {
    let word = before.trim_ascii_end();
    if word.ends_with(b":") || word.ends_with(b" F") {
        let length = before.len() - word.len();
        let tail = word.len().saturating_sub(if word.ends_with(b":") { 24 } else { 8 });
        let tail = word.get(tail..).unwrap_or(word);
        let start = tail.iter().rposition(|byte| *byte == b' ').filter(|_| word.ends_with(b":"));
        let mut prefix = tail.get(start.map_or(0, |at| at + 1)..).unwrap_or(tail).to_vec();
        prefix.extend(std::iter::repeat_n(b' ', length));
        return prefix;
    }
    Vec::new()
}

fn frames(key: &[u8]) -> Vec<Frame> {
    key.split(|byte| *byte == b'\n')
        .filter_map(|row| {
            let at = row.iter().position(|byte| *byte == b'\t').filter(|at| *at > 0)?;
            Some(Frame {
                function: without_vendor(&String::from_utf8_lossy(row.get(..at)?)),
                place: String::from_utf8_lossy(row.get(at + 1..)?).into_owned(),
            })
        })
        .collect()
}

fn without_vendor(function: &str) -> String {
    function.rsplit("/vendor/").next().unwrap_or(function).to_owned()
}

/// By the functions that only one program has.
fn program(groups: &[Group]) -> Program {
    const MARKS: &[(&str, Program)] = &[
        ("github.com/docker/docker/daemon.", Program::Dockerd),
        ("github.com/docker/docker/api/server", Program::Dockerd),
        ("main.(*DaemonCli)", Program::Dockerd),
        ("containerd/cmd/containerd/command.", Program::Containerd),
        ("containerd/services/tasks.", Program::Containerd),
        ("containerd/plugins/services/tasks.", Program::Containerd),
        ("containerd/runtime/v2/shim.", Program::Shim),
        ("containerd/pkg/shim.", Program::Shim),
        ("containerd/linux/shim.", Program::Shim),
        ("containerd/go-runc.", Program::Shim),
        ("github.com/opencontainers/runc/libcontainer", Program::Runc),
        ("opencontainers/runc", Program::Runc),
    ];
    let has = |mark: &str| {
        groups.iter().any(|group| group.frames.iter().any(|frame| frame.function.contains(mark)))
    };
    MARKS.iter().find(|(mark, _)| has(mark)).map_or(Program::Other, |(_, program)| *program)
}

#[cfg(test)]
mod tests;
