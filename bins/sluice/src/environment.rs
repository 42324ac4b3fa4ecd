//! The environment variables that the command line obeys, read once.

use std::ffi::OsString;
use std::path::PathBuf;

use sys::start::Given;

/// What the process was given, as plain values, so that everything below `main` can be tested with any of them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Environment {
    /// Arguments and environment as the kernel gave them.
    pub(crate) given: Given,
    /// `XDG_RUNTIME_DIR`, where a rootless state root lives.
    pub(crate) xdg_runtime_dir: Option<PathBuf>,
    /// `USER`, which tells root inside a user namespace from the real one.
    pub(crate) user: Option<OsString>,
    /// `DBUS_SYSTEM_BUS_ADDRESS`, where the machine's systemd is reached.
    pub(crate) system_bus: Option<OsString>,
    /// `DBUS_SESSION_BUS_ADDRESS`, where the user's own systemd is reached.
    pub(crate) session_bus: Option<OsString>,
    /// `NOTIFY_SOCKET` of the service manager that started us.
    pub(crate) notify_socket: Option<PathBuf>,
    /// Number of sockets that socket activation left at descriptor 3 and up; 0 unless they are meant for us.
    pub(crate) listen_fds: u32,
    /// How many descriptors from 3 on were open when the process started, without a gap.
    pub(crate) inherited: u32,
    /// Colours are unwanted: `NO_COLOR` is set or the terminal is `dumb`.
    pub(crate) plain: bool,
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn of_this_process(given: Given) -> Self {
        // First: what is opened later must not be taken for something that was handed over.
        let inherited = container::create::inherited_descriptors();
        let variables = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { given, inherited, ..Self::read(variables, std::process::id()) }
    }

    fn read(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> Self {
        Self {
            given: Given::default(),
            xdg_runtime_dir: variable("XDG_RUNTIME_DIR").map(PathBuf::from),
            user: variable("USER"),
            system_bus: variable("DBUS_SYSTEM_BUS_ADDRESS"),
            session_bus: variable("DBUS_SESSION_BUS_ADDRESS"),
            notify_socket: variable("NOTIFY_SOCKET").map(PathBuf::from),
            listen_fds: listen_fds(&variable, pid),
            inherited: 0,
            plain: variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

/// Source: sd_listen_fds(3): the descriptors are ours only if `LISTEN_PID` names us.
fn listen_fds(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> u32 {
    let number = |name: &str| variable(name)?.to_str()?.parse::<u32>().ok();
    if number("LISTEN_PID") == Some(pid) { number("LISTEN_FDS").unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Environment {
        let find = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| OsString::from(pair.1));
        Environment::read(find, 7)
    }

    #[test]
    fn listen_fds_of_another_process_are_not_ours() {
        assert_eq!(read(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2")]).listen_fds, 2);
        assert_eq!(read(&[("LISTEN_PID", "8"), ("LISTEN_FDS", "2")]).listen_fds, 0);
        assert_eq!(read(&[("LISTEN_FDS", "2")]).listen_fds, 0);
    }

    #[test]
    fn a_dumb_terminal_and_no_color_mean_plain_text() {
        assert!(read(&[("NO_COLOR", "1")]).plain);
        assert!(read(&[("TERM", "dumb")]).plain);
        assert!(!read(&[("TERM", "xterm")]).plain);
    }
}
