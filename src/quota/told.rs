use std::time::Duration;

use tokio::time::Instant;

use super::{
    account::{Charge, Shortage},
    ledger::Room,
    limit::{Limit, Unit},
    reported::{Left, Reported},
};

/// No report holds longer. Most windows are no longer; of those that are, many providers say when all of it will be back
/// rather than some; and the next answer brings a newer report.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// What comes back evenly is looked at again after such a part of the time it takes.
const GRAINS: u32 = 64;

const UNITS: [Unit; 4] = [Unit::Requests, Unit::Tokens, Unit::InputTokens, Unit::OutputTokens];

/// What the provider says is left, less what it cannot know of yet: plain data, the time from the caller.
///
/// What is on its way is taken off twice where the provider had it before it made the report: rather too little is sent
/// for the moment than too much.
#[derive(Debug, Default)]
pub(crate) struct Told {
    left: [Option<Remaining>; UNITS.len()],
    /// Taken, and not answered yet.
    unanswered: Charge,
}

#[derive(Clone, Copy, Debug)]
struct Remaining {
    /// Below 0 where some of what has come back since is taken already.
    amount: i128,
    /// The limit, where it is told, or else the most that was ever left.
    most: u64,
    until: Instant,
    refill: Option<Refill>,
}

/// What comes back evenly.
#[derive(Clone, Copy, Debug)]
struct Refill {
    amount: u64,
    from: Instant,
    over: Duration,
}

impl Remaining {
    /// When there is as much as `cost`; none if there is now and was before.
    fn room(&self, cost: u64) -> Option<Instant> {
        let missing = u128::try_from(i128::from(cost) - self.amount).unwrap_or(0);
        if missing == 0 {
            return None;
        }
        let refilled = self.refill.filter(|refill| u128::from(refill.amount) >= missing);
        let refilled = refilled.and_then(|refill| {
            let over = refill.over.as_nanos().saturating_mul(missing);
            let wait = u64::try_from(over.div_ceil(refill.amount.into())).ok()?;
            refill.from.checked_add(Duration::from_nanos(wait))
        });
        Some(refilled.map_or(self.until, |at| at.min(self.until)))
    }

    /// The share that is left now, of 1, of what there is, or of `configured` where nothing tells of more.
    #[expect(clippy::cast_precision_loss, reason = "a share, for comparison")]
    fn share(&self, configured: Option<u64>, now: Instant) -> f32 {
        let back = self.refill.map_or(0.0, |Refill { amount, from, over }| {
            let passed = now.saturating_duration_since(from).as_secs_f32();
            let part = passed / over.as_secs_f32().max(f32::MIN_POSITIVE);
            amount as f32 * part.min(1.0)
        });
        let most = self.most.max(configured.unwrap_or(1)).max(1);
        ((self.amount as f32 + back) / most as f32).clamp(0.0, 1.0)
    }

    /// When time alone changes the [share](Self::share), after `now`.
    fn next_change(&self, now: Instant) -> Option<Instant> {
        let step = self.refill.map(|refill| now + refill.over / GRAINS);
        Some(step.map_or(self.until, |step| step.min(self.until))).filter(|at| *at > now)
    }
}

impl Told {
    /// What the provider has too little left of for `charge`; none where it has enough or has not said.
    pub(crate) fn shortage(&self, charge: &Charge, now: Instant) -> Option<Shortage> {
        let lacks = |(left, unit): (&Option<Remaining>, Unit)| {
            let (left, cost) = ((*left)?, charge.of(unit));
            let at = left.room(cost).filter(|at| *at > now)?;
            let amount = u64::try_from(left.amount).unwrap_or(0);
            let limit = Limit::new(unit, amount, left.until.saturating_duration_since(now));
            Some(Shortage { room: Room::Until(at), limit, cost })
        };
        self.left.iter().zip(UNITS).filter_map(lacks).max_by_key(|lacks| lacks.room)
    }

    /// The least share that is left of anything, of 1, as far as it is told. `configured` is what is set for a unit: a
    /// provider that does not tell its limit is taken to have no less.
    pub(crate) fn headroom(&self, configured: impl Fn(Unit) -> Option<u64>, now: Instant) -> f32 {
        let told = self.left.iter().zip(UNITS).filter_map(|(left, unit)| Some(((*left)?, unit)));
        let holding = told.filter(|(left, _)| left.until > now);
        holding.map(|(left, unit)| left.share(configured(unit), now)).fold(1.0, f32::min)
    }

    /// When time alone next changes the [headroom](Self::headroom).
    pub(crate) fn next_change(&self, now: Instant) -> Option<Instant> {
        self.left.iter().flatten().filter_map(|left| left.next_change(now)).min()
    }

    /// Takes what a request is expected to take.
    pub(crate) fn take(&mut self, charge: &Charge) {
        self.unanswered = self.unanswered.plus(charge);
        self.change(|left, unit| left - i128::from(charge.of(unit)));
    }

    /// A request that has taken `charge` was answered, or ended without.
    pub(crate) fn answered(&mut self, charge: &Charge) {
        self.unanswered = self.unanswered.minus(charge);
    }

    /// A request that has taken `charge` was never sent.
    pub(crate) fn give_back(&mut self, charge: &Charge) {
        self.answered(charge);
        self.change(|left, unit| left + i128::from(charge.of(unit)));
    }

    /// Enters what an answer says of the units that `counts`, its own request being [answered](Self::answered). What it
    /// says nothing of stays. Whether there may be more left than before.
    pub(crate) fn report(
        &mut self,
        reported: &Reported,
        counts: impl Fn(Unit) -> bool,
        now: Instant,
    ) -> bool {
        let Self { left, unanswered } = self;
        let mut more = false;
        for (slot, unit) in left.iter_mut().zip(UNITS).filter(|(_, unit)| counts(*unit)) {
            let Some(Left { remaining, limit, reset, refills_to }) = reported.of(unit) else {
                continue;
            };
            let seen = slot.map_or(0, |was: Remaining| was.most);
            let most = limit.unwrap_or(seen).max(remaining);
            let amount = remaining.saturating_sub(unanswered.of(unit)).into();
            let until = now + reset.min(LONGEST);
            let refill = refills_to.map(|full| Refill {
                amount: full.saturating_sub(remaining),
                from: now,
                over: reset,
            });
            let was = slot.replace(Remaining { amount, most, until, refill });
            more |=
                was.is_some_and(|was| amount > was.amount || until < was.until || refill.is_some());
        }
        more
    }

    fn change(&mut self, change: impl Fn(i128, Unit) -> i128) {
        for (left, unit) in self.left.iter_mut().zip(UNITS) {
            if let Some(left) = left {
                left.amount = change(left.amount, unit);
            }
        }
    }
}

#[cfg(test)]
mod tests;
