//! What can go wrong between us and systemd.

use std::time::Duration;

use rustix::io::Errno;

/// A step of the conversation with systemd that did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `linux.cgroupsPath` does not name a unit.
    #[error("linux/cgroupsPath {path:?}: {expected}")]
    Path {
        /// As configured.
        path: String,
        /// What would be right.
        expected: String,
    },
    /// An annotation does not hold a property.
    #[error("annotations/{key}: {value:?} {expected}")]
    Annotation {
        /// The annotation.
        key: String,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The address of the bus is of no use.
    #[error("address of systemd's bus {address:?}: must be unix:path=FILE or unix:abstract=NAME")]
    Address {
        /// As given.
        address: String,
    },
    /// Nobody listens at the bus's socket.
    #[error(
        "connect to systemd's bus {address}: is dbus running? A user's bus is where DBUS_SESSION_BUS_ADDRESS or \
         XDG_RUNTIME_DIR say. Without systemd, leave --systemd-cgroup out and let the caller use cgroupfs"
    )]
    Connect {
        /// Address of the bus.
        address: String,
        /// What the kernel said.
        source: Errno,
    },
    /// The bus does not let us in.
    #[error("connect to systemd's bus {address}: it answers {answer:?} to AUTH EXTERNAL")]
    Authentication {
        /// Address of the bus.
        address: String,
        /// The line as it came.
        answer: String,
    },
    /// The bus went away within the conversation.
    #[error("{step}: the connection to systemd's bus {address} broke")]
    Lost {
        /// What was asked of whom.
        step: String,
        /// Address of the bus.
        address: String,
    },
    /// The bus, or systemd behind it, does not answer.
    #[error("{step}: no answer on systemd's bus {address} after {} ms", waited.as_millis())]
    Silent {
        /// What was asked of whom.
        step: String,
        /// Address of the bus.
        address: String,
        /// How long the whole conversation took.
        waited: Duration,
    },
    /// An answer is not D-Bus, or not of the expected form.
    #[error("{step}: the answer cannot be read: {reason}")]
    Malformed {
        /// What was asked of whom.
        step: String,
        /// What is wrong with it.
        reason: String,
    },
    /// systemd, or the bus, says no.
    #[error("{step}: {message} ({name})")]
    Refused {
        /// What was asked of whom.
        step: String,
        /// Name of the D-Bus error.
        name: String,
        /// In systemd's words.
        message: String,
    },
    /// There is a unit of this name.
    #[error(
        "start unit {unit}: it is there already ({state}); delete its container, or `systemctl stop {unit}`"
    )]
    Exists {
        /// The unit.
        unit: String,
        /// Its `ActiveState`.
        state: String,
    },
    /// systemd's job ended, but not well.
    #[error(
        "{verb} unit {unit}: systemd's job {job} ended with {result:?}; `systemctl status {unit}` may say why"
    )]
    Job {
        /// `start` or `stop`.
        verb: &'static str,
        /// The unit.
        unit: String,
        /// Object path of the job.
        job: String,
        /// systemd's word for it: `failed`, `canceled`, `timeout`, `dependency`, `skipped`.
        result: String,
    },
    /// systemd's job does not end.
    #[error("{verb} unit {unit}: systemd's job {job} is not done after {} ms (`systemctl list-jobs`)", waited.as_millis())]
    JobStuck {
        /// `start` or `stop`.
        verb: &'static str,
        /// The unit.
        unit: String,
        /// Object path of the job.
        job: String,
        /// Age of the job.
        waited: Duration,
    },
}

impl Error {
    /// Whether nobody knows what became of the request: the bus or systemd was restarted meanwhile.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Refused { name, .. } => {
                let last = name.rsplit('.').next().unwrap_or_default();
                // NoReply: the one who was asked left the bus. ServiceUnknown, NameHasNoOwner: it is not back yet.
                matches!(last, "NoReply" | "ServiceUnknown" | "NameHasNoOwner" | "Disconnected")
            }
            _ => false,
        }
    }

    /// Whether a call may have been carried out all the same.
    pub(super) fn is_undecided(&self) -> bool {
        self.is_lost() || !matches!(self, Self::Refused { .. })
    }

    /// Whether systemd does not have such a unit.
    pub(super) fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.NoSuchUnit")
    }

    /// Whether there is nothing at the path that was asked for: a unit or job that was forgotten meanwhile.
    pub(super) fn is_no_such_object(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.DBus.Error.UnknownObject")
    }

    /// Whether systemd has a unit of that name already.
    pub(super) fn is_unit_exists(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.UnitExists")
    }
}
