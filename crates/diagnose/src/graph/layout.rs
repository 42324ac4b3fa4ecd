//! Where the nodes of a graph stand in a drawing: one column per role, one row per node.

use super::{Graph, Node, Role};

/// A node with its place; whole columns and rows, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<'a> {
    /// The node.
    pub node: &'a Node,
    /// From the left.
    pub column: u32,
    /// From the top.
    pub row: u32,
}

/// A drawing without measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout<'a> {
    /// Every node that is drawn.
    pub placed: Vec<Placed<'a>>,
    /// How many columns there are.
    pub columns: u32,
    /// How many rows the fullest column has.
    pub rows: u32,
    /// How many nodes are left out, because a column would be too full.
    pub left_out: usize,
}

/// Longest column of a drawing; two hundred clients say no more than eight.
const FULLEST: u32 = 8;

impl<'a> Layout<'a> {
    /// Places the nodes of `graph`; roles that do not occur take no column.
    #[must_use]
    pub fn of(graph: &'a Graph) -> Self {
        let mut roles: Vec<Role> = graph.nodes.iter().map(|node| node.role).collect();
        roles.sort_unstable();
        roles.dedup();
        let mut layout = Self { placed: Vec::new(), columns: 0, rows: 0, left_out: 0 };
        for role in roles {
            layout.column(graph.nodes.iter().filter(|node| node.role == role));
        }
        layout
    }

    fn column(&mut self, nodes: impl Iterator<Item = &'a Node>) {
        let mut row = 0;
        for node in nodes {
            if row == FULLEST {
                self.left_out += 1;
                continue;
            }
            self.placed.push(Placed { node, column: self.columns, row });
            row += 1;
        }
        self.columns += 1;
        self.rows = self.rows.max(row);
    }

    /// The place of the node with this key.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<&Placed<'a>> {
        self.placed.iter().find(|placed| placed.node.key == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::example;

    #[test]
    fn roles_are_columns_and_no_two_nodes_share_a_place() {
        let graph = example();
        let layout = Layout::of(&graph);
        assert_eq!((layout.columns, layout.rows, layout.left_out), (5, 2, 0));
        let mut places: Vec<_> = layout.placed.iter().map(|placed| (placed.column, placed.row)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), graph.nodes.len());
        assert_eq!(layout.place("pipe:5").map(|placed| placed.column), Some(4));
    }
}
