use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    BoxError, Error,
    error::{Refused, TimedOut},
};

pin_project! {
    /// The response of a [`Timeout`](super::Timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Called { #[pin] future: F },
        Limited { #[pin] future: F, #[pin] sleep: Sleep, elapsed: TimedOut },
        Refused { refused: Option<Refused> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn limited(future: F, limit: Option<(Instant, TimedOut)>) -> Self {
        let state = match limit {
            Some((at, elapsed)) => State::Limited { future, sleep: sleep_until(at), elapsed },
            None => State::Called { future },
        };
        Self { state }
    }

    pub(super) const fn refused(refused: Refused) -> Self {
        Self { state: State::Refused { refused: Some(refused) } }
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Called { future } => future.poll(cx).map_err(Error::from_service),
            // The answer first: one that is there is never thrown away for being late.
            Projected::Limited { future, sleep, elapsed } => match future.poll(cx) {
                Poll::Ready(result) => Poll::Ready(result.map_err(Error::from_service)),
                Poll::Pending => sleep.poll(cx).map(|()| Err((*elapsed).into())),
            },
            Projected::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(Err(refused.into())),
                // Polled after its end; that never ends.
                None => Poll::Pending,
            },
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
