//! The options before the verb.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use container::placement::{Address, Driver, Owner};

use container::Rootless;
use container::rootless::{in_user_namespace, outer_uid};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::flag::{switch, value};
use crate::logging::Format;

const DEFAULT_ROOT: &str = "/run/sluice";

/// What the options before the verb say.
#[derive(Debug)]
pub(crate) struct Globals {
    /// Where state is kept: absolute, without `.` and `..`, never `/`.
    pub(crate) root: StateRoot,
    /// `--log`; none is standard error.
    pub(crate) log: Option<PathBuf>,
    /// `--log-format`.
    pub(crate) log_format: Format,
    /// `--debug`.
    pub(crate) debug: bool,
    /// `--systemd-cgroup`: who makes the control groups.
    pub(crate) driver: Driver,
    /// `--rootless`.
    pub(crate) rootless: Rootless,
    /// `--version`.
    pub(crate) version: bool,
}

/// The state root, and whether it is a user's own, made on demand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StateRoot {
    /// Given, or the system's.
    At(PathBuf),
    /// The system's, for a user who has none: it only serves when root opened it to them.
    OfSystem(PathBuf),
    /// Below `XDG_RUNTIME_DIR`.
    OfUser(PathBuf),
}

/// Who runs this program, as far as defaults depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Root of the host.
    Root,
    /// Somebody else, or root of a user namespace.
    User,
}

/// The parser of the global options.
pub(crate) fn command() -> Command {
    Command::new("sluice")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args(options())
}

fn options() -> Vec<Arg> {
    vec![
        value("root", "DIR", "Keep the state of containers in DIR [default: /run/sluice]"),
        value("log", "FILE", "Append the log to FILE [default: standard error]"),
        value("log-format", "FORMAT", "Write the log as text or json [default: text]"),
        switch("debug", "Log more, with the place in the source"),
        switch(
            "systemd-cgroup",
            "Let systemd make the control groups; cgroupsPath is SLICE:PREFIX:NAME then",
        ),
        value(
            "rootless",
            "WHEN",
            "true: do without a cgroup that may not be made; false; auto: true unless root [default: auto]",
        ),
        // Compat: older runc: a path to the criu binary.
        value("criu", "FILE", "").hide(true),
        // Compat: crun: podman sends `--cgroup-manager disabled` for containers without a cgroup.
        value(
            "cgroup-manager",
            "NAME",
            "crun's spelling: systemd is --systemd-cgroup; cgroupfs, disabled: the default",
        )
        .hide(true),
        switch("version", "Print the version").short('v'),
        Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print this help"),
    ]
}

impl Globals {
    /// Checks what was parsed.
    ///
    /// # Errors
    /// [`Failure::Value`], [`Failure::RootIsRoot`], [`Failure::WorkingDirectory`].
    pub(crate) fn new(matches: &ArgMatches, environment: &Environment) -> Result<Self, Failure> {
        let caller = caller(environment);
        let rootless = rootless(&given(matches, "rootless").unwrap_or("auto".into()))?;
        Ok(Self {
            root: state_root(given_path(matches, "root"), environment, caller)?,
            log: given_path(matches, "log"),
            log_format: log_format(given(matches, "log-format").unwrap_or("text".into()))?,
            debug: matches.get_flag("debug"),
            driver: driver(matches, environment, caller)?,
            rootless,
            version: matches.get_flag("version"),
        })
    }

    /// The state root, made if it is a user's own.
    ///
    /// # Errors
    /// [`Failure::MakeRoot`].
    pub(crate) fn state_root(&self) -> Result<&Path, Failure> {
        match &self.root {
            StateRoot::At(path) | StateRoot::OfSystem(path) => Ok(path),
            StateRoot::OfUser(path) => {
                make_user_root(path).map_err(|error| Failure::MakeRoot(path.clone(), error))?;
                Ok(path)
            }
        }
    }
}

fn given(matches: &ArgMatches, name: &str) -> Option<OsString> {
    matches.get_one::<OsString>(name).filter(|text| !text.is_empty()).cloned()
}

fn given_path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    given(matches, name).map(PathBuf::from)
}

fn state_root(
    given: Option<PathBuf>,
    environment: &Environment,
    caller: Caller,
) -> Result<StateRoot, Failure> {
    let Some(path) = given else {
        return Ok(match (&environment.xdg_runtime_dir, caller) {
            (Some(directory), Caller::User) => StateRoot::OfUser(directory.join("sluice")),
            (None, Caller::User) => StateRoot::OfSystem(PathBuf::from(DEFAULT_ROOT)),
            (_, Caller::Root) => StateRoot::At(PathBuf::from(DEFAULT_ROOT)),
        });
    };
    let absolute = if path.is_absolute() {
        path
    } else {
        let here = std::env::current_dir();
        here.map_err(|error| Failure::WorkingDirectory(path.clone(), error))?.join(path)
    };
    match clean(&absolute) {
        path if path == Path::new("/") => Err(Failure::RootIsRoot),
        path => Ok(StateRoot::At(path)),
    }
}

/// Resolves `.` and `..` by their spelling alone, as Go's `filepath.Clean` does.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

fn log_format(text: OsString) -> Result<Format, Failure> {
    match text.to_str() {
        Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        _ => Err(Failure::LogFormat(text.to_string_lossy().into_owned())),
    }
}

/// Source: Go's `strconv.ParseBool` for everything but `auto`.
fn rootless(text: &OsString) -> Result<Rootless, Failure> {
    match text.to_str().unwrap_or_default() {
        "auto" => Ok(Rootless::of_caller()),
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(Rootless::Yes),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(Rootless::No),
        _ => Err(invalid("rootless", text, "true, false or auto")),
    }
}

/// Who makes the control groups, and where that systemd is reached.
fn driver(matches: &ArgMatches, environment: &Environment, caller: Caller) -> Result<Driver, Failure> {
    if !(matches.get_flag("systemd-cgroup") || systemd(matches)?) {
        return Ok(Driver::Cgroupfs);
    }
    Ok(match caller {
        Caller::Root => Driver::Systemd { owner: Owner::System, bus: system_bus(environment) },
        Caller::User => Driver::Systemd { owner: Owner::User, bus: user_bus(environment) },
    })
}

fn system_bus(environment: &Environment) -> Address {
    let given = environment.system_bus.as_ref().map(|address| Address::new(address.to_string_lossy()));
    given.unwrap_or_else(Address::system)
}

/// Source: sd_bus_open_user(3): without an address the socket is `bus` in the runtime directory. That of root in a user
/// namespace is the one of who made the namespace.
fn user_bus(environment: &Environment) -> Address {
    if let Some(address) = &environment.session_bus {
        return Address::new(address.to_string_lossy());
    }
    let directory = environment.xdg_runtime_dir.clone();
    let directory = directory.unwrap_or_else(|| {
        let uid = outer_uid().unwrap_or_else(|| rustix::process::geteuid().as_raw());
        format!("/run/user/{uid}").into()
    });
    Address::new(format!("unix:path={}", directory.join("bus").display()))
}

/// Whether crun's spelling asks for systemd.
fn systemd(matches: &ArgMatches) -> Result<bool, Failure> {
    match given(matches, "cgroup-manager") {
        None => Ok(false),
        Some(name) if name == "systemd" => Ok(true),
        Some(name) if name == "cgroupfs" || name == "disabled" => Ok(false),
        Some(name) => Err(invalid("cgroup-manager", &name, "cgroupfs, systemd or disabled")),
    }
}

fn invalid(option: &str, value: &OsString, wanted: &str) -> Failure {
    let value = value.to_string_lossy().into_owned();
    Failure::Value { option: option.into(), value, wanted: format!("must be {wanted}") }
}

/// Compat: runc, rootless_linux.go: root inside a user namespace counts as a user unless `USER` says root.
fn caller(environment: &Environment) -> Caller {
    let user_is_root = environment.user.as_ref().is_some_and(|name| name == "root");
    if !rustix::process::geteuid().is_root() || (!user_is_root && in_user_namespace()) {
        return Caller::User;
    }
    Caller::Root
}

/// Compat: runc, main.go: the sticky bit keeps tmpfiles clean-up away from `XDG_RUNTIME_DIR`.
fn make_user_root(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o1700))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Globals, Failure> {
        let matches = command().try_get_matches_from(words).expect("the options parse");
        Globals::new(&matches, &Environment::default())
    }

    #[test]
    fn every_global_option_parses() {
        let globals = parse(&[
            "--root=/r/../s/./x/",
            "--log",
            "/l",
            "--log-format",
            "json",
            "--debug",
            "--systemd-cgroup",
            "--rootless=true",
            "--criu",
            "/usr/sbin/criu",
            "--cgroup-manager",
            "disabled",
        ])
        .expect("valid");
        assert_eq!(globals.root, StateRoot::At(PathBuf::from("/s/x")));
        assert_eq!(globals.log, Some(PathBuf::from("/l")));
        assert_eq!(globals.log_format, Format::Json);
        let systemd = Driver::Systemd { owner: Owner::System, bus: Address::system() };
        assert!(globals.debug && globals.driver == systemd && !globals.version);
    }

    #[test]
    fn either_spelling_selects_systemd() {
        let systemd = Driver::Systemd { owner: Owner::System, bus: Address::system() };
        let driver = |environment: &Environment, words: &[&str]| {
            let matches = command().try_get_matches_from(words).expect("the options parse");
            super::driver(&matches, environment, Caller::Root).expect("valid")
        };
        let here = Environment::default();
        for (words, expected) in [
            (&["--systemd-cgroup"][..], &systemd),
            (&["--cgroup-manager", "systemd"], &systemd),
            (&["--cgroup-manager=systemd"], &systemd),
            (&["--cgroup-manager=cgroupfs"], &Driver::Cgroupfs),
            (&["--cgroup-manager=disabled"], &Driver::Cgroupfs),
            (&[], &Driver::Cgroupfs),
        ] {
            assert_eq!(&driver(&here, words), expected, "{words:?}");
        }
    }

    #[test]
    fn the_last_of_two_equal_options_counts() {
        let globals = parse(&["--root", "/a", "--root", "/b", "--debug", "--debug"]).expect("valid");
        assert_eq!(globals.root, StateRoot::At(PathBuf::from("/b")));
    }

    #[test]
    fn wrong_values_are_named() {
        for (words, message) in [
            (["--log-format", "xml"], "invalid log-format: xml: must be text or json"),
            (["--rootless", "maybe"], "invalid rootless \"maybe\": must be true, false or auto"),
            (["--root", "/x/.."], "Option --root argument should not be set to /"),
            (
                ["--cgroup-manager", "x"],
                "invalid cgroup-manager \"x\": must be cgroupfs, systemd or disabled",
            ),
        ] {
            assert_eq!(parse(&words).expect_err("invalid").to_string(), message);
        }
    }

    #[test]
    fn a_user_keeps_state_below_the_runtime_directory() {
        let environment =
            Environment { xdg_runtime_dir: Some("/run/user/5".into()), ..Environment::default() };
        for (environment, caller, root) in [
            (&environment, Caller::User, StateRoot::OfUser("/run/user/5/sluice".into())),
            (&environment, Caller::Root, StateRoot::At("/run/sluice".into())),
            (&Environment::default(), Caller::User, StateRoot::OfSystem("/run/sluice".into())),
        ] {
            assert_eq!(state_root(None, environment, caller).expect("valid"), root);
        }
    }
}
