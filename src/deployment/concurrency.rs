//! How many requests at a time a deployment can take, found out where nobody says.
//!
//! Here is what feeds the limit and what reads it; [`state`] is the rule it follows.

use std::{
    fmt,
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
    BoxError,
    outcome::{Failure, FailureKind, Outcome, kind_of_status},
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

/// A request whose fate tells something of a deployment's capacity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    started: Instant,
    input: u64,
    stream: bool,
}

/// What a time depends on beside the load: times of a kind are compared with each other alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The time to the response head.
    Head,
    /// The time of a whole answer whose tokens are known.
    Whole,
}

/// What an answer to an empty prompt takes beside its tokens, in input tokens: 200 ms at 10,000 of them a second.
const BASE: f64 = 2_000.0;
/// What a token of the output takes, in input tokens: 20 ms.
const OUTPUT: f64 = 200.0;

impl Sample {
    /// The time until `now`, as if the request had been an empty prompt, in seconds. The share of it that grows with
    /// the tokens need only be about right: what is left over is the same in the times it is compared with.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn normalised(&self, output: u64, now: Instant) -> f64 {
        let tokens = self.input as f64 + OUTPUT * output as f64;
        self.elapsed(now) * BASE / (BASE + tokens)
    }

    fn elapsed(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.started).as_secs_f64()
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

    /// How many requests it may have in flight now: the least of the limit that is set and the one that was found.
    pub(crate) fn parallel_limit(&self) -> Option<u32> {
        let set = self.get_max_parallel_requests();
        if self.0.adaptive.is_none() {
            return set;
        }
        set.into_iter().chain(self.concurrency_limit()).min()
    }

    /// To be told how a request fares that starts now; none where no limit adapts.
    pub(crate) fn sample(&self, started: Instant, demand: Option<&Demand>) -> Option<Sample> {
        self.0.adaptive.as_ref()?;
        let input = demand.and_then(|demand| demand.input_tokens).unwrap_or_default();
        let stream = demand.is_some_and(|demand| demand.stream);
        Some(Sample { started, input, stream })
    }

    /// Enters what came for `sample`: a response head or an error. A request that was given up has no part in this.
    pub(crate) fn observe<R>(&self, sample: Sample, result: Result<&Response<R>, &BoxError>) {
        let now = Instant::now();
        let kind = match result {
            Ok(response) => {
                let answered = Answered::of(response.extensions());
                match answered.and_then(|answered| answered.outcome) {
                    Some(Outcome::Success) => None,
                    Some(Outcome::Failure(failure)) => Some(failure.kind()),
                    Some(Outcome::Ignored) => return,
                    None if response.status().is_success() => None,
                    None => match kind_of_status(response.status()) {
                        Some(kind) => Some(kind),
                        None => return,
                    },
                }
            }
            Err(error) => Some(Failure::from_error(&**error).kind()),
        };
        match kind {
            None => self.adapt(|state, policy, in_flight| {
                // Without a stream the head waits for the whole output, whose length only its end may tell.
                if sample.stream || !state.knows(Kind::Whole) {
                    let time = sample.normalised(0, now);
                    state.answered(policy, Kind::Head, sample.started, time, in_flight, now);
                }
                state.took(sample.elapsed(now));
            }),
            Some(FailureKind::RateLimited | FailureKind::Overloaded | FailureKind::Timeout) => {
                self.adapt(|state, policy, _| state.refused(policy, sample.started, now));
            }
            Some(_) => {}
        }
    }

    /// Enters that the answer to `sample` ended whole, with so many tokens of output. A stream's end says nothing: it
    /// comes when its reader has read it.
    #[cfg_attr(
        not(any(feature = "llm", test)),
        expect(dead_code, reason = "only answers of models are counted")
    )]
    pub(crate) fn observe_whole(&self, sample: Sample, output: u64) {
        if sample.stream {
            return;
        }
        let now = Instant::now();
        let time = sample.normalised(output, now);
        self.adapt(|state, policy, in_flight| {
            state.answered(policy, Kind::Whole, sample.started, time, in_flight, now);
        });
    }

    fn adapt(&self, change: impl FnOnce(&mut State, &AdaptiveConcurrency, usize)) {
        let Some(policy) = &self.0.adaptive else { return };
        let Concurrency { limit, state } = &self.0.vitals.concurrency;
        let in_flight = self.in_flight();
        let mut state = state.lock();
        let state_now = state.get_or_insert_with(|| State::new(policy));
        change(state_now, policy, in_flight);
        let now = state_now.limit(policy);
        let before = limit.swap(now, Ordering::Relaxed);
        drop(state);
        if now != before {
            // A full member may have room again, or one with room none.
            self.health().notify();
        }
    }
}

impl fmt::Debug for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrency").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
