//! Who refers to whom in an object file, by its relocations.
//!
//! A node is a section: the compiler gives every function and every constant one of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use object::{
    File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, Section, SectionIndex,
    SectionKind,
};

use crate::failure::Failure;

/// All sections of an object.
pub(super) struct Graph {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    /// The last symbol in the section, demangled; empty for constants.
    name: String,
    is_function: bool,
    edges: Vec<Edge>,
}

enum Edge {
    Known(usize),
    ByName(String),
}

/// Where a way ends that must not, or that leaves the objects.
pub(super) struct End {
    /// The function.
    pub(super) name: String,
    /// Functions on the way to it, from an entrance.
    pub(super) way: Vec<String>,
}

/// What can be reached.
pub(super) struct Reached {
    /// Number of functions on the way in.
    pub(super) entrances: usize,
    /// Number of functions that can be reached.
    pub(super) functions: usize,
    /// Each end once.
    pub(super) ends: Vec<End>,
}

impl Graph {
    /// Reads an object file.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(path: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let file = File::parse(bytes).map_err(|source| Failure::Object { path: path.to_owned(), source })?;
        let ids: HashMap<SectionIndex, usize> =
            file.sections().enumerate().map(|(id, section)| (section.index(), id)).collect();
        let node = |section: Section<'_, '_>| Node {
            name: String::new(),
            is_function: section.kind() == SectionKind::Text,
            edges: edges(&file, &section, &ids),
        };
        let mut graph = Self { nodes: file.sections().map(node).collect() };
        graph.name_nodes(&file, &ids);
        Ok(graph)
    }

    fn name_nodes(&mut self, file: &File<'_>, ids: &HashMap<SectionIndex, usize>) {
        for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
            let id = symbol.section_index().and_then(|index| ids.get(&index));
            if let (Some(node), Ok(name)) = (id.and_then(|id| self.nodes.get_mut(*id)), symbol.name()) {
                node.name = demangled(name);
            }
        }
    }

    /// Whether there is a function of this name.
    pub(super) fn defines(&self, name: &str) -> bool {
        self.nodes.iter().any(|node| node.is_function && node.name == name)
    }

    /// Follows every reference from the functions whose names are those of entrances; `is_the_end` says at which function
    /// to stop and tell.
    pub(super) fn reach(
        &self,
        is_entrance: impl Fn(&str) -> bool,
        is_the_end: impl Fn(&str) -> bool,
    ) -> Reached {
        let mut walk = Walk::default();
        for (id, node) in self.nodes.iter().enumerate() {
            if node.is_function && is_entrance(&node.name) {
                walk.meet(id, None);
            }
        }
        let entrances = walk.queue.len();
        let mut ends: BTreeMap<String, End> = BTreeMap::new();
        let mut functions = 0;
        while let Some(id) = walk.queue.pop_front() {
            let Some(node) = self.node(id) else { continue };
            if is_the_end(&node.name) {
                ends.entry(node.name.clone()).or_insert_with(|| self.end(&node.name, &walk, id));
                continue;
            }
            functions += usize::from(node.is_function);
            for name in self.follow(node, id, &mut walk) {
                ends.entry(name.clone()).or_insert_with(|| self.end(&name, &walk, id));
            }
        }
        Reached { entrances, functions, ends: ends.into_values().collect() }
    }

    /// Meets the neighbours of a node; gives the names that the object does not define.
    fn follow(&self, node: &Node, id: usize, walk: &mut Walk) -> BTreeSet<String> {
        let mut unknown = BTreeSet::new();
        for edge in &node.edges {
            match edge {
                Edge::Known(target) => walk.meet(*target, Some(id)),
                Edge::ByName(name) => drop(unknown.insert(demangled(name))),
            }
        }
        unknown
    }

    fn end(&self, name: &str, walk: &Walk, from: usize) -> End {
        let mut way = Vec::new();
        let mut at = Some(from);
        while let Some(id) = at {
            way.extend(self.node(id).map(|node| node.name.clone()).filter(|name| !name.is_empty()));
            at = walk.came_from.get(&id).copied().flatten();
        }
        way.reverse();
        End { name: name.to_owned(), way }
    }

    fn node(&self, id: usize) -> Option<&Node> {
        self.nodes.get(id)
    }
}

/// Breadth first, so that the way told is a shortest one.
#[derive(Default)]
struct Walk {
    queue: VecDeque<usize>,
    came_from: HashMap<usize, Option<usize>>,
}

impl Walk {
    fn meet(&mut self, id: usize, from: Option<usize>) {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.came_from.entry(id) {
            entry.insert(from);
            self.queue.push_back(id);
        }
    }
}

fn edges(file: &File<'_>, section: &Section<'_, '_>, ids: &HashMap<SectionIndex, usize>) -> Vec<Edge> {
    let to_section = |index: SectionIndex| ids.get(&index).map(|id| Edge::Known(*id));
    let targets = section.relocations().filter_map(|(_, relocation)| match relocation.target() {
        RelocationTarget::Symbol(index) => {
            let symbol = file.symbol_by_index(index).ok()?;
            let by_name = || symbol.name().ok().map(|name| Edge::ByName(name.to_owned()));
            symbol.section_index().and_then(to_section).or_else(by_name)
        }
        RelocationTarget::Section(index) => to_section(index),
        _ => None,
    });
    targets.collect()
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
