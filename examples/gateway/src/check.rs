//! What was understood of a configuration, for `--check`.

use std::{collections::HashMap, fmt, time::Duration};

use tower_fleet::{
    Deployment,
    config::{Config, ConfigError, DeploymentConfig, RouterSettings, RoutingStrategy},
};

use crate::money::Dollars;

/// What a configuration says, as it was understood: no key is in it.
#[derive(Debug)]
pub struct Report<'a> {
    config: &'a Config,
    deployments: HashMap<String, Deployment>,
    locked: bool,
}

impl<'a> Report<'a> {
    /// The report of `config`.
    ///
    /// # Errors
    ///
    /// What keeps a fleet from being made of it.
    pub fn of(config: &'a Config) -> Result<Self, ConfigError> {
        let fleet = config.fleet()?;
        let members = fleet.groups().iter().flat_map(|group| group.members());
        let deployments = members.map(|(one, _)| (one.id().to_owned(), one.clone())).collect();
        Ok(Self { config, deployments, locked: false })
    }

    fn write_deployments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deployments:")?;
        let mut group = None;
        for one in &self.config.deployments {
            if group != Some(&one.model_name) {
                write!(f, "\n  {}", one.model_name)?;
                group = Some(&one.model_name);
            }
            let provider = one.provider.as_deref().unwrap_or("openai");
            let key = if one.api_key.is_some() { "with a key" } else { "without a key" };
            write!(f, "\n    {}: {} of {provider}, at {}, {key}", one.id, one.model, one.api_base)?;
            if let Some(deployment) = self.deployments.get(&one.id) {
                write!(f, "\n      {}", Limits(one, deployment))?;
                write!(f, "\n      {}", Prices(deployment))?;
            }
        }
        Ok(())
    }

    fn write_routing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let router = &self.config.router;
        let strategy = match router.routing_strategy {
            RoutingStrategy::SimpleShuffle => "simple-shuffle",
            RoutingStrategy::LeastBusy => "least-busy",
            RoutingStrategy::RoundRobin => "round-robin",
            _ => "another",
        };
        write!(f, "\nrouting:\n  strategy: {strategy}")?;
        let retries = router.num_retries.unwrap_or(RouterSettings::DEFAULT_NUM_RETRIES);
        write!(f, "\n  retries: {retries}")?;
        let timeout = router.timeout.unwrap_or(RouterSettings::DEFAULT_TIMEOUT);
        write!(f, "\n  time for an attempt: {}", Seconds(timeout))?;
        let cooldown = router.cooldown_time.unwrap_or(RouterSettings::DEFAULT_COOLDOWN_TIME);
        match router.disable_cooldowns {
            true => f.write_str("\n  cooldown: off"),
            false => write!(f, "\n  cooldown: {}", Seconds(cooldown)),
        }?;
        match router.allowed_fails {
            Some(count) => write!(f, ", after more than {count} failures"),
            None => Ok(()),
        }
    }

    fn write_names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let router = &self.config.router;
        if !router.fallbacks.is_empty() || !router.default_fallbacks.is_empty() {
            f.write_str("\nfallbacks:")?;
        }
        for fallback in &router.fallbacks {
            write!(f, "\n  {} -> {}", fallback.group, fallback.targets.join(", "))?;
        }
        if !router.default_fallbacks.is_empty() {
            write!(f, "\n  any other -> {}", router.default_fallbacks.join(", "))?;
        }
        if !router.model_group_alias.is_empty() {
            f.write_str("\naliases:")?;
        }
        for alias in &router.model_group_alias {
            let hidden = if alias.hidden { ", not listed" } else { "" };
            write!(f, "\n  {} -> {}{hidden}", alias.name, alias.target)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_deployments(f)?;
        self.write_routing(f)?;
        self.write_names(f)?;
        let key = if self.locked { "set" } else { "none, everybody may ask" };
        write!(f, "\nmaster key: {key}")?;
        let warnings = &self.config.warnings;
        if !warnings.is_empty() {
            f.write_str("\nwarnings:")?;
        }
        warnings.iter().try_for_each(|warning| write!(f, "\n  {warning}"))
    }
}

/// What a deployment gets, and does not.
struct Limits<'a>(&'a DeploymentConfig, &'a Deployment);

impl fmt::Display for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(config, deployment) = self;
        match config.weight {
            Some(weight) => write!(f, "weight {weight}"),
            None => write!(f, "weight {}", deployment.get_weight()),
        }?;
        if let Some(order) = deployment.get_order() {
            write!(f, ", order {order}")?;
        }
        if let Some(limit) = deployment.get_max_parallel_requests() {
            write!(f, ", at most {limit} requests at a time")?;
        }
        if let Some(time) = deployment.get_timeout() {
            write!(f, ", {} for an attempt", Seconds(time))?;
        }
        if let Some(time) = deployment.get_stream_timeout() {
            write!(f, ", {} for one of a stream", Seconds(time))?;
        }
        if let Some(retries) = deployment.get_retries() {
            write!(f, ", {retries} retries")?;
        }
        if let Some(tokens) = deployment.get_max_input_tokens() {
            write!(f, ", input of up to {tokens} tokens")?;
        }
        if let Some(region) = deployment.get_region() {
            write!(f, ", region {region}")?;
        }
        if let Some(endpoints) = deployment.get_endpoints() {
            write!(f, ", only for {}", endpoints.join(", "))?;
        }
        match deployment.get_images() {
            Some(true) => f.write_str(", with images"),
            Some(false) => f.write_str(", without images"),
            None => Ok(()),
        }
    }
}

/// What the tokens of a deployment cost, by the million, as price lists have it.
struct Prices<'a>(&'a Deployment);

impl fmt::Display for Prices<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(price) = self.0.get_price() else { return f.write_str("price not known") };
        let million = |price: f64| Dollars(price * 1e6);
        write!(f, "{} in, {} out", million(price.input), million(price.output))?;
        let more = [
            ("from a cache", price.cached),
            ("into a cache", price.cache_written),
            ("of reasoning", price.reasoning),
        ];
        for (what, price) in more {
            if let Some(price) = price {
                write!(f, ", {} {what}", million(price))?;
            }
        }
        f.write_str(", for a million tokens")
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}
