//! tower-fleet as an OpenAI-compatible server.
//!
//! All routing is the library's; this crate wires it to sockets:
//!
//! ```text
//! axum ▸ headers ▸ Inspect ▸ FleetLayer (from the configuration) ▸ hyper-util client over rustls
//! ```
//!
//! [`router`] makes the whole server of a [`Config`], [`serve()`] runs it until it is told to stop.

mod cli;
mod client;
mod coalesce;
mod errors;
mod forward;
mod gateway;
mod greeting;
mod headers;
mod log;
mod routes;
mod serve;
pub mod simulate;
mod state;

use std::sync::Arc;

use axum::Router;
use tower_fleet::{BoxError, config::Config};

pub use self::cli::Args;
pub use self::greeting::Greeting;
pub use self::log::{chain, cut_off, init as init_log};
pub use self::serve::{Ending, Signals, serve};

/// The server of the fleet `config` describes.
///
/// # Errors
///
/// A fleet that cannot be built, or TLS that cannot be set up.
pub fn router(config: &Config) -> Result<Router, BoxError> {
    Ok(routes::router(Arc::new(gateway::Gateway::new(config)?)))
}
