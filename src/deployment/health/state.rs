//! The state machine, pure: it gets the time and returns whether its standing may have changed.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Admission, Aside, Cause, Judge, Ramp, Record, Recovery, Refusal, Sentence, Standing, Status,
    Totals,
};
use crate::outcome::{Failure, FailureKind, Outcome};

#[derive(Default)]
pub(super) struct State {
    phase: Phase,
    pub(super) paused: bool,
    /// Counts ejections; results let through under an earlier one are stale.
    pub(super) epoch: u32,
    /// Ejections not yet forgiven: each makes the next one longer.
    level: u32,
    record: Record,
    pub(super) totals: Totals,
    /// Numbers the places of trials; a number never comes again, so that a late probe gives back no other's place.
    places: u64,
}

#[derive(Default)]
enum Phase {
    #[default]
    Ready,
    Cooling {
        until: Instant,
        cause: Cause,
        soft: bool,
        recovery: Recovery,
    },
    Probing {
        recovery: Recovery,
        trials: Trials,
        succeeded: u32,
    },
    /// Stays when the ramp is over: `since` then says since when it has been healthy.
    Recovered {
        ramp: Ramp,
        forgive: Duration,
    },
}

/// The trial requests under way: each holds a place until it ends or its deadline passes.
#[derive(Default)]
struct Trials {
    running: Vec<(u64, Instant)>,
}

impl Default for Recovery {
    /// For a deployment that no judge watches, so that only an operator sets it aside.
    fn default() -> Self {
        Self {
            probes: 1,
            probe_deadline: Duration::from_secs(30),
            successes: 1,
            ramp: Duration::from_secs(10),
            ramp_from: 0.1,
            forgive: Duration::from_secs(60),
        }
    }
}

impl State {
    pub(super) fn status(&self, now: Instant) -> Status {
        match &self.phase {
            _ if self.paused => Status::Paused,
            Phase::Cooling { until, cause, .. } if *until > now => {
                Status::Cooling { until: *until, cause: *cause }
            }
            Phase::Cooling { .. } | Phase::Probing { .. } => Status::Probing,
            Phase::Recovered { ramp, .. } if !ramp.is_over(now) => {
                Status::Ramping { share: ramp.share(now) }
            }
            Phase::Ready | Phase::Recovered { .. } => Status::Ready,
        }
    }

    /// Lets time have its effect: what has cooled long enough is probed.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Phase::Cooling { until, recovery, .. } = self.phase
            && until <= now
        {
            self.phase = Phase::Probing { recovery, trials: Trials::default(), succeeded: 0 };
        }
        if let Phase::Probing { trials, .. } = &mut self.phase {
            trials.running.retain(|(_, deadline)| *deadline > now);
        }
    }

    pub(super) fn standing(&mut self, now: Instant) -> Standing {
        self.settle(now);
        let out = |due, why| Standing::Out { due, why };
        match &self.phase {
            _ if self.paused => out(None, Refusal::Paused),
            Phase::Cooling { until, cause, soft, .. } => {
                out(Some(*until), Refusal::Cooling { kind: cause.kind(), soft: *soft })
            }
            Phase::Probing { recovery, trials, .. } if trials.are_full(recovery) => {
                out(trials.first_deadline(), Refusal::ProbesTaken)
            }
            Phase::Probing { .. } => Standing::Probing,
            Phase::Recovered { ramp, .. } if !ramp.is_over(now) => {
                Standing::In { ramp: Some(*ramp) }
            }
            Phase::Ready | Phase::Recovered { .. } => Standing::In { ramp: None },
        }
    }

    pub(super) fn admit(
        &mut self,
        now: Instant,
    ) -> Result<(Admission, Option<u64>), (Option<Instant>, Refusal)> {
        if let Standing::Out { due, why } = self.standing(now) {
            return Err((due, why));
        }
        let epoch = self.epoch;
        Ok(match &mut self.phase {
            Phase::Probing { recovery, trials, .. } => {
                self.places += 1;
                trials.running.push((self.places, later(now, recovery.probe_deadline)));
                (Admission { epoch, probe: true }, Some(self.places))
            }
            _ => (Admission { epoch, probe: false }, None),
        })
    }

    pub(super) fn end_probe(&mut self, place: u64) -> bool {
        let Phase::Probing { trials, .. } = &mut self.phase else { return false };
        let before = trials.running.len();
        trials.running.retain(|(running, _)| *running != place);
        trials.running.len() != before
    }

    pub(super) fn report(
        &mut self,
        judge: &dyn Judge,
        admission: Admission,
        outcome: &Outcome,
        now: Instant,
    ) -> bool {
        self.settle(now);
        self.count(outcome);
        let stale = admission.epoch != self.epoch;
        match outcome {
            Outcome::Success if !stale => self.succeeded(judge, admission, now),
            Outcome::Failure(failure) if failure.is_fair_answer() => false,
            Outcome::Failure(failure) if failure.is_callers() => {
                !stale && self.cancelled(judge, failure, now)
            }
            Outcome::Failure(failure) => {
                // Whenever a request was begun, what it learned of the time to wait holds.
                if let Phase::Cooling { until, soft, .. } = &mut self.phase {
                    return match judge.probe_failed(failure, 0) {
                        Some(sentence)
                            if failure.retry_after().is_some()
                                && later(now, sentence.length) > *until =>
                        {
                            *until = later(now, sentence.length);
                            *soft &= sentence.soft;
                            true
                        }
                        _ => false,
                    };
                }
                !stale && self.failed(judge, admission, failure, now)
            }
            _ => false,
        }
    }

    /// A caller went away in the middle of a response. A trial has then shown what it was to show: the deployment
    /// answers; were it not so, callers that never read to the end would keep it on trial for ever.
    pub(super) fn left(&mut self, judge: &dyn Judge, admission: Admission, now: Instant) -> bool {
        self.settle(now);
        self.totals.cancelled += 1;
        if admission.epoch != self.epoch {
            return false;
        }
        self.record.left(now, judge.window());
        let on_trial = admission.probe && matches!(self.phase, Phase::Probing { .. });
        on_trial && self.succeeded(judge, admission, now)
    }

    fn count(&mut self, outcome: &Outcome) {
        let Totals { succeeded, failed, cancelled, .. } = &mut self.totals;
        *match outcome {
            Outcome::Success => succeeded,
            Outcome::Failure(one) if one.is_callers() => cancelled,
            Outcome::Failure(_) => failed,
            Outcome::Ignored => return,
        } += 1;
    }

    fn succeeded(&mut self, judge: &dyn Judge, admission: Admission, now: Instant) -> bool {
        self.record.success(now, judge.window());
        let recovery = match &mut self.phase {
            Phase::Ready | Phase::Recovered { .. } => return false,
            // Let through although it was cooling, and it served: the best evidence there is.
            Phase::Cooling { recovery, .. } => *recovery,
            Phase::Probing { recovery, succeeded, .. } => {
                *succeeded += u32::from(admission.probe);
                if admission.probe && *succeeded < recovery.successes {
                    return false;
                }
                *recovery
            }
        };
        let ramp = Ramp { since: now, length: recovery.ramp, from: recovery.ramp_from };
        self.phase = Phase::Recovered { ramp, forgive: recovery.forgive };
        true
    }

    fn failed(
        &mut self,
        judge: &dyn Judge,
        admission: Admission,
        failure: &Failure,
        now: Instant,
    ) -> bool {
        let in_a_row = judge.is_one_in_a_row(failure);
        self.record.failure(failure.kind(), in_a_row, now, judge.window());
        let level = self.level_at(now);
        let probing = matches!(self.phase, Phase::Probing { .. });
        let sentence = if probing {
            judge.probe_failed(failure, level)
        } else {
            judge.judge(failure, &self.record, level)
        };
        match sentence {
            Some(sentence) => {
                self.eject(sentence, level, judge.recovery(), now);
                true
            }
            // A probe that failed for a reason of its own request still reached a deployment that answers.
            None if probing && admission.probe && failure.status().is_some() => {
                self.succeeded(judge, admission, now)
            }
            None => false,
        }
    }

    fn cancelled(&mut self, judge: &dyn Judge, failure: &Failure, now: Instant) -> bool {
        self.record.cancelled(now, judge.window());
        if matches!(self.phase, Phase::Probing { .. } | Phase::Cooling { .. }) {
            return false;
        }
        let level = self.level_at(now);
        let Some(sentence) = judge.judge(failure, &self.record, level) else { return false };
        self.eject(sentence, level, judge.recovery(), now);
        true
    }

    fn eject(&mut self, sentence: Sentence, level: u32, recovery: Recovery, now: Instant) {
        self.epoch = self.epoch.wrapping_add(1);
        self.level = level.saturating_add(1);
        self.totals.ejections += 1;
        self.record = Record::default();
        self.phase = Phase::Cooling {
            until: later(now, sentence.length),
            cause: Cause::Failed(sentence.kind),
            soft: sentence.soft,
            recovery,
        };
    }

    /// The level, less what the healthy time since the last recovery has earned.
    fn level_at(&self, now: Instant) -> u32 {
        let Phase::Recovered { ramp, forgive } = &self.phase else { return self.level };
        let healthy = now.saturating_duration_since(ramp.since).as_nanos();
        let earned = healthy.checked_div(forgive.as_nanos()).unwrap_or(u128::MAX);
        self.level.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX))
    }

    /// Until when it is cooling, and why.
    pub(super) const fn aside(&self) -> Option<Aside> {
        match self.phase {
            Phase::Cooling { until, cause: Cause::Failed(kind), soft, recovery } => {
                Some(Aside { until, kind, soft, recovery })
            }
            _ => None,
        }
    }

    /// Sets it aside along with another: it did not fail itself, so its next sentence is no longer for it.
    pub(super) fn cool_along(&mut self, aside: Aside, now: Instant) -> bool {
        let Aside { until, kind, soft, recovery } = aside;
        self.settle(now);
        if let Phase::Cooling { until: own, soft: own_soft, .. } = &mut self.phase {
            if until <= *own {
                return false;
            }
            (*own, *own_soft) = (until, *own_soft && soft);
            return true;
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.level = self.level_at(now);
        self.totals.ejections += 1;
        self.record = Record::default();
        self.phase = Phase::Cooling { until, cause: Cause::Failed(kind), soft, recovery };
        true
    }

    pub(super) fn cool_by_hand(&mut self, now: Instant, length: Duration, recovery: Recovery) {
        let end = later(now, length);
        let until =
            if let Phase::Cooling { until, .. } = self.phase { end.max(until) } else { end };
        self.epoch = self.epoch.wrapping_add(1);
        self.level = self.level_at(now);
        self.totals.ejections += 1;
        self.record = Record::default();
        self.phase = Phase::Cooling { until, cause: Cause::Operator, soft: false, recovery };
    }

    pub(super) fn reset(&mut self) {
        let Self { paused, totals, places, .. } = *self;
        *self =
            Self { paused, epoch: self.epoch.wrapping_add(1), totals, places, ..Self::default() };
    }
}

impl Trials {
    fn are_full(&self, recovery: &Recovery) -> bool {
        self.running.len() >= recovery.probes.max(1) as usize
    }

    fn first_deadline(&self) -> Option<Instant> {
        self.running.iter().map(|(_, deadline)| *deadline).min()
    }
}

impl Cause {
    pub(super) const fn kind(self) -> Option<FailureKind> {
        match self {
            Self::Failed(kind) => Some(kind),
            Self::Operator => None,
        }
    }
}

/// `now + length`, or a time that will not come where the clock cannot reckon that far.
pub(super) fn later(now: Instant, length: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    now.checked_add(length).unwrap_or_else(|| now + FAR)
}
