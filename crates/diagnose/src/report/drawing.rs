//! The graph as SVG in the page: columns from the client to the kernel, the blocker framed.

use maud::{Markup, html};

use crate::diagnosis::Diagnosis;
use crate::graph::{Edge, Layout, Placed};

/// Measures in SVG units, which are CSS pixels.
const BOX: (u32, u32) = (160, 46);
const GAP: (u32, u32) = (34, 30);
const MARGIN: u32 = 16;

/// Letters that fit into a box.
const LETTERS: usize = 22;

/// The section of the page with the picture.
pub(super) fn section(diagnosis: &Diagnosis) -> Markup {
    let layout = Layout::of(&diagnosis.graph);
    html! {
        section {
            h2 { "Who waits for whom" }
            div.picture { (svg(diagnosis, &layout)) }
            @if layout.left_out > 0 { p.facts { (layout.left_out) " more of the same kind are not drawn." } }
        }
    }
}

fn svg(diagnosis: &Diagnosis, layout: &Layout<'_>) -> Markup {
    let width = layout.columns * (BOX.0 + GAP.0) + 2 * MARGIN;
    let height = layout.rows * (BOX.1 + GAP.1) + 2 * MARGIN;
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) }
            role="img" aria-label="graph of who waits for whom" {
            defs {
                marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" {
                    path d="M0 0L8 4L0 8z" {}
                }
            }
            @for edge in &diagnosis.graph.edges {
                @if let (Some(from), Some(to)) = (layout.place(&edge.from), layout.place(&edge.to)) { (arrow(edge, from, to)) }
            }
            @for placed in &layout.placed { (node(placed, diagnosis.blockers.contains(&placed.node.key))) }
        }
    }
}

fn corner(placed: &Placed<'_>) -> (u32, u32) {
    (MARGIN + placed.column * (BOX.0 + GAP.0), MARGIN + placed.row * (BOX.1 + GAP.1))
}

fn node(placed: &Placed<'_>, is_blocker: bool) -> Markup {
    let (x, y) = corner(placed);
    let class = if is_blocker { "blocked" } else { "waits" };
    html! {
        g class=(class) {
            title { (placed.node.label) " " (placed.node.detail) }
            rect x=(x) y=(y) width=(BOX.0) height=(BOX.1) rx="6" {}
            text x=(x + 10) y=(y + 20) { (cut(&placed.node.label)) }
            text.detail x=(x + 10) y=(y + 38) { (cut(&placed.node.detail)) }
        }
    }
}

/// To the right from edge to edge, to the box below straight down, any other way as a bow below.
fn arrow(edge: &Edge, from: &Placed<'_>, to: &Placed<'_>) -> Markup {
    let ((x1, y1), (x2, y2)) = (corner(from), corner(to));
    let middle = BOX.1 / 2;
    let path = if to.column > from.column {
        let (start, end) = (x1 + BOX.0, x2);
        let bend = start.midpoint(end);
        format!(
            "M{start} {} C{bend} {} {bend} {} {end} {}",
            y1 + middle,
            y1 + middle,
            y2 + middle,
            y2 + middle
        )
    } else if to.column == from.column && to.row == from.row + 1 {
        format!("M{} {} V{y2}", x1 + BOX.0 / 2, y1 + BOX.1)
    } else {
        let (start, end, low) = (x1 + BOX.0 / 2, x2 + BOX.0 / 2, y1.max(y2) + BOX.1 + GAP.1 + 8);
        format!("M{start} {} C{start} {low} {end} {low} {end} {}", y1 + BOX.1, y2 + BOX.1)
    };
    html! { path d=(path) marker-end="url(#tip)" { title { (edge.why) } } }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LETTERS {
        return text.to_owned();
    }
    text.chars().take(LETTERS - 1).chain(['\u{2026}']).collect()
}
