//! The log: logrus' text or JSON lines, to standard error or to a file that other processes append to as well.
//!
//! **Invariant:** a reader that has stopped reading (a full pipe) loses lines; it never stops the command.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::globals::Globals;

/// How long a line waits for a log that takes nothing, in seconds. After the first such line none waits again.
const PATIENCE_S: i64 = 2;

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `time="..." level=error msg="..."`, or something easier on the eye if the log is a terminal.
    Text,
    /// One object a line.
    Json,
}

/// Where and how to log.
#[derive(Debug)]
struct Logger {
    file: Option<File>,
    style: Style,
    caller: Caller,
    stuck: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Logrus,
    Json,
    Terminal(Colour),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    On,
    Off,
}

/// Whether lines say where in the source they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Shown,
    Hidden,
}

/// Installs the logger that the global options ask for.
///
/// # Errors
/// [`Failure::OpenLog`].
pub(crate) fn install(globals: &Globals, environment: &Environment) -> Result<(), Failure> {
    let file = globals.log.as_deref().map(open).transpose()?;
    let style = style(globals.log_format, file.is_none() && io::stderr().is_terminal(), environment);
    let caller = if globals.debug { Caller::Shown } else { Caller::Hidden };
    let logger = LOGGER.get_or_init(|| Logger { file, style, caller, stuck: AtomicBool::new(false) });
    // A second logger is impossible: this is called once, in one thread.
    let _ = log::set_logger(logger);
    log::set_max_level(if globals.debug { LevelFilter::Debug } else { LevelFilter::Info });
    Ok(())
}

/// Says the last word: through the logger, and once more in plain on standard error unless the log is just that.
///
/// Compat: runc, utils.go, `fatalWithCode`: some callers read the log file, some standard error.
pub(crate) fn fatal(message: &str) {
    log::error!("{message}");
    if LOGGER.get().is_none_or(|logger| logger.file.is_some()) {
        write_bounded(io::stderr().as_fd(), format!("{message}\n").as_bytes(), Portion::PipeBuf);
    }
}

/// `O_NONBLOCK` so that a FIFO without a reader is an error (`ENXIO`) and a full one loses lines, instead of a hang.
fn open(path: &Path) -> Result<File, Failure> {
    let flags = (OFlags::SYNC | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o644).custom_flags(flags.cast_signed());
    options.open(path).map_err(|error| Failure::OpenLog(path.to_owned(), error))
}

fn style(format: Format, terminal: bool, environment: &Environment) -> Style {
    match (format, terminal) {
        (Format::Json, _) => Style::Json,
        (Format::Text, false) => Style::Logrus,
        (Format::Text, true) if environment.plain => Style::Terminal(Colour::Off),
        (Format::Text, true) => Style::Terminal(Colour::On),
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || self.stuck.load(Ordering::Relaxed) {
            return;
        }
        let text = line(self.style, self.caller, record, SystemTime::now());
        let written = match &self.file {
            Some(file) => write_bounded(file.as_fd(), text.as_bytes(), Portion::Line),
            None => write_bounded(io::stderr().as_fd(), text.as_bytes(), Portion::PipeBuf),
        };
        if !written {
            self.stuck.store(true, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// How much of a line goes out in one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Portion {
    /// All of it, so that the lines of several processes stay whole; for a descriptor that does not block.
    Line,
    /// `PIPE_BUF` bytes, for which poll(2) has just promised room in a pipe.
    PipeBuf,
}

/// Writes all of `text`, unless the descriptor takes nothing for [`PATIENCE_S`]; says whether it did.
fn write_bounded(target: BorrowedFd<'_>, mut text: &[u8], portion: Portion) -> bool {
    while !text.is_empty() {
        let mut polled = [PollFd::new(&target, PollFlags::OUT)];
        let patience = Timespec { tv_sec: PATIENCE_S, tv_nsec: 0 };
        if !matches!(rustix::event::poll(&mut polled, Some(&patience)), Ok(1..)) {
            return false;
        }
        let piece = if portion == Portion::Line { text.len() } else { text.len().min(4096) };
        match rustix::io::write(target, &text[..piece]) {
            Ok(written) => text = &text[written..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}

fn line(style: Style, caller: Caller, record: &Record<'_>, now: SystemTime) -> String {
    let fields = Fields {
        level: record.level(),
        time: humantime::format_rfc3339_seconds(now).to_string(),
        message: record.args().as_str().map_or_else(|| Cow::from(record.args().to_string()), Cow::from),
        place: (caller == Caller::Shown).then(|| place(record)).flatten(),
    };
    match style {
        Style::Logrus => fields.logrus(),
        Style::Json => fields.json(),
        Style::Terminal(colour) => fields.terminal(colour),
    }
}

fn place(record: &Record<'_>) -> Option<Place> {
    Some(Place {
        module: record.module_path()?.to_owned(),
        file: record.file()?.to_owned(),
        line: record.line()?,
    })
}

struct Place {
    module: String,
    file: String,
    line: u32,
}

struct Fields<'a> {
    level: Level,
    time: String,
    message: Cow<'a, str>,
    place: Option<Place>,
}

impl Fields<'_> {
    fn logrus(&self) -> String {
        let mut line = format!("time=\"{}\" level={} msg=", self.time, level(self.level));
        quote_if_needed(&mut line, &self.message);
        if let Some(place) = &self.place {
            let _ = write!(line, " func={} file=\"{}:{}\"", place.module, place.file, place.line);
        }
        line.push('\n');
        line
    }

    fn json(&self) -> String {
        let mut object = serde_json::Map::new();
        if let Some(place) = &self.place {
            object.insert("file".into(), format!("{}:{}", place.file, place.line).into());
            object.insert("func".into(), place.module.clone().into());
        }
        object.insert("level".into(), level(self.level).into());
        object.insert("msg".into(), self.message.as_ref().into());
        object.insert("time".into(), self.time.clone().into());
        format!("{}\n", serde_json::Value::Object(object))
    }

    fn terminal(&self, colour: Colour) -> String {
        let name = level(self.level);
        let place = self.place.as_ref();
        let place = place.map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
        match colour {
            Colour::Off => format!("{name}: {}{place}\n", self.message),
            Colour::On => format!("\x1b[1;{}m{name}:\x1b[0m {}{place}\n", paint(self.level), self.message),
        }
    }
}

/// logrus' names of the levels.
fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

fn paint(level: Level) -> u8 {
    match level {
        Level::Error => 31,
        Level::Warn => 33,
        Level::Info => 36,
        Level::Debug | Level::Trace => 37,
    }
}

/// Compat: logrus, text_formatter.go: quotes whatever holds another byte than these.
fn quote_if_needed(line: &mut String, text: &str) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._/@^+".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        line.push_str(text);
        return;
    }
    line.push('"');
    text.chars().for_each(|letter| quote(line, letter));
    line.push('"');
}

/// Source: Go's `strconv.Quote`.
fn quote(line: &mut String, letter: char) {
    match letter {
        '"' => line.push_str("\\\""),
        '\\' => line.push_str("\\\\"),
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        control if control.is_ascii_control() => {
            let _ = write!(line, "\\x{:02x}", u32::from(control));
        }
        other => line.push(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(style: Style, caller: Caller, level: Level, message: &str) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_787_140_800);
        let mut record = Record::builder();
        record.level(level).module_path(Some("a::b")).file(Some("a/b.rs")).line(Some(7));
        line(style, caller, &record.args(format_args!("{message}")).build(), now)
    }

    #[test]
    fn text_lines_are_logrus_lines() {
        for (level, message, want) in [
            (Level::Error, "no such \"x\"\n", "level=error msg=\"no such \\\"x\\\"\\n\"\n"),
            (Level::Warn, "a/b.c", "level=warning msg=a/b.c\n"),
            (Level::Info, "", "level=info msg=\"\"\n"),
            (Level::Debug, "\x1b\t\\é", "level=debug msg=\"\\x1b\\t\\\\é\"\n"),
        ] {
            let want = format!("time=\"2026-08-19T12:00:00Z\" {want}");
            assert_eq!(written(Style::Logrus, Caller::Hidden, level, message), want);
        }
    }

    #[test]
    fn json_lines_hold_level_message_and_time() {
        let line = written(Style::Json, Caller::Hidden, Level::Error, "a \"b\"\n");
        assert_eq!(
            line,
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\n\",\"time\":\"2026-08-19T12:00:00Z\"}\n"
        );
    }

    #[test]
    fn debug_lines_say_where_they_come_from() {
        let text = written(Style::Logrus, Caller::Shown, Level::Info, "x");
        assert!(text.ends_with("msg=x func=a::b file=\"a/b.rs:7\"\n"), "{text}");
        let json = written(Style::Json, Caller::Shown, Level::Info, "x");
        assert!(json.starts_with("{\"file\":\"a/b.rs:7\",\"func\":\"a::b\",\"level\""), "{json}");
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(
            written(Style::Terminal(Colour::Off), Caller::Hidden, Level::Error, "x y"),
            "error: x y\n"
        );
        assert!(
            written(Style::Terminal(Colour::On), Caller::Hidden, Level::Error, "x").contains("\x1b[1;31m")
        );
    }

    #[test]
    fn a_pipe_that_nobody_reads_does_not_stop_the_log() {
        let (_reader, writer) = rustix::pipe::pipe().expect("a pipe");
        rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a small pipe");
        assert!(write_bounded(writer.as_fd(), &[b'x'; 4096], Portion::PipeBuf));
        assert!(!write_bounded(writer.as_fd(), b"one more\n", Portion::PipeBuf));
    }
}
