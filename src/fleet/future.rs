use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{BoxError, Error, error::Refused};

pin_project! {
    /// The response of a [`Fleet`](super::Fleet).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = Projected]
    #[project_replace = Owned]
    enum State<S, B, F> {
        Routed { service: S, request: Request<B> },
        Calling { #[pin] future: F },
        Refused { refused: Refused },
        Done,
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) const fn routed(service: S, request: Request<B>) -> Self {
        Self { state: State::Routed { service, request } }
    }

    pub(super) const fn refused(refused: Refused) -> Self {
        Self { state: State::Refused { refused } }
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                Projected::Calling { future } => {
                    return future.poll(cx).map_err(Error::from_service);
                }
                Projected::Routed { service, .. } => {
                    let ready = ready!(service.poll_ready(cx));
                    let taken = state.as_mut().project_replace(State::Done);
                    if let Err(error) = ready {
                        return Poll::Ready(Err(Error::from_service(error)));
                    }
                    let Owned::Routed { mut service, request } = taken else { continue };
                    state.set(State::Calling { future: service.call(request) });
                }
                Projected::Refused { .. } => {
                    let Owned::Refused { refused } = state.as_mut().project_replace(State::Done)
                    else {
                        continue;
                    };
                    return Poll::Ready(Err(refused.into()));
                }
                // Polled after its end; that never ends.
                Projected::Done => return Poll::Pending,
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
