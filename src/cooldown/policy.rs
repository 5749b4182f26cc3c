use std::{sync::Arc, time::Duration};

use crate::{
    deployment::{Judge, Record, Recovery, Sentence},
    outcome::{Classify, Cools, Failure, FailureKind, HttpClassify, RetryAfterLimits, Sent},
};

/// When a deployment is set aside, for how long, and how it comes back.
///
/// It is set aside at the first failure that speaks for itself: a 429, an exhausted quota, a refused key, a model it
/// does not have, a 503 that says how long, a connection that cannot be made. Other failures count (5xx, time-outs,
/// bodies that break off): [`consecutive_failures`](Self::consecutive_failures) in a row set it aside, or a
/// [`failure_share`](Self::failure_share) of what came back lately; [`allowed_fails`](Self::allowed_fails) puts one
/// count in their place, and [`allowed_fails_of`](Self::allowed_fails_of) does for one kind of failure. What a client did
/// wrong (400, 422) does not count, but for a kind that is given its own.
///
/// It stays aside for as long as the response's `Retry-After` says, within [limits](Self::retry_after), or for the
/// [`cooldown_time`](Self::cooldown_time), doubled each time it fails again. Then it is [probed](Self::probes), and its
/// share [grows back](Self::ramp).
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::cooldown::CooldownPolicy;
///
/// let policy = CooldownPolicy::default()
///     .cooldown_time(Duration::from_secs(10))
///     .allowed_fails(2)
///     .probes(3);
/// # let _ = policy;
/// ```
#[derive(Clone)]
pub struct CooldownPolicy {
    pub(super) classify: Arc<dyn Classify>,
    off: bool,
    window: Duration,
    allowed_fails: Option<u32>,
    allowed_by_kind: Vec<(FailureKind, u32)>,
    consecutive: Option<u32>,
    share: Option<f32>,
    minimum: u32,
    length: Duration,
    longest: Duration,
    jitter: f32,
    retry_after: RetryAfterLimits,
    recovery: Recovery,
}

impl Default for CooldownPolicy {
    fn default() -> Self {
        Self::new(HttpClassify::new())
    }
}

impl CooldownPolicy {
    /// A policy with the defaults, on what `classify` makes of responses and errors.
    pub fn new(classify: impl Classify) -> Self {
        Self {
            classify: Arc::new(classify),
            off: false,
            window: Duration::from_secs(60),
            allowed_fails: None,
            allowed_by_kind: Vec::new(),
            consecutive: Some(3),
            share: Some(0.5),
            minimum: 5,
            length: Duration::from_secs(5),
            longest: Duration::from_secs(300),
            jitter: 0.1,
            retry_after: RetryAfterLimits::new(),
            recovery: Recovery::default(),
        }
    }

    /// A policy that never sets a deployment aside; results are still judged and counted. LiteLLM's
    /// `disable_cooldowns`.
    #[must_use]
    pub fn never(classify: impl Classify) -> Self {
        Self { off: true, ..Self::new(classify) }
    }

    /// How far back failures count, but for those in a row, in a window that slides by tenths. Default 60 s, as in LiteLLM.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many failures within the window are let pass: the next one sets the deployment aside. Takes the place of
    /// [`consecutive_failures`](Self::consecutive_failures), [`failure_share`](Self::failure_share) and any count by
    /// kind given before; those given afterwards stand beside it. LiteLLM's `allowed_fails`. Unset by default.
    #[must_use]
    pub fn allowed_fails(mut self, count: u32) -> Self {
        self.allowed_fails = Some(count);
        self.allowed_by_kind.clear();
        self.consecutive = None;
        self.share = None;
        self
    }

    /// How many failures of one kind within the window are let pass, in the stead of the other rules, in which they then
    /// do not count; also for kinds that would set the deployment aside at once, and for those that otherwise never do
    /// ([`BadRequest`](FailureKind::BadRequest), [`ContentPolicy`](FailureKind::ContentPolicy)). LiteLLM's
    /// `allowed_fails_policy`. Unset by default.
    #[must_use]
    pub fn allowed_fails_of(mut self, kind: FailureKind, count: u32) -> Self {
        self.allowed_by_kind.retain(|(other, _)| *other != kind);
        self.allowed_by_kind.push((kind, count));
        self
    }

    /// How many failures in a row set the deployment aside; 0 turns the rule off. Default 3: enough not to be chance,
    /// few enough that a broken deployment draws little traffic.
    #[must_use]
    pub fn consecutive_failures(mut self, count: u32) -> Self {
        self.consecutive = Some(count).filter(|count| *count > 0);
        self
    }

    /// The share of failures within the window, of 1, above which the deployment is set aside, once it has answered
    /// `minimum` requests. Default: above 0.5 of at least 5, as in LiteLLM. A share of 1 or more turns the rule off.
    ///
    /// A window that holds as many requests as the minimum, all of them given up by their callers before a response came, sets it aside under
    /// any policy: so fails a deployment that hangs below an outer time limit.
    #[must_use]
    pub fn failure_share(mut self, share: f32, minimum: u32) -> Self {
        self.share = Some(share).filter(|share| *share < 1.0);
        self.minimum = minimum.max(1);
        self
    }

    /// How long it is set aside where no response says. Default 5 s, as in LiteLLM. Doubled for each time it was set
    /// aside before and did not [stay healthy](Self::forgive) since, up to [`longest`](Self::longest), plus up to a
    /// tenth so that several do not come back at once.
    #[must_use]
    pub fn cooldown_time(mut self, length: Duration) -> Self {
        self.length = length;
        self
    }

    /// The longest it is set aside where no response says. Default 5 minutes.
    #[must_use]
    pub fn longest(mut self, length: Duration) -> Self {
        self.longest = length;
        self
    }

    /// The bounds of what a `Retry-After` may ask for. Default 1 s to 5 minutes.
    #[must_use]
    pub fn retry_after(mut self, limits: RetryAfterLimits) -> Self {
        self.retry_after = limits;
        self
    }

    /// How many trial requests at a time it gets once its time is up. Default 1.
    #[must_use]
    pub fn probes(mut self, at_a_time: u32) -> Self {
        self.recovery.probes = at_a_time.max(1);
        self
    }

    /// How many trial requests must succeed before it is back. Default 1.
    #[must_use]
    pub fn probe_successes(mut self, count: u32) -> Self {
        self.recovery.successes = count.max(1);
        self
    }

    /// After this long a trial request no longer keeps others from being one. Default 30 s.
    #[must_use]
    pub fn probe_deadline(mut self, deadline: Duration) -> Self {
        self.recovery.probe_deadline = deadline;
        self
    }

    /// The time over which its share of the traffic grows back, from a tenth. Default 10 s; zero gives it back at once.
    #[must_use]
    pub fn ramp(mut self, length: Duration) -> Self {
        self.recovery.ramp = length;
        self
    }

    /// How long it must stay healthy for one earlier ejection to be forgotten. Default 60 s.
    #[must_use]
    pub fn forgive(mut self, after: Duration) -> Self {
        self.recovery.forgive = after;
        self
    }

    fn length(&self, failure: &Failure, level: u32) -> Duration {
        if let Some(asked) = failure.retry_after() {
            return self.retry_after.apply(asked);
        }
        let doubled = self
            .length
            .saturating_mul(2_u32.saturating_pow(level))
            .min(self.longest.max(self.length));
        doubled.saturating_add(doubled.mul_f32(self.jitter * fastrand::f32()))
    }

    fn sentence(&self, failure: &Failure, level: u32) -> Sentence {
        // Callers that went away do not say that no request can succeed.
        let soft = failure.cools() != Cools::AtOnce;
        Sentence { length: self.length(failure, level), soft, kind: failure.kind() }
    }

    /// How many failures of this kind are let pass, where it has a count of its own.
    fn allowed_of(&self, kind: FailureKind) -> Option<u32> {
        self.allowed_by_kind.iter().find(|(of, _)| *of == kind).map(|(_, allowed)| *allowed)
    }

    /// Whether one such failure is enough. A connection that cannot be made is as sure a sign as any status.
    fn speaks_for_itself(&self, failure: &Failure) -> bool {
        let unreachable = failure.kind() == FailureKind::Connect && failure.sent() == Sent::No;
        failure.cools() == Cools::AtOnce || unreachable && self.allowed_fails.is_none()
    }

    /// Whether the failures of the window, but for kinds with counts of their own, are more than it may have.
    fn is_enough(&self, record: &Record) -> bool {
        let failed = record.failed(|kind| {
            Failure::new(kind).cools() != Cools::Never && self.allowed_of(kind).is_none()
        });
        let all = failed.saturating_add(record.succeeded());
        let exceeds = |share: f32| f64::from(failed) > f64::from(share) * f64::from(all);

        self.allowed_fails.is_some_and(|allowed| failed > allowed)
            || self.consecutive.is_some_and(|most| record.run() >= most)
            || self.share.is_some_and(|share| all >= self.minimum && exceeds(share))
    }
}

impl Judge for CooldownPolicy {
    fn judge(&self, failure: &Failure, record: &Record, level: u32) -> Option<Sentence> {
        let kind = failure.kind();
        let guilty = if self.off {
            false
        } else if failure.is_callers() {
            // A caller that goes away says nothing, unless nobody waits for this deployment any more.
            record.answered() == 0 && record.cancellations() >= self.minimum
        } else if let Some(allowed) = self.allowed_of(kind) {
            record.failed(|other| other == kind) > allowed
        } else {
            failure.cools() != Cools::Never
                && (self.speaks_for_itself(failure) || self.is_enough(record))
        };
        guilty.then(|| self.sentence(failure, level))
    }

    fn probe_failed(&self, failure: &Failure, level: u32) -> Option<Sentence> {
        let says = failure.cools() != Cools::Never || self.allowed_of(failure.kind()).is_some();
        (!self.off && says).then(|| self.sentence(failure, level))
    }

    fn is_one_in_a_row(&self, failure: &Failure) -> bool {
        failure.cools() != Cools::Never && self.allowed_of(failure.kind()).is_none()
    }

    fn window(&self) -> Duration {
        self.window
    }

    fn recovery(&self) -> Recovery {
        self.recovery
    }
}

impl std::fmt::Debug for CooldownPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CooldownPolicy")
            .field("window", &self.window)
            .field("allowed_fails", &self.allowed_fails)
            .field("consecutive_failures", &self.consecutive)
            .field("failure_share", &self.share)
            .field("cooldown_time", &self.length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
