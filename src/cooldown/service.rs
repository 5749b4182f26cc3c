use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::{CooldownPolicy, ResponseFuture, witness::Witness};
use crate::{
    BoxError, Error,
    body::WatchedBody,
    deployment::{Deployment, Health, Refusal},
    error::{Refused, RefusedReason},
    trail::Carried,
};

/// The response body of a [`Cooldown`]: its end is what is judged.
pub type ResponseBody<B> = WatchedBody<B, Witness>;

/// Judges how each request ends, see the [module](super).
#[derive(Clone, Debug)]
pub struct Cooldown<S> {
    inner: S,
    policy: Arc<CooldownPolicy>,
    own: Deployment,
}

impl<S> Cooldown<S> {
    /// Judges the requests to `inner` by `policy`.
    pub fn new(inner: S, policy: CooldownPolicy) -> Self {
        Self::with(inner, Arc::new(policy), Deployment::new("service"))
    }

    pub(super) fn with(inner: S, policy: Arc<CooldownPolicy>, own: Deployment) -> Self {
        own.health().judged_by(&policy);
        Self { inner, policy, own }
    }

    /// The health of requests no balance has sent: to read, or to set by hand.
    #[must_use]
    pub fn health(&self) -> &Health {
        self.own.health()
    }

    /// Who will report how `request` ended: for the attempt it is on, or, without one, if the own health lets it pass.
    fn witness<B>(&self, request: &Request<B>) -> Result<Witness, Refused> {
        let carried = Carried::of(request.extensions());
        let policy = Arc::clone(&self.policy);
        if let Some(attempt) = carried.and_then(|carried| carried.attempt.as_ref()) {
            attempt.deployment.health().judged_by(&self.policy);
            let step = carried
                .and_then(|carried| carried.trail.clone())
                .map(|trail| (trail, attempt.index));
            return Ok(Witness::new(
                policy,
                attempt.deployment.clone(),
                attempt.admission,
                None,
                step,
            ));
        }
        let now = Instant::now();
        match self.own.health().admit(&self.own, now) {
            Ok((admission, probe)) => {
                Ok(Witness::new(policy, self.own.clone(), admission, probe, None))
            }
            Err((due, why)) => {
                let (reason, cause) = match why {
                    Refusal::Paused => (RefusedReason::Paused, None),
                    Refusal::ProbesTaken => (RefusedReason::Cooling, None),
                    Refusal::Cooling { kind, .. } => (RefusedReason::Cooling, kind),
                };
                // A trial may end at any moment, and its deadline is not when.
                let due = due.filter(|_| why != Refusal::ProbesTaken);
                let wait = due.map(|due| due.saturating_duration_since(now));
                Err(Refused::new(reason).retry_after(wait).caused_by(cause))
            }
        }
    }
}

impl<S, B, R> Service<Request<B>> for Cooldown<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::from_service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.witness(&request) {
            Ok(witness) => {
                let method = request.method().clone();
                ResponseFuture::called(self.inner.call(request), witness, method)
            }
            Err(refused) => ResponseFuture::refused(refused),
        }
    }
}
