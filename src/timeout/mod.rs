//! A time limit for each attempt, until its response head.
//!
//! Over an `llm::Verify`, which holds the head back until it has seen how the body begins, that is until the first chunk.
//!
//! Under a [balance](crate::balance) the deployment's own [`timeout`](crate::Deployment::timeout) goes before the
//! layer's, and neither lasts beyond the deadline of the request as a whole ([`Trail::limit`](crate::Trail::limit)). An
//! attempt that runs out ends in [`Error::TimedOut`], which counts against the deployment (unless it was the request's
//! deadline that came), and which a retry above takes elsewhere. No timer is set where no limit is. The error of Tower's
//! own `Timeout` is not known to the other layers as one, so attempts are better limited by this.
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
    error::{Refused, RefusedReason, TimedOut},
    trail::{Carried, Trail},
};

/// Applies [`Timeout`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeoutLayer {
    limit: Option<Duration>,
}

impl TimeoutLayer {
    /// Gives each attempt `limit`, unless its deployment has a limit of its own.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self { limit: Some(limit) }
    }

    /// Limits only attempts whose deployment or request has a limit.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { limit: None }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, limit: self.limit }
    }
}

/// Limits the time of each attempt, see the [module](self).
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    limit: Option<Duration>,
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

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let carried = Carried::of(request.extensions());
        let own = carried.and_then(|carried| carried.attempt.as_ref()?.deployment.get_timeout());
        let limit = own.or(self.limit).map(TimedOut::new);
        let deadline = carried.and_then(|carried| carried.trail.as_ref()).and_then(Trail::deadline);
        let Some(left) =
            deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
        else {
            return ResponseFuture::limited(self.inner.call(request), limit);
        };
        if left.is_zero() {
            return ResponseFuture::refused(Refused::new(RefusedReason::Deadline));
        }
        let limit =
            limit.filter(|limit| limit.after() <= left).unwrap_or(TimedOut::at_deadline(left));
        ResponseFuture::limited(self.inner.call(request), Some(limit))
    }
}
