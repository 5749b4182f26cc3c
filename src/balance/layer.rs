use tower_layer::Layer;

use super::{Balance, QueuePolicy, Strategy, TagMatch};
use crate::{
    deployment::Deployment,
    upstream::{SendTo, Upstream},
};

/// Balances over several [`Upstream`]s reached through one client.
///
/// The service it is laid over is cloned for each upstream and told where to go:
///
/// ```
/// use http::header::AUTHORIZATION;
/// use tower::{ServiceBuilder, service_fn};
/// use tower_fleet::{BoxError, Deployment, balance::{BalanceLayer, LeastBusy}, upstream::Upstream};
///
/// # fn main() -> Result<(), BoxError> {
/// # let client = service_fn(|request: http::Request<String>| async move {
/// #     Ok::<_, std::convert::Infallible>(http::Response::new(request.uri().to_string()))
/// # });
/// let service = ServiceBuilder::new()
///     .layer(BalanceLayer::new(LeastBusy, [
///         (Deployment::new("eu"), Upstream::new("https://eu.example")?),
///         (Deployment::new("us"), Upstream::new("https://us.example/v1")?.header(AUTHORIZATION, "Bearer key")?),
///     ]))
///     .service(client);
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
///
/// Each call of [`layer`](Layer::layer) makes a group of its own, but the deployments' vitals are theirs and shared.
#[derive(Clone, Debug)]
pub struct BalanceLayer<P> {
    strategy: P,
    members: Vec<(Deployment, Upstream)>,
    options: Options,
}

/// What a balance may be told besides its members.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: Option<u64>,
    pub(crate) max_ejected: f32,
    pub(crate) spill: Option<f32>,
    pub(crate) tags: TagMatch,
    pub(crate) queue: Option<QueuePolicy>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: None, max_ejected: 0.5, spill: None, tags: TagMatch::Any, queue: None }
    }
}

impl<P> BalanceLayer<P> {
    /// Balances over `members` by `strategy`.
    pub fn new(strategy: P, members: impl IntoIterator<Item = (Deployment, Upstream)>) -> Self {
        Self { strategy, members: members.into_iter().collect(), options: Options::default() }
    }

    /// The share of the deployments, of 1, that may be set aside for soft reasons at a time (Envoy's
    /// `max_ejection_percent`). Default 0.5: with half of them gone the others carry twice their load, and more
    /// ejections would rather spread the trouble. One is always allowed, the last never.
    #[must_use]
    pub fn max_ejected(mut self, share: f32) -> Self {
        self.options.max_ejected = share;
        self
    }

    /// Makes a level shed requests to the next one *before* it is used up, as the priority levels of Envoy do. Off by
    /// default: the lowest [`order`](Deployment::order) takes all as long as one of it can.
    ///
    /// A level is as healthy as the share, by weight, of its deployments that can be picked (not cooling, not full), times
    /// `factor`, 1 at most; only those count that have what the request [asks for](crate::Demand). The first level takes as much of the requests as it is healthy, the next one as much, or
    /// what is left, and so on; where all of them together come to less than 1, each takes its part of that. Whoever then
    /// cannot take a request leaves it to the next level, so none is refused while any level has room.
    ///
    /// `factor` is what a level can carry, as a multiple of what it usually does: with 1.4, which is Envoy's, a level
    /// takes all until fewer than 71.4 % of it are left, and with half of it left 70 %. Below 1 it counts as 1.
    #[must_use]
    pub fn spill(mut self, factor: f32) -> Self {
        self.options.spill = Some(factor);
        self
    }

    /// How the tags of a request choose among those of the deployments. Default [`TagMatch::Any`]: tags that were set
    /// are meant to be heeded.
    #[must_use]
    pub fn tags(mut self, how: TagMatch) -> Self {
        self.options.tags = how;
        self
    }

    /// Lets requests wait for a place when none is free. Default: they are refused, so that a fallback, a retry or the
    /// caller can do something else with them at once.
    #[must_use]
    pub fn queue(mut self, policy: QueuePolicy) -> Self {
        self.options.queue = Some(policy);
        self
    }

    /// Makes the random choices repeatable.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = Some(seed);
        self
    }
}

impl<S, P> Layer<S> for BalanceLayer<P>
where
    S: Clone + Send + Sync + 'static,
    P: Strategy + Clone,
{
    type Service = Balance<SendTo<S>, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let members = self
            .members
            .iter()
            .map(|(deployment, to)| (deployment.clone(), to.layer(inner.clone())));
        Balance::with_options(self.strategy.clone(), members, self.options.clone())
    }
}
