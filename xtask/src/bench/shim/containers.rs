//! Containers of a node: what every measured container has, run by `ctr`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::bench::contestant::must;
use crate::bench::lab::Init;
use crate::bench::shim::message::Message;
use crate::bench::shim::node::Node;
use crate::bench::shim::ttrpc::Shim;
use crate::failure::Failure;
use crate::workspace::read_bytes;

/// The type of a process in a request. Source: containerd, `typeurl` of the runtime specification's types.
const PROCESS: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";

/// A running container that sleeps; dropping it deletes it.
pub(super) struct Container<'a> {
    /// Its id.
    pub(super) id: String,
    node: &'a Node<'a>,
    /// The program that ends at once, as JSON.
    process: String,
    execs: AtomicU64,
}

impl<'a> Container<'a> {
    /// Runs it, with a runtime other than the default by its binary.
    ///
    /// # Errors
    /// When `ctr` fails.
    pub(super) fn run(node: &'a Node<'a>, id: &str, binary: Option<&Path>) -> Result<Self, Failure> {
        let lab = node.lab();
        lab.interrupted()?;
        let config = lab.bundle(&format!("{}/{id}", node.name()), Init::Wait)?.join("config.json");
        let mut command = node.ctr();
        command.args(["run", "--detach", "--null-io"]).arg("--config").arg(&config);
        command.arg("--runc-root").arg(lab.state_of(&format!("runc-{}", node.name())));
        if let Some(binary) = binary {
            command.arg("--runc-binary").arg(binary);
        }
        command.arg(id);
        let process = process(&config)?;
        let container = Self { id: id.to_owned(), node, process, execs: AtomicU64::new(0) };
        must(command)?;
        container.node.account().take_shim(container.shim()?.pid(id)?)?;
        Ok(container)
    }

    /// Where it runs.
    pub(super) fn node(&self) -> &'a Node<'a> {
        self.node
    }

    /// A connection to its shim.
    ///
    /// # Errors
    /// When the shim does not listen.
    pub(super) fn shim(&self) -> Result<Shim, Failure> {
        let address = read_bytes(&self.node.bundle(&self.id).join("address"))?;
        let address = String::from_utf8_lossy(&address).into_owned();
        Shim::connect(&PathBuf::from(address.trim().trim_start_matches("unix://")))
    }

    /// `ctr tasks exec` of the program that ends at once.
    pub(super) fn ctr_exec(&self) -> Command {
        let mut command = self.node.ctr();
        command.args(["tasks", "exec", "--exec-id", &self.next_exec(), &self.id, "/bin/true"]);
        command
    }

    /// An exec id that was not used.
    pub(super) fn next_exec(&self) -> String {
        format!("e{}", self.execs.fetch_add(1, Ordering::Relaxed))
    }

    /// The process of a request.
    pub(super) fn process(&self) -> Message {
        Message::default().text(1, PROCESS).text(2, &self.process)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.node.connect().and_then(|mut containerd| containerd.remove(&self.id));
    }
}

/// What a container's program has, with another program.
fn process(config: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Answer { program: "config.json", source };
    let mut config: Value = serde_json::from_slice(&read_bytes(config)?).map_err(failed)?;
    config["process"]["args"] = json!(["/bin/true"]);
    Ok(config["process"].to_string())
}

/// A container for each number below `count`, some at a time.
///
/// # Errors
/// When one of them does not run.
pub(super) fn crowd<'a>(
    node: &'a Node<'a>,
    numbers: std::ops::Range<usize>,
) -> Result<Vec<Container<'a>>, Failure> {
    let run = |number: usize| Container::run(node, &format!("c{number}"), None);
    let half = numbers.start + numbers.len() / 2;
    let (first, second) = (numbers.start..half, half..numbers.end);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| second.map(run).collect::<Result<Vec<_>, _>>());
        let mut all = first.map(run).collect::<Result<Vec<_>, _>>()?;
        all.extend(other.join().map_err(|_| Failure::Usage("a worker panicked".to_owned()))??);
        Ok(all)
    })
}
