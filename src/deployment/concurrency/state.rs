//! The rule of the limit: plain data, time from the caller.

use tokio::time::Instant;

use super::{AdaptiveConcurrency, Kind};

/// The fewest times in a round.
const FEWEST: u32 = 20;
/// Where the limit cannot fall, only so many slow rounds later is it tried again whether a higher one is slower.
const RAISE_AFTER: u32 = 20;
/// Of as many deployments, one begins a trial in the same round, where all grow slow at once.
const STAGGER: u64 = 3;

#[derive(Debug)]
pub(super) struct State {
    /// With the fraction of a request that is not granted yet.
    limit: f64,
    /// What the next round without overload adds.
    step: f64,
    round: Round,
    /// By kind, the logarithm of the time on an idle deployment.
    idle: [Option<f64>; 2],
    /// This round shows whether times follow the load.
    trial: Option<Trial>,
    /// Slow rounds in a row.
    slow: u32,
    /// How many are let pass before a trial: of one alone, a part may be from before.
    patience: u32,
    /// Slow rounds until the limit may be raised for a trial.
    rest: u32,
    /// What a request takes, in seconds: a moving mean.
    round_trip: Option<f64>,
    cut: Option<Instant>,
}

/// Another limit for a round: a queue is shorter under less load, and slowness is the same under any.
#[derive(Debug)]
struct Trial {
    limit: f64,
    /// The round under the limit before.
    before: Round,
}

/// The first requests begun under one limit. What came before met another one, and of all that end in a time the long
/// ones would be missing.
#[derive(Debug, Default)]
struct Round {
    serial: u32,
    begun: u32,
    /// Begun, and not at an end.
    pending: u32,
    /// The most requests in flight.
    peak: usize,
    /// The requests in flight, summed over those begun.
    in_flight: f64,
    /// By kind, the logarithms of the times.
    times: [Times; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    sum: f64,
    squares: f64,
    count: u32,
}

impl Times {
    fn add(&mut self, time: f64) {
        self.sum += time;
        self.squares += time * time;
        self.count += 1;
    }

    fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }

    /// The standard error of the mean.
    fn error(&self) -> f64 {
        let count = f64::from(self.count);
        ((self.squares / count - self.mean().powi(2)).max(0.0) / count).sqrt()
    }
}

impl Round {
    /// The mean of the requests in flight.
    fn load(&self) -> f64 {
        (self.in_flight / f64::from(self.begun)).max(1.0)
    }

    /// The logarithm of how many times as long its requests took as those of another one, by the kinds both have.
    fn over(&self, other: &Self) -> Option<f64> {
        let (mut sum, mut all) = (0.0, 0.0);
        for (times, others) in self.times.iter().zip(&other.times) {
            if times.count > 0 && others.count > 0 {
                let count = f64::from(times.count.min(others.count));
                sum += (times.mean() - others.mean()) * count;
                all += count;
            }
        }
        (all > 0.0).then(|| sum / all)
    }
}

impl State {
    /// The seed keeps deployments that grow slow at once from trials in the same round.
    pub(super) fn new(policy: &AdaptiveConcurrency, seed: u64) -> Self {
        Self {
            limit: f64::from(policy.bounded(policy.initial)),
            step: f64::INFINITY,
            round: Round::default(),
            idle: [None; 2],
            trial: None,
            slow: 0,
            patience: 1 + (seed % STAGGER) as u32,
            rest: 0,
            round_trip: None,
            cut: None,
        }
    }

    /// Requests at a time, from now on.
    pub(super) fn limit(&self, policy: &AdaptiveConcurrency) -> u32 {
        let limit = self.trial.as_ref().map_or(self.limit, |trial| trial.limit);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the bounds, which are u32"
        )]
        policy.bounded(limit as u32)
    }

    /// Whether times of this kind come.
    pub(super) fn knows(&self, kind: Kind) -> bool {
        self.idle[kind as usize].is_some() || self.round.times[kind as usize].count > 0
    }

    /// Enters the seconds a request took.
    pub(super) fn took(&mut self, seconds: f64) {
        const WEIGHT: f64 = 0.1;
        let mean = self.round_trip.get_or_insert(seconds);
        *mean += (seconds - *mean) * WEIGHT;
    }

    /// A request begins: a place in the round, if there is one left.
    pub(super) fn begin(&mut self, policy: &AdaptiveConcurrency, in_flight: usize) -> Option<u32> {
        let size = self.size(policy);
        let round = &mut self.round;
        if round.begun >= size {
            return None;
        }
        round.begun += 1;
        round.pending += 1;
        round.peak = round.peak.max(in_flight);
        #[expect(clippy::cast_precision_loss, reason = "far fewer")]
        let in_flight = in_flight as f64;
        round.in_flight += in_flight;
        Some(round.serial)
    }

    /// Enters the normalised time of the request that has this place.
    pub(super) fn answered(
        &mut self,
        policy: &AdaptiveConcurrency,
        place: u32,
        kind: Kind,
        time: f64,
    ) {
        if place == self.round.serial {
            // No time is nothing to a logarithm.
            self.round.times[kind as usize].add(time.max(1e-9).ln());
            self.leave(policy);
        }
    }

    /// The request that has this place tells nothing.
    pub(super) fn gave_up(&mut self, policy: &AdaptiveConcurrency, place: u32) {
        if place == self.round.serial {
            self.leave(policy);
        }
    }

    fn leave(&mut self, policy: &AdaptiveConcurrency) {
        self.round.pending -= 1;
        // The slowest fifth is not waited for, under load or idle.
        let size = self.size(policy);
        if self.round.begun >= size && self.round.pending <= size / 5 {
            self.end_round(policy);
        }
    }

    fn size(&self, policy: &AdaptiveConcurrency) -> u32 {
        FEWEST.max(self.limit(policy))
    }

    fn new_round(&mut self) -> Round {
        let next = Round { serial: self.round.serial.wrapping_add(1), ..Round::default() };
        std::mem::replace(&mut self.round, next)
    }

    /// Enters that a request was refused, or not answered in time.
    pub(super) fn refused(&mut self, policy: &AdaptiveConcurrency, started: Instant, now: Instant) {
        let round_trip = self.round_trip.unwrap_or_default();
        let known = self.cut.is_some_and(|cut| {
            started < cut || now.saturating_duration_since(cut).as_secs_f64() < round_trip
        });
        if !known {
            self.cut = Some(now);
            self.trial = None;
            // At least by one place, whatever fraction of one was kept.
            self.shrink(policy, (self.limit * policy.backoff).min(self.limit.floor() - 1.0));
            self.new_round();
        }
    }

    fn end_round(&mut self, policy: &AdaptiveConcurrency) {
        let round = self.new_round();
        let told: u32 = round.times.iter().map(|times| times.count).sum();
        if told < round.begun / 2 {
            return;
        }
        if let Some(trial) = self.trial.take() {
            self.judge(policy, &trial, &round);
            return;
        }
        let places = self.limit(policy) as usize;
        // One at a time waits for no other.
        if round.peak <= 1 || round.peak.saturating_mul(2) < places {
            self.slow = 0;
            self.read_idle(&round);
            if places > 1 {
                return;
            }
        }
        if policy.tolerance.is_infinite() {
            self.grow(policy);
            return;
        }
        let tolerance = policy.tolerance.ln();
        match self.slowdown(&round) {
            None => self.doubt(policy, round),
            Some((slowdown, error)) if slowdown - error > tolerance => self.doubt(policy, round),
            Some((slowdown, _)) if slowdown > tolerance => self.step = 1.0,
            Some((slowdown, error)) => {
                self.slow = 0;
                if slowdown + error < 0.0 {
                    self.read_idle(&round);
                }
                self.grow(policy);
            }
        }
    }

    /// A round was slow, or there is none to compare it with: begins a trial.
    fn doubt(&mut self, policy: &AdaptiveConcurrency, round: Round) {
        self.slow += 1;
        if self.slow <= self.patience {
            return;
        }
        self.slow = 0;
        let least = f64::from(policy.bounded(0));
        let load = round.load().min(self.limit);
        // As much less than the tolerance that what waits at the limit is gone.
        let lower = (load * 0.75 / policy.tolerance).floor().max(least);
        if lower < 0.9 * load {
            self.trial = Some(Trial { limit: lower, before: round });
        } else if self.slowdown(&round).is_none() {
            self.read_idle(&round);
        } else if self.rest > 0 {
            self.rest -= 1;
        } else {
            self.rest = RAISE_AFTER;
            let higher = (self.limit * 2.0).min(f64::from(policy.bounded(u32::MAX)));
            self.trial = Some(Trial { limit: higher, before: round });
        }
    }

    /// Ends a trial: where the times did not follow the load, nothing queues, and these times are those of an idle
    /// deployment from now on.
    fn judge(&mut self, policy: &AdaptiveConcurrency, trial: &Trial, round: &Round) {
        let before = &trial.before;
        let less = (before.load() / round.load()).ln();
        let Some(sooner) = before.over(round).filter(|_| less.abs() > 0.1) else { return };
        let slowdown = self.slowdown(before).map(|(slowdown, _)| slowdown);
        // A queue takes no more off than it had put on.
        let expected = slowdown.map_or(less, |slowdown| less.min(slowdown));
        if sooner / expected < 0.5 {
            for (times, idle) in round.times.iter().zip(&mut self.idle) {
                if times.count > 0 {
                    *idle = Some(times.mean());
                }
            }
            self.limit = self.limit.max(trial.limit);
            self.step = f64::INFINITY;
            self.rest = 0;
            return;
        }
        let Some(slowdown) = slowdown else {
            self.shrink(policy, trial.limit);
            return;
        };
        if self.slowdown(round).is_some_and(|(slowdown, _)| slowdown < 0.0) {
            self.read_idle(round);
        }
        let share = (policy.tolerance.ln() - slowdown).exp();
        self.shrink(policy, self.limit * share.clamp(0.5, 1.0));
    }

    /// The logarithm of how many times as long as on an idle deployment the requests of a round took, and its standard
    /// error; none where nothing is known of an idle one.
    fn slowdown(&self, round: &Round) -> Option<(f64, f64)> {
        let known = round.times.iter().zip(self.idle).filter(|(times, _)| times.count > 0);
        let (mut sum, mut error, mut all) = (0.0, 0.0, 0.0);
        for (times, idle) in known.filter_map(|(times, idle)| Some((times, idle?))) {
            let count = f64::from(times.count);
            sum += (times.mean() - idle) * count;
            error += times.error() * count;
            all += count;
        }
        (all > 0.0).then(|| (sum / all, error / all))
    }

    /// Moves half the way to what a round shows of an idle deployment, as one round alone is noisy.
    fn read_idle(&mut self, round: &Round) {
        /// The logarithm of a quarter more.
        const CLEAR: f64 = 0.223;
        for (times, idle) in round.times.iter().zip(&mut self.idle) {
            if times.count == 0 {
                continue;
            }
            let mean = times.mean();
            let before = idle.unwrap_or(mean);
            if before - mean > CLEAR + times.error() {
                // It was not idle before.
                *idle = Some(mean);
            } else {
                *idle = Some(f64::midpoint(before, mean));
            }
        }
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
