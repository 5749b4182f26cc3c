use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use tower_layer::Identity;

use super::layer::{FleetLayer, Group, Inner};
use crate::{
    balance::{AnyStrategy, Strategy, WeightedShuffle},
    cooldown::CooldownPolicy,
    deployment::Deployment,
    fallback::FallbackPlan,
    retry::RetryPolicy,
    timeout::TimeoutLayer,
    trail::{GroupName, Names},
    upstream::Upstream,
};

/// Puts a [`FleetLayer`] together.
#[derive(Clone)]
pub struct FleetBuilder<L = Identity> {
    groups: Vec<Group>,
    aliases: HashMap<GroupName, GroupName>,
    strategy: AnyStrategy,
    cooldown: CooldownPolicy,
    retry: RetryPolicy,
    fallback: FallbackPlan,
    timeout: TimeoutLayer,
    max_ejected: f32,
    attempt: L,
}

impl FleetBuilder {
    pub(super) fn new() -> Self {
        Self {
            groups: Vec::new(),
            aliases: HashMap::new(),
            strategy: AnyStrategy::new(WeightedShuffle),
            cooldown: CooldownPolicy::default(),
            retry: RetryPolicy::default(),
            fallback: FallbackPlan::new(),
            timeout: TimeoutLayer::unlimited(),
            max_ejected: 0.5,
            attempt: Identity::new(),
        }
    }
}

impl<L> FleetBuilder<L> {
    /// Adds a group. Its name may have wildcards.
    #[must_use]
    pub fn group(
        mut self,
        name: impl Into<GroupName>,
        members: impl IntoIterator<Item = (Deployment, Upstream)>,
    ) -> Self {
        self.groups.push(Group { name: name.into(), members: members.into_iter().collect() });
        self
    }

    /// Makes `name` another name of `group`, for fallbacks too. LiteLLM's `model_group_alias`.
    #[must_use]
    pub fn alias(mut self, name: impl Into<GroupName>, group: impl Into<GroupName>) -> Self {
        self.aliases.insert(name.into(), group.into());
        self
    }

    /// How every group picks. Default [`WeightedShuffle`], LiteLLM's `simple-shuffle`.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy) -> Self {
        self.strategy = AnyStrategy::new(strategy);
        self
    }

    /// When deployments are set aside. Default [`CooldownPolicy::default`].
    #[must_use]
    pub fn cooldown(mut self, policy: CooldownPolicy) -> Self {
        self.cooldown = policy;
        self
    }

    /// What is retried. Default [`RetryPolicy::default`]. Its budget is one for all groups.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Which groups stand in for which. Default none.
    #[must_use]
    pub fn fallback(mut self, plan: FallbackPlan) -> Self {
        self.fallback = plan;
        self
    }

    /// How long an attempt may take until its response head, where its deployment does not say. Default no limit.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = TimeoutLayer::new(limit);
        self
    }

    /// The share of each group, of 1, that may be set aside for soft reasons at a time, as of
    /// [`BalanceLayer::max_ejected`](crate::balance::BalanceLayer::max_ejected). Default 0.5.
    #[must_use]
    pub fn max_ejected(mut self, share: f32) -> Self {
        self.max_ejected = share;
        self
    }

    /// A layer to lay over each deployment's client: it sees each attempt as it will be sent, but for what the
    /// [`Upstream`] changes. Default none.
    #[must_use]
    pub fn attempt_layer<M>(self, layer: M) -> FleetBuilder<M> {
        let Self {
            groups, aliases, strategy, cooldown, retry, fallback, timeout, max_ejected, ..
        } = self;
        FleetBuilder {
            groups,
            aliases,
            strategy,
            cooldown,
            retry,
            fallback,
            timeout,
            max_ejected,
            attempt: layer,
        }
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// Two groups, or two deployments of one group, with the same name.
    pub fn build(self) -> Result<FleetLayer<L>, FleetError> {
        for (index, group) in self.groups.iter().enumerate() {
            if self.groups[..index].iter().any(|other| other.name == group.name) {
                return Err(FleetError::Group(group.name.clone()));
            }
            for (at, (deployment, _)) in group.members.iter().enumerate() {
                if group.members[..at].iter().any(|(other, _)| other.id() == deployment.id()) {
                    return Err(FleetError::Deployment(
                        group.name.clone(),
                        deployment.id().to_owned(),
                    ));
                }
            }
        }
        let names = self.groups.iter().map(|group| group.name.clone());
        let names = Arc::new(Names::new(names, self.aliases.clone()));
        let mut members = self.groups.iter().flat_map(|group| &group.members);
        let some_allow = members.any(|(deployment, _)| deployment.get_retries().is_some());
        Ok(FleetLayer(Arc::new(Inner {
            groups: self.groups,
            aliases: self.aliases,
            strategy: self.strategy,
            cooldown: self.cooldown,
            retry: self
                .retry
                .shares_copy(true)
                .asks_deployments(some_allow)
                .named(Arc::clone(&names)),
            fallback: self.fallback.named(names),
            timeout: self.timeout,
            max_ejected: self.max_ejected,
            attempt: self.attempt,
        })))
    }
}

impl<L> fmt::Debug for FleetBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder").field("groups", &self.groups).finish_non_exhaustive()
    }
}

/// A fleet that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FleetError {
    /// Two groups have this name.
    Group(GroupName),
    /// Two deployments of the group have this id.
    Deployment(GroupName, String),
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "two groups are named {name:?}"),
            Self::Deployment(group, id) => {
                write!(f, "group {group:?}: two deployments have the id {id:?}")
            }
        }
    }
}

impl std::error::Error for FleetError {}
