//! What is printed at start: where the server is, what it serves, what to try.

use std::{
    fmt,
    io::{self, Write as _},
    net::SocketAddr,
};

use tower_fleet::config::Config;

use crate::simulate;

/// Greets whoever started the server.
#[derive(Debug)]
pub struct Greeting<'a> {
    address: SocketAddr,
    config: &'a Config,
    simulated: bool,
}

impl<'a> Greeting<'a> {
    /// A greeting from the server of `config` at `address`.
    #[must_use]
    pub const fn new(address: SocketAddr, config: &'a Config, simulated: bool) -> Self {
        Self { address, config, simulated }
    }

    /// Writes it to the standard output; if nobody reads that, so be it.
    pub fn print(&self) {
        let _ = writeln!(io::stdout(), "{self}");
    }

    fn write_groups(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        for one in &self.config.deployments {
            let name = if one.model_name == group { "" } else { &one.model_name };
            group = &one.model_name;
            write!(f, "\n  {name:<10} {:<10} ", one.id)?;
            match simulate::manner(&one.id).filter(|_| self.simulated) {
                Some(manner) => f.write_str(manner)?,
                None => write!(f, "{} at {}", one.model, one.api_base)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = format!("http://{}", self.address);
        writeln!(f, "tower-fleet-gateway listens on {url}")?;
        if self.simulated {
            writeln!(f, "Without --config it simulates its deployments; no key is needed:")?;
        }
        self.write_groups(f)?;
        if !self.simulated {
            return Ok(());
        }
        let ask = |flags: &str, body: &str| {
            format!("curl {flags} {url}/v1/chat/completions --json '{body}'")
        };
        let hello = |model: &str, more: &str| {
            format!(
                r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]{more}}}"#
            )
        };
        write!(
            f,
            "\n\n\
            An answer, with the deployment that gave it in its headers; a few times, to see the flaky one retried:\n\n  \
            {}\n\n\
            A stream:\n\n  \
            {}\n\n\
            A model that soon is at its limit, and falls back:\n\n  \
            for i in 1 2 3 4 5; do {}; done\n\n\
            How the deployments are, and the models:\n\n  \
            curl -s {url}/fleet\n  \
            curl -s {url}/v1/models\n\n\
            Each request is a line below; Ctrl-C ends.",
            ask("-i", &hello("chat", "")),
            ask("-N", &hello("chat", r#", "stream": true"#)),
            ask("-s -o /dev/null -D -", &hello("capped", "")),
        )
    }
}
