//! A fleet described in the YAML of a LiteLLM proxy.
//!
//! [`Config`] reads such a file into plain values, and [`Config::fleet`] makes a [`FleetLayer`](crate::fleet::FleetLayer)
//! of them. What it promises:
//!
//! - **Nothing is silently ignored.** A key that has no effect here is a
//!   [warning](Config::warnings): mistyped, unknown, or LiteLLM's but [not honoured](#keys), with the
//!   reason and what to use instead. So is a fallback to a group that is not there.
//! - **No key is sent on a guess.** A deployment of which neither `model` nor `api_base` says where it is, or whose
//!   provider has no API that is spoken here, is left out with a warning; a file of which none is left is an error.
//! - **All mistakes are told at once**, each with its line, its place, what was found and what was
//!   expected.
//! - **No secret is shown**, neither in `Debug` nor in an error or a warning, which quote no value
//!   from the environment either.
//!
//! ```
//! use tower_fleet::config::{Config, RoutingStrategy};
//!
//! let yaml = r#"
//! model_list:
//!   - model_name: chat
//!     litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_KEY, weight: 3}
//!   - model_name: chat
//!     litellm_params: {model: Qwen/Qwen3-8B, api_base: "http://gpu-1:8000/v1", wieght: 1}
//! router_settings:
//!   routing_strategy: least-busy
//! "#;
//! let environment = |name: &str| (name == "OPENAI_KEY").then(|| "sk-1".to_owned());
//! let config = Config::from_yaml_with(yaml, environment)?;
//!
//! assert_eq!(config.router.routing_strategy, RoutingStrategy::LeastBusy);
//! assert_eq!(config.deployments[0].id, "chat/1");
//! assert_eq!(config.deployments[0].api_base, "https://api.openai.com/v1");
//! assert_eq!(
//!     config.warnings[0].to_string(),
//!     "line 6: model_list[1].litellm_params.wieght: unknown key; did you mean `weight`?",
//! );
//! # Ok::<_, tower_fleet::config::ConfigError>(())
//! ```
//!
//! # Values
//!
//! The YAML is read as Python does for LiteLLM: `<<` merges, `100_000` is a number, `True` and
//! `yes` are booleans, null is as if the key were not there. Only a key given twice is an error,
//! where Python drops the first. Times are seconds, whole or not. A text `os.environ/NAME` stands
//! for the environment variable `NAME`, also where a number is expected; one that is not set is an
//! error, if the key is one that is read. What `environment_variables` gives goes before the
//! environment.
//!
//! # Keys
//!
//! What becomes of each key that LiteLLM has; one that ends in `*` stands for all that begin so. A key
//! that is not honoured is warned of when it is given, one that turns something on when it does.
//!
#![doc = include_str!("keys.md")]

mod address;
mod budget;
mod checks;
mod counts;
mod deployment;
mod environment;
mod field;
mod fleet;
mod general;
mod keys;
mod limits;
mod names;
mod prices;
mod problem;
mod provider;
mod queue;
mod quota_group;
mod read;
mod router;
mod strategy;
mod suggest;
mod targets;
mod upstream;
mod value;
mod weights;

#[cfg(test)]
mod tests;

use std::{fs, path::Path, sync::Arc};

pub use self::{
    budget::Budget,
    checks::PreCallChecks,
    counts::FailureCounts,
    deployment::DeploymentConfig,
    fleet::ConfiguredFleet,
    limits::Limits,
    prices::Prices,
    problem::{ConfigError, Problem},
    queue::{Queue, QueueClass},
    quota_group::QuotaGroup,
    router::{Alias, Fallback, RouterSettings},
    strategy::{RoutingStrategy, StrategyArgs},
    weights::weights,
};
use self::{field::Field, names::Names, read::Reader};
use crate::llm::PriceList;
pub use crate::upstream::Secret;

/// A fleet as a configuration file describes it; the [module](self) says how it is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The deployments, in the order of the file, without those left out; at least one.
    pub deployments: Vec<DeploymentConfig>,
    /// What holds for every group.
    pub router: RouterSettings,
    /// The key that callers must show, which is for a server to enforce: `general_settings.master_key`,
    /// or else what the environment holds as `LITELLM_MASTER_KEY`.
    pub master_key: Option<Secret>,
    /// What models cost and take, where the deployments do not say. None from the file, as LiteLLM has no key for it: set
    /// it before [`fleet`](Self::fleet).
    pub prices: Option<Arc<PriceList>>,
    /// What the file says to no effect. Show them to whoever wrote it.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads a configuration, with the environment of this process.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Syntax`] or [`ConfigError::Invalid`].
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::from_yaml_with(text, |name| std::env::var(name).ok())
    }

    /// Reads a configuration, with `environment` in place of this process's.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Syntax`] or [`ConfigError::Invalid`].
    pub fn from_yaml_with(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let tree = value::parse(text)?;
        let reader = Reader::new(&environment);
        let mut root = Field::root(reader.top(), tree).section();
        // First, as all that follows may name its variables.
        environment::read(&mut root, &reader);
        let deployments = deployment::read_list(&mut root);
        let router = router::read(&mut root, Names::of(&deployments));
        let master_key = general::read(&mut root);
        root.finish(&keys::TOP_LEVEL);
        let (errors, warnings) = reader.finish();
        if errors.is_empty() {
            Ok(Self { deployments, router, master_key, prices: None, warnings })
        } else {
            Err(ConfigError::Invalid { errors, warnings })
        }
    }

    /// Reads a configuration file, with the environment of this process.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Read`] when the file cannot be read as UTF-8 text, and those of
    /// [`from_yaml`](Self::from_yaml).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        match fs::read_to_string(path) {
            Ok(text) => Self::from_yaml(&text),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }
}
