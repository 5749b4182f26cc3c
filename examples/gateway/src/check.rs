//! What was understood of a configuration, for `--check`.

mod deployment;
mod shared;

use std::{collections::HashMap, fmt, time::Duration};

use tower_fleet::{
    Deployment,
    balance::TagMatch,
    config::{Config, ConfigError, FailureCounts, RouterSettings},
    fleet::Group,
    llm::Provider,
};

use self::{
    deployment::{Limits, Prices, Share},
    shared::{Queued, Quotas, Together},
};

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
        write!(f, "\nrouting:\n  strategy: {}", router.routing_strategy.name())?;
        let args = &router.routing_strategy_args;
        if let Some(time) = args.ttl {
            write!(f, ", by the latencies of {}", Seconds(time))?;
        }
        if let Some(share) = args.lowest_latency_buffer {
            write!(f, ", those up to {} % slower than the fastest alike", share * 100.0)?;
        }
        write!(f, "{}", Together(router))?;
        match router.tags {
            TagMatch::Any => f.write_str("\n  tags: any in common")?,
            TagMatch::All => f.write_str("\n  tags: all of the request's")?,
            _ => {}
        }
        if let Some(factor) = router.overprovisioning_factor {
            let share = 100.0 / factor;
            write!(f, "\n  spill: an order sheds once less than {share:.1} % of it can take any")?;
        }
        if let Some(queue) = &router.queue {
            write!(f, "\n  queue: {}", Queued(queue, router.default_priority))?;
        }
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
        let deployments = self.config.deployments.iter();
        let deployments = deployments.filter_map(|one| Some(&self.deployments.get(&one.id)?.0));
        write!(f, "{}", Quotas::of(deployments))?;
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
