//! A time limit for each attempt, until its response head.
//!
//! Over an `llm::Verify`, which holds the head back until it has seen how the body begins, that is until the first chunk;
//! of an error whose body does not come in time, the head is handed on at the limit.
//!
//! What the request asks for goes first ([`Overrides`]); then, under a [balance](crate::balance), the deployment's own
//! [`timeout`](crate::Deployment::timeout); then the layer's. Where the response is [wanted as a
//! stream](crate::Demand::stream), the limits for streams go before the others, the deployment's first. None of them
//! lasts beyond the deadline of the request as a whole ([`Trail::limit`]). No timer is set where no limit is.
//!
//! An attempt that runs out ends in [`Error::TimedOut`], which a retry above takes elsewhere. It counts against the
//! deployment, unless it was the request's deadline that came, or a limit that the request asked for and that was
//! shorter than its own. The error of Tower's own `Timeout` is not known to the other layers as one, so attempts are
//! better limited by this.
//!
//! ```
//! use std::{convert::Infallible, future, time::Duration};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_fleet::timeout::TimeoutLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let hangs = service_fn(|_: Request<()>| future::pending::<Result<Response<()>, Infallible>>());
//! let service = TimeoutLayer::new(Duration::from_millis(5)).layer(hangs);
//! assert!(service.oneshot(Request::new(())).await.is_err_and(|error| error.is_timeout()));
//! # }
//! ```

mod future;

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::ResponseFuture;
use crate::{
    BoxError, Error,
    deployment::Deployment,
    error::{Refused, RefusedReason, TimedOut},
    trail::{Carried, Overrides, Trail},
};

/// Applies [`Timeout`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeoutLayer {
    limits: Limits,
}

#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    all: Option<Duration>,
    streams: Option<Duration>,
}

impl TimeoutLayer {
    /// Gives each attempt `limit`, unless its deployment has a limit of its own.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self { limits: Limits { all: Some(limit), streams: None } }
    }

    /// Limits only attempts whose deployment or request has a limit.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { limits: Limits { all: None, streams: None } }
    }

    /// Gives attempts whose response is wanted as a [stream](crate::Demand::stream) another limit, until its head.
    /// LiteLLM's `stream_timeout`. Default: as the others.
    #[must_use]
    pub const fn stream(mut self, limit: Duration) -> Self {
        self.limits.streams = Some(limit);
        self
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, limits: self.limits }
    }
}

/// Limits the time of each attempt, see the [module](self).
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    limits: Limits,
}

impl Limits {
    /// The limit of an attempt.
    fn of(self, carried: Option<&Carried>) -> Option<TimedOut> {
        let Some(carried) = carried else { return self.all.map(TimedOut::new) };
        let streams = carried.demand.as_ref().is_some_and(|demand| demand.stream);
        let deployment = carried.attempt.as_ref().map(|attempt| &attempt.deployment);
        let all = deployment.and_then(Deployment::get_timeout).or(self.all);
        let of_streams = || deployment.and_then(Deployment::get_stream_timeout).or(self.streams);
        let own = if streams { of_streams().or(all) } else { all };
        let asked = carried.overrides.as_ref().and_then(|asked| asked.limit(streams));
        match asked {
            Some(asked) if own.is_none_or(|own| asked < own) => Some(TimedOut::at_callers(asked)),
            asked => asked.or(own).map(TimedOut::new),
        }
    }
}

impl Overrides {
    fn limit(&self, streams: bool) -> Option<Duration> {
        self.stream_timeout.filter(|_| streams).or(self.timeout)
    }
}

impl<S, B> Service<Request<B>> for Timeout<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::from_service)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let mut carried = request.extensions_mut().get_mut::<Carried>();
        let mut limit = self.limits.of(carried.as_deref());
        let trail = carried.as_ref().and_then(|carried| carried.trail.as_ref());
        let deadline = trail.and_then(Trail::deadline);
        if limit.is_none() && deadline.is_none() {
            return ResponseFuture::limited(self.inner.call(request), None);
        }
        let now = Instant::now();
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return ResponseFuture::refused(Refused::new(RefusedReason::Deadline));
            }
            limit = limit.filter(|limit| limit.after() <= left);
            limit = limit.or(Some(TimedOut::at_deadline(left)));
        }
        // One beyond all times is none.
        let limit = limit.and_then(|limit| Some((now.checked_add(limit.after())?, limit)));
        if let Some((carried, (at, _))) = carried.as_mut().zip(limit) {
            carried.until = Some(carried.until.map_or(at, |until| until.min(at)));
        }
        ResponseFuture::limited(self.inner.call(request), limit)
    }
}
