use std::{collections::HashMap, fmt, sync::Arc};

use tower_layer::{Identity, Layer};

use super::{Fleet, FleetBuilder, builder::Settings};
use crate::{
    balance::{AnyStrategy, Balance},
    cooldown::{Cooldown, CooldownLayer},
    deployment::Deployment,
    fallback::{Fallback, FallbackLayer},
    retry::{Retry, RetryLayer},
    timeout::{Timeout, TimeoutLayer},
    trail::GroupName,
    upstream::{SendTo, Upstream},
};

/// The canonical stack over one client, see the [module](super).
///
/// Every [`layer`](Layer::layer) makes a stack of its own over the same deployments. Such stacks share what is known of
/// the deployments' health, and the budget of retries; but each counts for itself what it has in flight, so limits of
/// parallel requests hold for each. To share those too, clone one stack.
pub struct FleetLayer<L = Identity>(pub(super) Arc<Inner<L>>);

pub(super) struct Inner<L> {
    pub(super) settings: Settings,
    pub(super) attempt: L,
}

/// A group as it was given to the builder.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) name: GroupName,
    pub(super) members: Vec<(Deployment, Upstream)>,
}

impl Group {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// Its deployments, and where they are.
    #[must_use]
    pub fn members(&self) -> &[(Deployment, Upstream)] {
        &self.members
    }
}

/// What reaches the deployments of one group over the client `C`.
pub type GroupService<C, L = Identity> =
    Balance<Cooldown<Timeout<<L as Layer<SendTo<C>>>::Service>>, AnyStrategy>;

/// What a [`FleetLayer`] makes of the client `C`.
///
/// The members of a group can be changed while it runs: `stack.get_ref().get_ref().group("chat")` is the group's
/// [`Balance`].
pub type Stack<C, L = Identity> = Fallback<Retry<Fleet<GroupService<C, L>>>>;

impl FleetLayer {
    /// Begins a fleet in code.
    #[must_use]
    pub fn builder() -> FleetBuilder {
        FleetBuilder::new()
    }
}

impl<L> FleetLayer<L> {
    /// The groups it began with. The deployments are handles: they show what goes on.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.0.settings.groups
    }

    /// The aliases: pairs of a name and the group it stands for.
    pub fn aliases(&self) -> impl Iterator<Item = (&GroupName, &GroupName)> {
        self.0.settings.aliases.iter()
    }
}

impl<C, L> Layer<C> for FleetLayer<L>
where
    C: Clone,
    L: Layer<SendTo<C>>,
    L::Service: Send + Sync + 'static,
{
    type Service = Stack<C, L>;

    fn layer(&self, client: C) -> Self::Service {
        let Inner { settings, attempt } = &*self.0;
        let cooldown = CooldownLayer::new(settings.cooldown.clone());
        let own = settings.cooldown_of.iter();
        let own: HashMap<_, _> =
            own.map(|(id, policy)| (id.as_str(), CooldownLayer::new(policy.clone()))).collect();
        let timeout = settings.timeout.map_or(TimeoutLayer::unlimited(), TimeoutLayer::new);
        let timeout = settings.stream_timeout.map_or(timeout, |limit| timeout.stream(limit));
        let member = |(deployment, to): &(Deployment, Upstream)| {
            let cooldown = own.get(deployment.id()).unwrap_or(&cooldown);
            let attempt = attempt.layer(to.layer(client.clone()));
            (deployment.clone(), cooldown.layer(timeout.layer(attempt)))
        };
        let groups = settings.groups.iter().map(|group| {
            let members = group.members.iter().map(member);
            let (strategy, options) = (settings.strategy.clone(), settings.balance.clone());
            let balance = Balance::with_options(strategy, members, options);
            (group.name.clone(), balance)
        });
        let aliases = settings.aliases.iter().map(|(name, group)| (name.clone(), group.clone()));
        let retry = RetryLayer::new(settings.retry.clone());
        let fallback = FallbackLayer::new(settings.fallback.clone());
        fallback.layer(retry.layer(Fleet::new(groups, aliases)))
    }
}

impl<L> Clone for FleetLayer<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L> fmt::Debug for FleetLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetLayer")
            .field("groups", &self.0.settings.groups)
            .finish_non_exhaustive()
    }
}
