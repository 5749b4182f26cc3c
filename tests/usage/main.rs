//! What answers take: tokens and money, counted as they pass.

#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod ends;
mod errors;
mod golden;
#[path = "../support/mod.rs"]
mod support;

use tower_fleet::deployment::Usage;

/// The counts that are not 0.
fn text(usage: Option<Usage>) -> String {
    let Some(usage) = usage else { return "unknown".to_owned() };
    let counts = [
        ("input", usage.input),
        ("cached", usage.cached),
        ("written", usage.cache_written),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
    ];
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let mut parts: Vec<_> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    parts.extend(usage.estimated.then(|| "estimated".to_owned()));
    parts.join(", ")
}
