use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use tower_layer::Identity;

use super::layer::{FleetLayer, Group, Inner};
use crate::{
    balance::{AnyStrategy, Options, QueuePolicy, Strategy, TagMatch, WeightedShuffle},
    cooldown::CooldownPolicy,
    deployment::Deployment,
    fallback::FallbackPlan,
    retry::RetryPolicy,
    trail::{GroupName, Names},
    upstream::Upstream,
};

/// Puts a [`FleetLayer`] together.
#[derive(Clone)]
pub struct FleetBuilder<L = Identity> {
    settings: Settings,
    attempt: L,
}

/// What a fleet is made of, but for the layer over each deployment's client.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) groups: Vec<Group>,
    pub(super) aliases: HashMap<GroupName, GroupName>,
    pub(super) strategy: AnyStrategy,
    pub(super) cooldown: CooldownPolicy,
    /// By the id of the deployment.
    pub(super) cooldown_of: HashMap<String, CooldownPolicy>,
    pub(super) retry: RetryPolicy,
    pub(super) fallback: FallbackPlan,
    pub(super) timeout: Option<Duration>,
    pub(super) stream_timeout: Option<Duration>,
    pub(super) balance: Options,
}

impl FleetBuilder {
    pub(super) fn new() -> Self {
        let settings = Settings {
            groups: Vec::new(),
            aliases: HashMap::new(),
            strategy: AnyStrategy::new(WeightedShuffle),
            cooldown: CooldownPolicy::default(),
            cooldown_of: HashMap::new(),
            retry: RetryPolicy::default(),
            fallback: FallbackPlan::new(),
            timeout: None,
            stream_timeout: None,
            balance: Options::default(),
        };
        Self { settings, attempt: Identity::new() }
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
        self.settings
            .groups
            .push(Group { name: name.into(), members: members.into_iter().collect() });
        self
    }

    /// Whether a group has this name, or a wildcard that matches it.
    #[cfg(feature = "config")]
    pub(crate) fn serves(&self, name: &GroupName) -> bool {
        let groups = self.settings.groups.iter().map(|group| group.name.clone());
        Names::new(groups, HashMap::new()).is_group(name)
    }

    /// Makes `name` another name of `group`, for fallbacks and retry counts too. `group` may be a name that
    /// a wildcard matches, but no alias. LiteLLM's `model_group_alias`.
    #[must_use]
    pub fn alias(mut self, name: impl Into<GroupName>, group: impl Into<GroupName>) -> Self {
        self.settings.aliases.insert(name.into(), group.into());
        self
    }

    /// How every group picks. Default [`WeightedShuffle`], LiteLLM's `simple-shuffle`.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy) -> Self {
        self.settings.strategy = AnyStrategy::new(strategy);
        self
    }

    /// When deployments are set aside. Default [`CooldownPolicy::default`].
    #[must_use]
    pub fn cooldown(mut self, policy: CooldownPolicy) -> Self {
        self.settings.cooldown = policy;
        self
    }

    /// When the deployment with this id is set aside, in the stead of the [policy for all](Self::cooldown); in every
    /// group it is a member of.
    #[must_use]
    pub fn cooldown_of(mut self, id: impl Into<String>, policy: CooldownPolicy) -> Self {
        self.settings.cooldown_of.insert(id.into(), policy);
        self
    }

    /// What is retried. Default [`RetryPolicy::default`]. Its budget is one for all groups.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Which groups stand in for which. Default none.
    #[must_use]
    pub fn fallback(mut self, plan: FallbackPlan) -> Self {
        self.settings.fallback = plan;
        self
    }

    /// How long an attempt may take until its response head, where its deployment does not say. Default no limit.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.settings.timeout = Some(limit);
        self
    }

    /// The same for attempts whose response is wanted as a [stream](crate::Demand::stream). LiteLLM's `stream_timeout`.
    /// Default: as for the others.
    #[must_use]
    pub fn stream_timeout(mut self, limit: Duration) -> Self {
        self.settings.stream_timeout = Some(limit);
        self
    }

    /// The share of each group, of 1, that may be set aside for soft reasons at a time, as of
    /// [`BalanceLayer::max_ejected`](crate::balance::BalanceLayer::max_ejected). Default 0.5.
    #[must_use]
    pub fn max_ejected(mut self, share: f32) -> Self {
        self.settings.balance.max_ejected = share;
        self
    }

    /// Makes a level of a group shed requests to the next one before it is used up, as of
    /// [`BalanceLayer::spill`](crate::balance::BalanceLayer::spill). Off by default.
    #[must_use]
    pub fn spill(mut self, factor: f32) -> Self {
        self.settings.balance.spill = Some(factor);
        self
    }

    /// How the tags of a request choose among those of a group's deployments. Default [`TagMatch::Any`].
    #[must_use]
    pub fn tags(mut self, how: TagMatch) -> Self {
        self.settings.balance.tags = how;
        self
    }

    /// Lets the requests of each group wait for a place when none is free, in a line of its own, as of
    /// [`BalanceLayer::queue`](crate::balance::BalanceLayer::queue). Default: they are refused, and fall back.
    #[must_use]
    pub fn queue(mut self, policy: QueuePolicy) -> Self {
        self.settings.balance.queue = Some(policy);
        self
    }

    /// A layer to lay over each deployment's client: it sees each attempt as it will be sent, but for what the
    /// [`Upstream`] changes. Default none.
    #[must_use]
    pub fn attempt_layer<M>(self, layer: M) -> FleetBuilder<M> {
        FleetBuilder { settings: self.settings, attempt: layer }
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// Two groups, or two deployments of one group, with the same name; an alias of no group; a cooldown policy for no
    /// deployment. The targets of fallbacks may name groups that are not there: such a target is refused, and the next
    /// one tried.
    pub fn build(self) -> Result<FleetLayer<L>, FleetError> {
        let Self { mut settings, attempt } = self;
        for (index, group) in settings.groups.iter().enumerate() {
            if settings.groups[..index].iter().any(|other| other.name == group.name) {
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
        let groups = settings.groups.iter().map(|group| group.name.clone());
        let names = Arc::new(Names::new(groups, settings.aliases.clone()));
        // An alias of an alias stands for nothing.
        let leads_nowhere = |(_, group): &(_, &GroupName)| !names.is_group(group);
        if let Some((name, group)) = settings.aliases.iter().find(leads_nowhere) {
            return Err(FleetError::Alias(name.clone(), group.clone()));
        }
        let deployments = || {
            let members = settings.groups.iter().flat_map(|group| &group.members);
            members.map(|(deployment, _)| deployment)
        };
        let is_unknown = |id: &&String| deployments().all(|deployment| deployment.id() != **id);
        if let Some(id) = settings.cooldown_of.keys().find(is_unknown) {
            return Err(FleetError::Cooldown(id.clone()));
        }
        let some_allow = deployments().any(|deployment| deployment.get_retries().is_some());
        let retry = settings.retry.shares_copy(true).asks_deployments(some_allow);
        settings.retry = retry.named(Arc::clone(&names));
        settings.fallback = settings.fallback.named(names);
        Ok(FleetLayer(Arc::new(Inner { settings, attempt })))
    }
}

impl<L> fmt::Debug for FleetBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder")
            .field("groups", &self.settings.groups)
            .finish_non_exhaustive()
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
    /// The first name is to stand for the second, but that is no group, nor does a wildcard match it.
    Alias(GroupName, GroupName),
    /// No deployment has the id that a cooldown policy is for.
    Cooldown(String),
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "two groups are named {name:?}"),
            Self::Deployment(group, id) => {
                write!(f, "group {group:?}: two deployments have the id {id:?}")
            }
            Self::Alias(name, group) => {
                write!(f, "alias {name:?}: no group is named {group:?}")
            }
            Self::Cooldown(id) => {
                write!(f, "a cooldown policy is for {id:?}, which is no deployment's id")
            }
        }
    }
}

impl std::error::Error for FleetError {}
