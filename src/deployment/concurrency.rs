//! How many requests at a time a deployment can take, found out where nobody says.
//!
//! Here is what feeds the limit and what reads it; [`state`] is the rule it follows.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use http::Response;
use tokio::time::Instant;

use self::state::State;
use super::Deployment;
use crate::{
    Error,
    outcome::{Failure, FailureKind, HttpClassify, Outcome},
    sync::Lock,
    trail::{Answered, Demand},
};

mod policy;
mod state;

pub use self::policy::AdaptiveConcurrency;

/// The limit found so far, shared by all handles of a deployment.
#[derive(Default)]
pub(super) struct Concurrency {
    /// Requests at a time; 0 before anything is known.
    limit: AtomicU32,
    state: Lock<Option<State>>,
}

/// A request whose fate tells something of its deployment's capacity. Dropped, it was given up, which tells nothing.
///
/// Boxed, because few requests have one and all carry the room for it.
#[derive(Debug)]
pub(crate) struct Sample(Box<Begun>);

#[derive(Debug)]
struct Begun {
    deployment: Deployment,
    started: Instant,
    input: u64,
    stream: bool,
    kind: Kind,
    /// Its place in a round, until it is told how the request fared.
    place: Option<u32>,
}

/// What a time depends on beside the load: times of a kind are compared with each other alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The time to the response head, or to the first bytes of a stream.
    Head,
    /// The time of a whole answer whose tokens are known.
    Whole,
}

/// What an answer to an empty prompt takes beside its tokens, in input tokens: 200 ms at 10,000 of them a second.
const BASE: f64 = 2_000.0;
/// What a token of the output takes, in input tokens: 20 ms.
const OUTPUT: f64 = 200.0;

impl Sample {
    /// Enters the response head that came. Gives the sample back where the first bytes of a stream are to come.
    pub(crate) fn head<R>(mut self, response: &Response<R>) -> Option<Self> {
        let status = response.status();
        let answered = Answered::of(response.extensions());
        match answered.and_then(|answered| answered.outcome) {
            Some(Outcome::Failure(failure)) => self.failed(failure.kind()),
            Some(Outcome::Success) if self.0.stream => return Some(self),
            Some(Outcome::Success) => self.took(0),
            Some(Outcome::Ignored) => {}
            None if status.is_success() && self.0.stream => return Some(self),
            None if status.is_success() => self.took(0),
            None => {
                if let Some(kind) = HttpClassify::inference().kind(status) {
                    self.failed(kind);
                }
            }
        }
        None
    }

    /// Enters that the first bytes of a stream came.
    pub(crate) fn chunk(mut self) {
        self.took(0);
    }

    /// Enters the error that came instead of a head.
    pub(crate) fn error(self, error: &Error) {
        self.failed(Failure::from_error(error).kind());
    }

    fn failed(&self, kind: FailureKind) {
        if let FailureKind::RateLimited | FailureKind::Overloaded | FailureKind::Timeout = kind {
            let Begun { deployment, started, .. } = &*self.0;
            deployment.adapt(|state, policy, _| state.refused(policy, *started, Instant::now()));
        }
    }

    /// Enters that the answer ended whole, with so many tokens of output.
    #[cfg_attr(
        not(any(feature = "llm", test)),
        expect(dead_code, reason = "only answers of models are counted")
    )]
    pub(crate) fn whole(mut self, output: u64) {
        self.took(output);
    }

    /// Its time is made that of an empty prompt. The share of it that grows with the tokens need only be about right:
    /// what is left over is in the times it is compared with too.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn took(&mut self, output: u64) {
        let Begun { deployment, started, input, kind, place, .. } = &mut *self.0;
        let time = started.elapsed().as_secs_f64();
        let tokens = *input as f64 + OUTPUT * output as f64;
        let place = place.take();
        deployment.adapt(|state, policy, _| {
            state.took(time);
            if let Some(place) = place {
                state.answered(policy, place, *kind, time * BASE / (BASE + tokens));
            }
        });
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        if let Some(place) = self.0.place {
            self.0.deployment.adapt(|state, policy, _| state.gave_up(policy, place));
        }
    }
}

impl Deployment {
    /// Limits how many requests are in flight on it at a time to what it turns out to bear, beside any
    /// [`max_parallel_requests`](Self::max_parallel_requests). Unset by default: no such limit.
    ///
    /// ```
    /// use tower_fleet::{Deployment, deployment::AdaptiveConcurrency};
    ///
    /// let eu = Deployment::new("eu").adaptive_concurrency(AdaptiveConcurrency::new().max(200));
    /// assert_eq!(eu.concurrency_limit(), Some(20));
    /// ```
    #[must_use]
    pub fn adaptive_concurrency(mut self, policy: AdaptiveConcurrency) -> Self {
        Arc::make_mut(&mut self.0).adaptive = Some(policy);
        self
    }

    /// How its limit of requests at a time [adapts](Self::adaptive_concurrency).
    #[must_use]
    pub fn get_adaptive_concurrency(&self) -> Option<&AdaptiveConcurrency> {
        self.0.adaptive.as_ref()
    }

    /// The limit that [adaptive concurrency](Self::adaptive_concurrency) sets now.
    #[must_use]
    pub fn concurrency_limit(&self) -> Option<u32> {
        let policy = self.0.adaptive.as_ref()?;
        let found = self.0.vitals.concurrency.limit.load(Ordering::Relaxed);
        Some(policy.bounded(if found == 0 { policy.initial } else { found }))
    }

    /// To be told what comes for a request that starts now; none where no limit adapts.
    pub(crate) fn sample(&self, started: Instant, demand: Option<&Demand>) -> Option<Sample> {
        self.0.adaptive.as_ref()?;
        let stream = demand.is_some_and(|demand| demand.stream);
        Some(self.begin(Kind::Head, started, demand, |state| stream || !state.knows(Kind::Whole)))
    }

    /// To be told how the answer ends to a request that starts now; none where no limit adapts, nor for a stream: that
    /// ends when its reader has read it.
    #[cfg_attr(
        not(any(feature = "llm", test)),
        expect(dead_code, reason = "only answers of models are counted")
    )]
    pub(crate) fn sample_whole(&self, started: Instant, demand: Option<&Demand>) -> Option<Sample> {
        self.0.adaptive.as_ref()?;
        let stream = demand.is_some_and(|demand| demand.stream);
        (!stream).then(|| self.begin(Kind::Whole, started, demand, |_| true))
    }

    /// Without a stream the head waits for the whole output, whose length only its end may tell: `counts` says whether
    /// it is to go by.
    fn begin(
        &self,
        kind: Kind,
        started: Instant,
        demand: Option<&Demand>,
        counts: impl FnOnce(&State) -> bool,
    ) -> Sample {
        let place = self.adapt(|state, policy, in_flight| {
            counts(state).then(|| state.begin(policy, in_flight)).flatten()
        });
        let input = demand.and_then(|demand| demand.input_tokens).unwrap_or_default();
        let (deployment, place) = (self.clone(), place.flatten());
        let stream = demand.is_some_and(|demand| demand.stream);
        Sample(Box::new(Begun { deployment, started, input, stream, kind, place }))
    }

    fn adapt<T>(
        &self,
        change: impl FnOnce(&mut State, &AdaptiveConcurrency, usize) -> T,
    ) -> Option<T> {
        let policy = self.0.adaptive.as_ref()?;
        let Concurrency { limit, state } = &self.0.vitals.concurrency;
        let in_flight = self.in_flight();
        let mut state = state.lock();
        let known = state.get_or_insert_with(|| {
            let mut hasher = DefaultHasher::new();
            self.id().hash(&mut hasher);
            State::new(policy, hasher.finish())
        });
        let changed = change(known, policy, in_flight);
        let now = known.limit(policy);
        let before = limit.swap(now, Ordering::Relaxed);
        drop(state);
        if now != before {
            // A full member may have room again, or one with room none.
            self.health().tell();
        }
        Some(changed)
    }
}

impl fmt::Debug for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrency").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
