//! What each target does with the bytes it is given: a module each, whose `run` panics when a promise is broken.

pub mod config;
pub mod inspect;
pub mod patterns;
pub mod prices;
pub mod retry_after;
mod support;
pub mod usage;
pub mod verify;

/// A name, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("config", config::run),
    ("inspect", inspect::run),
    ("patterns", patterns::run),
    ("prices", prices::run),
    ("retry_after", retry_after::run),
    ("usage", usage::run),
    ("verify", verify::run),
];
