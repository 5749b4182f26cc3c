//! From a configuration to a fleet that runs.

mod deployment;
mod quotas;
mod router;
mod strategy;

use std::sync::Arc;

use self::quotas::Quotas;
use super::{Config, ConfigError, Problem, weights};
use crate::{
    deployment::Deployment,
    fleet::FleetLayer,
    llm::{AttemptLayer, ListedModel},
    upstream::Upstream,
};

/// A fleet from a configuration: each attempt calls the model by the name its deployment knows it under.
pub type ConfiguredFleet = FleetLayer<AttemptLayer>;

impl ConfiguredFleet {
    /// The fleet of a LiteLLM configuration file's text. What the file says to no effect is not told: see
    /// [`Config::warnings`] for that.
    ///
    /// Requests name their group by themselves, or an [`InspectLayer`](crate::llm::InspectLayer) above reads it from
    /// the body: [`Config::inspect`] gives the one that fits. Without it the file's affinity, tags, priorities and limits of
    /// tokens have nothing to go by.
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
        self.fleet_with(AttemptLayer::new())
    }

    /// The [`fleet`](Self::fleet), with `attempt` around each attempt: with a hook for what answers take, say.
    ///
    /// # Errors
    ///
    /// As [`fleet`](Self::fleet).
    pub fn fleet_with(&self, attempt: AttemptLayer) -> Result<ConfiguredFleet, ConfigError> {
        let mut errors = Vec::new();
        let unlisted = ListedModel::default();
        let mut quotas = Quotas::of(&self.router);
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
                let listed = self.prices.as_deref().and_then(|prices| config.listed(prices));
                let listed = listed.unwrap_or(&unlisted);
                let deployment = config.deployment(weight, &self.router, listed);
                Some((quotas.limit(deployment, config, &self.router), to))
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
        for (one, policy) in
            self.deployments.iter().filter_map(|one| Some((one, self.router.cooldown_of(one)?)))
        {
            builder = builder.cooldown_of(one.id.as_str(), policy);
        }
        let attempt =
            self.prices.iter().fold(attempt, |attempt, it| attempt.prices(Arc::clone(it)));
        let builder = self.router.apply(builder).attempt_layer(attempt);
        builder.build().map_err(|error| {
            let problem =
                Problem { place: "model_list".into(), line: 0, message: error.to_string() };
            ConfigError::Invalid { errors: vec![problem], warnings: self.warnings.clone() }
        })
    }
}
