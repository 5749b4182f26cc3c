use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::reading::{Asked, Reading};
use crate::{BoxError, Error, body::KeptBody, outcome::Classify};

pin_project! {
    /// The response of a [`Verify`](super::Verify).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call, or the response with what was read of it.
    pub struct VerifyFuture<F, R>
    where
        R: Body,
    {
        #[pin]
        state: State<F, R>,
        classify: Arc<dyn Classify>,
        asked: Asked,
    }
}

pin_project! {
    #[project = Projected]
    #[project_replace = Owned]
    enum State<F, R>
    where
        R: Body,
    {
        Calling { #[pin] future: F },
        Reading { reading: Reading<R> },
        Done,
    }
}

impl<F, R: Body> VerifyFuture<F, R> {
    pub(super) const fn new(future: F, classify: Arc<dyn Classify>, asked: Asked) -> Self {
        Self { state: State::Calling { future }, classify, asked }
    }
}

impl<F, R, E> Future for VerifyFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<KeptBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut state, classify) = (this.state, &**this.classify);
        loop {
            let verdict = match state.as_mut().project() {
                Projected::Calling { future } => {
                    let result = ready!(future.poll(cx)).map_err(Error::from_service);
                    let next = result.and_then(|response| {
                        let (head, body) = response.into_parts();
                        let phase = this.asked.look_into(&head, classify)?;
                        Ok((phase, head, body))
                    });
                    match next {
                        Ok((Some(phase), head, body)) => {
                            let reading = Reading::new(head, body, *this.asked, phase);
                            state.set(State::Reading { reading });
                            continue;
                        }
                        Ok((None, head, body)) => {
                            state.set(State::Done);
                            return Poll::Ready(Ok(KeptBody::live((head, body))));
                        }
                        Err(error) => Err(error),
                    }
                }
                Projected::Reading { reading } => ready!(reading.poll(cx, classify)),
                // Polled after its end; that never ends.
                Projected::Done => return Poll::Pending,
            };
            return match (state.project_replace(State::Done), verdict) {
                (_, Err(error)) => Poll::Ready(Err(error)),
                (Owned::Reading { reading }, Ok(failure)) => {
                    Poll::Ready(Ok(reading.hand_on(failure)))
                }
                (Owned::Calling { .. } | Owned::Done, Ok(_)) => Poll::Pending,
            };
        }
    }
}

impl<F, R: Body> fmt::Debug for VerifyFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyFuture").finish_non_exhaustive()
    }
}
