//! What a deployment of a configuration gets, and does not.

use std::{fmt, time::Duration};

use tower_fleet::{
    Deployment,
    config::{DeploymentConfig, FailureCounts},
    deployment::Status,
    quota::Unit,
};

use super::{Counts, Seconds};
use crate::money::Dollars;

/// What a deployment gets, and does not; and its share of its group's traffic.
pub(super) struct Limits<'a>(
    pub(super) &'a DeploymentConfig,
    pub(super) &'a Deployment,
    pub(super) Share,
);

impl fmt::Display for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(config, deployment, share) = self;
        write!(f, "{share} of the group")?;
        if config.blocked {
            f.write_str(", paused")?;
        } else if deployment.health().status() == Status::Paused {
            f.write_str(", paused, as a limit of it is 0")?;
        }
        if let Some(order) = config.order {
            write!(f, ", order {order}")?;
        }
        let own = deployment.limits();
        let counts = |unit| own.iter().any(|usage| usage.limit.unit() == unit);
        let rates = [
            ("requests", Unit::Requests, config.limits.rpm),
            ("tokens", Unit::Tokens, config.limits.tpm),
        ];
        for (what, unit, rate) in rates {
            if let Some(rate) = rate.filter(|_| !counts(unit)) {
                write!(f, ", {rate} {what} a minute, as a weight")?;
            }
        }
        own.iter().try_for_each(|usage| write!(f, ", at most {}", usage.limit))?;
        if let Some(time) = config.limits.daily_reset_time {
            let minutes = time.as_secs() / 60;
            write!(f, ", days from {:02}:{:02} UTC on", minutes / 60, minutes % 60)?;
        }
        if let Some(name) = &config.quota_group {
            write!(f, ", in the quota group {name}")?;
        }
        match config.limits.max_parallel_requests.or(deployment.get_max_parallel_requests()) {
            Some(0) => f.write_str(", any number of requests at a time")?,
            Some(limit) => write!(f, ", at most {limit} requests at a time")?,
            None => {}
        }
        if let Some(limit) = deployment.concurrency_limit() {
            write!(f, ", as many at a time as it copes with, {limit} at first")?;
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
        if !config.tags.is_empty() {
            write!(f, ", tags {}", config.tags.join(", "))?;
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
pub(super) struct Share(pub(super) u32, pub(super) u64);

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
pub(super) struct Prices<'a>(pub(super) &'a Deployment);

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
