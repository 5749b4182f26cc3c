//! The health of a deployment: ready → cooling → probing → ramping → ready.
//!
//! Here are the facts and the state machine; when to set a deployment aside, and for how long, is a [`Judge`]'s to say.
//! Time is read from the caller, so there is no timer and no task: a state whose time is up changes when it is next
//! looked at.

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{Deployment, Watchers};
use crate::{
    outcome::{Cools, Failure, FailureKind, Outcome},
    sync::Lock,
};

mod record;
mod state;

pub(crate) use self::record::Record;
use self::state::{State, later};

/// Says what failures mean for a deployment. A [`CooldownPolicy`](crate::cooldown::CooldownPolicy) does.
pub(crate) trait Judge: Send + Sync {
    /// Whether `failure`, entered in `record` already, sets the deployment aside. `level` counts the ejections before
    /// it that are not yet forgiven.
    fn judge(&self, failure: &Failure, record: &Record, level: u32) -> Option<Sentence>;

    /// What a probe that failed so leads to; none where such a failure says nothing of the deployment.
    fn probe_failed(&self, failure: &Failure, level: u32) -> Option<Sentence>;

    /// Whether `failure` makes a run of failures longer.
    fn is_one_in_a_row(&self, failure: &Failure) -> bool {
        failure.cools() != Cools::Never
    }

    /// How far back the record reaches.
    fn window(&self) -> Duration;

    /// How the deployment comes back.
    fn recovery(&self) -> Recovery;
}

/// For how long a deployment is set aside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sentence {
    pub(crate) length: Duration,
    /// Counts against the share of a group that may be out at a time.
    pub(crate) soft: bool,
    pub(crate) kind: FailureKind,
}

/// How a failure has set a deployment aside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Aside {
    until: Instant,
    kind: FailureKind,
    soft: bool,
    recovery: Recovery,
}

/// How a deployment comes back once its time is up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recovery {
    /// Trial requests at a time.
    pub(crate) probes: u32,
    /// After this long a trial no longer holds its place.
    pub(crate) probe_deadline: Duration,
    /// Trials that must succeed.
    pub(crate) successes: u32,
    /// Over this time its share grows back to the whole.
    pub(crate) ramp: Duration,
    /// The share it starts from, of 1.
    pub(crate) ramp_from: f32,
    /// Each healthy stretch this long forgives one ejection.
    pub(crate) forgive: Duration,
}

/// How a deployment is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// It takes its full share.
    Ready,
    /// It is out of the pick until a time.
    Cooling {
        /// When it will be tried again.
        until: Instant,
        /// What set it aside.
        cause: Cause,
    },
    /// Its time is up: a few requests try it.
    Probing,
    /// It proved itself: its share grows back.
    Ramping {
        /// The share it takes now, of 1.
        share: f32,
    },
    /// An operator took it out, until an operator brings it back.
    Paused,
}

impl Status {
    /// The state's name: `ready`, `cooling`, `probing`, `ramping` or `paused`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cooling { .. } => "cooling",
            Self::Probing => "probing",
            Self::Ramping { .. } => "ramping",
            Self::Paused => "paused",
        }
    }
}

/// What set a deployment aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A failure of this kind.
    Failed(FailureKind),
    /// An operator, through [`Health::cool_for`].
    Operator,
}

/// How many attempts ended how, since the start. Only attempts that a cooldown judged are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed, whatever the kind.
    pub failed: u64,
    /// Attempts whose caller went away, or had set a time limit that ran out.
    pub cancelled: u64,
    /// How often it was set aside.
    pub ejections: u64,
}

/// What a request may count for, decided when it is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// The ejections before it: a result counts only while there were no more.
    pub(crate) epoch: u32,
    pub(crate) probe: bool,
}

/// How a group is to treat a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Standing {
    In {
        ramp: Option<Ramp>,
    },
    /// In, each pick through [`Health::admit`].
    Probing,
    Out {
        /// When to look again, where time alone can change it.
        due: Option<Instant>,
        why: Refusal,
    },
}

/// Why a deployment takes no request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    Cooling {
        kind: Option<FailureKind>,
        soft: bool,
    },
    /// Every trial's place is taken.
    ProbesTaken,
    Paused,
}

/// The growth of a share after a recovery (Envoy's slow start, linear).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ramp {
    pub(crate) since: Instant,
    pub(crate) length: Duration,
    pub(crate) from: f32,
}

impl Ramp {
    pub(crate) fn share(&self, now: Instant) -> f32 {
        let passed = now.saturating_duration_since(self.since).as_secs_f32();
        (passed / self.length.as_secs_f32()).clamp(self.from, 1.0)
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.length
    }

    pub(crate) fn end(&self) -> Instant {
        later(self.since, self.length)
    }
}

/// Told when a deployment's standing may have changed; never called with the health's own lock held.
pub(crate) trait Watch: Send + Sync {
    /// Whether someone who waits is woken for it.
    fn changed(&self, member: Key) -> bool;

    /// The deployment that is known by `member` now.
    fn deployment(&self, member: Key) -> Option<Deployment>;
}

/// By what a watcher knows a deployment: an index, and what tells it from those that had the index before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) serial: u32,
}

/// The health of one [`Deployment`]: read it, or set it by hand.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::{Deployment, deployment::Status};
///
/// let eu = Deployment::new("eu");
/// eu.health().cool_for(Duration::from_secs(60));
/// assert!(matches!(eu.health().status(), Status::Cooling { .. }));
/// eu.health().reset();
/// assert_eq!(eu.health().status(), Status::Ready);
/// ```
#[derive(Default)]
pub struct Health {
    state: Lock<State>,
    watchers: Watchers,
    judge: OnceLock<Arc<dyn Judge>>,
}

impl Health {
    /// How the deployment is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state.lock().status(Instant::now())
    }

    /// How its attempts ended so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.state.lock().totals
    }

    /// Sets it aside for `length`, whatever its results; a later end that is set already stays. Afterwards it is probed
    /// like after any other cooldown.
    pub fn cool_for(&self, length: Duration) {
        let recovery = self.judge.get().map_or_else(Recovery::default, |judge| judge.recovery());
        self.change(|state| {
            state.cool_by_hand(Instant::now(), length, recovery);
            true
        });
    }

    /// Makes it ready again and forgets its results and ejections; it stays paused if it was.
    pub fn reset(&self) {
        self.change(|state| {
            state.reset();
            true
        });
    }

    /// Takes it out until [`resume`](Self::resume); requests in flight finish.
    pub fn pause(&self) {
        self.change(|state| !std::mem::replace(&mut state.paused, true));
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.change(|state| std::mem::take(&mut state.paused));
    }

    /// Lets a request through, if the state allows; in a trial it takes one of the places, given back by the guard.
    pub(crate) fn admit(
        &self,
        deployment: &Deployment,
        now: Instant,
    ) -> Result<(Admission, Option<Probe>), (Option<Instant>, Refusal)> {
        let (admission, place) = self.state.lock().admit(now)?;
        Ok((admission, place.map(|place| Probe::new(deployment, place))))
    }

    /// Lets a request through whatever the state: its result may bring the deployment back.
    pub(crate) fn force(&self, now: Instant) -> Admission {
        let mut state = self.state.lock();
        state.settle(now);
        Admission { epoch: state.epoch, probe: false }
    }

    /// How a group is to treat it, and the epoch of requests let through under that standing.
    pub(crate) fn standing(&self, now: Instant) -> (Standing, u32) {
        let mut state = self.state.lock();
        (state.standing(now), state.epoch)
    }

    /// Enters how an attempt ended. What it leads to for all that share the account, if it does.
    pub(crate) fn report(
        &self,
        judge: &dyn Judge,
        admission: Admission,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Aside> {
        let of_account = |failure: Failure| {
            matches!(failure.kind(), FailureKind::RateLimited | FailureKind::QuotaExhausted)
        };
        let mut aside = None;
        self.change(|state| {
            let changed = state.report(judge, admission, outcome, now);
            if changed && outcome.failure().is_some_and(of_account) {
                aside = state.aside();
            }
            changed
        });
        aside
    }

    /// Sets it aside along with another that shares its account; a later end that is set already stays.
    pub(crate) fn cool_along(&self, aside: Aside, now: Instant) {
        let recovery = self.judge.get().map_or(aside.recovery, |judge| judge.recovery());
        self.change(|state| state.cool_along(Aside { recovery, ..aside }, now));
    }

    /// Enters that the caller went away in the middle of the response. That says nothing against the deployment, which
    /// did answer: many a caller drops a response once it has seen enough.
    pub(crate) fn left(&self, judge: &dyn Judge, admission: Admission, now: Instant) {
        self.change(|state| state.left(judge, admission, now));
    }

    /// Enters a result no cooldown layer saw, by the rules of the one that watches this deployment, if any does.
    pub(crate) fn report_unseen(&self, admission: Admission, outcome: &Outcome, now: Instant) {
        if let Some(judge) = self.judge.get() {
            self.report(&**judge, admission, outcome, now);
        }
    }

    /// Makes `judge` the one for results it does not see itself; the first one stays.
    pub(crate) fn judged_by<J: Judge + 'static>(&self, judge: &Arc<J>) {
        self.judge.get_or_init(|| Arc::clone(judge) as Arc<dyn Judge>);
    }

    pub(crate) fn watch(&self, watcher: Weak<dyn Watch>, member: Key) {
        self.watchers.add(watcher, member);
    }

    pub(crate) fn unwatch(&self, watcher: &Weak<dyn Watch>, member: Key) {
        self.watchers.remove(watcher, member);
    }

    /// Tells those who watch it that its standing may have changed.
    pub(crate) fn tell(&self) {
        self.watchers.tell();
    }

    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let changed = change(&mut self.state.lock());
        if changed {
            self.tell();
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Health")
            .field("status", &state.status(Instant::now()))
            .field("totals", &state.totals)
            .finish_non_exhaustive()
    }
}

/// A place among the trial requests, held by one of them.
///
/// Boxed, because few requests hold one and all carry the room for it.
#[derive(Debug)]
pub(crate) struct Probe(Box<(Deployment, u64)>);

impl Probe {
    fn new(deployment: &Deployment, place: u64) -> Self {
        Self(Box::new((deployment.clone(), place)))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let (deployment, place) = &*self.0;
        deployment.health().change(|state| state.end_probe(*place));
    }
}

#[cfg(test)]
mod tests;
