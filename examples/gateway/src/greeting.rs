//! What is printed at start: where the server is, what it serves, what to try.

use std::{
    fmt,
    io::{self, Write as _},
    net::SocketAddr,
};

use tower_fleet::config::Config;

use crate::simulate;

/// More than the smallest of the simulated deployments takes.
const LONG: &str =
    "This text has some more tokens than a model with so small a context window can take.";

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

    /// What is dangerous about a server that stands so open.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let address = self.address;
        let locked = self.config.master_key.is_some();
        (!self.simulated && !locked && !address.ip().is_loopback()).then(|| {
            format!(
                "there is no `general_settings.master_key`, and {address} is not a loopback address: whoever \
                 reaches it can use every key of the configuration"
            )
        })
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
            return f.write_str(if self.config.master_key.is_some() {
                "\nCallers must hold the master key."
            } else {
                "\nThere is no master key: everybody who reaches this address may ask."
            });
        }
        let ask = |flags: &str, path: &str, model: &str, more: &str, text: &str| {
            format!(
                r#"curl {flags} {url}/v1/{path} --json '{{"model": "{model}", {more}"messages": [{{"role": "user", "content": "{text}"}}]}}'"#
            )
        };
        let chat = |flags: &str, model: &str, more: &str| {
            ask(flags, "chat/completions", model, more, "Hello")
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
            A limit in the configuration: the fourth request of a minute goes to the other deployment, and the answer \
            says why:\n\n  \
            for i in 1 2 3 4; do {}; done\n\n\
            Anthropic's API:\n\n  \
            {}\n\n\
            Too long an input for the model, which another takes:\n\n  \
            {}\n\n\
            How the deployments are, what is left of their limits and what they cost, and the models:\n\n  \
            curl -s {url}/fleet\n  \
            curl -s {url}/v1/models\n\n\
            Each request is a line below; Ctrl-C ends.",
            chat("-i", "chat", ""),
            chat("-N", "chat", r#""stream": true, "#),
            chat("-s -o /dev/null -D -", "capped", ""),
            chat("-s -o /dev/null -D - -H 'x-fleet-explain: true'", "rated", ""),
            ask("-i", "messages", "claude", r#""max_tokens": 64, "#, "Hello"),
            ask("-i", "chat/completions", "brief", "", LONG),
        )
    }
}

#[cfg(test)]
mod tests {
    use tower_fleet::upstream::Secret;

    use super::*;

    fn warning(address: &str, locked: bool) -> Option<String> {
        let yaml =
            "model_list: [{model_name: m, litellm_params: {model: a/b, api_base: 'http://c/v1'}}]";
        let mut config = Config::from_yaml_with(yaml, |_| None).unwrap();
        config.master_key = locked.then(|| Secret::new("sk-1234").unwrap());
        Greeting::new(address.parse().unwrap(), &config, false).warning()
    }

    #[test]
    fn a_server_that_strangers_reach_warns_without_a_key() {
        for address in ["0.0.0.0:4000", "10.0.0.1:4000", "[::]:4000"] {
            assert!(warning(address, false).is_some_and(|warning| warning.contains(address)));
            assert_eq!(warning(address, true), None);
        }
        for address in ["127.0.0.1:4000", "[::1]:4000"] {
            assert_eq!(warning(address, false), None);
        }
    }
}
