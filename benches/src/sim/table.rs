//! What the runs show, as text.

use std::{
    fmt::{Display, Write as _},
    io,
};

use super::{Entry, Outcome, Workload, classic, performance_workloads, run};

/// One workload under every strategy.
pub type Rows = Vec<(Entry, Outcome)>;

/// A table for each workload.
#[must_use]
pub fn tables(results: &[(Workload, Rows)]) -> String {
    let mut text = String::from(
        "Times in means of the service time. Each deployment works on 4 requests at a time and queues the rest. `worst` is \
         the most\nrequests on one deployment at any time, `shares` each deployment's part of the attempts; the one that is \
         special is the first. For LowestCost the\nfirst two cost half, and none takes more than 8 at a time: it refuses the rest.\n",
    );
    for (workload, rows) in results {
        line(&mut text, format_args!("\n{}", workload.name));
        let head = ["mean", "p50", "p99", "errors", "worst"].map(|name| format!("{name:>8}"));
        line(&mut text, format_args!("{:<16}{}  shares", "", head.concat()));
        for (entry, outcome) in rows {
            let Outcome { mean, p50, p99, errors, worst, shares } = outcome;
            let shares: Vec<_> =
                shares.iter().map(|share| format!("{:.0}", share * 100.0)).collect();
            line(
                &mut text,
                format_args!(
                    "{:<16}{mean:>8.2}{p50:>8.2}{p99:>8.2}{:>6.1} %{worst:>8}  {}",
                    entry.name,
                    errors * 100.0,
                    shares.join(" "),
                ),
            );
        }
    }
    text
}

/// Open arrivals, each of so many requests: mean and 99th percentile by strategy.
///
/// # Errors
///
/// Where no runtime can be made.
pub fn performance(requests: usize) -> io::Result<String> {
    let entries = classic();
    let mut text = String::from("Mean / 99th percentile, in means of the service time.\n\n");
    let names: Vec<_> = entries.iter().map(|entry| format!("{:>18}", entry.name)).collect();
    line(&mut text, format_args!("{:<26}{}", "", names.concat()));
    for workload in performance_workloads(requests) {
        let cell = |entry: &Entry| {
            let Outcome { mean, p99, .. } = run(&workload, entry)?;
            let cell = format!("{mean:.2} / {p99:.2}");
            Ok(format!("{cell:>18}"))
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
