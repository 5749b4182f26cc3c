use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use super::{RetryPolicy, policy::Case};
use crate::{
    BoxError, Error,
    body::{HandOver, KeptBody, ReplayBody},
    error::{Refused, RefusedReason, TimedOut},
    outcome::{FailureKind, Outcome},
    trail::{Saved, Trail, outcome_of},
};

pin_project! {
    /// The response of a [`Retry`](super::Retry).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the attempt or the wait that is under way; nothing is sent afterwards.
    pub struct ResponseFuture<S, R>
    where
        S: Service<Request<ReplayBody>>,
        R: Body,
    {
        #[pin]
        state: State<S::Future>,
        again: Option<Again<S, R>>,
        deadline: Option<Deadline>,
    }
}

/// When the request must be answered.
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    left: Duration,
}

impl Deadline {
    /// The deadline of a request, where it has one.
    pub(super) fn of(trail: &Trail, now: Instant) -> Option<Self> {
        let at = trail.deadline()?;
        Some(Self { sleep: Box::pin(sleep_until(at)), left: at.saturating_duration_since(now) })
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Calling { #[pin] future: F },
        HandingOver { hand_over: HandOver },
        Waiting { #[pin] sleep: Sleep },
        Readying,
        Done,
    }
}

/// What it takes to send the request again.
pub(super) struct Again<S, R: Body> {
    pub(super) service: S,
    pub(super) policy: Arc<RetryPolicy>,
    pub(super) saved: Saved,
    pub(super) body: ReplayBody,
    pub(super) trail: Trail,
    pub(super) retries: u32,
    /// How many steps the trail had before the attempt under way.
    pub(super) before: usize,
    pub(super) started: Instant,
    /// The best answer so far: a failed response, or else the latest error.
    pub(super) last: Option<Result<Box<Response<KeptBody<R>>>, Error>>,
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<Request<ReplayBody>>,
    R: Body,
{
    /// The first attempt is under way; without `again` it is the only one.
    pub(super) const fn new(
        future: S::Future,
        again: Option<Again<S, R>>,
        deadline: Option<Deadline>,
    ) -> Self {
        Self { state: State::Calling { future }, again, deadline }
    }
}

/// What follows an attempt.
enum Next<R: Body> {
    /// Its answer is returned.
    Return,
    /// An earlier answer is returned.
    Last(Result<Response<KeptBody<R>>, Error>),
    After(Duration),
}

impl<S, R: Body> Again<S, R> {
    /// Judges an attempt. Its answer is moved no more than it must be, as most are returned.
    fn settle(&mut self, result: &Result<(Parts, R), Error>) -> Next<R> {
        let outcome = outcome_of(&*self.policy.classify, result);
        let refused = result.as_ref().err().and_then(Error::as_refused).map(Refused::reason);
        self.note(outcome, refused.is_some());
        let Outcome::Failure(failure) = outcome else { return Next::Return };
        if (refused.is_some() || failure.kind() == FailureKind::Refused)
            && let Some(last) = self.last.take()
        {
            return Next::Last(last.map(|kept| *kept));
        }
        // What no deployment has now, none will have after a wait.
        if let Some(RefusedReason::ContextWindow | RefusedReason::Unsupported) = refused {
            return Next::Return;
        }
        let head = self.saved.head();
        let case = Case {
            failure: &failure,
            method: &head.method,
            headers: &head.headers,
            body: &self.body,
            trail: &self.trail,
            spare: self.trail.has_spare_since(self.before),
            elsewhere: self.saved.carried().elsewhere.on.contains(failure.kind()),
            retries: self.retries,
            deployment_allows: self.trail.retries_since(self.before),
            carried: self.saved.carried(),
        };
        if let Some(wait) = self.policy.next(&case, Instant::now()) {
            self.retries += 1;
            return Next::After(wait);
        }
        match (result, self.last.take()) {
            (Err(_), Some(Ok(kept))) => Next::Last(Ok(*kept)),
            _ => Next::Return,
        }
    }

    /// Enters the attempt on the trail, unless a balance below has or it was none, and how it ended.
    fn note(&self, outcome: Outcome, refused: bool) {
        let refused = refused
            || outcome.failure().is_some_and(|failure| failure.kind() == FailureKind::Refused);
        if self.trail.judged_since(self.before, outcome) || refused {
            return;
        }
        let index = self.trail.push(None, None, self.started, false);
        self.trail.answered(index, self.started.elapsed());
        self.trail.judged(index, outcome);
    }

    /// Keeps the answer for the case that no better one comes; a response is better than an error.
    fn keep(&mut self, result: Result<(Parts, R), Error>) {
        match result {
            Ok(response) => self.last = Some(Ok(KeptBody::keep(response))),
            Err(error) if !matches!(self.last, Some(Ok(_))) => self.last = Some(Err(error)),
            Err(_) => {}
        }
    }

    /// Reads a kept response on, so that it holds neither connection nor place.
    fn read_on(&mut self, cx: &mut Context<'_>) {
        if let Some(Ok(response)) = &mut self.last {
            let _ = response.body_mut().poll_keep(cx);
        }
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    S: Service<Request<ReplayBody>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body,
{
    type Output = Result<Response<KeptBody<R>>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = self.as_mut().poll_attempts(cx) {
            return Poll::Ready(result);
        }
        let mut this = self.project();
        let Some(deadline) = this.deadline else { return Poll::Pending };
        ready!(deadline.sleep.as_mut().poll(cx));
        let timed_out = Err(TimedOut::at_deadline(deadline.left).into());
        *this.deadline = None;
        this.state.set(State::Done);
        Poll::Ready(match this.again.take().and_then(|again| again.last) {
            Some(Ok(kept)) => Ok(*kept),
            _ => timed_out,
        })
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<Request<ReplayBody>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body,
{
    fn poll_attempts(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<KeptBody<R>>, Error>> {
        let this = self.project();
        let mut state = this.state;
        if let Some(again) = this.again {
            again.read_on(cx);
        }
        loop {
            let result = match (state.as_mut().project(), &mut *this.again) {
                (Projected::Calling { future }, again) => match ready!(future.poll(cx)) {
                    Ok(response) => Ok(response.into_parts()),
                    Err(error) => {
                        // One that timed out may still hold the request body, which the next attempt needs.
                        state.set(State::Done);
                        let error = Error::from_service(error);
                        if again.as_ref().is_some_and(|again| HandOver::is_due(&again.body)) {
                            state.set(State::HandingOver { hand_over: HandOver::begin(error) });
                            continue;
                        }
                        Err(error)
                    }
                },
                (Projected::HandingOver { hand_over }, Some(again)) => {
                    Err(ready!(hand_over.poll(&again.body, cx)))
                }
                (Projected::Waiting { sleep }, _) => {
                    ready!(sleep.poll(cx));
                    state.set(State::Readying);
                    continue;
                }
                (Projected::Readying, Some(again)) => match ready!(again.service.poll_ready(cx)) {
                    Ok(()) => {
                        again.before = again.trail.attempt_count();
                        again.started = Instant::now();
                        let request = again.saved.request(again.body.share());
                        let future = again.service.call(request);
                        state.set(State::Calling { future });
                        continue;
                    }
                    Err(error) => {
                        state.set(State::Done);
                        return Poll::Ready(match again.last.take() {
                            Some(Ok(kept)) => Ok(*kept),
                            _ => Err(Error::from_service(error)),
                        });
                    }
                },
                // Polled after its end; that never ends.
                (Projected::HandingOver { .. } | Projected::Readying | Projected::Done, _) => {
                    return Poll::Pending;
                }
            };
            state.set(State::Done);
            let Some(again) = &mut *this.again else {
                return Poll::Ready(result.map(KeptBody::live));
            };
            match again.settle(&result) {
                Next::Return => return Poll::Ready(result.map(KeptBody::live)),
                Next::Last(last) => return Poll::Ready(last),
                Next::After(wait) => {
                    again.keep(result);
                    again.read_on(cx);
                    state.set(match wait {
                        Duration::ZERO => State::Readying,
                        wait => State::Waiting { sleep: tokio::time::sleep(wait) },
                    });
                }
            }
        }
    }
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<Request<ReplayBody>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
