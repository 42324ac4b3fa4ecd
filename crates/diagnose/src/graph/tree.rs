//! The graph as a tree for a terminal: waiters above, what they wait for below, the blocker marked.

use std::collections::BTreeSet;

use super::{Graph, Node};

/// How one line of the tree is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Somebody who waits.
    Waiter,
    /// The one everybody waits for.
    Blocker,
}

/// How many waiters of one kind are drawn before the rest is only counted.
const SHOWN: usize = 4;

/// The tree of each blocker, one line per node: its text, and how to show it. `blockers` are keys.
///
/// Trees share daemons; who waits for the one blocker does not wait for the other, so they are drawn one by one.
#[must_use]
pub fn lines(graph: &Graph, blockers: &[String]) -> Vec<(String, Shape)> {
    match blockers {
        [] | [_] => tree(graph, blockers),
        several => several.iter().flat_map(|key| tree(&graph.of_blocker(key), blockers)).collect(),
    }
}

fn tree(graph: &Graph, blockers: &[String]) -> Vec<(String, Shape)> {
    let mut drawing = Drawing { graph, blockers, drawn: BTreeSet::new(), lines: Vec::new() };
    let roots: Vec<&str> =
        graph.nodes.iter().map(|node| node.key.as_str()).filter(|key| is_root(graph, key)).collect();
    let hidden = roots.len().saturating_sub(SHOWN);
    for (at, root) in roots.iter().take(SHOWN).enumerate() {
        drawing.draw(root, "", if at == 0 { "" } else { "+ " });
    }
    if hidden > 0 {
        drawing.lines.push((format!("+ {hidden} more who wait for the same"), Shape::Waiter));
    }
    // Nobody is seen to ask whom in a circle of waits; there the outermost comes first.
    let reached = reached(graph, &roots);
    let mut circles: Vec<&Node> =
        graph.nodes.iter().filter(|node| !reached.contains(node.key.as_str())).collect();
    circles.sort_by_key(|node| node.role);
    for node in circles {
        if !drawing.drawn.contains(&node.key) && graph.waits(&node.key).next().is_some() {
            drawing.draw(&node.key, "", "");
        }
    }
    drawing.lines
}

/// Everything that somebody among `roots` waits for, with themselves.
fn reached<'a>(graph: &'a Graph, roots: &[&'a str]) -> BTreeSet<&'a str> {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut todo = roots.to_vec();
    while let Some(at) = todo.pop() {
        if reached.insert(at) {
            todo.extend(graph.waits(at).map(|edge| edge.to.as_str()));
        }
    }
    reached
}

fn is_root(graph: &Graph, key: &str) -> bool {
    graph.waits(key).next().is_some() && graph.waiters(key).next().is_none()
}

struct Drawing<'a> {
    graph: &'a Graph,
    blockers: &'a [String],
    drawn: BTreeSet<String>,
    lines: Vec<(String, Shape)>,
}

impl Drawing<'_> {
    fn draw(&mut self, key: &str, indent: &str, lead: &str) {
        let Some(node) = self.graph.find(key) else { return };
        let is_blocker = self.blockers.iter().any(|blocker| blocker == key);
        let shape = if is_blocker { Shape::Blocker } else { Shape::Waiter };
        let again = !self.drawn.insert(key.to_owned());
        let detail = if node.detail.is_empty() { String::new() } else { format!("  {}", node.detail) };
        let note = if again { "  (see above)" } else { "" };
        self.lines.push((format!("{indent}{lead}{}{detail}{note}", node.label), shape));
        if again {
            return;
        }
        let below = format!("{indent}{}", if lead.is_empty() { "" } else { "   " });
        let edges: Vec<_> = self.graph.waits(key).collect();
        for edge in edges {
            let waiting = format!("{below}\u{2502}  {}", edge.why);
            self.lines.push((waiting, shape));
            self.draw(&edge.to, &below, "\u{2514}\u{2500} ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::example;

    #[test]
    fn a_circle_is_drawn_once_and_the_blocker_is_marked() {
        let lines = lines(&example(), &["pid:4".to_owned()]);
        let text: Vec<&str> = lines.iter().map(|line| line.0.as_str()).collect();
        assert_eq!(text[0], "docker (1)");
        assert_eq!(text[2], "\u{2514}\u{2500} dockerd (2)");
        let marked: Vec<&str> =
            lines.iter().filter(|line| line.1 == Shape::Blocker).map(|line| line.0.trim_start()).collect();
        assert_eq!(marked[0], "\u{2514}\u{2500} runc (4)");
        assert_eq!(text.iter().filter(|line| line.contains("(see above)")).count(), 2);
    }

    #[test]
    fn who_waits_for_one_blocker_is_not_counted_for_another() {
        let part = |letter: &str, clients: usize| {
            let mut part = example();
            part.edges.retain(|edge| edge.to != "pid:2" && edge.from == "pid:3");
            part.edges[0].to = format!("pid:{letter}");
            part.node(Node { key: format!("pid:{letter}"), ..part.nodes[4].clone() });
            for number in 0..clients {
                let key = format!("pid:{letter}{number}");
                part.node(Node { key: key.clone(), label: key.clone(), ..part.nodes[0].clone() });
                part.edge(&key, "pid:3", "asks");
            }
            part
        };
        let mut graph = Graph::default();
        graph.join(part("a", 6), "pid:a");
        graph.join(part("b", 2), "pid:b");
        let lines = lines(&graph, &["pid:a".to_owned(), "pid:b".to_owned()]);
        let text = lines.iter().map(|line| line.0.as_str());
        let roots: Vec<&str> = text.filter(|it| it.starts_with("pid:") || it.starts_with('+')).collect();
        assert_eq!(
            roots,
            [
                "pid:a0",
                "+ pid:a1",
                "+ pid:a2",
                "+ pid:a3",
                "+ 2 more who wait for the same",
                "pid:b0",
                "+ pid:b1"
            ]
        );
        assert_eq!(lines.iter().filter(|line| line.1 == Shape::Blocker).count(), 2);
    }

    #[test]
    fn a_circle_that_nobody_waits_for_begins_with_the_outermost() {
        let mut graph = example();
        graph.edges.retain(|edge| !["pid:1", "pid:9", "pid:2"].contains(&edge.from.as_str()));
        let lines = lines(&graph, &["pid:4".to_owned()]);
        let text: Vec<&str> = lines.iter().map(|line| line.0.as_str()).collect();
        assert_eq!((text[0], text[2]), ("shim (3)", "\u{2514}\u{2500} runc (4)"));
        assert_eq!(text.len(), 7, "{text:?}");
    }
}
