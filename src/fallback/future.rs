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
use tower_service::Service;

use super::FallbackPlan;
use crate::{
    BoxError, Error,
    body::{KeptBody, ReplayBody},
    outcome::{Failure, Outcome},
    trail::{Carried, Fallbacks, GroupName, Saved, Trail, outcome_of},
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
        Readying { group: GroupName },
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
    first: Option<Result<Response<KeptBody<R>>, Error>>,
}

/// Which group is next: plain data.
pub(super) struct Walk {
    plan: Arc<FallbackPlan>,
    /// The list the request brought with it; its targets' own lists are then not looked up.
    own: Option<Fallbacks>,
    current: Option<GroupName>,
    tried: Vec<GroupName>,
    /// To try next, the last one first.
    pending: Vec<GroupName>,
    count: usize,
}

impl Walk {
    pub(super) fn new(
        plan: Arc<FallbackPlan>,
        group: Option<GroupName>,
        own: Option<Fallbacks>,
    ) -> Self {
        let tried = group.iter().cloned().collect();
        Self { plan, own, current: group, tried, pending: Vec::new(), count: 0 }
    }

    /// The group to try after the current one failed so; the walk is then there.
    fn next(&mut self, failure: &Failure) -> Option<GroupName> {
        if self.count >= self.plan.max || !self.plan.falls_back(failure) {
            return None;
        }
        let targets = match &self.own {
            Some(own) if self.count == 0 => own.groups(),
            Some(_) => &[],
            None => self.plan.targets(self.current.as_ref(), failure),
        };
        self.pending.extend(targets.iter().rev().cloned());
        while let Some(group) = self.pending.pop() {
            if !self.tried.contains(&group) {
                self.tried.push(group.clone());
                self.current = Some(group.clone());
                self.count += 1;
                return Some(group);
            }
        }
        None
    }

    /// Whether any failure of the group asked for leads to another one.
    pub(super) fn leads_anywhere(&self) -> bool {
        match &self.own {
            Some(own) => !own.groups().is_empty(),
            None => self.plan.has_lists_for(self.current.as_ref()),
        }
    }

    /// Whether another group is left, should the current one fail like most.
    pub(super) fn has_more(&self) -> bool {
        let listed = match &self.own {
            Some(own) if self.count == 0 => own.groups(),
            Some(_) => &[],
            None => self.plan.leads_on(self.current.as_ref()),
        };
        self.count < self.plan.max
            && self.pending.iter().chain(listed).any(|group| !self.tried.contains(group))
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
        let onward = Onward { service, walk, saved, body, trail, first: None };
        Self { state: State::Calling { future }, onward: Some(onward) }
    }
}

/// What follows the answer of a group.
enum Next<R: Body> {
    To(GroupName),
    Return(Result<Response<KeptBody<R>>, Error>),
}

impl<S, R: Body> Onward<S, R> {
    fn settle(&mut self, result: Result<Response<R>, Error>) -> Next<R> {
        let (outcome, result) = outcome_of(&*self.walk.plan.classify, result);
        let next = match outcome {
            Outcome::Failure(failure) => self.walk.next(&failure).filter(|_| self.can_replay()),
            Outcome::Success | Outcome::Ignored => {
                return Next::Return(result.map(|response| response.map(KeptBody::new)));
            }
        };
        match (next, self.first.take()) {
            (Some(group), first) => {
                self.first =
                    first.or_else(|| Some(result.map(|response| response.map(KeptBody::keep))));
                Next::To(group)
            }
            (None, Some(first)) => Next::Return(first),
            (None, None) => Next::Return(result.map(|response| response.map(KeptBody::new))),
        }
    }

    fn can_replay(&self) -> bool {
        let replayable = self.body.replayable();
        if let Err(reason) = replayable {
            self.trail.set_not_replayed(reason);
        }
        replayable.is_ok()
    }

    /// The request, for `group`.
    fn request(&self, group: GroupName) -> Request<ReplayBody> {
        self.trail.set_elsewhere(self.walk.has_more());
        self.trail.push_group(group.clone());
        let mut request = self.saved.request(self.body.share());
        let saved = self.saved.share();
        Carried::entry(request.extensions_mut()).saved = Some(saved);
        group.set(&mut request);
        request
    }

    /// Reads the first answer on, so that it holds neither connection nor place.
    fn read_on(&mut self, cx: &mut Context<'_>) {
        if let Some(Ok(response)) = &mut self.first {
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

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut state = this.state;
        loop {
            if let Some(onward) = &mut *this.onward {
                onward.read_on(cx);
            }
            match (state.as_mut().project(), &mut *this.onward) {
                (Projected::Calling { future }, onward) => {
                    let result = ready!(future.poll(cx)).map_err(Error::from_service);
                    let next = match onward {
                        Some(onward) => onward.settle(result),
                        None => Next::Return(result.map(|response| response.map(KeptBody::new))),
                    };
                    match next {
                        Next::To(group) => state.set(State::Readying { group }),
                        Next::Return(result) => {
                            state.set(State::Done);
                            return Poll::Ready(result);
                        }
                    }
                }
                (Projected::Readying { group }, Some(onward)) => {
                    if let Err(error) = ready!(onward.service.poll_ready(cx)) {
                        let first = onward.first.take();
                        state.set(State::Done);
                        return Poll::Ready(
                            first.unwrap_or_else(|| Err(Error::from_service(error))),
                        );
                    }
                    let request = onward.request(group.clone());
                    let future = onward.service.call(request);
                    state.set(State::Calling { future });
                }
                // Polled after its end; that never ends.
                (Projected::Readying { .. } | Projected::Done, _) => return Poll::Pending,
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
