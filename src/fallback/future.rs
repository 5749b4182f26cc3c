use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::FallbackPlan;
use crate::{
    BoxError, Error,
    body::{HandOver, KeptBody, ReplayBody},
    error::{Refused, RefusedReason},
    outcome::{Failure, Outcome},
    trail::{Carried, Elsewhere, Fallbacks, GroupName, Saved, Trail, outcome_of},
};

pin_project! {
    /// The response of a [`Fallback`](super::Fallback).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call that is under way; nothing is sent afterwards.
    pub struct ResponseFuture<S, R>
    where
        S: Service<Request<ReplayBody>>,
        R: Body,
    {
        #[pin]
        state: State<S::Future>,
        onward: Option<Onward<S, R>>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Calling { #[pin] future: F },
        HandingOver { hand_over: HandOver },
        /// For this group; for the one that was asked for, as the last resort, if none.
        Readying { group: Option<GroupName> },
        Done,
    }
}

/// What it takes to send the request to another group.
struct Onward<S, R: Body> {
    service: S,
    walk: Walk,
    saved: Saved,
    body: ReplayBody,
    trail: Trail,
    /// What the group the caller asked for answered.
    first: Option<Result<Box<Response<KeptBody<R>>>, Error>>,
    /// The group asked for was asked once more, as the last resort.
    resorted: bool,
}

/// Which group is next: plain data.
pub(super) struct Walk {
    plan: Arc<FallbackPlan>,
    /// Whether the plan's lists count: not where the request brought its own.
    listed: bool,
    current: Option<GroupName>,
    /// Those before the current one, by the names of the groups, not by aliases.
    tried: Vec<GroupName>,
    /// To try next, the last one first.
    pending: Vec<GroupName>,
    /// How many there were after the first.
    count: usize,
}

impl Walk {
    pub(super) fn new(
        plan: Arc<FallbackPlan>,
        group: Option<GroupName>,
        own: Option<Fallbacks>,
    ) -> Self {
        let listed = own.is_none();
        let pending = own.map(|own| own.groups().iter().rev().cloned().collect());
        let pending = pending.unwrap_or_default();
        Self { plan, listed, current: group, tried: Vec::new(), pending, count: 0 }
    }

    /// The group to try after the current one failed so; the walk is then there.
    fn next(&mut self, failure: &Failure) -> Option<GroupName> {
        if self.count >= self.plan.max || !self.plan.falls_back(failure.kind()) {
            return None;
        }
        if self.listed {
            let targets = self.plan.targets(self.current.as_ref(), failure.kind());
            self.pending.extend(targets.iter().rev().cloned());
        }
        self.tried.extend(self.current.iter().map(|name| self.plan.group_of(name)).cloned());
        while let Some(name) = self.pending.pop() {
            if !self.tried.contains(self.plan.group_of(&name)) {
                self.current = Some(name.clone());
                self.count += 1;
                return Some(name);
            }
        }
        None
    }

    /// Whether any failure of the group asked for leads to another one.
    pub(super) fn leads_anywhere(&self) -> bool {
        let listed = self.listed && self.plan.has_lists_for(self.current.as_ref());
        self.plan.max > 0 && (listed || !self.pending.is_empty())
    }

    /// On which failures of the current group another one is left.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        let mut elsewhere = Elsewhere::default();
        if self.count >= self.plan.max {
            return elsewhere;
        }
        let current = self.current.as_ref().map(|name| self.plan.group_of(name));
        let is_new = |name: &GroupName| {
            let group = self.plan.group_of(name);
            current != Some(group) && !self.tried.contains(group)
        };
        let pending = self.pending.iter().any(is_new);
        let leads = |targets: &[GroupName]| pending || targets.iter().any(is_new);
        let group = self.current.as_ref();
        if pending || self.listed && leads(self.plan.targets_of_any(group)) {
            elsewhere.on = self.plan.falls_back_on();
        }
        for kind in self.plan.kinds_with_lists().filter(|_| self.listed) {
            let Some(own) = self.plan.targets_of(group, kind) else { continue };
            if leads(own) && self.plan.falls_back(kind) {
                elsewhere.on.insert(kind);
                elsewhere.listed.insert(kind);
            } else {
                elsewhere.on.remove(kind);
            }
        }
        elsewhere
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<Request<ReplayBody>>,
    R: Body,
{
    /// A request that has nowhere else to go.
    pub(super) const fn once(future: S::Future) -> Self {
        Self { state: State::Calling { future }, onward: None }
    }

    pub(super) fn new(
        future: S::Future,
        service: S,
        walk: Walk,
        saved: Saved,
        body: ReplayBody,
        trail: Trail,
    ) -> Self {
        let onward = Onward { service, walk, saved, body, trail, first: None, resorted: false };
        Self { state: State::Calling { future }, onward: Some(onward) }
    }
}

/// What follows an answer.
enum Next<R: Body> {
    /// It is returned.
    Return,
    /// The first one is returned.
    First(Result<Response<KeptBody<R>>, Error>),
    To(GroupName),
    /// The group asked for, as if there were no other.
    LastResort,
}

impl<S, R: Body> Onward<S, R> {
    /// Judges an answer. It is moved no more than it must be, as most are returned.
    fn settle(&mut self, result: &Result<(Parts, R), Error>) -> Next<R> {
        // A target that no group has was not asked.
        if self.first.is_some() && refusal(result) == Some(RefusedReason::UnknownGroup) {
            self.walk.count -= 1;
            self.walk.current.iter().for_each(|name| self.trail.forget_group(name));
        }
        let outcome = outcome_of(&*self.walk.plan.classify, result);
        let Outcome::Failure(failure) = outcome else { return Next::Return };
        let next = if self.resorted { None } else { self.walk.next(&failure) };
        match next.filter(|_| self.can_replay()) {
            Some(group) => Next::To(group),
            None => match self.first.take() {
                // The first group only left the request to the others, and they cannot serve it either.
                Some(first)
                    if refusal(&first) == Some(RefusedReason::Cooling) && self.can_replay() =>
                {
                    self.resorted = true;
                    Next::LastResort
                }
                Some(first) => Next::First(first.map(|kept| *kept)),
                None => Next::Return,
            },
        }
    }

    fn can_replay(&self) -> bool {
        let replayable = self.body.replayable();
        if let Err(reason) = replayable {
            self.trail.set_not_replayed(reason);
        }
        replayable.is_ok()
    }

    /// The request, for `group`; as the last resort, for the group it asked for.
    fn request(&self, group: Option<GroupName>) -> Request<ReplayBody> {
        let mut request = self.saved.request(self.body.share());
        let carried = Carried::entry(request.extensions_mut());
        if let Some(group) = group {
            self.trail.push_group(group.clone());
            carried.group = Some(group);
            // What the copy says of elsewhere is what a layer above has said.
            carried.elsewhere |= self.walk.elsewhere();
        }
        carried.saved = Some(self.saved.share());
        request
    }

    /// Reads the first answer on, so that it holds neither connection nor place.
    fn read_on(&mut self, cx: &mut Context<'_>) {
        if let Some(Ok(response)) = &mut self.first {
            let _ = response.body_mut().poll_keep(cx);
        }
    }
}

/// Why a group would not take the request, if it would not.
fn refusal<T>(result: &Result<T, Error>) -> Option<RefusedReason> {
    result.as_ref().err().and_then(Error::as_refused).map(Refused::reason)
}

impl<S, R> Future for ResponseFuture<S, R>
where
    S: Service<Request<ReplayBody>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body,
{
    type Output = Result<Response<KeptBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut state = this.state;
        loop {
            if let Some(onward) = &mut *this.onward {
                onward.read_on(cx);
            }
            let result = match (state.as_mut().project(), &mut *this.onward) {
                (Projected::Calling { future }, onward) => match ready!(future.poll(cx)) {
                    Ok(response) => Ok(response.into_parts()),
                    Err(error) => {
                        // A call that timed out may still hold the request body, which the next group needs.
                        state.set(State::Done);
                        let error = Error::from_service(error);
                        if onward.as_ref().is_some_and(|onward| HandOver::is_due(&onward.body)) {
                            state.set(State::HandingOver { hand_over: HandOver::begin(error) });
                            continue;
                        }
                        Err(error)
                    }
                },
                (Projected::HandingOver { hand_over }, Some(onward)) => {
                    Err(ready!(hand_over.poll(&onward.body, cx)))
                }
                (Projected::Readying { group }, Some(onward)) => {
                    if let Err(error) = ready!(onward.service.poll_ready(cx)) {
                        state.set(State::Done);
                        return Poll::Ready(match onward.first.take() {
                            Some(first) => first.map(|kept| *kept),
                            None => Err(Error::from_service(error)),
                        });
                    }
                    let request = onward.request(group.take());
                    let future = onward.service.call(request);
                    state.set(State::Calling { future });
                    continue;
                }
                // Polled after its end; that never ends.
                (
                    Projected::HandingOver { .. } | Projected::Readying { .. } | Projected::Done,
                    _,
                ) => {
                    return Poll::Pending;
                }
            };
            state.set(State::Done);
            let Some(onward) = &mut *this.onward else {
                return Poll::Ready(result.map(KeptBody::live));
            };
            match onward.settle(&result) {
                Next::Return => return Poll::Ready(result.map(KeptBody::live)),
                Next::First(first) => return Poll::Ready(first),
                Next::To(group) => {
                    onward.first.get_or_insert_with(|| result.map(KeptBody::keep));
                    state.set(State::Readying { group: Some(group) });
                }
                Next::LastResort => state.set(State::Readying { group: None }),
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
