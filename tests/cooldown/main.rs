//! Deployments that fail are set aside, and come back with care: alone, and under a balance.

mod backend;
mod breaker;
#[cfg(feature = "hyper")]
mod dead_host;
mod fleet;
mod stress;
