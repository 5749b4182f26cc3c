//! tower-fleet as a server for clients of OpenAI and Anthropic.
//!
//! All routing is the library's; this crate wires it to sockets:
//!
//! ```text
//! hyper ▸ axum ▸ headers ▸ Inspect ▸ FleetLayer (from the configuration) ▸ hyper-util client over rustls
//! ```
//!
//! A [`Gateway`] is the whole server of a [`Config`](tower_fleet::config::Config), [`serve()`] runs it until it is told to
//! stop.

mod check;
mod cli;
mod client;
mod coalesce;
mod connection;
mod errors;
mod explain;
mod forward;
mod gateway;
mod greeting;
mod headers;
mod key;
mod log;
mod money;
mod routes;
mod serve;
pub mod simulate;
mod state;

pub use self::check::Report;
pub use self::cli::Args;
pub use self::gateway::Gateway;
pub use self::greeting::Greeting;
pub use self::log::{chain, init as init_log};
pub use self::serve::{Ending, Signals, serve};
