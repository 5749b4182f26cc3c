//! What the runs show, as a picture: for each workload a panel with a row for each strategy. A request that failed took
//! for ever, so that a strategy that fails many never looks quick.

use std::fmt::Write as _;

use super::{
    Outcome, Workload,
    table::{Rows, conditions, time},
};

const COLUMNS: usize = 2;
const PANEL: usize = 504;
const NAMES: usize = 184;
/// The axis of times; its numbers stand to the right of it.
const BARS: usize = 160;
/// Where the column of failures begins, and how long all of the requests would be.
const FAILED: usize = 390;
const ALL: usize = 36;
/// Where the column of the most in flight ends.
const WORST: usize = 496;
const ROW: usize = 19;
const TITLE: usize = 64;
const AXIS: usize = 44;
const TOP: usize = 154;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:13px}.head{font-weight:600;font-size:15px}\
.soft{fill:#59636e;font-size:11px}.end{text-anchor:end}.mid{text-anchor:middle}\
.bar{fill:#6ea8dc}.median{stroke:#1f2328;stroke-width:2}.grid{stroke:#d1d9e0}.track{fill:#e6eaef}.back{fill:#ffffff}\
.halo{paint-order:stroke;stroke:#ffffff;stroke-width:4px}.cut{stroke:#ffffff;stroke-width:2}.inside{font-size:10px;fill:#1f2328}.error{fill:#b3261e}.hatch{stroke:#c4392f;stroke-width:2}\
@media(prefers-color-scheme:dark){text,.inside{fill:#e6edf3}.soft{fill:#9198a1}.bar{fill:#2f6ca8}.median{stroke:#e6edf3}\
.grid{stroke:#3d444d}.track{fill:#262c34}.back{fill:#0d1117}.cut,.halo{stroke:#0d1117}.error{fill:#ff8f86}.hatch{stroke:#d9564c}}";

/// The picture of `results`, as SVG.
#[must_use]
pub fn svg(results: &[(Workload, Rows)]) -> String {
    let rows = results.iter().map(|(_, rows)| rows.len()).max().unwrap_or_default();
    let panel = TITLE + rows * ROW + AXIS;
    let (width, height) = (COLUMNS * PANEL + 20, TOP + results.len().div_ceil(COLUMNS) * panel);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Median and 99th \
         percentile of the response time, and share of failed requests, by workload and strategy\">\n<style>{STYLE}</style>\n\
         <pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <line class=\"hatch\" y2=\"5\"/></pattern>\n<rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    put(&mut svg, 16, 26, "head", "How long requests take by strategy, and how many fail");
    for (line, text) in conditions().iter().enumerate() {
        put(&mut svg, 16, 46 + 15 * line, "soft", text);
    }
    put(
        &mut svg,
        16,
        46 + 15 * conditions().len(),
        "soft",
        "failed: the share of all requests; worst: the most requests on one deployment at any time.",
    );
    legend(&mut svg);
    for (index, (workload, rows)) in results.iter().enumerate() {
        let (x, y) = (10 + index % COLUMNS * PANEL, TOP + index / COLUMNS * panel);
        draw(&mut svg, workload, rows, x, y);
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    const Y: usize = 136;
    bar(svg, "class=\"bar\"", 16.0, Y - 10, 24.0);
    put(svg, 46, Y, "soft", "99th percentile of all requests");
    mark(svg, 236.0, Y - 10);
    put(svg, 244, Y, "soft", "their median");
    bar(svg, "class=\"bar\"", 340.0, Y - 10, 24.0);
    cut(svg, 348.0, Y - 10);
    put(svg, 370, Y, "soft", "goes on beyond the axis");
    bar(svg, "fill=\"url(#hatch)\"", 520.0, Y - 10, 24.0);
    put(
        svg,
        550,
        Y,
        "soft",
        "failed or refused: took for ever, so from 1 % on the 99th percentile is \u{201c}never\u{201d}",
    );
}

fn draw(svg: &mut String, workload: &Workload, rows: &Rows, x: usize, y: usize) {
    let left = x + NAMES;
    put(svg, x + 6, y + 20, "title", &escaped(workload.name));
    put(svg, x + 6, y + 35, "soft", &escaped(&workload.described()));
    put(svg, x + FAILED, y + 52, "soft", "failed");
    put(svg, x + WORST, y + 52, "soft end", "worst");
    let (step, most) = scale(rows);
    let at = |value: f64| left as f64 + value / most * BARS as f64;
    let bottom = y + TITLE + rows.len() * ROW;
    for tick in (0_u32..).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= most) {
        let (at, top) = (at(tick), y + TITLE - 4);
        add(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"
            ),
        );
        let y = bottom + 14;
        add(svg, format_args!("<text class=\"soft mid\" x=\"{at:.1}\" y=\"{y}\">{tick}</text>"));
    }
    let label = "response time, in means of the service time";
    put(svg, left + BARS / 2, bottom + 30, "soft mid", label);
    for (row, (entry, Outcome { p50, p99, errors, worst, .. })) in rows.iter().enumerate() {
        let top = y + TITLE + row * ROW;
        put(svg, left - 8, top + 11, "end", entry.name);
        let end = at(p99.min(most));
        let (kind, number) = if p99.is_finite() {
            ("class=\"bar\"", "soft")
        } else {
            ("fill=\"url(#hatch)\"", "soft error")
        };
        bar(svg, kind, left as f64, top, end - left as f64);
        if p50 <= &most {
            mark(svg, at(*p50), top);
        } else if p50.is_finite() {
            let class = if p99.is_finite() { "inside" } else { "inside halo" };
            put(svg, left + 6, top + 10, class, &format!("median {p50:.1}"));
        }
        if p99.is_finite() && *p99 > most {
            cut(svg, end - 10.0, top);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place within the picture"
        )]
        let length = (end - left as f64) as usize;
        put(svg, left + BARS.min(length) + 5, top + 11, number, &time(*p99, 1));
        failures(svg, *errors, x + FAILED, top);
        put(svg, x + WORST, top + 11, "soft end", &worst.to_string());
    }
}

/// Their share of all requests.
fn failures(svg: &mut String, errors: f64, x: usize, top: usize) {
    if errors > 0.0 {
        bar(svg, "class=\"track\"", x as f64, top, ALL as f64);
        bar(svg, "fill=\"url(#hatch)\"", x as f64, top, errors * ALL as f64);
        put(svg, x + ALL + 4, top + 11, "soft error", &format!("{:.1} %", errors * 100.0));
    } else {
        put(svg, x, top + 11, "soft", "none");
    }
}

fn bar(svg: &mut String, kind: &str, x: f64, top: usize, width: f64) {
    add(
        svg,
        format_args!("<rect {kind} x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"13\"/>"),
    );
}

fn mark(svg: &mut String, x: f64, top: usize) {
    let (above, below) = (top - 1, top + 14);
    add(
        svg,
        format_args!(
            "<line class=\"median\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{above}\" y2=\"{below}\"/>"
        ),
    );
}

/// Two strokes through a bar that is longer than there is room for.
fn cut(svg: &mut String, x: f64, top: usize) {
    let below = top + 14;
    add(svg, format_args!("<path class=\"cut\" d=\"M{x:.1} {below}l4 -15m4 0l-4 15\"/>"));
}

/// The step of the axis and its end: what is more than twice the median of those that end is cut.
fn scale(rows: &Rows) -> (f64, f64) {
    let ends = |(_, Outcome { p50, p99, .. }): &(_, Outcome)| {
        [*p99, *p50].into_iter().find(|time| time.is_finite())
    };
    let mut all: Vec<f64> = rows.iter().filter_map(ends).collect();
    all.sort_unstable_by(f64::total_cmp);
    let median = all.get(all.len() / 2).copied().unwrap_or(1.0);
    let longest = all.last().copied().unwrap_or(1.0).min(2.0 * median);
    let steps = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];
    let step = steps.into_iter().find(|step| longest / step <= 6.0).unwrap_or(100.0);
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
