//! What the runs show, as a picture: for each workload a panel of horizontal bars, one for each strategy.

use std::fmt::Write as _;

use super::{Outcome, Workload, table::Rows};

const COLUMNS: usize = 2;
const PANEL: usize = 460;
const NAMES: usize = 118;
const BARS: usize = 270;
const ROW: usize = 19;
const TITLE: usize = 34;
const AXIS: usize = 46;
const TOP: usize = 62;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:13px}.head{font-weight:600;font-size:15px}\
.soft{fill:#59636e;font-size:11px}.end{text-anchor:end}.mid{text-anchor:middle}\
.bar{fill:#3b82c4}.mean{stroke:#1f2328;stroke-width:2}.grid{stroke:#d1d9e0}.error{fill:#c4392f}.back{fill:#ffffff}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9198a1}.bar{fill:#4c93d6}.mean{stroke:#e6edf3}\
.grid{stroke:#3d444d}.error{fill:#f0766c}.back{fill:#0d1117}}";

/// The picture of `results`, as SVG.
#[must_use]
pub fn svg(results: &[(Workload, Rows)]) -> String {
    let rows = results.iter().map(|(_, rows)| rows.len()).max().unwrap_or_default();
    let panel = TITLE + rows * ROW + AXIS;
    let (width, height) = (COLUMNS * PANEL + 20, TOP + results.len().div_ceil(COLUMNS) * panel);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"99th \
         percentile of the response time by workload and strategy\">\n<style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    put(&mut svg, 16, 26, "head", "Response times by strategy: lower is better");
    svg.push_str(
        "<rect class=\"bar\" x=\"16\" y=\"38\" width=\"24\" height=\"11\"/>\n\
         <line class=\"mean\" x1=\"180\" x2=\"180\" y1=\"36\" y2=\"51\"/>\n",
    );
    put(&mut svg, 46, 48, "soft", "99th percentile");
    put(&mut svg, 188, 48, "soft", "mean");
    put(&mut svg, 250, 48, "soft error", "share of requests that failed");
    put(&mut svg, 450, 48, "soft", "\u{203a} the bar goes on beyond the axis");
    for (index, (workload, rows)) in results.iter().enumerate() {
        let (x, y) = (10 + index % COLUMNS * PANEL, TOP + index / COLUMNS * panel);
        draw(&mut svg, workload.name, rows, x, y);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, name: &str, rows: &Rows, x: usize, y: usize) {
    let left = x + NAMES;
    put(svg, left, y + 22, "title", &escaped(name));
    let (step, most) = scale(rows);
    let at = |value: f64| left as f64 + (value / most).min(1.0) * BARS as f64;
    let bottom = y + TITLE + rows.len() * ROW;
    let ticks = (0_u32..).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= most);
    for tick in ticks {
        let at = at(tick);
        add(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{}\" y2=\"{bottom}\"/>",
                y + TITLE - 4
            ),
        );
        add(
            svg,
            format_args!(
                "<text class=\"soft mid\" x=\"{at:.1}\" y=\"{}\">{tick}</text>",
                bottom + 14
            ),
        );
    }
    let label = "response time, in means of the service time";
    put(svg, left + BARS / 2, bottom + 30, "soft mid", label);
    for (row, (entry, Outcome { mean, p99, errors, .. })) in rows.iter().enumerate() {
        let top = y + TITLE + row * ROW;
        put(svg, left - 8, top + 11, "end", entry.name);
        let (end, mark) = (at(*p99), at(*mean));
        add(
            svg,
            format_args!(
                "<rect class=\"bar\" x=\"{left}\" y=\"{top}\" width=\"{:.1}\" height=\"13\"/>",
                end - left as f64
            ),
        );
        add(
            svg,
            format_args!(
                "<line class=\"mean\" x1=\"{mark:.1}\" x2=\"{mark:.1}\" y1=\"{}\" y2=\"{}\"/>",
                top - 1,
                top + 14
            ),
        );
        let beyond = if *p99 > most { "\u{203a} " } else { "" };
        let failed = if *errors < 0.0005 {
            String::new()
        } else {
            format!(" <tspan class=\"error\">{:.1} %</tspan>", errors * 100.0)
        };
        add(
            svg,
            format_args!(
                "<text class=\"soft\" x=\"{:.1}\" y=\"{}\">{beyond}{p99:.1}{failed}</text>",
                end + 4.0,
                top + 11
            ),
        );
    }
}

/// The step of the axis and its end: bars of more than twice the median are cut.
fn scale(rows: &Rows) -> (f64, f64) {
    let mut all: Vec<f64> = rows.iter().map(|(_, outcome)| outcome.p99).collect();
    all.sort_unstable_by(f64::total_cmp);
    let median = all.get(all.len() / 2).copied().unwrap_or(1.0);
    let longest = all.last().copied().unwrap_or(1.0).min(2.0 * median);
    let step =
        [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|step| longest / step <= 6.0);
    let step = step.unwrap_or(100.0);
    (step, (longest / step).ceil() * step)
}

fn put(svg: &mut String, x: usize, y: usize, class: &str, text: &str) {
    add(svg, format_args!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"));
}

fn add(svg: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = writeln!(svg, "{line}");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
