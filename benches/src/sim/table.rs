//! What the runs show, as text.

use std::{
    fmt::{Display, Write as _},
    io,
};

use super::{
    Entry, Outcome, Workload, classic, performance_workloads, run, server::AT_A_TIME,
    workload::REQUESTS,
};
use crate::SEED;

/// One workload under every strategy.
pub type Rows = Vec<(Entry, Outcome)>;

/// A table for each workload.
#[must_use]
pub fn tables(results: &[(Workload, Rows)]) -> String {
    let mut text = conditions().join("\n");
    text.push_str(
        "\n`p50` and `p99` are of all requests, and one that failed or was refused took for ever (`never`); `mean` leaves those\n\
         out. `failed` is their share, `worst` the most requests on one deployment at any time, `shares` each deployment's\n\
         percentage of the attempts. The deployment that is special is the first.\n",
    );
    for (workload, rows) in results {
        line(&mut text, format_args!("\n{}: {}", workload.name, workload.described()));
        let head = ["mean", "p50", "p99", "failed", "worst"].map(|name| format!("{name:>8}"));
        line(&mut text, format_args!("{:<26}{}  shares", "", head.concat()));
        for (entry, outcome) in rows {
            let Outcome { mean, p50, p99, errors, worst, shares } = outcome;
            let shares: Vec<_> =
                shares.iter().map(|share| format!("{:.0}", share * 100.0)).collect();
            line(
                &mut text,
                format_args!(
                    "{:<26}{mean:>8.2}{:>8}{:>8}{:>6.1} %{worst:>8}  {}",
                    entry.name,
                    time(*p50, 2),
                    time(*p99, 2),
                    errors * 100.0,
                    shares.join(" "),
                ),
            );
        }
    }
    text
}

/// What holds for every workload, line by line.
pub(super) fn conditions() -> [String; 4] {
    [
        format!(
            "Each workload: {REQUESTS} requests of seed {SEED}, the same for every strategy. Each deployment works on"
        ),
        format!(
            "{AT_A_TIME} at a time and queues the rest. No limits and no retry but where it says so; the first two cost half, and LowestCost crowds them."
        ),
        String::from(
            "Times in means of the service time, to the end of the answer, or to the first byte of a stream.",
        ),
        String::from(
            "Load is the share of all the work the deployments can do, before one turns slow.",
        ),
    ]
}

/// A time with so many digits, unless it never comes.
pub(super) fn time(time: f64, digits: usize) -> String {
    if time.is_finite() { format!("{time:.digits$}") } else { String::from("never") }
}

/// Open arrivals, each of so many requests: mean and 99th percentile by strategy.
///
/// # Errors
///
/// Where no runtime can be made.
pub fn performance(requests: usize) -> io::Result<String> {
    let entries = classic();
    let mut text = String::from("Mean / 99th percentile, in means of the service time.\n\n");
    let names: Vec<_> = entries.iter().map(|entry| format!("{:>28}", entry.name)).collect();
    line(&mut text, format_args!("{:<26}{}", "", names.concat()));
    for workload in performance_workloads(requests) {
        let cell = |entry: &Entry| {
            let Outcome { mean, p99, .. } = run(&workload, entry)?;
            let cell = format!("{mean:.2} / {p99:.2}");
            Ok(format!("{cell:>28}"))
        };
        let cells: io::Result<Vec<_>> = entries.iter().map(cell).collect();
        line(&mut text, format_args!("{:<26}{}", workload.name, cells?.concat()));
    }
    Ok(text)
}

fn line(text: &mut String, line: impl Display) {
    // Writing to a string never fails.
    let _ = writeln!(text, "{line}");
}
