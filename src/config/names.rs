//! The names a fallback or an alias may refer to.

use std::fmt::Display;

use super::{
    DeploymentConfig,
    read::At,
    suggest::{did_you_mean, nearest},
};
use crate::fleet::Pattern;

/// The groups and deployments of the file, and its aliases as they become known.
pub(super) struct Names<'d> {
    deployments: &'d [DeploymentConfig],
    pub(super) aliases: Vec<String>,
}

impl<'d> Names<'d> {
    pub(super) fn of(deployments: &'d [DeploymentConfig]) -> Self {
        Self { deployments, aliases: Vec::new() }
    }

    /// The deployments of the file.
    pub(super) const fn deployments(&self) -> &'d [DeploymentConfig] {
        self.deployments
    }

    /// Warns when `provider`, which stands at `at`, is that of no deployment.
    pub(super) fn check_provider(&self, provider: &str, at: &At<'_>) {
        let known = || self.deployments.iter().filter_map(DeploymentConfig::known_provider);
        if !known().any(|known| known == provider) {
            let meant = nearest(provider, known());
            at.warn(format!("no deployment is of this provider{}", did_you_mean(meant)));
        }
    }

    /// Warns when `name`, which stands at `at` and is told as `shown`, means nothing here. LiteLLM
    /// takes it, and fails when it is used.
    pub(super) fn check(&self, name: &str, at: &At<'_>, shown: impl Display) {
        let known = |deployment: &DeploymentConfig| {
            // One whose name could not be read may be any.
            deployment.model_name.is_empty()
                || deployment.id == name
                || deployment.model_name == name
                || Pattern::new(&deployment.model_name)
                    .is_some_and(|pattern| pattern.captures(name).is_some())
        };
        if self.deployments.iter().any(known) || self.aliases.iter().any(|alias| alias == name) {
            return;
        }
        let groups = self.deployments.iter().map(|deployment| deployment.model_name.as_str());
        let meant = nearest(name, groups.chain(self.aliases.iter().map(String::as_str)));
        at.warn(format!("no group has the name {shown}{}", did_you_mean(meant)));
    }
}
