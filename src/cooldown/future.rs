use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Method, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{service::ResponseBody, witness::Witness};
use crate::{BoxError, Error, error::Refused, trail::Answered};

pin_project! {
    /// The response of a [`Cooldown`](super::Cooldown).
    ///
    /// # Cancel safety
    ///
    /// Dropping it counts as a caller that went away; a trial's place is given back at once.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    #[project_replace = Owned]
    enum State<F> {
        Called { #[pin] future: F, witness: Witness, method: Method },
        Refused { refused: Refused },
        Done,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn called(future: F, witness: Witness, method: Method) -> Self {
        Self { state: State::Called { future, witness, method } }
    }

    pub(super) const fn refused(refused: Refused) -> Self {
        Self { state: State::Refused { refused } }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let result = match state.as_mut().project() {
            Projected::Called { future, .. } => Some(ready!(future.poll(cx))),
            Projected::Refused { .. } => None,
            // Polled after its end; that never ends.
            Projected::Done => return Poll::Pending,
        };
        Poll::Ready(match (state.project_replace(State::Done), result) {
            (Owned::Called { mut witness, method, .. }, Some(Ok(response))) => {
                let (mut head, body) = response.into_parts();
                let body = match witness.head(&head) {
                    Some(outcome) => {
                        Answered::entry(&mut head.extensions).outcome = Some(outcome);
                        ResponseBody::unwatched(body)
                    }
                    None => ResponseBody::of_response(&method, head.status, body, witness),
                };
                Ok(Response::from_parts(head, body))
            }
            (Owned::Called { mut witness, .. }, Some(Err(error))) => {
                let error = Error::from_service(error);
                witness.error(&error);
                Err(error)
            }
            (Owned::Refused { refused }, _) => Err(refused.into()),
            (Owned::Called { .. } | Owned::Done, _) => return Poll::Pending,
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
