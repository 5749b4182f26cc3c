use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use self::waiting::{Waited, Waiting};
use super::{
    group::{Group, Leased},
    lease::Lease,
    pool::{Draft, Wish},
    service::ResponseBody,
    strategy::Strategy,
};
use crate::{
    BoxError, Error,
    deployment::{Admission, Deployment},
    error::Refused,
    outcome::{Failure, FailureKind, Outcome, Sent},
    quota::{Hold, Reported, reported},
    trail::{Answered, Attempt, Carried, Served, Trail, Tried},
};

mod waiting;

/// How many others, of those without limits, are asked while the readiness of the first pick is pending.
const OTHERS: usize = 2;

pin_project! {
    /// The response of a [`Balance`](super::Balance).
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives the place on the deployment back at once; so it does the place among those who
    /// [wait](super::QueuePolicy) for one.
    pub struct ResponseFuture<S, P, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, P, B, S::Future>,
    }
}

pin_project! {
    #[project = Projected]
    #[project_replace = Owned]
    enum State<S, P, B, F> {
        /// No place was free; it is woken when one may be.
        Waiting { waiting: Pin<Box<Waiting<S, P, B>>> },
        /// The request is whole, and goes to the first of the contenders that is ready.
        Readying { readying: Readying<S, P, B> },
        Calling { #[pin] future: F, called: Called },
        Refused { refused: Refused },
        Done,
    }
}

struct Readying<S, P, B> {
    group: Arc<Group<S, P>>,
    /// None once it is sent.
    request: Option<Request<B>>,
    contenders: Contenders<S>,
    /// Once the first contender was not ready at once.
    search: Option<Box<Search>>,
}

/// For another deployment beside or after the first contender.
struct Search {
    /// How many others may still be asked while contenders are pending.
    others: usize,
    /// Tried in earlier attempts, or a contender in this one.
    tried: Tried,
    failed: Option<Error>,
}

struct Contender<S> {
    service: S,
    lease: Lease,
    admission: Admission,
    spare: bool,
    picked: Instant,
}

/// Picks whose readiness is awaited: nearly always one, so that one needs no allocation.
struct Contenders<S> {
    first: Option<Contender<S>>,
    more: Vec<Contender<S>>,
}

struct Called {
    lease: Lease,
    method: Method,
    awaited: Awaited,
}

/// A step on the trail, where there is one. Dropping it says how long its answer was awaited, also when none came.
struct Awaited {
    trail: Option<Trail>,
    index: usize,
    started: Instant,
}

impl Awaited {
    fn end(&mut self) -> Option<Trail> {
        let trail = self.trail.take()?;
        trail.answered(self.index, self.started.elapsed());
        Some(trail)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.end();
    }
}

impl<S, P, B> ResponseFuture<S, P, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    P: Strategy,
{
    pub(super) fn new(group: Arc<Group<S, P>>, request: Request<B>) -> Self {
        let carried = Carried::of(request.extensions());
        let trail = carried.and_then(|carried| carried.trail.as_ref());
        let tried = trail.map(Trail::tried).unwrap_or_default();
        let now = Instant::now();
        let wish = wish(carried, &tried, now);
        let pick = |wish: &Wish<'_>| group.pick(wish);
        let refused = match explained(carried, &wish, pick, |picked| picked.as_ref().err().cloned())
        {
            Ok(first) => {
                let first = Contender::new(first, now);
                return Self { state: State::readying(group, request, first) };
            }
            Err(refused) => refused,
        };
        if let Some(seat) = group.seat(&refused, &wish, trail.and_then(Trail::deadline)) {
            let waiting = Box::pin(Waiting::new(request, tried, seat, now));
            return Self { state: State::Waiting { waiting } };
        }
        let refused = refused.in_group(carried.and_then(|carried| carried.group.clone()));
        Self { state: State::Refused { refused } }
    }
}

impl<S, P, B, F> State<S, P, B, F> {
    #[inline]
    fn readying(group: Arc<Group<S, P>>, request: Request<B>, first: Contender<S>) -> Self {
        let contenders = Contenders { first: Some(first), more: Vec::new() };
        let request = Some(request);
        Self::Readying { readying: Readying { group, request, contenders, search: None } }
    }
}

impl Search {
    /// Beside the first contender for `request`, which has sent nothing yet.
    fn begin<S, B>(request: &Request<B>, first: &Contender<S>) -> Self {
        let mut tried = Trail::of(request).map(Trail::tried).unwrap_or_default();
        tried.add(first.lease.deployment());
        Self { others: OTHERS, tried, failed: None }
    }
}

/// What a request wishes for.
fn wish<'a>(carried: Option<&'a Carried>, tried: &'a Tried, now: Instant) -> Wish<'a> {
    Wish {
        now,
        tried,
        strict: false,
        beside: false,
        elsewhere: carried
            .is_some_and(|carried| carried.elsewhere.on.contains(FailureKind::Refused)),
        demand: carried.and_then(|carried| carried.demand.as_deref()),
        explain: None,
    }
}

/// Makes a `pick`, which may come to nothing, and leaves on the trail what it saw, if the request is to be explained.
fn explained<T>(
    carried: Option<&Carried>,
    wish: &Wish<'_>,
    pick: impl FnOnce(&Wish<'_>) -> T,
    refused: impl FnOnce(&T) -> Option<Refused>,
) -> T {
    match carried.and_then(|carried| carried.trail.as_ref()) {
        Some(trail) if trail.explains() => {
            let draft = Draft::default();
            let picked = pick(&Wish { explain: Some(&draft), ..*wish });
            let group = carried.and_then(|carried| carried.group.clone());
            let refused = refused(&picked).map(|refused| refused.in_group(group.clone()));
            let explanation = draft.finish(wish.now, group, refused);
            // One that waits on has nothing to tell yet.
            if explanation.refused.is_some() || explanation.picked().is_some() {
                trail.push_explanation(explanation);
            }
            picked
        }
        _ => pick(wish),
    }
}

impl<S: Clone> Contender<S> {
    fn new(leased: Leased<S>, picked: Instant) -> Self {
        let Leased { service, lease, admission, spare } = leased;
        Self { service: S::clone(&service), lease, admission, spare, picked }
    }
}

impl<S, P, B> Readying<S, P, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    P: Strategy,
{
    /// Which contender is ready first; an error when none is left.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        // Sent already; nothing is left to come.
        let Some(request) = &self.request else { return Poll::Pending };
        let mut index = 0;
        loop {
            while let Some(contender) = self.contenders.get_mut(index) {
                let readiness = contender.service.poll_ready(cx);
                if let Poll::Ready(Ok(())) = readiness {
                    return Poll::Ready(Ok(index));
                }
                let search =
                    self.search.get_or_insert_with(|| Box::new(Search::begin(request, contender)));
                if let Poll::Ready(Err(error)) = readiness {
                    if let Some(failed) = self.contenders.take(index) {
                        note_unready(request, &failed);
                    }
                    search.failed = Some(Error::not_ready(error));
                } else {
                    index += 1;
                }
            }
            let Some(search) = &mut self.search else { return Poll::Pending };
            if index > 0 && search.others == 0 {
                return Poll::Pending;
            }
            // A failed one is replaced as long as there is another; beside pending ones only a few are asked.
            search.others -= usize::from(index > 0);
            let (carried, now) = (Carried::of(request.extensions()), Instant::now());
            let wish = wish(carried, &search.tried, now);
            let wish = Wish { strict: true, beside: index > 0, ..wish };
            let pick = |wish: &Wish<'_>| self.group.pick(wish);
            match explained(carried, &wish, pick, |picked| picked.as_ref().err().cloned()) {
                Ok(leased) => {
                    let another = Contender::new(leased, now);
                    search.tried.add(another.lease.deployment());
                    self.contenders.push(another);
                }
                Err(_) if index > 0 => {
                    search.others = 0;
                    return Poll::Pending;
                }
                Err(refused) => {
                    let failed = search.failed.take();
                    let group = carried.and_then(|carried| carried.group.clone());
                    let refused = refused.in_group(group);
                    return Poll::Ready(Err(failed.unwrap_or_else(|| refused.into())));
                }
            }
        }
    }

    /// Sends the request to a contender that is ready; nothing where it is sent already.
    fn call(&mut self, ready: usize) -> Option<(S::Future, Called)> {
        let contender = self.contenders.take(ready)?;
        let Contender { mut service, mut lease, admission, spare, picked: started } = contender;
        let request = self.request.as_mut()?;
        let deployment = lease.deployment().clone();
        let carried = Carried::entry(request.extensions_mut());
        let trail = carried.trail.clone();
        let index = trail.as_ref().map_or(0, |trail| {
            trail.push(Some(deployment.clone()), carried.group.clone(), started, spare)
        });
        carried.pinned = self.group.pinned(carried.demand.as_deref());
        lease.sent(started, carried.demand.as_deref());
        let hold = lease.hold().cloned();
        carried.attempt = Some(Attempt { deployment, index, started, admission, hold });
        let method = request.method().clone();
        let future = service.call(self.request.take()?);
        Some((future, Called { lease, method, awaited: Awaited { trail, index, started } }))
    }
}

/// Nothing was sent: the deployment's health and the trail learn of it, and the request goes elsewhere.
fn note_unready<S, B>(request: &Request<B>, contender: &Contender<S>) {
    let outcome = Outcome::Failure(Failure::new(FailureKind::Connect).not_sent());
    let (now, deployment) = (Instant::now(), contender.lease.deployment());
    deployment.health().report_unseen(contender.admission, &outcome, now);
    if let Some(trail) = Trail::of(request) {
        let group = Carried::of(request.extensions()).and_then(|carried| carried.group.clone());
        let picked = contender.picked;
        // Whatever stood ready beside it is asked by this very attempt.
        let index = trail.push(Some(deployment.clone()), group, picked, false);
        trail.answered(index, now.saturating_duration_since(picked));
        trail.judged(index, outcome);
    }
}

impl<S> Contenders<S> {
    fn push(&mut self, contender: Contender<S>) {
        if self.first.is_none() {
            self.first = Some(contender);
        } else {
            self.more.push(contender);
        }
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Contender<S>> {
        match index.checked_sub(1) {
            None => self.first.as_mut(),
            Some(index) => self.more.get_mut(index),
        }
    }

    /// Takes one out; those behind it move up.
    fn take(&mut self, index: usize) -> Option<Contender<S>> {
        if let Some(index) = index.checked_sub(1) {
            return (index < self.more.len()).then(|| self.more.remove(index));
        }
        let next = if self.more.is_empty() { None } else { Some(self.more.remove(0)) };
        std::mem::replace(&mut self.first, next)
    }
}

impl<S, P, B, R> Future for ResponseFuture<S, P, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    P: Strategy,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                Projected::Waiting { waiting } => match ready!(waiting.as_mut().poll(cx)) {
                    Ok(Waited { group, request, contender }) => {
                        state.set(State::readying(group, request, contender));
                    }
                    Err(refused) => {
                        state.set(State::Done);
                        return Poll::Ready(Err(refused.into()));
                    }
                },
                Projected::Readying { readying } => {
                    match ready!(readying.poll_ready(cx)).map(|ready| readying.call(ready)) {
                        Ok(Some((future, called))) => state.set(State::Calling { future, called }),
                        Ok(None) => state.set(State::Done),
                        Err(error) => {
                            state.set(State::Done);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                Projected::Calling { future, .. } => {
                    let result = ready!(future.poll(cx));
                    let Owned::Calling { called, .. } = state.as_mut().project_replace(State::Done)
                    else {
                        continue;
                    };
                    return Poll::Ready(match result {
                        Ok(response) => Ok(called.answer(response)),
                        Err(error) => Err(called.fail(Error::from_service(error))),
                    });
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

/// Whether the response says that the deployment has worked on the request: as a layer below has judged it, or else by
/// its status.
fn is_taken_on<R>(response: &Response<R>) -> bool {
    let judged = Answered::of(response.extensions()).and_then(|answered| answered.outcome);
    let status = response.status();
    judged.map_or_else(
        || !status.is_client_error() && !status.is_server_error(),
        |outcome| outcome.failure().is_none(),
    )
}

/// What the provider says is left, where the deployment heeds it. A cooldown heeds a 429.
fn report<R>(deployment: &Deployment, response: &Response<R>) -> Option<Reported> {
    let heeds =
        deployment.get_reported_limits() && response.status() != StatusCode::TOO_MANY_REQUESTS;
    heeds.then(|| reported(response.headers(), SystemTime::now)).flatten()
}

/// Tells the quotas what the response says of them.
fn hear<R>(hold: &Hold, deployment: &Deployment, response: &Response<R>) {
    if is_taken_on(response) {
        hold.answered();
    } else {
        hold.failed();
    }
    hold.heard(report(deployment, response).as_ref());
}

impl Called {
    fn fail(mut self, error: Error) -> Error {
        self.lease.error(&error);
        if let Some(hold) = self.lease.hold() {
            let failure = Failure::from_error(&error);
            match (failure.sent(), failure.kind()) {
                (Sent::No, _) => hold.not_sent(),
                // It may be working on it still.
                (_, FailureKind::Timeout) => {}
                _ => hold.failed(),
            }
        }
        error
    }

    fn answer<R: Body>(self, mut response: Response<R>) -> Response<ResponseBody<R>> {
        let Self { mut lease, method, mut awaited } = self;
        if let Some(hold) = lease.hold() {
            hear(hold, lease.deployment(), &response);
        }
        let served = Served { deployment: lease.deployment().clone(), trail: awaited.end() };
        Answered::entry(response.extensions_mut()).served = Some(served);
        lease.head(&response);
        let status = response.status();
        response.map(|body| ResponseBody::of_response(&method, status, body, lease))
    }
}

impl<S, P, B> fmt::Debug for ResponseFuture<S, P, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
