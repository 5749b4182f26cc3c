//! `router_settings.quota_groups`, which LiteLLM has not.

use super::{
    DeploymentConfig, Limits,
    field::Field,
    keys,
    names::Names,
    suggest::{did_you_mean, nearest},
};

/// What several deployments may take together, as they share a key or an account.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuotaGroup {
    /// The name by which deployments are in it.
    pub name: String,
    /// How much they may take together.
    pub limits: Limits,
}

impl QuotaGroup {
    /// Those that the file lists. Warns of those that no deployment is in.
    pub(super) fn read_all(field: Option<Field<'_>>, names: &Names<'_>) -> Vec<Self> {
        let read = |(name, field): (String, Field<'_>)| {
            let used = || {
                names
                    .deployments()
                    .iter()
                    .filter_map(|one: &DeploymentConfig| one.quota_group.as_deref())
            };
            if !used().any(|used| used == name) {
                let meant = did_you_mean(nearest(&name, used()));
                field.at.warn(format!("no deployment has this `quota_group`{meant}"));
            }
            let mut section = field.section();
            let limits = Limits::read(&mut section);
            section.finish(&keys::QUOTA_GROUP);
            Self { name, limits }
        };
        let entries =
            field.and_then(|field| field.entries("a map from a quota group to its limits"));
        entries.unwrap_or_default().into_iter().map(read).collect()
    }
}
