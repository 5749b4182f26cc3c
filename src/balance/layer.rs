use tower_layer::Layer;

use super::{Balance, QueuePolicy, Strategy};
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
pub(super) struct Options {
    pub(super) seed: Option<u64>,
    pub(super) max_ejected: f32,
    pub(super) queue: Option<QueuePolicy>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: None, max_ejected: 0.5, queue: None }
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
