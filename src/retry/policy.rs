use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::{Backoff, RetryBudget, RetryCounts};
use crate::{
    body::ReplayBody,
    outcome::{Classify, Failure, FailureKind, HttpClassify, Sent},
    trail::{Carried, GroupName, Names, Trail},
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
    counts: RetryCounts,
    /// In the stead of `counts`.
    by_group: HashMap<GroupName, RetryCounts>,
    names: Arc<Names>,
    asks_deployments: bool,
    most_asked: u32,
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
    /// How many the deployment that failed allows, where it says.
    pub(super) deployment_allows: Option<u32>,
    /// What the request carried when it came.
    pub(super) carried: &'a Carried,
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
            counts: RetryCounts::new(),
            by_group: HashMap::new(),
            names: Arc::default(),
            asks_deployments: false,
            most_asked: 10,
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

    /// How often a request is sent at most, the first time included, where neither the
    /// [request](crate::Overrides::retries) nor the [deployment](crate::Deployment::retries) it fails on says. Default 3,
    /// which is LiteLLM's two retries. With 1, and no other counts, nothing is recorded to be sent again, so that the
    /// deployments of a stack put together by hand have no say.
    #[must_use]
    pub fn attempts(mut self, count: u32) -> Self {
        self.retries = count.saturating_sub(1);
        self
    }

    /// How many retries a failure of this kind may have, in the stead of [`attempts`](Self::attempts) and of what
    /// request and deployment say, unless the request says 0; also for kinds that are not retried otherwise, and 0 to
    /// never retry one.
    #[must_use]
    pub fn retries_of(mut self, kind: FailureKind, count: u32) -> Self {
        self.counts = self.counts.of(kind, count);
        self
    }

    /// All counts by kind at once, in the stead of those given [before](Self::retries_of). LiteLLM's `retry_policy`.
    #[must_use]
    pub fn counts(mut self, counts: RetryCounts) -> Self {
        self.counts = counts;
        self
    }

    /// The counts by kind for requests to one group, in the stead of those for [all](Self::counts). LiteLLM's
    /// `model_group_retry_policy`. In a [`FleetLayer`](crate::fleet::FleetLayer) they hold for its aliases and for the
    /// names its wildcards match, too.
    #[must_use]
    pub fn group(mut self, group: impl Into<GroupName>, counts: RetryCounts) -> Self {
        self.by_group.insert(group.into(), counts);
        self
    }

    /// The most retries that a request is granted for which it [asks itself](crate::Overrides::retries), as a caller may
    /// ask for any number. Default 10.
    #[must_use]
    pub fn most_asked(mut self, count: u32) -> Self {
        self.most_asked = count;
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

    /// Gives every name the counts of the group that serves it, where it has none of its own.
    pub(crate) fn named(mut self, names: Arc<Names>) -> Self {
        self.names = names;
        self
    }

    /// Some deployment below says for itself how many retries there may be.
    pub(crate) fn asks_deployments(mut self, asks: bool) -> Self {
        self.asks_deployments = asks;
        self
    }

    /// Whether any retry can ever be made of a request that `carried` this.
    pub(super) fn retries_at_all(&self, carried: Option<&Carried>) -> bool {
        match carried.and_then(asked) {
            Some(count) => count > 0,
            None => {
                self.retries > 0
                    || self.asks_deployments
                    || self.counts.grants_any()
                    || self.by_group.values().any(RetryCounts::grants_any)
            }
        }
    }

    /// The counts for requests to `group`.
    fn counts_of(&self, group: Option<&GroupName>) -> &RetryCounts {
        let group = group.filter(|_| !self.by_group.is_empty());
        let own = group
            .and_then(|group| self.names.all_of(group).find_map(|name| self.by_group.get(name)));
        own.unwrap_or(&self.counts)
    }

    /// How long to wait before the next attempt; none if there is none.
    pub(super) fn next(&self, case: &Case<'_>, now: Instant) -> Option<Duration> {
        let failure = case.failure;
        let counts = self.counts_of(case.carried.group.as_ref());
        let of_kind = counts.get(failure.kind());
        let wanted = failure.retry_elsewhere() || of_kind.is_some() && !failure.forbids_retry();
        // Not for a request that asks for none: `retries_at_all` has let that pass.
        let most = of_kind
            .or(counts.get_others())
            .or_else(|| asked(case.carried).map(|count| count.min(self.most_asked)))
            .or(case.deployment_allows)
            .unwrap_or(self.retries);
        if !wanted || case.retries >= most || !self.may_repeat(case) {
            return None;
        }
        let wait = self.wait(case, of_kind.is_some())?;
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

    /// No time before another deployment; before the same one, what it asks for or the backoff. None if there is a better
    /// place, or asking it again is of no use and was not `told` for this kind.
    fn wait(&self, case: &Case<'_>, told: bool) -> Option<Duration> {
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
            None if !told
                && matches!(case.failure.kind(), Unauthorized | NotFound | QuotaExhausted) =>
            {
                None
            }
            None => Some(self.backoff.delay(case.retries, &mut fastrand::Rng::new())),
        }
    }
}

/// How many retries a request asks for.
fn asked(carried: &Carried) -> Option<u32> {
    carried.overrides.as_ref()?.retries
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("any_method", &self.any_method)
            .field("retries", &self.retries)
            .field("counts", &self.counts)
            .field("groups", &self.by_group)
            .field("deadline", &self.deadline)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
