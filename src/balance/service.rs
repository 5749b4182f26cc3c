use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    future::ResponseFuture, group::Group, layer::Options, lease::Lease, members::Members,
    pool::TagMatch, strategy::Strategy, waiting::QueuePolicy,
};
use crate::{BoxError, Error, body::WatchedBody, deployment::Deployment};

/// The response body of a [`Balance`]: holds the place on the deployment until it ends or is dropped.
pub type ResponseBody<B> = WatchedBody<B, Lease>;

/// Sends each request to one of its members, see the [module](super).
///
/// A cheap handle: clones share the members and what is in flight.
pub struct Balance<S, P> {
    group: Arc<Group<S, P>>,
}

impl<S, P> Balance<S, P>
where
    S: Send + Sync + 'static,
    P: Strategy,
{
    /// Balances over `members` by `strategy`. Of two members with the same id the later one stays.
    pub fn new(strategy: P, members: impl IntoIterator<Item = (Deployment, S)>) -> Self {
        Self::with_options(strategy, members, Options::default())
    }

    pub(crate) fn with_options(
        strategy: P,
        members: impl IntoIterator<Item = (Deployment, S)>,
        options: Options,
    ) -> Self {
        let rng = options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let group = Group::new(strategy, rng, options.max_ejected);
        group.spill(options.spill);
        group.tags(options.tags);
        group.insert(members);
        if let Some(policy) = options.queue {
            group.queue(policy);
        }
        Self { group }
    }

    /// Makes the random choices from here on repeatable, for this handle and all its clones.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.group.seed(seed);
        self
    }

    /// The share of the deployments, of 1, that may be set aside for soft reasons at a time, as of
    /// [`BalanceLayer::max_ejected`](super::BalanceLayer::max_ejected). Default 0.5.
    #[must_use]
    pub fn max_ejected(self, share: f32) -> Self {
        self.group.max_ejected(share);
        self
    }

    /// Makes a level shed requests to the next one before it is used up, as of
    /// [`BalanceLayer::spill`](super::BalanceLayer::spill). Off by default.
    #[must_use]
    pub fn spill(self, factor: f32) -> Self {
        self.group.spill(Some(factor));
        self
    }

    /// How the tags of a request choose among those of the deployments. Default [`TagMatch::Any`].
    #[must_use]
    pub fn tags(self, how: TagMatch) -> Self {
        self.group.tags(how);
        self
    }

    /// Lets requests wait for a place when none is free, as of
    /// [`BalanceLayer::queue`](super::BalanceLayer::queue). Default: they are refused. Requests that wait by another
    /// policy when this one is set are refused.
    #[must_use]
    pub fn queue(self, policy: QueuePolicy) -> Self {
        self.group.queue(policy);
        self
    }

    /// The members, to look at and to change while the balance runs.
    #[must_use]
    pub fn members(&self) -> Members<S, P> {
        Members::new(Arc::clone(&self.group))
    }
}

impl<S, P, B, R> Service<Request<B>> for Balance<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    P: Strategy,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Error;
    type Future = ResponseFuture<S, P, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture::new(Arc::clone(&self.group), request)
    }
}

impl<S, P> Clone for Balance<S, P> {
    fn clone(&self) -> Self {
        Self { group: Arc::clone(&self.group) }
    }
}

impl<S, P> fmt::Debug for Balance<S, P>
where
    S: Send + Sync + 'static,
    P: Strategy,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance").field("members", &self.members()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Empty;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::{Served, balance::WeightedShuffle};

    async fn picks(seed: u64) -> Vec<String> {
        let client = service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
        });
        let members = ["a", "b", "c"].map(|id| (Deployment::new(id), client));
        let balance = Balance::new(WeightedShuffle, members).seed(seed);
        let mut picks = Vec::new();
        for _ in 0..20 {
            let response = balance.clone().oneshot(Request::new(())).await.unwrap();
            picks.extend(Served::of(&response).map(|served| served.deployment().id().to_owned()));
        }
        picks
    }

    #[tokio::test]
    async fn a_seed_makes_the_picks_repeatable() {
        assert_eq!(picks(1).await, picks(1).await);
        assert_ne!(picks(1).await, picks(2).await);
    }
}
