//! Stand-ins for the verbs until they land.
#![expect(missing_docs, clippy::missing_errors_doc, reason = "thrown away when the verbs land")]

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("not there yet: {0}")]
    NotYet(&'static str),
    #[error("invalid container ID format: {0:?}")]
    InvalidId(String),
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    #[error(transparent)]
    Console(#[from] crate::console::Error),
    #[error(transparent)]
    Foreground(#[from] crate::foreground::Error),
    #[error(transparent)]
    NotifySocket(#[from] crate::notify_socket::Error),
    #[error(transparent)]
    Spec(#[from] crate::spec::Error),
}
pub type Result<T> = std::result::Result<T, Error>;
pub struct Store;
impl Store {
    pub fn open(_root: &Path) -> Result<Self> {
        Ok(Self)
    }
    pub fn directory(&self, _id: &ContainerId) -> PathBuf {
        PathBuf::from("/run/x")
    }
}
#[derive(Clone, Debug)]
pub struct ContainerId(String);
impl ContainerId {
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.contains('/') {
            return Err(Error::InvalidId(text.into()));
        }
        Ok(Self(text.into()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
pub mod create {
    use super::{ContainerId, Error, OwnedFd, PathBuf, Result, Store};
    pub enum Pivot {
        PivotRoot,
        MoveRoot,
    }
    pub enum Keyring {
        New,
        Inherit,
    }
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Terminal {
        Socket,
        Relay,
    }
    pub struct CreateRequest {
        pub id: ContainerId,
        pub bundle: PathBuf,
        pub console_socket: Option<PathBuf>,
        pub pidfd_socket: Option<PathBuf>,
        pub pid_file: Option<PathBuf>,
        pub pivot: Pivot,
        pub keyring: Keyring,
        pub preserve_fds: u32,
        pub listen_fds: u32,
        pub notify_socket: Option<PathBuf>,
        pub terminal: Terminal,
    }
    pub struct Created {
        pub pid: i32,
        pub pidfd: OwnedFd,
        pub console: Option<OwnedFd>,
    }
    pub fn create(_: &Store, _: &CreateRequest) -> Result<Created> {
        Err(Error::NotYet("create"))
    }
}
pub mod start {
    use super::{ContainerId, Error, Result, Store};
    pub fn start(_: &Store, _: &ContainerId) -> Result<()> {
        Err(Error::NotYet("start"))
    }
}
pub mod exec {
    use super::create::Terminal;
    use super::{ContainerId, Error, OwnedFd, PathBuf, Result, Store};
    pub enum ExecProcess {
        Described(Box<crate::config::Process>),
        Derived(Overrides),
    }
    #[derive(Default)]
    pub struct Overrides {
        pub args: Vec<String>,
        pub cwd: Option<PathBuf>,
        pub env: Vec<String>,
        pub terminal: bool,
        pub user: Option<(u32, Option<u32>)>,
        pub additional_gids: Vec<u32>,
        pub selinux_label: Option<String>,
        pub apparmor_profile: Option<String>,
        pub no_new_privileges: bool,
        pub capabilities: Vec<String>,
    }
    #[derive(PartialEq, Eq)]
    pub enum Paused {
        Refuse,
        Wait,
    }
    pub struct ExecRequest {
        pub id: ContainerId,
        pub process: ExecProcess,
        pub pid_file: Option<PathBuf>,
        pub console_socket: Option<PathBuf>,
        pub pidfd_socket: Option<PathBuf>,
        pub preserve_fds: u32,
        pub listen_fds: u32,
        pub cgroup: Vec<String>,
        pub paused: Paused,
        pub terminal: Terminal,
    }
    pub struct Running {
        pub pid: i32,
        pub pidfd: OwnedFd,
        pub console: Option<OwnedFd>,
    }
    pub fn exec(_: &Store, _: &ExecRequest) -> Result<Running> {
        Err(Error::NotYet("exec"))
    }
}
pub mod kill {
    use super::{ContainerId, Error, Result, Store};
    pub enum Scope {
        Init,
        All,
    }
    pub fn kill(_: &Store, _: &ContainerId, _signal: i32, _: Scope) -> Result<()> {
        Err(Error::NotYet("kill"))
    }
}
pub mod delete {
    use super::{ContainerId, Error, Result, Store};
    pub enum Force {
        No,
        Yes,
    }
    pub fn delete(_: &Store, _: &ContainerId, _: Force) -> Result<()> {
        Err(Error::NotYet("delete"))
    }
}
pub mod state {
    use super::{ContainerId, Error, Result, Store};
    #[derive(serde::Serialize)]
    pub struct StateView {
        pub id: String,
        pub pid: i32,
        pub status: String,
        pub bundle: std::path::PathBuf,
        pub created: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub owner: Option<String>,
    }
    pub fn state(_: &Store, _: &ContainerId) -> Result<StateView> {
        Err(Error::NotYet("state"))
    }
}
pub mod list {
    use super::state::StateView;
    use super::{Result, Store};
    pub fn list(_: &Store) -> Result<Vec<StateView>> {
        Ok(Vec::new())
    }
}
pub mod ps {
    use super::{ContainerId, Error, Result, Store};
    pub fn pids(_: &Store, _: &ContainerId) -> Result<Vec<u32>> {
        Err(Error::NotYet("ps"))
    }
}
pub mod pause {
    use super::{ContainerId, Error, Result, Store};
    pub fn pause(_: &Store, _: &ContainerId) -> Result<()> {
        Err(Error::NotYet("pause"))
    }
}
pub mod resume {
    use super::{ContainerId, Error, Result, Store};
    pub fn resume(_: &Store, _: &ContainerId) -> Result<()> {
        Err(Error::NotYet("resume"))
    }
}
pub mod update {
    use super::{ContainerId, Error, Result, Store};
    pub fn update(_: &Store, _: &ContainerId, _: &crate::config::Resources) -> Result<()> {
        Err(Error::NotYet("update"))
    }
}
pub mod events {
    use super::{ContainerId, Error, Result, Store};
    pub fn stats(_: &Store, _: &ContainerId) -> Result<serde_json::Value> {
        Err(Error::NotYet("events"))
    }
}
