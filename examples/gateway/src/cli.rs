use std::path::PathBuf;

use clap::Parser;

/// What no option says.
const MORE: &str = "\
Deployments are reached directly: HTTP_PROXY, HTTPS_PROXY and NO_PROXY are not read. Trusted are \
the public authorities that Mozilla trusts (webpki-roots), not the system's, and those of the PEM file that \
SSL_CERT_FILE names.

RUST_LOG=tower_fleet_gateway=debug logs why each request goes where it does.";

/// Sends OpenAI and Anthropic requests across a fleet of deployments: balances, cools down, retries, falls back.
#[derive(Debug, Parser)]
#[command(version, after_help = MORE)]
pub struct Args {
    /// A LiteLLM configuration file; without one, simulated deployments are started
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A price list in LiteLLM's format, for the deployments whose prices the configuration does not say
    #[arg(long, value_name = "FILE", requires = "config")]
    pub prices: Option<PathBuf>,

    /// Print what was understood of the configuration, and end
    #[arg(long, requires = "config")]
    pub check: bool,

    /// The address to listen on, or a name of it
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,

    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 4000)]
    pub port: u16,
}
