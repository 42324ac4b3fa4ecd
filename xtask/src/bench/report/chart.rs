//! Horizontal bars of the medians, on a scale of powers of ten.

use std::fmt::Write as _;

use crate::bench::report::scenarios;
use crate::bench::sample::{Result as Measured, number};

/// Left edge of the bars and their greatest length.
const LEFT: f64 = 190.0;
const LENGTH: f64 = 520.0;
/// Height of a bar with its gap.
const STEP: f64 = 18.0;
/// Powers of ten on the scale, from `10^FIRST` microseconds on.
const FIRST: f64 = 2.0;
const POWERS: f64 = 4.0;

/// A picture of all scenarios.
pub(super) fn svg(rows: &[Measured]) -> String {
    let mut body = String::new();
    let mut y = 20.0;
    for scenario in scenarios(rows) {
        let _ = writeln!(body, "<text x='10' y='{y:.0}' font-weight='bold'>{scenario}</text>");
        y += 8.0;
        for row in rows.iter().filter(|row| row.scenario == scenario) {
            bar(&mut body, row, y);
            y += STEP;
        }
        y += 24.0;
    }
    let scale = scale(y);
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='860' height='{:.0}' font-family='sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n{scale}{body}</svg>\n",
        y + 20.0
    )
}

fn bar(body: &mut String, row: &Measured, y: f64) {
    let length = ((row.median.max(1.0).log10() - FIRST) / POWERS * LENGTH).max(1.0);
    let colour = match row.contestant.as_str() {
        "sluice" => "#1b7f5c",
        "host" | "kernel" => "#999999",
        _ => "#c98b3b",
    };
    let text = y + 12.0;
    let _ = writeln!(
        body,
        "<text x='{:.0}' y='{text:.0}' text-anchor='end'>{}</text>",
        LEFT - 8.0,
        row.contestant
    );
    let _ =
        writeln!(body, "<rect x='{LEFT:.0}' y='{y:.0}' width='{length:.1}' height='14' fill='{colour}'/>");
    let _ =
        writeln!(body, "<text x='{:.0}' y='{text:.0}'>{}</text>", LEFT + length + 6.0, in_words(row.median));
}

fn scale(height: f64) -> String {
    let mut text = String::new();
    for (power, label) in ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s"].iter().enumerate() {
        let x = LEFT + number(power) / POWERS * LENGTH;
        let _ = writeln!(text, "<line x1='{x:.0}' x2='{x:.0}' y1='10' y2='{height:.0}' stroke='#dddddd'/>");
        let _ = writeln!(
            text,
            "<text x='{x:.0}' y='{:.0}' text-anchor='middle' fill='#666666'>{label}</text>",
            height + 12.0
        );
    }
    text
}

fn in_words(micros: f64) -> String {
    if micros < 10_000.0 { format!("{:.2} ms", micros / 1e3) } else { format!("{:.0} ms", micros / 1e3) }
}
