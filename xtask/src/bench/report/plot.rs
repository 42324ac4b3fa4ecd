//! Lines: the cost of a verb over the number of containers present, both on a scale of powers of ten.

use std::fmt::Write as _;

use crate::bench::crowd::Point;
use crate::bench::sample::number;

/// The frame: left, top, width, height.
const FRAME: (f64, f64, f64, f64) = (70.0, 20.0, 480.0, 240.0);
/// Powers of ten: containers from 1, microseconds from 100.
const POWERS_X: f64 = 3.0;
const POWERS_Y: f64 = 3.0;

/// A picture of all verbs.
pub(super) fn svg(points: &[Point]) -> String {
    let mut body = axes();
    for (verb, colour) in [("list", "#c98b3b"), ("state", "#4567b7"), ("exec", "#1b7f5c")] {
        let line: Vec<(f64, f64)> = points.iter().filter(|point| point.verb == verb).map(place).collect();
        let corners: Vec<String> = line.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            body,
            "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>",
            corners.join(" ")
        );
        if let Some((x, y)) = line.last() {
            let _ =
                writeln!(body, "<text x='{:.0}' y='{:.0}' fill='{colour}'>{verb}</text>", x + 8.0, y + 4.0);
        }
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='640' height='310' font-family='sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n{body}</svg>\n"
    )
}

fn place(point: &Point) -> (f64, f64) {
    let (left, top, width, height) = FRAME;
    let right = number(point.containers).max(1.0).log10() / POWERS_X;
    let up = (point.median.max(100.0).log10() - 2.0) / POWERS_Y;
    (left + right * width, top + height - up * height)
}

fn axes() -> String {
    let (left, top, width, height) = FRAME;
    let mut text = String::new();
    for (index, label) in ["0.1 ms", "1 ms", "10 ms", "100 ms"].iter().enumerate() {
        let y = top + height - number(index) / POWERS_Y * height;
        let _ = writeln!(
            text,
            "<line x1='{left:.0}' x2='{:.0}' y1='{y:.0}' y2='{y:.0}' stroke='#dddddd'/>\
             <text x='{:.0}' y='{:.0}' text-anchor='end'>{label}</text>",
            left + width,
            left - 6.0,
            y + 4.0
        );
    }
    for (index, label) in ["1", "10", "100", "1000 containers"].iter().enumerate() {
        let x = left + number(index) / POWERS_X * width;
        let _ = writeln!(
            text,
            "<text x='{x:.0}' y='{:.0}' text-anchor='middle'>{label}</text>",
            top + height + 18.0
        );
    }
    text
}
