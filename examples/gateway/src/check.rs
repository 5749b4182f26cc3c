//! What was understood of a configuration, for `--check`.

use std::{collections::HashMap, fmt, time::Duration};

use tower_fleet::{
    Deployment,
    config::{
        Config, ConfigError, DeploymentConfig, FailureCounts, RouterSettings, RoutingStrategy,
    },
    fleet::Group,
    llm::Provider,
};

use crate::money::Dollars;

/// What a configuration says, as it was understood: no key is in it.
#[derive(Debug)]
pub struct Report<'a> {
    config: &'a Config,
    warnings: &'a [String],
    /// By their ids.
    deployments: HashMap<String, (Deployment, Share)>,
}

impl<'a> Report<'a> {
    /// The report of `config` and of `warnings`, which say what in the files has no effect.
    ///
    /// # Errors
    ///
    /// What keeps a fleet from being made of it.
    pub fn of(config: &'a Config, warnings: &'a [String]) -> Result<Self, ConfigError> {
        let fleet = config.fleet()?;
        // A deployment that a fallback names by its id is also the only one of a group of that name.
        let named = |group: &&Group| {
            config.deployments.iter().any(|one| one.model_name == group.name().as_str())
        };
        let deployments = fleet.groups().iter().filter(named).flat_map(|group| {
            let sum = group.members().iter().map(|(one, _)| u64::from(one.get_weight())).sum();
            group.members().iter().map(move |(one, _)| {
                (one.id().to_owned(), (one.clone(), Share(one.get_weight(), sum)))
            })
        });
        let deployments = deployments.collect();
        Ok(Self { config, warnings, deployments })
    }

    fn write_deployments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deployments:")?;
        let mut group = None;
        for one in &self.config.deployments {
            if group != Some(&one.model_name) {
                write!(f, "\n  {}", one.model_name)?;
                group = Some(&one.model_name);
            }
            write!(f, "\n    {}: {}", one.id, one.model)?;
            if let Some(provider) = &one.provider {
                write!(f, " of {provider}")?;
            }
            let api = match one.api {
                Provider::Azure => "Azure's API",
                Provider::Anthropic => "Anthropic's API",
                Provider::OpenAi => "OpenAI's own API",
                _ => "OpenAI's API",
            };
            let key = if one.api_key.is_some() { "with a key" } else { "without a key" };
            write!(f, ", {api} at {}", one.api_base)?;
            if let Some(version) = &one.api_version {
                write!(f, ", version {version}")?;
            }
            write!(f, ", {key}")?;
            let headers: Vec<_> = one.headers.iter().map(|(name, _)| name.as_str()).collect();
            if !headers.is_empty() {
                write!(f, ", with the headers {}", headers.join(", "))?;
            }
            if let Some(model) = &one.base_model {
                write!(f, ", priced as {model}")?;
            }
            if let Some((deployment, share)) = self.deployments.get(&one.id) {
                write!(f, "\n      {}", Limits(one, deployment, *share))?;
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
        write!(f, "\n  retries: {retries}{}", Counts(&router.retry_policy))?;
        for (group, counts) in &router.model_group_retry_policy {
            write!(f, "\n    of {group}{}", Counts(counts))?;
        }
        if let Some(time) = router.retry_after {
            write!(f, "\n  time between attempts: at least {}", Seconds(time))?;
        }
        let timeout = router.timeout.unwrap_or(RouterSettings::DEFAULT_TIMEOUT);
        write!(f, "\n  time for an attempt: {}", Seconds(timeout))?;
        if let Some(timeout) = router.stream_timeout {
            write!(f, ", {} for a stream", Seconds(timeout))?;
        }
        if let Some(limit) = router.default_max_parallel_requests {
            write!(f, "\n  requests at a time: {limit} for a deployment that does not say")?;
        }
        if router.disable_cooldowns {
            f.write_str("\n  cooldown: off")?;
        } else {
            let time = router.cooldown_time.unwrap_or(RouterSettings::DEFAULT_COOLDOWN_TIME);
            write!(f, "\n  cooldown: {}", Seconds(time))?;
        }
        if let Some(count) = router.allowed_fails {
            write!(f, ", after more than {count} failures a minute")?;
        }
        if !router.allowed_fails_policy.is_empty() {
            let counts = Counts(&router.allowed_fails_policy);
            write!(f, ", failures a minute allowed by kind{counts}")?;
        }
        let max = router.max_fallbacks.unwrap_or(RouterSettings::DEFAULT_MAX_FALLBACKS);
        write!(f, "\n  fallbacks: at most {max}")?;
        if !router.fallback_on_unsupported_params {
            f.write_str(", none for a request that is wrong")?;
        }
        let checks = if router.enable_pre_call_checks { "on" } else { "off" };
        write!(f, "\n  checks of length, images and region before a call: {checks}")
    }

    fn write_names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let router = &self.config.router;
        let lists = [
            ("", &router.fallbacks),
            (", when the input is too long", &router.context_window_fallbacks),
            (", when the content is refused", &router.content_policy_fallbacks),
        ];
        let any = lists.iter().any(|(_, list)| !list.is_empty());
        if any || !router.default_fallbacks.is_empty() {
            f.write_str("\nfallbacks:")?;
        }
        for (when, list) in lists {
            for fallback in list {
                write!(f, "\n  {} -> {}{when}", fallback.group, fallback.targets.join(", "))?;
            }
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
        let key = if self.config.master_key.is_some() { "set" } else { "none, everybody may ask" };
        write!(f, "\nmaster key: {key}")?;
        if !self.warnings.is_empty() {
            f.write_str("\nwarnings:")?;
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\n  {warning}"))
    }
}

/// What a deployment gets, and does not; and its share of its group's traffic.
struct Limits<'a>(&'a DeploymentConfig, &'a Deployment, Share);

impl fmt::Display for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(config, deployment, share) = self;
        write!(f, "{share} of the group")?;
        if config.blocked {
            f.write_str(", paused")?;
        }
        if let Some(order) = config.order {
            write!(f, ", order {order}")?;
        }
        for (what, limit) in [("requests", config.limits.rpm), ("tokens", config.limits.tpm)] {
            if let Some(limit) = limit {
                write!(f, ", {limit} {what} a minute, as a weight")?;
            }
        }
        match config.limits.max_parallel_requests.or(deployment.get_max_parallel_requests()) {
            Some(0) => f.write_str(", any number of requests at a time")?,
            Some(limit) => write!(f, ", at most {limit} requests at a time")?,
            None => {}
        }
        if let Some(time) = config.timeout {
            write!(f, ", {} for an attempt", Seconds(time))?;
        }
        if let Some(time) = config.stream_timeout {
            write!(f, ", {} for one of a stream", Seconds(time))?;
        }
        if let Some(retries) = config.num_retries {
            write!(f, ", {retries} retries")?;
        }
        write!(f, "{}", Cooldown::of(config))?;
        if let Some(tokens) = deployment.get_max_input_tokens().or(config.max_input_tokens) {
            write!(f, ", input of up to {tokens} tokens")?;
        }
        if let Some(region) = &config.region_name {
            write!(f, ", region {region}")?;
        }
        if let Some(endpoints) = deployment.get_endpoints() {
            write!(f, ", only for {}", endpoints.join(", "))?;
        }
        if let Some(mode) = &config.mode {
            write!(f, ", mode {mode}")?;
        }
        match deployment.get_images().or(config.supports_vision) {
            Some(true) => f.write_str(", with images")?,
            Some(false) => f.write_str(", without images")?,
            None => {}
        }
        match config.include_usage {
            Some(true) => f.write_str(", asked for the usage of streams"),
            Some(false) => f.write_str(", not asked for the usage of streams"),
            None => Ok(()),
        }
    }
}

/// A weight and the sum of those of its group.
#[derive(Clone, Copy, Debug)]
struct Share(u32, u64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(weight, sum) = *self;
        // In tenths, rounded.
        let tenths = (u64::from(weight) * 1000 + sum / 2) / sum.max(1);
        match (tenths / 10, tenths % 10) {
            (0, 0) if weight > 0 => f.write_str("less than 0.1 %"),
            (whole, 0) => write!(f, "{whole} %"),
            (whole, tenth) => write!(f, "{whole}.{tenth} %"),
        }
    }
}

/// When a deployment is cooled, as far as something says it.
struct Cooldown<'a> {
    time: Option<Duration>,
    allowed_fails: Option<u32>,
    policy: &'a FailureCounts,
}

impl<'a> Cooldown<'a> {
    const fn of(config: &'a DeploymentConfig) -> Self {
        let DeploymentConfig { cooldown_time, allowed_fails, allowed_fails_policy, .. } = config;
        Self { time: *cooldown_time, allowed_fails: *allowed_fails, policy: allowed_fails_policy }
    }
}

impl fmt::Display for Cooldown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(Duration::ZERO) => f.write_str(", never cooled")?,
            Some(time) => write!(f, ", cooled for {}", Seconds(time))?,
            None => {}
        }
        if let Some(count) = self.allowed_fails {
            write!(f, ", cooled after more than {count} failures a minute")?;
        }
        if !self.policy.is_empty() {
            write!(f, ", failures a minute allowed by kind{}", Counts(self.policy))?;
        }
        Ok(())
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
        f.write_str(", for a million tokens")?;
        match price.tiers.iter().map(|tier| tier.above).min() {
            Some(above) => write!(f, "; others above {above} tokens of input"),
            None => Ok(()),
        }
    }
}

/// Counts by kind of failure.
struct Counts<'a>(&'a FailureCounts);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.0.by_kind {
            write!(f, ", {kind} {count}")?;
        }
        match self.0.default {
            Some(count) => write!(f, ", any other {count}"),
            None => Ok(()),
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}
