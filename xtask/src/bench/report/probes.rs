//! Lines: processors that a node uses over the number of its containers, each of which is probed once a second.

use std::fmt::Write as _;

use crate::bench::sample::number;
use crate::bench::shim::Load;

/// The frame: left, top, width, height.
const FRAME: (f64, f64, f64, f64) = (70.0, 30.0, 480.0, 240.0);

/// A picture of both shims.
pub(super) fn svg(points: &[Load]) -> String {
    let most = points.iter().map(|point| point.processors).fold(0.5, f64::max).ceil();
    let mut body = axes(most);
    for (name, colour) in [("sluice", "#1b7f5c"), ("stock+runc", "#c98b3b")] {
        let line: Vec<&Load> = points.iter().filter(|point| point.contestant == name).collect();
        let corners: Vec<String> =
            line.iter().map(|point| place(point, most)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            body,
            "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>",
            corners.join(" ")
        );
        line.iter().for_each(|point| mark(&mut body, point, most, colour));
        if let Some((x, y)) = line.last().map(|point| place(point, most)) {
            let _ =
                writeln!(body, "<text x='{:.0}' y='{:.0}' fill='{colour}'>{name}</text>", x + 8.0, y + 4.0);
        }
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='660' height='320' font-family='sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n{body}</svg>\n"
    )
}

/// A point, and how many execs were made where they were fewer than wanted.
fn mark(body: &mut String, point: &Load, most: f64, colour: &str) {
    let (x, y) = place(point, most);
    let _ = writeln!(body, "<circle cx='{x:.1}' cy='{y:.1}' r='3' fill='{colour}'/>");
    if point.execs < number(point.containers) * 0.95 {
        let _ = writeln!(
            body,
            "<text x='{x:.1}' y='{:.1}' text-anchor='middle' fill='{colour}'>{:.0}/s</text>",
            y - 8.0,
            point.execs
        );
    }
}

fn place(point: &Load, most: f64) -> (f64, f64) {
    let (left, top, width, height) = FRAME;
    (left + number(point.containers) / 100.0 * width, top + height - point.processors / most * height)
}

fn axes(most: f64) -> String {
    let (left, top, width, height) = FRAME;
    let mut text = format!(
        "<text x='{left:.0}' y='{:.0}'>processors busy; beside a point: execs made per second, where fewer than \
         wanted</text>\n",
        top - 14.0
    );
    for step in 0..=4 {
        let (share, value) = (f64::from(step) / 4.0, f64::from(step) / 4.0 * most);
        let y = top + height - share * height;
        let _ = writeln!(
            text,
            "<line x1='{left:.0}' x2='{:.0}' y1='{y:.0}' y2='{y:.0}' stroke='#dddddd'/>\
             <text x='{:.0}' y='{:.0}' text-anchor='end'>{value:.2}</text>",
            left + width,
            left - 6.0,
            y + 4.0
        );
    }
    for (share, label) in [(0.0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1.0, "100 containers")] {
        let _ = writeln!(
            text,
            "<text x='{:.0}' y='{:.0}' text-anchor='middle'>{label}</text>",
            left + share * width,
            top + height + 18.0
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_cannot_keep_up_says_how_many_it_made() {
        let point = |contestant, execs| Load { contestant, containers: 100, execs, processors: 1.9 };
        let text = svg(&[point("sluice", 99.9), point("stock+runc", 48.3)]);
        assert!(text.contains(">48/s<") && !text.contains(">100/s<"), "{text}");
    }
}
