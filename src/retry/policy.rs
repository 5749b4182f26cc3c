use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::{Backoff, RetryBudget};
use crate::{
    body::ReplayBody,
    outcome::{Classify, Failure, FailureKind, HttpClassify, Sent},
    trail::Trail,
};

/// What is retried, how often, and after what wait.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::{outcome::FailureKind, retry::RetryPolicy};
///
/// let policy = RetryPolicy::any_method()
///     .attempts(4)
///     .retries_of(FailureKind::Timeout, 1)
///     .deadline(Duration::from_secs(60));
/// # let _ = policy;
/// ```
#[derive(Clone)]
pub struct RetryPolicy {
    pub(super) classify: Arc<dyn Classify>,
    any_method: bool,
    retries: u32,
    by_kind: Vec<(FailureKind, u32)>,
    backoff: Backoff,
    longest_wait: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) budget: Option<RetryBudget>,
    pub(super) replay_limit: usize,
    pub(super) shares_copy: bool,
}

/// What a `Retry-After` of nothing at all is taken for: one that asks at once asks for the same answer.
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// What a retry would be of.
pub(super) struct Case<'a> {
    pub(super) failure: &'a Failure,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a ReplayBody,
    pub(super) trail: &'a Trail,
    /// A deployment that was not tried yet stands ready.
    pub(super) spare: bool,
    /// A layer above can still send the request elsewhere.
    pub(super) elsewhere: bool,
    /// Retries made so far.
    pub(super) retries: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryPolicy {
    /// Retries requests that may safely be sent twice: with an idempotent method (RFC 9110), with an
    /// `Idempotency-Key`, or that surely were not processed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            classify: Arc::new(HttpClassify::new()),
            any_method: false,
            retries: 2,
            by_kind: Vec::new(),
            backoff: Backoff::default(),
            longest_wait: Duration::from_secs(60),
            deadline: None,
            budget: Some(RetryBudget::new()),
            replay_limit: ReplayBody::DEFAULT_LIMIT,
            shares_copy: false,
        }
    }

    /// Retries requests with any method: right for inference, where a `POST` only costs money twice.
    #[must_use]
    pub fn any_method() -> Self {
        Self { any_method: true, ..Self::new() }
    }

    /// How often a request is sent at most, the first time included. Default 3, which is LiteLLM's two retries.
    #[must_use]
    pub fn attempts(mut self, count: u32) -> Self {
        self.retries = count.saturating_sub(1);
        self
    }

    /// How many retries a failure of this kind may have, in the stead of [`attempts`](Self::attempts); also for kinds
    /// that are not retried otherwise, and 0 to never retry one. LiteLLM's `retry_policy`.
    #[must_use]
    pub fn retries_of(mut self, kind: FailureKind, count: u32) -> Self {
        self.by_kind.retain(|(other, _)| *other != kind);
        self.by_kind.push((kind, count));
        self
    }

    /// How long to wait before the same deployment is asked again, where no response says. Default 0.5 s, doubled each
    /// time up to 8 s, with full jitter.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The longest `Retry-After` that is waited for; a longer one ends the retries. Default 60 s, as in LiteLLM. The
    /// shortest is 0.1 s.
    #[must_use]
    pub fn longest_wait(mut self, cap: Duration) -> Self {
        self.longest_wait = cap;
        self
    }

    /// The time for the request as a whole, its retries and waits included, from its arrival here. None by default. An
    /// earlier deadline set above stays. When it comes, whatever is under way is dropped: an attempt, a wait, or the
    /// service below not getting ready. The caller then gets the last real response there was, or
    /// [`Error::TimedOut`](crate::Error::TimedOut).
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Bounds retries to a share of the requests, so that a failing fleet is not buried under them. Default 20 %, and
    /// ten a second in any case. Clones of the budget share one ledger.
    #[must_use]
    pub fn budget(mut self, budget: impl Into<Option<RetryBudget>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// How much of a request body is recorded to be sent again, in bytes. Default 64 KiB. A longer body is sent on
    /// unharmed, but only once.
    #[must_use]
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.replay_limit = bytes;
        self
    }

    /// What is a failure. Default [`HttpClassify`]; not asked where a layer below has judged the response.
    #[must_use]
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.classify = Arc::new(classify);
        self
    }

    /// Uses the copy of the request head that a [`Fallback`](crate::fallback::Fallback) has made already, which spares
    /// one. Only right where the fallback stands directly above, or nothing between changes the request. Default off.
    #[must_use]
    pub fn shares_copy(mut self, shares: bool) -> Self {
        self.shares_copy = shares;
        self
    }

    /// Whether any retry can ever be made.
    pub(super) fn retries_at_all(&self) -> bool {
        self.retries > 0 || self.by_kind.iter().any(|(_, count)| *count > 0)
    }

    /// How long to wait before the next attempt; none if there is none.
    pub(super) fn next(&self, case: &Case<'_>, now: Instant) -> Option<Duration> {
        let failure = case.failure;
        let own =
            self.by_kind.iter().find(|(kind, _)| *kind == failure.kind()).map(|(_, count)| *count);
        let wanted = failure.retry_elsewhere() || own.is_some() && !failure.forbids_retry();
        if !wanted || case.retries >= own.unwrap_or(self.retries) || !self.may_repeat(case) {
            return None;
        }
        let wait = self.wait(case)?;
        let late = |deadline: Instant| now.checked_add(wait).is_none_or(|then| then >= deadline);
        if case.trail.deadline().is_some_and(late) {
            return None;
        }
        if let Err(reason) = case.body.replayable() {
            case.trail.set_not_replayed(reason);
            return None;
        }
        let granted = self.budget.as_ref().is_none_or(|budget| budget.try_retry(now));
        granted.then_some(wait)
    }

    fn may_repeat(&self, case: &Case<'_>) -> bool {
        self.any_method
            || case.failure.sent() == Sent::No
            || case.method.is_idempotent()
            || case.headers.contains_key("idempotency-key")
    }

    /// No time before another deployment; before the same one, what it asks for or the backoff. None if asking it again
    /// is of no use, or there is a better place.
    fn wait(&self, case: &Case<'_>) -> Option<Duration> {
        use FailureKind::{NotFound, QuotaExhausted, Unauthorized};
        if case.spare {
            return Some(Duration::ZERO);
        }
        if case.elsewhere {
            return None;
        }
        match case.failure.retry_after() {
            Some(asked) if asked > self.longest_wait => None,
            Some(asked) => Some(asked.max(LEAST_WAIT)),
            None if matches!(case.failure.kind(), Unauthorized | NotFound | QuotaExhausted) => None,
            None => Some(self.backoff.delay(case.retries, &mut fastrand::Rng::new())),
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("any_method", &self.any_method)
            .field("retries", &self.retries)
            .field("retries_of", &self.by_kind)
            .field("deadline", &self.deadline)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
