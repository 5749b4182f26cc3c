//! From a configuration to a fleet that runs.

use std::time::Duration;

use http::header::AUTHORIZATION;

use super::{
    Config, ConfigError, DeploymentConfig, Problem, RouterSettings, RoutingStrategy, weights,
};
use crate::{
    balance::{LeastBusy, RoundRobin, WeightedShuffle},
    cooldown::CooldownPolicy,
    deployment::Deployment,
    fallback::FallbackPlan,
    fleet::{FleetBuilder, FleetLayer},
    llm::RewriteModelLayer,
    outcome::HttpClassify,
    retry::{Backoff, RetryBudget, RetryPolicy},
    trail::GroupName,
    upstream::Upstream,
};

/// A fleet from a configuration: each attempt calls the model by the name its deployment knows it under.
pub type ConfiguredFleet = FleetLayer<RewriteModelLayer>;

impl ConfiguredFleet {
    /// The fleet of a LiteLLM configuration file's text. What the file says to no effect is not told: see
    /// [`Config::warnings`] for that.
    ///
    /// Requests name their group by themselves, or an [`InspectLayer`](crate::llm::InspectLayer) above reads it from
    /// the body.
    ///
    /// # Errors
    ///
    /// As [`Config::from_yaml`] and [`Config::fleet`].
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Config::from_yaml(text)?.fleet()
    }
}

impl Config {
    /// The fleet this describes, with LiteLLM's defaults where the file is silent.
    ///
    /// Two retries, of any method; 5 s of cooldown; ten minutes for each attempt; a failure of any kind, a 400 too,
    /// goes to the configured fallbacks, five at most. Unlike LiteLLM's, retries are bounded in number: to as many as
    /// there are requests, and ten a second in any case, all groups together. A `Retry-After` of more than 5 s is not
    /// waited for with the caller on the line: the answer goes out.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] for an address or a key that cannot be sent.
    pub fn fleet(&self) -> Result<ConfiguredFleet, ConfigError> {
        let mut errors = Vec::new();
        let mut builder = FleetLayer::builder();
        let mut members = Vec::new();
        let mut groups: Vec<&str> = Vec::new();
        for one in &self.deployments {
            if !groups.contains(&one.model_name.as_str()) {
                groups.push(&one.model_name);
            }
        }
        for group in &groups {
            let configs: Vec<_> =
                self.deployments.iter().filter(|one| one.model_name == *group).collect();
            let weights = weights(configs.iter().copied());
            let deployments = configs.iter().zip(weights).filter_map(|(config, weight)| {
                let to = config.upstream().map_err(|problem| errors.push(problem)).ok()?;
                Some((config.deployment(weight), to))
            });
            let deployments: Vec<_> = deployments.collect();
            members.extend(deployments.iter().cloned());
            builder = builder.group(*group, deployments);
        }
        // LiteLLM takes the id of a deployment for a target too: such an id is a group of its own.
        let by_id = |(deployment, _): &&(Deployment, Upstream)| {
            !groups.contains(&deployment.id()) && self.router.is_target(deployment.id())
        };
        for (deployment, to) in members.iter().filter(by_id) {
            builder = builder.group(deployment.id(), [(deployment.clone(), to.clone())]);
        }
        if !errors.is_empty() {
            return Err(ConfigError::Invalid { errors, warnings: self.warnings.clone() });
        }
        let builder = self.router.apply(builder).attempt_layer(RewriteModelLayer::new());
        builder.build().map_err(|error| {
            let problem =
                Problem { place: "model_list".into(), line: 0, message: error.to_string() };
            ConfigError::Invalid { errors: vec![problem], warnings: self.warnings.clone() }
        })
    }
}

impl DeploymentConfig {
    fn deployment(&self, weight: u32) -> Deployment {
        let mut deployment =
            Deployment::new(self.id.as_str()).weight(weight).model(self.model.as_str());
        if let Some(order) = self.order {
            deployment = deployment.order(order);
        }
        if let Some(limit) = self.max_parallel_requests {
            deployment = deployment.max_parallel_requests(limit);
        }
        if let Some(timeout) = self.timeout {
            deployment = deployment.timeout(timeout);
        }
        deployment
    }

    fn upstream(&self) -> Result<Upstream, Problem> {
        let problem = |key: &str, message: String| Problem {
            place: format!("{}.litellm_params.{key}", self.place),
            line: self.line,
            message,
        };
        let to = Upstream::new(&self.api_base)
            .map_err(|error| problem("api_base", error.to_string()))?;
        match &self.api_key {
            Some(key) => to
                .header(AUTHORIZATION, format!("Bearer {}", key.expose()))
                .map_err(|error| problem("api_key", error.to_string())),
            None => Ok(to),
        }
    }
}

impl RouterSettings {
    fn is_target(&self, id: &str) -> bool {
        let listed = self.fallbacks.iter().flat_map(|fallback| &fallback.targets);
        listed.chain(&self.default_fallbacks).any(|target| target == id)
    }

    fn apply(&self, builder: FleetBuilder) -> FleetBuilder {
        let builder = match self.routing_strategy {
            RoutingStrategy::SimpleShuffle => builder.strategy(WeightedShuffle),
            RoutingStrategy::LeastBusy => builder.strategy(LeastBusy),
            RoutingStrategy::RoundRobin => builder.strategy(RoundRobin),
        };
        let aliases = self.model_group_alias.iter();
        let builder = aliases.fold(builder, |builder, alias| {
            // Of one that leads nowhere a warning has told; a request for it is refused.
            let target = GroupName::new(alias.target.as_str());
            if builder.serves(&target) {
                builder.alias(alias.name.as_str(), target)
            } else {
                builder
            }
        });
        builder
            .cooldown(self.cooldown())
            .retry(self.retry())
            .fallback(self.fallback())
            .timeout(self.timeout.unwrap_or(Self::DEFAULT_TIMEOUT))
    }

    fn cooldown(&self) -> CooldownPolicy {
        if self.disable_cooldowns {
            return CooldownPolicy::never(HttpClassify::inference());
        }
        let length = self.cooldown_time.unwrap_or(Self::DEFAULT_COOLDOWN_TIME);
        let policy = CooldownPolicy::new(HttpClassify::inference()).cooldown_time(length);
        match self.allowed_fails {
            Some(count) => policy.allowed_fails(count),
            None => policy,
        }
    }

    fn retry(&self) -> RetryPolicy {
        let retries = self.num_retries.unwrap_or(Self::DEFAULT_NUM_RETRIES);
        RetryPolicy::any_method()
            .classify(HttpClassify::inference())
            .attempts(retries.saturating_add(1))
            .backoff(Backoff::default().floor(self.retry_after.unwrap_or_default()))
            // The caller waits meanwhile, and would rather know than hold the line.
            .longest_wait(Duration::from_secs(5))
            .budget(RetryBudget::new().percent(100))
    }

    fn fallback(&self) -> FallbackPlan {
        let max = self.max_fallbacks.unwrap_or(Self::DEFAULT_MAX_FALLBACKS);
        let plan = FallbackPlan::new()
            .classify(HttpClassify::inference())
            .max_fallbacks(usize::try_from(max).unwrap_or(usize::MAX))
            .on_bad_request(true)
            .otherwise(self.default_fallbacks.iter().map(|target| GroupName::new(target.as_str())));
        self.fallbacks.iter().fold(plan, |plan, fallback| {
            let targets = fallback.targets.iter().map(|target| GroupName::new(target.as_str()));
            match fallback.group.as_str() {
                "*" => plan.otherwise(targets),
                group => plan.group(group, targets),
            }
        })
    }
}
