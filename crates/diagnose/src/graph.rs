//! Who waits for whom: the graph that findings draw their chains from, and that terminal and report show.
//!
//! **Invariant**: an edge points from the one who waits to whoever or whatever can end the wait, and carries the fact
//! that shows it. Names are for people; a node is known by its key alone.

pub(crate) mod build;
mod layout;
mod of_finding;
mod request;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::finding::Link;
pub use layout::{Layout, Placed};
pub use tree::{Shape, lines};

/// What a node is for the chain from a client to the kernel, outermost first; also its column in the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Who asks: `docker`, `kubelet`, `crictl`, ...
    Client,
    /// dockerd, cri-o, podman's service.
    Engine,
    /// containerd.
    Containerd,
    /// A shim or conmon.
    Shim,
    /// An OCI runtime, its children, or a wrapper around one.
    Runtime,
    /// A process of a container.
    Inside,
    /// Any other process.
    Other,
    /// A thing of the kernel: a pipe, a freezer, a limit, a file system.
    Kernel,
}

/// A process or a thing of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Unique in the graph: `pid:123`, `pipe:456`, `freezer:/path`, ...
    pub key: String,
    /// What it is in the chain.
    pub role: Role,
    /// What people call it.
    pub label: String,
    /// One more fact.
    pub detail: String,
}

/// One wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Key of the one who waits.
    pub from: String,
    /// Key of what can end the wait.
    pub to: String,
    /// The fact that shows it.
    pub why: String,
    /// Keys of the blockers that it leads to; none in a graph around a single container.
    #[serde(default)]
    pub blockers: Vec<String>,
}

/// Nodes and waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// By key, without duplicates.
    pub nodes: Vec<Node>,
    /// In the order in which they were found.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Adds a node unless its key is there.
    pub(crate) fn node(&mut self, node: Node) {
        if self.find(&node.key).is_none() {
            self.nodes.push(node);
        }
    }

    /// Adds a wait unless it is there.
    pub(crate) fn edge(&mut self, from: &str, to: &str, why: impl Into<String>) {
        if !self.edges.iter().any(|edge| edge.from == from && edge.to == to) {
            let (from, to) = (from.to_owned(), to.to_owned());
            self.edges.push(Edge { from, to, why: why.into(), blockers: Vec::new() });
        }
    }

    /// Adds the graph around one more blocker.
    pub(crate) fn join(&mut self, part: Self, blocker: &str) {
        part.nodes.into_iter().for_each(|node| self.node(node));
        for edge in part.edges {
            self.edge(&edge.from, &edge.to, edge.why);
            let added = self.edges.iter_mut().find(|it| it.from == edge.from && it.to == edge.to);
            if let Some(it) = added.filter(|it| !it.blockers.iter().any(|key| key == blocker)) {
                it.blockers.push(blocker.to_owned());
            }
        }
    }

    /// The waits that lead to one blocker.
    #[must_use]
    pub fn of_blocker(&self, blocker: &str) -> Self {
        let leads = |edge: &&Edge| edge.blockers.is_empty() || edge.blockers.iter().any(|key| key == blocker);
        let edges: Vec<Edge> = self.edges.iter().filter(leads).cloned().collect();
        let is_at = |node: &&Node| edges.iter().any(|edge| edge.from == node.key || edge.to == node.key);
        let nodes = self.nodes.iter().filter(|node| node.key == blocker || is_at(node)).cloned().collect();
        Self { nodes, edges }
    }

    /// The node with this key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.key == key)
    }

    /// What the node waits for.
    pub fn waits(&self, key: &str) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == key)
    }

    /// Who waits for the node.
    pub fn waiters(&self, key: &str) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == key)
    }

    /// The chain from the outermost waiter down to the node, one link per wait on the way; of several waiters the
    /// outermost role, then the first found, is followed, and a thing of the kernel is none.
    #[must_use]
    pub fn chain_to(&self, key: &str) -> Vec<Link> {
        let mut chain = Vec::new();
        let mut seen = BTreeSet::from([key.to_owned()]);
        let mut at = key.to_owned();
        while let Some(edge) = self.outermost_waiter(&at, &seen) {
            chain.push(self.link(edge));
            at.clone_from(&edge.from);
            seen.insert(at.clone());
        }
        chain.reverse();
        chain.extend(self.waits(key).next().map(|edge| self.link(edge)));
        chain
    }

    fn outermost_waiter(&self, key: &str, seen: &BTreeSet<String>) -> Option<&Edge> {
        let role = |edge: &&Edge| self.find(&edge.from).map_or(Role::Kernel, |node| node.role);
        let fresh = self.waiters(key).filter(|edge| !seen.contains(&edge.from) && role(edge) != Role::Kernel);
        fresh.min_by_key(role)
    }

    fn link(&self, edge: &Edge) -> Link {
        let who = self.find(&edge.from).map_or(&edge.from, |node| &node.label);
        Link { who: who.clone(), waits_for: edge.why.clone() }
    }

    /// How many nodes wait for the node, directly or through others.
    #[must_use]
    pub fn queue_behind(&self, key: &str) -> usize {
        let mut behind: BTreeMap<&str, &Self> = BTreeMap::new();
        let mut todo = vec![key];
        while let Some(at) = todo.pop() {
            for edge in self.waiters(at) {
                if edge.from != key && behind.insert(&edge.from, self).is_none() {
                    todo.push(&edge.from);
                }
            }
        }
        behind.len()
    }

    /// The part of the graph from which `keys` can be reached, with `keys` and what they wait for.
    #[must_use]
    pub fn around(&self, keys: &[String]) -> Self {
        let mut wanted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let below: Vec<&str> =
            keys.iter().flat_map(|key| self.waits(key)).map(|edge| edge.to.as_str()).collect();
        let mut todo: Vec<&str> = wanted.iter().copied().collect();
        while let Some(at) = todo.pop() {
            for edge in self.waiters(at) {
                if wanted.insert(&edge.from) {
                    todo.push(&edge.from);
                }
            }
        }
        wanted.extend(below);
        let nodes = self.nodes.iter().filter(|node| wanted.contains(node.key.as_str())).cloned().collect();
        let inside = |edge: &&Edge| wanted.contains(edge.from.as_str()) && wanted.contains(edge.to.as_str());
        Self { nodes, edges: self.edges.iter().filter(inside).cloned().collect() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Client, engine, shim, helper, pipe; a second client.
    pub(crate) fn example() -> Graph {
        let mut graph = Graph::default();
        let rows = [
            ("pid:1", Role::Client, "docker (1)"),
            ("pid:9", Role::Client, "docker (9)"),
            ("pid:2", Role::Engine, "dockerd (2)"),
            ("pid:3", Role::Shim, "shim (3)"),
            ("pid:4", Role::Runtime, "runc (4)"),
            ("pipe:5", Role::Kernel, "pipe:[5]"),
        ];
        for (key, role, label) in rows {
            graph.node(Node { key: key.to_owned(), role, label: label.to_owned(), detail: String::new() });
        }
        for (from, to) in [("pid:1", "pid:2"), ("pid:9", "pid:2"), ("pid:2", "pid:3"), ("pid:3", "pid:4")] {
            graph.edge(from, to, format!("{from} asks {to}"));
        }
        graph.edge("pid:4", "pipe:5", "write(2)");
        graph.edge("pipe:5", "pid:3", "read by the shim");
        graph
    }

    #[test]
    fn the_chain_runs_from_the_client_to_what_the_blocker_waits_for() {
        let chain = example().chain_to("pid:4");
        let who: Vec<&str> = chain.iter().map(|link| link.who.as_str()).collect();
        assert_eq!(who, ["docker (1)", "dockerd (2)", "shim (3)", "runc (4)"]);
        assert_eq!(chain[3].waits_for, "write(2)");
    }

    #[test]
    fn a_circle_of_waits_ends_and_is_counted_once() {
        assert_eq!(example().queue_behind("pid:4"), 5);
        assert_eq!(example().chain_to("pid:7"), Vec::new());
    }

    #[test]
    fn the_part_around_a_blocker_leaves_the_rest_out() {
        let mut graph = example();
        graph.node(Node {
            key: "pid:77".into(),
            role: Role::Shim,
            label: String::new(),
            detail: String::new(),
        });
        graph.edge("pid:2", "pid:77", "idle");
        let part = graph.around(&["pid:4".to_owned()]);
        assert!(part.find("pid:77").is_none() && part.find("pipe:5").is_some());
        assert_eq!(part.edges.len(), 6);
    }
}
