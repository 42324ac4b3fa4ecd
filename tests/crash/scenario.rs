//! The commands that are killed, each with the container it needs and the proof that nothing of it is left.

use serde_json::{Value, json};
use testkit::{Cmd, Config, Container, Lab, hierarchy};

use crate::leftovers;
use crate::tracer::{Point, Victim, kill_before, points};

/// A command to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// `create`, with hooks of the four kinds that it runs.
    Create,
    /// `create` of a container in a user namespace of its own.
    CreateMapped,
    /// `start`, with hooks of both kinds.
    Start,
    /// `run --detach`.
    Run,
    /// `exec --detach`.
    Exec,
    /// `update`.
    Update,
    /// `pause`.
    Pause,
    /// `resume` of a paused container.
    Resume,
    /// `kill`.
    Kill,
    /// `delete` of a stopped container with a poststop hook.
    Delete,
    /// `delete --force` of a running one.
    DeleteForce,
}

/// Every scenario.
pub(crate) const ALL: [Scenario; 11] = [
    Scenario::Create,
    Scenario::CreateMapped,
    Scenario::Start,
    Scenario::Run,
    Scenario::Exec,
    Scenario::Update,
    Scenario::Pause,
    Scenario::Resume,
    Scenario::Kill,
    Scenario::Delete,
    Scenario::DeleteForce,
];

/// A hook that takes a moment, so that a kill finds it running, and that is known as the lab's.
fn hook(lab: &Lab, config: Config, kind: &str) -> Config {
    let program = json!({"path": "/bin/sleep", "args": ["sleep", "0.01"], "env": [lab.mark()]});
    config.push(&format!("/hooks/{kind}"), program)
}

/// Runs of which the shortest is taken.
const RUNS: usize = 3;

impl Scenario {
    /// The configuration of the container.
    pub(crate) fn config(self, lab: &Lab) -> Config {
        let config = Config::new().set("/linux/resources/pids", json!({"limit": 1000}));
        let kinds: &[&str] = match self {
            Self::Create => &["prestart", "createRuntime", "createContainer", "poststop"],
            Self::CreateMapped => return config.user_namespace(200_000),
            Self::Start => &["startContainer", "poststart"],
            Self::Run => &["createRuntime", "poststart"],
            Self::Delete | Self::DeleteForce => &["poststop"],
            _ => &[],
        };
        kinds.iter().fold(config, |config, kind| hook(lab, config, kind))
    }

    /// Brings the container to where the command applies.
    fn prepare(self, container: &Container<'_>) {
        if matches!(self, Self::Create | Self::CreateMapped | Self::Run) {
            return;
        }
        container.create().ok();
        if self == Self::Start {
            return;
        }
        container.start().ok();
        match self {
            Self::Resume => drop(container.pause().ok()),
            Self::Delete => container.stop(),
            _ => {}
        }
    }

    /// The command.
    fn command(self, container: &Container<'_>) -> Cmd {
        match self {
            Self::Create | Self::CreateMapped => container.create_with(&[]),
            Self::Start => container.verb("start", &[], &[]),
            Self::Run => container.run_with(&["--detach"]),
            Self::Exec => container.exec_with(&["--detach"], &["sleep", "1000000"]),
            Self::Update => container.verb("update", &["--pids-limit", "999"], &[]),
            Self::Pause => container.verb("pause", &[], &[]),
            Self::Resume => container.verb("resume", &[], &[]),
            Self::Kill => container.verb("kill", &[], &["KILL"]),
            Self::Delete => container.verb("delete", &[], &[]),
            Self::DeleteForce => container.verb("delete", &["--force"], &[]),
        }
    }

    /// Whether a container that is not there is an honest answer afterwards.
    fn may_be_absent(self) -> bool {
        matches!(self, Self::Create | Self::CreateMapped | Self::Run | Self::Delete | Self::DeleteForce)
    }

    /// Runs the command to its end: every system call of the victim at which it can be killed. It is the shortest of some
    /// runs: one that had to wait for the kernel has looked more often than the next one will.
    pub(crate) fn points(self, container: &Container<'_>, lab: &Lab, victim: Victim) -> Vec<Point> {
        let runs = (0..RUNS).map(|_| self.points_of_a_run(container, lab, victim));
        runs.min_by_key(Vec::len).unwrap_or_default()
    }

    fn points_of_a_run(self, container: &Container<'_>, lab: &Lab, victim: Victim) -> Vec<Point> {
        self.prepare(container);
        let points = points(lab, victim, &self.command(container));
        container.delete_force().ok();
        points
    }

    /// Kills the victim at a point of the command and looks at what is left; false when it did not come there.
    pub(crate) fn kill_at(self, container: &Container<'_>, lab: &Lab, victim: Victim, point: &Point) -> bool {
        self.prepare(container);
        let killed = kill_before(lab, victim, point, &self.command(container));
        let what = format!("{self:?} with {victim:?} killed before {point} ({killed})");
        self.assert_readable(container, lab, &what);
        let deleted = container.delete_force();
        assert!(deleted.status.success(), "after {what}: {deleted}");
        leftovers::assert_none(lab, &container.group(), &what);
        killed
    }

    /// `state` and `list` give a whole state or, where the container may be absent, say that it is.
    fn assert_readable(self, container: &Container<'_>, lab: &Lab, what: &str) {
        let state = container.verb("state", &[], &[]).run();
        let absent = state.stderr.contains("container does not exist") && self.may_be_absent();
        assert!(state.status.success() || absent, "after {what}: {state}");
        if state.status.success() {
            assert_eq!(state.json()["id"], json!(container.id()), "after {what}: {state}");
            assert!(state.json()["status"].is_string(), "after {what}: {state}");
        }
        let list = lab.run(&["list", "--format", "json"]);
        assert!(list.status.success() && list.stderr.is_empty(), "after {what}: {list}");
        let listed: Value = list.json();
        let count = listed.as_array().map_or(0, Vec::len);
        assert_eq!(count, usize::from(state.status.success()), "after {what}: {list}");
        if !self.may_be_absent() {
            assert!(!hierarchy::existing(&container.group()).is_empty(), "groups are there after {what}");
        }
    }
}
