use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Contender, explained, wish};
use crate::{
    balance::{
        group::{Group, Leased, Seat, Turn},
        pool::Wish,
        strategy::Strategy,
    },
    error::Refused,
    trail::{Carried, Tried},
};

pin_project! {
    /// A request that waits for a place.
    pub(super) struct Waiting<S, P, B> {
        // None once it is taken out, at the end of the wait.
        request: Option<Request<B>>,
        tried: Tried,
        seat: Seat<S, P>,
        since: Instant,
        #[pin]
        sleep: Sleep,
    }
}

/// The end of a wait that was not in vain.
pub(super) struct Waited<S, P, B> {
    pub(super) group: Arc<Group<S, P>>,
    pub(super) request: Request<B>,
    pub(super) contender: Contender<S>,
}

impl<S, P, B> Waiting<S, P, B>
where
    S: Clone + Send + Sync + 'static,
    P: Strategy,
{
    pub(super) fn new(request: Request<B>, tried: Tried, seat: Seat<S, P>, since: Instant) -> Self {
        Self { request: Some(request), tried, seat, since, sleep: sleep_until(since) }
    }

    pub(super) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Waited<S, P, B>, Refused>> {
        let mut this = self.project();
        loop {
            // Taken out already; nothing is left to come.
            let Some(request) = this.request.as_ref() else { return Poll::Pending };
            let carried = Carried::of(request.extensions());
            let now = Instant::now();
            let wish = wish(carried, this.tried, now);
            let take_turn = |wish: &Wish<'_>| this.seat.take_turn(wish, cx.waker());
            let refused = |turn: &Turn<Leased<S>>| match turn {
                Turn::Refused(refused) => Some(refused.clone()),
                _ => None,
            };
            match explained(carried, &wish, take_turn, refused) {
                Turn::Waits { until } => {
                    if this.sleep.deadline() != until {
                        this.sleep.as_mut().reset(until);
                    }
                    if this.sleep.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                Turn::Refused(refused) => {
                    let group = carried.and_then(|carried| carried.group.clone());
                    *this.request = None;
                    return Poll::Ready(Err(refused.in_group(group)));
                }
                Turn::Picked(leased) => {
                    let waited = now.saturating_duration_since(*this.since);
                    if let Some(trail) = carried.and_then(|carried| carried.trail.as_ref())
                        && waited > Duration::ZERO
                    {
                        trail.waited(waited);
                    }
                    let contender = Contender::new(leased, now);
                    let group = Arc::clone(this.seat.group());
                    let Some(request) = this.request.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(Waited { group, request, contender }));
                }
            }
        }
    }
}
