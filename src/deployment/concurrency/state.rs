//! The rule of the limit: plain data, time from the caller.

use tokio::time::Instant;

use super::{AdaptiveConcurrency, Kind};

/// The fewest times in a round.
const FEWEST: u32 = 20;
/// After so many rounds under load, one shows the times of an idle deployment.
const IDLE_AFTER: u32 = 20;

#[derive(Debug)]
pub(super) struct State {
    /// With the fraction of a request that is not granted yet.
    limit: f64,
    /// What the next round without overload adds.
    step: f64,
    round: Round,
    /// By kind, the logarithm of the time on an idle deployment.
    idle: [Option<f64>; 2],
    /// Rounds since that was last read.
    age: u32,
    /// This round reads it.
    idling: bool,
    /// What a request takes, in seconds: a moving mean.
    round_trip: Option<f64>,
    cut: Option<Instant>,
}

#[derive(Debug, Default)]
struct Round {
    /// Only requests begun since count: earlier ones met another limit.
    since: Option<Instant>,
    /// The most requests in flight.
    peak: usize,
    /// By kind, the sum of the logarithms of the times, and their number.
    times: [(f64, u32); 2],
}

impl Round {
    fn count(&self) -> u32 {
        self.times.iter().map(|(_, count)| count).sum()
    }
}

impl State {
    pub(super) fn new(policy: &AdaptiveConcurrency) -> Self {
        Self {
            limit: f64::from(policy.bounded(policy.initial)),
            step: f64::INFINITY,
            round: Round::default(),
            idle: [None; 2],
            age: 0,
            idling: false,
            round_trip: None,
            cut: None,
        }
    }

    /// Requests at a time, from now on.
    pub(super) fn limit(&self, policy: &AdaptiveConcurrency) -> u32 {
        let limit = if self.idling { (self.limit / 4.0).ceil() } else { self.limit };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the bounds, which are u32"
        )]
        policy.bounded(limit as u32)
    }

    /// Whether times of this kind come.
    pub(super) fn knows(&self, kind: Kind) -> bool {
        self.idle[kind as usize].is_some() || self.round.times[kind as usize].1 > 0
    }

    /// Enters the seconds a request took.
    pub(super) fn took(&mut self, seconds: f64) {
        const WEIGHT: f64 = 0.1;
        let mean = self.round_trip.get_or_insert(seconds);
        *mean += (seconds - *mean) * WEIGHT;
    }

    /// Enters the normalised time of a request, with what was in flight at its end.
    pub(super) fn answered(
        &mut self,
        policy: &AdaptiveConcurrency,
        kind: Kind,
        started: Instant,
        time: f64,
        in_flight: usize,
        now: Instant,
    ) {
        if self.round.since.is_some_and(|since| started < since) {
            return;
        }
        self.round.peak = self.round.peak.max(in_flight);
        let (sum, count) = &mut self.round.times[kind as usize];
        // No time is nothing to a logarithm.
        *sum += time.max(1e-9).ln();
        *count += 1;
        // The quick ones of a round end first: enough that the slow ones are in it.
        if self.round.count() >= FEWEST.max(self.limit(policy).saturating_mul(2)) {
            self.end_round(policy, now);
        }
    }

    /// Enters that a request was refused, or not answered in time.
    pub(super) fn refused(&mut self, policy: &AdaptiveConcurrency, started: Instant, now: Instant) {
        let round_trip = self.round_trip.unwrap_or_default();
        let known = self.cut.is_some_and(|cut| {
            started < cut || now.saturating_duration_since(cut).as_secs_f64() < round_trip
        });
        if !known {
            self.cut = Some(now);
            // At least by one place, whatever fraction of one was kept.
            self.shrink(policy, (self.limit * policy.backoff).min(self.limit.floor() - 1.0));
            self.round = Round { since: Some(now), ..Round::default() };
        }
    }

    fn end_round(&mut self, policy: &AdaptiveConcurrency, now: Instant) {
        let round = std::mem::take(&mut self.round);
        self.round.since = Some(now);
        let places = self.limit(policy) as usize;
        let used = round.peak.saturating_mul(2) >= places;
        if self.idling || !used {
            self.read_idle(&round);
            return;
        }
        if policy.tolerance.is_infinite() {
            self.grow(policy);
            return;
        }
        match self.slowdown(&round) {
            None => self.age = IDLE_AFTER,
            Some(slowdown) if slowdown > policy.tolerance => {
                self.shrink(policy, self.limit * (policy.tolerance / slowdown).max(0.5));
            }
            Some(_) => self.grow(policy),
        }
        self.age += 1;
        self.idling = self.age > IDLE_AFTER;
    }

    /// How many times as long as on an idle deployment the requests of a round took; none where that is not known.
    fn slowdown(&self, round: &Round) -> Option<f64> {
        let (mut sum, mut all) = (0.0, 0);
        for ((times, count), idle) in round.times.iter().zip(self.idle) {
            if let Some(idle) = idle {
                sum += times - idle * f64::from(*count);
                all += count;
            }
        }
        (all > 0).then(|| (sum / f64::from(all)).exp())
    }

    /// Moves half the way to what a round shows of an idle deployment, as one round alone is noisy.
    fn read_idle(&mut self, round: &Round) {
        /// The logarithm of a quarter more: what is more than noise.
        const CLEAR: f64 = 0.223;
        self.age = 0;
        for ((times, count), idle) in round.times.iter().zip(&mut self.idle) {
            if *count == 0 {
                continue;
            }
            let mean = times / f64::from(*count);
            let before = idle.unwrap_or(mean);
            if before - mean > CLEAR {
                // It was not idle before, and may not be yet.
                *idle = Some(mean);
                self.age = IDLE_AFTER;
            } else {
                *idle = Some(f64::midpoint(before, mean));
            }
        }
        self.idling = false;
    }

    fn grow(&mut self, policy: &AdaptiveConcurrency) {
        let most = self.limit.sqrt();
        self.limit = (self.limit + self.step.min(most)).min(f64::from(policy.bounded(u32::MAX)));
        self.step *= 2.0;
    }

    fn shrink(&mut self, policy: &AdaptiveConcurrency, to: f64) {
        self.limit = to.max(f64::from(policy.bounded(0)));
        self.step = 1.0;
    }
}
