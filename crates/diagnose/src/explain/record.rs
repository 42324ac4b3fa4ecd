//! One line taken out of its envelopes: who says it, how loud, and what.
//!
//! Envelopes stand inside each other: a syslog line holds a logrus line that quotes an error. Each is taken off by
//! one function of `record/`, from the outside in.

mod conmon;
mod event;
mod json;
mod klog;
mod logrus;
mod plain;
mod syslog;

use std::borrow::Cow;

/// Envelopes inside envelopes, at most.
const DEPTH: usize = 6;

/// Who says it, as far as the envelope tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speaker {
    /// The line does not tell.
    #[default]
    Unknown,
    /// The kernel.
    Kernel,
    /// A program on the road to a container: kubelet, dockerd, containerd, a shim, a runtime, systemd.
    Road,
    /// The output of a container.
    Container,
    /// Another program of the host.
    Other,
}

/// How loud it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// The line does not tell.
    #[default]
    Unknown,
    /// For developers.
    Debug,
    /// For the curious.
    Info,
    /// What the kubelet calls information, probe failures among it.
    Notice,
    /// Something is not as it should be.
    Warning,
    /// Something failed.
    Error,
}

/// A line without its envelopes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record<'a> {
    /// Who says it.
    pub speaker: Speaker,
    /// How loud.
    pub level: Level,
    /// When, as written.
    pub time: Option<String>,
    /// The message; an error field is part of it.
    pub text: Cow<'a, str>,
}

/// What one envelope tells, and what is inside.
#[derive(Default)]
struct Inside<'a> {
    speaker: Speaker,
    level: Level,
    time: Option<String>,
    text: Cow<'a, str>,
}

/// An envelope: none of this kind, or its content.
type Envelope = for<'a> fn(&'a str) -> Option<Inside<'a>>;

const ENVELOPES: &[Envelope] = &[
    json::open,
    syslog::open,
    klog::open,
    conmon::open,
    logrus::open,
    logrus::terminal,
    event::open,
    syslog::kernel,
    syslog::container,
    plain::open,
];

impl<'a> Record<'a> {
    /// Takes a line out of its envelopes.
    #[must_use]
    pub fn of(line: &'a str) -> Self {
        let mut record = Self { text: Cow::Borrowed(line.trim()), ..Self::default() };
        for _ in 0..DEPTH {
            if !record.peel() {
                break;
            }
        }
        record
    }

    fn peel(&mut self) -> bool {
        let Some(inside) = opened(&self.text) else {
            return false;
        };
        self.speaker = self.speaker.narrowed(inside.speaker);
        if inside.level != Level::Unknown {
            self.level = inside.level;
        }
        self.time = self.time.take().or(inside.time);
        self.text = Cow::Owned(inside.text.trim().to_owned());
        true
    }
}

fn opened(text: &str) -> Option<Inside<'_>> {
    ENVELOPES.iter().find_map(|envelope| envelope(text))
}

impl Speaker {
    /// A container's output stays that, whatever it says of itself.
    fn narrowed(self, inner: Self) -> Self {
        match (self, inner) {
            (Self::Container, _) | (_, Self::Unknown) => self,
            _ => inner,
        }
    }

    /// By the name of a program or unit.
    fn of_program(name: &str) -> Self {
        const ROAD: &[&str] = &[
            "docker",
            "containerd",
            "kube",
            "crio",
            "cri-o",
            "conmon",
            "podman",
            "runc",
            "crun",
            "youki",
            "k3s",
            "rke2",
            "moby",
            "systemd",
            "audit",
            "sluice",
            "nerdctl",
            "buildkit",
            "nomad",
            "k0s",
            "microk8s",
            "cri-dockerd",
            "ctr",
            "shim",
            "libpod",
        ];
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "" => Self::Unknown,
            "kernel" => Self::Kernel,
            _ if ROAD.iter().any(|part| name.contains(part)) => Self::Road,
            _ => Self::Other,
        }
    }
}

impl Level {
    /// By its name in any of the usual spellings.
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "trace" | "debug" | "debu" | "dbg" => Self::Debug,
            "info" | "information" | "inf" | "normal" | "notice" => Self::Info,
            "warn" | "warning" | "wrn" => Self::Warning,
            "error" | "err" | "erro" | "fatal" | "fata" | "panic" | "pani" | "crit" | "critical"
            | "emerg" | "alert" | "dpanic" | "severe" => Self::Error,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
