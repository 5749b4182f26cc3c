use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Refused, RefusedReason};

/// How requests wait for a place when none is free, instead of being refused.
///
/// A request waits when the reason for its refusal passes: every deployment is full, or has had all it may have in a
/// time, or is cooling and will be back before the request's time is up; likewise where a budget is spent, if it is
/// known to be renewed before. It is woken when a place may be free; nothing is tried in between. Where others wait beside
/// it, it sees once a second that those who were woken before it are polled: one whose future is kept and not polled
/// keeps its place in line, but holds up those behind it no longer than that, and each further such one a tenth of it.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::balance::{PriorityClass, QueuePolicy};
///
/// let policy = QueuePolicy::new(1000)
///     .max_wait(Duration::from_secs(10))
///     // Up to priority 0: first, and half of all; then the others, with the other half.
///     .class(PriorityClass::up_to(0, 0.5));
/// ```
///
/// # Order
///
/// The first [class](Self::class) that has a request goes first, but each class has its share of the places that come
/// free as long as it waits, so none starves. Within a class those who ask ([`Demand::caller`](crate::Demand::caller))
/// take turns, and each one's requests go in the order in which they came: who sends a thousand delays another by one.
/// Requests that name no caller are one caller's. Whatever comes free is offered down the line once: a request that
/// needs something else keeps its place and its turn, and holds nobody up. So one that needs much of a limit may never
/// find so much free while smaller ones take it as it comes; its time ends then, as for any other.
///
/// A request that comes while others wait takes a place at once only if they all had it offered and could not use it,
/// or if more are free than they are; so does one that finds the line full, where more are free than were offered.
///
/// Classes and callers order the line of one group. Groups whose deployments share a quota, or are the same, each have
/// their own line: of what comes free there, it is offered first to each group in turn that has someone waiting.
///
/// # Bounds
///
/// A full line refuses with [`QueueFull`](RefusedReason::QueueFull). Shares are reserved there too: a class may fill the
/// line as long as the others do not need their places; when they do, its latest request makes room. So does, within a
/// class, the latest one of the caller who has most, for a caller who has fewer ("longest queue drop", as in fair
/// queueing). A time that is up, be it [`max_wait`](Self::max_wait) or the [deadline](crate::Trail::deadline) of the
/// request, refuses with [`QueueTimeout`](RefusedReason::QueueTimeout).
#[derive(Clone, Debug)]
pub struct QueuePolicy {
    pub(super) max_waiting: usize,
    max_wait: Duration,
    pub(super) classes: Vec<PriorityClass>,
    pub(super) default_priority: i32,
    before_fallback: bool,
}

/// The requests of a range of priorities, and what is reserved for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriorityClass {
    pub(super) up_to: i32,
    pub(super) share: f64,
}

impl PriorityClass {
    /// The requests of this priority and of those before it (lower numbers) that no other class takes. Of the places that
    /// come free, and of the places in line, `share` (of 1) is theirs while they need it.
    #[must_use]
    pub const fn up_to(priority: i32, share: f64) -> Self {
        Self { up_to: priority, share }
    }
}

impl QueuePolicy {
    /// As many as `max_waiting` requests wait at a time, in one class.
    #[must_use]
    pub const fn new(max_waiting: usize) -> Self {
        Self {
            max_waiting,
            max_wait: Duration::from_secs(30),
            classes: Vec::new(),
            default_priority: 0,
            before_fallback: false,
        }
    }

    /// The longest a request waits. Default 30 s: half of the minute after which proxies and clients often give up, so
    /// that a request that waited has time left for its answer.
    #[must_use]
    pub const fn max_wait(mut self, limit: Duration) -> Self {
        self.max_wait = limit;
        self
    }

    /// Adds a class of [priorities](crate::Demand::priority). Classes are served in the order of their priorities; what
    /// comes after them all is a last class, to which the rest of the shares belongs. Shares that come to more than 1 are
    /// scaled down to it; then the last class waits until no other does. Default none: all requests are alike.
    #[must_use]
    pub fn class(mut self, class: PriorityClass) -> Self {
        self.classes.push(class);
        self
    }

    /// The priority of requests that name none. Default 0, so that lower numbers go before them and higher ones after.
    #[must_use]
    pub const fn default_priority(mut self, priority: i32) -> Self {
        self.default_priority = priority;
        self
    }

    /// Whether requests wait also where another group can take them: a [`Fallback`](crate::fallback::Fallback) above
    /// sends what is refused here elsewhere. Default false: they go there at once.
    #[must_use]
    pub const fn before_fallback(mut self, wait: bool) -> Self {
        self.before_fallback = wait;
        self
    }

    /// Until when a request that came `now` may wait; none if it is to be refused at once.
    pub(in crate::balance) fn deadline(
        &self,
        now: Instant,
        of_request: Option<Instant>,
        elsewhere: bool,
    ) -> Option<Instant> {
        if elsewhere && !self.before_fallback {
            return None;
        }
        // A wait too long for the clock is one of a day: no request is there for longer.
        let latest = now.checked_add(self.max_wait);
        let latest = latest.unwrap_or_else(|| now + Duration::from_secs(86_400));
        Some(of_request.map_or(latest, |deadline| deadline.min(latest)))
    }
}

/// Whether what `refused` says can pass before `deadline`.
pub(in crate::balance) fn passes(refused: &Refused, now: Instant, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(now);
    let is_in_time = |wait: Duration| wait <= left;
    match refused.reason() {
        RefusedReason::Full => true,
        // Without a time: a trial may end, or a request give back what it did not use, at any moment.
        RefusedReason::Cooling | RefusedReason::Limited => refused.wait().is_none_or(is_in_time),
        RefusedReason::Budget => refused.wait().is_some_and(is_in_time),
        _ => false,
    }
}
