use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::{FallbackPlan, ResponseFuture, future::Walk};
use crate::{
    BoxError, Error,
    body::{KeptBody, ReplayBody},
    trail::{Carried, Saved},
};

/// Sends requests to other groups when their own cannot serve, see the [module](super).
#[derive(Clone, Debug)]
pub struct Fallback<S> {
    inner: S,
    plan: Arc<FallbackPlan>,
}

impl<S> Fallback<S> {
    /// Falls back by `plan`, to groups that `inner` routes to.
    pub fn new(inner: S, plan: FallbackPlan) -> Self {
        Self::with(inner, Arc::new(plan))
    }

    /// The service below.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    pub(super) const fn with(inner: S, plan: Arc<FallbackPlan>) -> Self {
        Self { inner, plan }
    }
}

impl<S, B, R> Service<Request<B>> for Fallback<S>
where
    S: Service<Request<ReplayBody>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body,
{
    type Response = Response<KeptBody<R>>;
    type Error = Error;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::from_service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone may not be ready: it stays, and the one that is makes the call.
        let clone = self.inner.clone();
        let mut service = std::mem::replace(&mut self.inner, clone);
        let (mut head, body) = request.into_parts();
        let body = ReplayBody::new(body, self.plan.replay_limit);
        let carried = Carried::of(&head.extensions);
        let group = carried.and_then(|carried| carried.group.clone());
        let own = carried.and_then(|carried| carried.fallbacks.clone());
        let walk = Walk::new(Arc::clone(&self.plan), group, own);
        if !walk.leads_anywhere() {
            // A copy made further up is not of the head as it is here.
            if let Some(carried) = head.extensions.get_mut::<Carried>() {
                carried.saved = None;
            }
            return ResponseFuture::once(service.call(Request::from_parts(head, body)));
        }
        let (saved, trail, carried) = Saved::with_trail(&mut head, false, Instant::now());
        carried.elsewhere |= walk.elsewhere();
        carried.saved = Some(saved.share());
        let kept = body.share();
        let future = service.call(Request::from_parts(head, body));
        ResponseFuture::new(future, service, walk, saved, kept, trail)
    }
}
