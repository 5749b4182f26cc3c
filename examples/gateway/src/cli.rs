use std::{net::IpAddr, path::PathBuf};

use clap::Parser;

/// Sends OpenAI-compatible requests across a fleet of deployments: balances, cools down, retries, falls back.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// A LiteLLM configuration file; without one, four simulated deployments are started
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 4000)]
    pub port: u16,
}
