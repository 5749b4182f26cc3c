use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, Request, Response, header::UPGRADE, request::Parts};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    ResponseFuture, RetryPolicy,
    future::{Again, Deadline},
};
use crate::{
    BoxError, Error,
    body::{KeptBody, ReplayBody},
    trail::{Carried, Saved},
};

/// Sends requests again when they failed, see the [module](super).
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    policy: Arc<RetryPolicy>,
}

impl<S> Retry<S> {
    /// Retries requests to `inner` by `policy`.
    pub fn new(inner: S, policy: RetryPolicy) -> Self {
        Self::with(inner, Arc::new(policy))
    }

    /// The service below.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    pub(super) const fn with(inner: S, policy: Arc<RetryPolicy>) -> Self {
        Self { inner, policy }
    }
}

impl<S, B, R> Service<Request<B>> for Retry<S>
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
        let now = Instant::now();
        let deadline = self.policy.deadline.and_then(|limit| now.checked_add(limit));
        if !self.policy.retries_at_all(Carried::of(&head.extensions)) || is_sent_once(&head) {
            if let Some(deadline) = deadline {
                Carried::entry(&mut head.extensions).begin_trail(now).limit(deadline);
            }
            let trail = Carried::of(&head.extensions).and_then(|carried| carried.trail.as_ref());
            let deadline = trail.and_then(|trail| Deadline::of(trail, now));
            let body = ReplayBody::new(body, 0);
            return ResponseFuture::new(
                service.call(Request::from_parts(head, body)),
                None,
                deadline,
            );
        }
        let (saved, trail, _) = Saved::with_trail(&mut head, self.policy.shares_copy, now);
        if let Some(deadline) = deadline {
            trail.limit(deadline);
        }
        if let Some(budget) = &self.policy.budget {
            budget.request(now);
        }
        let body = ReplayBody::new(body, self.policy.replay_limit);
        let mut again = Again {
            service,
            policy: Arc::clone(&self.policy),
            saved,
            body: body.share(),
            retries: 0,
            before: trail.attempt_count(),
            trail,
            started: now,
            last: None,
        };
        let deadline = Deadline::of(&again.trail, now);
        let future = again.service.call(Request::from_parts(head, body));
        ResponseFuture::new(future, Some(again), deadline)
    }
}

/// A tunnel or an upgrade hands the connection over, so a second attempt would find it gone.
fn is_sent_once(head: &Parts) -> bool {
    head.method == Method::CONNECT || head.headers.contains_key(UPGRADE)
}
