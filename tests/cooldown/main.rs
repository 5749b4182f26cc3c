//! Deployments that fail are set aside, and come back with care: alone, and under a balance.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod backend;
mod breaker;
#[cfg(feature = "hyper")]
mod dead_host;
mod fleet;
mod stress;
