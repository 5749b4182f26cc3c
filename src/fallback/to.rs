use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::FallbackPlan;
use crate::{
    BoxError, Error,
    body::{HandOver, KeptBody, ReplayBody},
    outcome::Outcome,
    trail::{Carried, Elsewhere, Saved, Trail, outcome_of},
};

/// Applies [`FallbackTo`].
#[derive(Clone, Debug)]
pub struct FallbackToLayer<F> {
    second: F,
    plan: Arc<FallbackPlan>,
}

impl<F> FallbackToLayer<F> {
    /// Falls back to `second` on every failure but those that are the request's own fault.
    pub fn new(second: F) -> Self {
        Self::with_plan(second, FallbackPlan::new())
    }

    /// Falls back to `second` when `plan` would; its groups do not matter.
    pub fn with_plan(second: F, plan: FallbackPlan) -> Self {
        Self { second, plan: Arc::new(plan) }
    }
}

impl<S, F: Clone> Layer<S> for FallbackToLayer<F> {
    type Service = FallbackTo<S, F>;

    fn layer(&self, first: S) -> Self::Service {
        FallbackTo { first, second: self.second.clone(), plan: Arc::clone(&self.plan) }
    }
}

/// Sends a request to a second service when the first fails. When both fail the caller sees the first one's answer.
///
/// ```
/// use std::convert::Infallible;
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::{Empty, Full};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_fleet::fallback::FallbackToLayer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_fleet::Error> {
/// let down = service_fn(|_: Request<_>| async {
///     let mut response = Response::new(Full::<Bytes>::default());
///     *response.status_mut() = StatusCode::BAD_GATEWAY;
///     Ok::<_, Infallible>(response)
/// });
/// let canned = service_fn(|_: Request<_>| async {
///     Ok::<_, Infallible>(Response::new(Full::from("we are back soon")))
/// });
/// let client = FallbackToLayer::new(canned).layer(down);
/// let response = client.oneshot(Request::new(Empty::<Bytes>::new())).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FallbackTo<S, F> {
    first: S,
    second: F,
    plan: Arc<FallbackPlan>,
}

impl<S, F, B, R> Service<Request<B>> for FallbackTo<S, F>
where
    S: Service<Request<ReplayBody>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    F: Service<Request<ReplayBody>, Response = Response<R>> + Clone,
    F::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body,
{
    type Response = Response<KeptBody<R>>;
    type Error = Error;
    type Future = ToFuture<S::Future, F, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.first.poll_ready(cx).map_err(Error::from_service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let body = ReplayBody::new(body, self.plan.replay_limit);
        let (saved, trail, carried) = Saved::with_trail(&mut head, false, Instant::now());
        carried.elsewhere = Elsewhere::ALWAYS;
        carried.saved = Some(saved.share());
        let second = Second {
            service: self.second.clone(),
            plan: Arc::clone(&self.plan),
            saved,
            body: body.share(),
            trail,
            first: None,
        };
        let future = self.first.call(Request::from_parts(head, body));
        ToFuture { state: State::First { future }, second }
    }
}

pin_project! {
    /// The response of a [`FallbackTo`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call that is under way; nothing is sent afterwards.
    pub struct ToFuture<A, F, R>
    where
        F: Service<Request<ReplayBody>>,
        R: Body,
    {
        #[pin]
        state: State<A, F::Future>,
        second: Second<F, R>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<A, B> {
        First { #[pin] future: A },
        HandingOver { hand_over: HandOver },
        Readying,
        Second { #[pin] future: B },
        Done,
    }
}

struct Second<F, R: Body> {
    service: F,
    plan: Arc<FallbackPlan>,
    saved: Saved,
    body: ReplayBody,
    trail: Trail,
    first: Option<Result<Box<Response<KeptBody<R>>>, Error>>,
}

impl<F, R: Body> Second<F, R> {
    /// The request again.
    fn request(&self) -> Request<ReplayBody> {
        let mut request = self.saved.request(self.body.share());
        Carried::entry(request.extensions_mut()).saved = Some(self.saved.share());
        request
    }

    /// Keeps the first answer and asks the second service; or the answer is to be returned.
    fn settle(
        &mut self,
        result: Result<Response<R>, Error>,
    ) -> Option<Result<Response<KeptBody<R>>, Error>> {
        let result = result.map(Response::into_parts);
        let outcome = outcome_of(&*self.plan.classify, &result);
        let failed =
            matches!(outcome, Outcome::Failure(failure) if self.plan.falls_back(failure.kind()));
        if failed && let Err(reason) = self.body.replayable() {
            self.trail.set_not_replayed(reason);
        } else if failed {
            self.first = Some(result.map(KeptBody::keep));
            return None;
        }
        Some(result.map(KeptBody::live))
    }

    /// The second answer, unless it failed too.
    fn better(
        &mut self,
        result: Result<Response<R>, Error>,
    ) -> Result<Response<KeptBody<R>>, Error> {
        let result = result.map(Response::into_parts);
        let outcome = outcome_of(&*self.plan.classify, &result);
        match (outcome, self.first.take()) {
            (Outcome::Failure(_), Some(first)) => first.map(|kept| *kept),
            _ => result.map(KeptBody::live),
        }
    }
}

impl<A, F, R, E> Future for ToFuture<A, F, R>
where
    A: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    F: Service<Request<ReplayBody>, Response = Response<R>>,
    F::Error: Into<BoxError>,
    R: Body,
{
    type Output = Result<Response<KeptBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut state, second) = (this.state, this.second);
        let result = loop {
            if let Some(Ok(response)) = &mut second.first {
                let _ = response.body_mut().poll_keep(cx);
            }
            match state.as_mut().project() {
                Projected::First { future } => {
                    let result = ready!(future.poll(cx)).map_err(Error::from_service);
                    // A call that timed out may still hold the request body, which the second needs.
                    state.set(State::Done);
                    match result {
                        Err(error) if HandOver::is_due(&second.body) => {
                            state.set(State::HandingOver { hand_over: HandOver::begin(error) });
                        }
                        result => match second.settle(result) {
                            Some(result) => break result,
                            None => state.set(State::Readying),
                        },
                    }
                }
                Projected::HandingOver { hand_over } => {
                    let error = ready!(hand_over.poll(&second.body, cx));
                    match second.settle(Err(error)) {
                        Some(result) => break result,
                        None => state.set(State::Readying),
                    }
                }
                Projected::Readying => match ready!(second.service.poll_ready(cx)) {
                    Ok(()) => {
                        let future = second.service.call(second.request());
                        state.set(State::Second { future });
                    }
                    Err(error) => break second.better(Err(Error::from_service(error))),
                },
                Projected::Second { future } => {
                    break second.better(ready!(future.poll(cx)).map_err(Error::from_service));
                }
                // Polled after its end; that never ends.
                Projected::Done => return Poll::Pending,
            }
        };
        state.set(State::Done);
        Poll::Ready(result)
    }
}

impl<A, F, R> fmt::Debug for ToFuture<A, F, R>
where
    F: Service<Request<ReplayBody>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToFuture").finish_non_exhaustive()
    }
}
