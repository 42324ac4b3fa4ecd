//! Lines of syslog and of `journalctl`'s short forms, of the kernel's log, and of a container's log under the CRI.

use std::borrow::Cow;

use super::{Inside, Level, Speaker};

/// `May 12 09:08:40 host dockerd[4085]: message`, `2024-04-28T16:48:31+02:00 host kernel: message`, or
/// `kubelet: message` before something that klog or logrus wrote.
pub(super) fn open(text: &str) -> Option<Inside<'_>> {
    let (time, rest) = date(text).unwrap_or(("", text));
    let (head, message) = rest.split_once(": ").or_else(|| rest.split_once(":\t"))?;
    let mut words = head.split_ascii_whitespace();
    let (host_or_program, program) = (words.next()?, words.next());
    let named = program.unwrap_or(host_or_program);
    let is_program = named.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-[]()/@".contains(&byte));
    let has_pid = named.ends_with(']') && named.contains('[');
    let is_bare = time.is_empty() && !has_pid;
    let too_many = words.next().is_some() || (time.is_empty() == program.is_some() && !has_pid);
    if !is_program || too_many || (is_bare && !is_well_known(named)) {
        return None;
    }
    let name = named.split('[').next().unwrap_or(named);
    Some(Inside {
        speaker: Speaker::of_program(name),
        time: (!time.is_empty()).then(|| time.to_owned()),
        text: Cow::Borrowed(message),
        level: Level::Unknown,
    })
}

/// Programs that are taken for the speaker also without a date before them.
fn is_well_known(name: &str) -> bool {
    ["kubelet", "dockerd", "containerd", "crio", "kernel"].contains(&name)
}

/// A date at the start, and what follows it.
fn date(text: &str) -> Option<(&str, &str)> {
    let first = text.split_ascii_whitespace().next()?;
    let is_iso = first.len() >= 19 && first.as_bytes().get(10) == Some(&b'T');
    let words = if is_iso || (first.starts_with('[') && first.ends_with(']')) { 1 } else { 3 };
    let end = end_of_word(text, words)?;
    let (time, rest) = text.split_at_checked(end)?;
    let has_clock = has_clock(time) || time.starts_with('[');
    let is_short = time.len() < 40 && !time.contains('"');
    (has_clock && is_short).then(|| (time, rest.trim_start()))
}

/// Whether `09:08:40` stands in it.
fn has_clock(time: &str) -> bool {
    time.as_bytes().windows(8).any(|window| {
        window.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
    })
}

fn end_of_word(text: &str, count: usize) -> Option<usize> {
    let mut end = 0;
    for _ in 0..count {
        let rest = text.get(end..)?;
        let start = end + rest.find(|character: char| !character.is_whitespace())?;
        let word = text.get(start..)?;
        end = start + word.find(char::is_whitespace)?;
    }
    Some(end)
}

/// `[  551.981297] message` and `[Thu Dec  7 00:13:22 2017] message`, with or without a level before it: `<4>`, `kern  :err   :`.
pub(super) fn kernel(text: &str) -> Option<Inside<'_>> {
    let rest = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(text, |pair| pair.1);
    let start = rest.find('[')?;
    let before = rest.get(..start)?.trim_end();
    if before.len() > 20 || !before.bytes().all(|byte| byte.is_ascii_lowercase() || b" :".contains(&byte)) {
        return None;
    }
    let (seconds, message) = rest.get(start + 1..)?.split_once(']')?;
    let seconds = seconds.trim();
    let is_clock = seconds.contains('.') && seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_clock.then(|| Inside {
        speaker: Speaker::Kernel,
        level: Level::Unknown,
        time: Some(seconds.to_owned()),
        text: Cow::Borrowed(message),
    })
}

/// `2024-06-01T10:00:00.1Z stderr F message`: what a container wrote, in the CRI's file.
pub(super) fn container(text: &str) -> Option<Inside<'_>> {
    let mut words = text.splitn(4, ' ');
    let (time, stream, tag, message) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_tag = tag.split(':').all(|part| part == "F" || part == "P");
    (time.as_bytes().get(10) == Some(&b'T') && matches!(stream, "stdout" | "stderr") && is_tag).then(|| {
        Inside {
            speaker: Speaker::Container,
            level: Level::Unknown,
            time: Some(time.to_owned()),
            text: Cow::Borrowed(message),
        }
    })
}
