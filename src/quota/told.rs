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
const LONGEST: Duration = Duration::from_secs(60);

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
    amount: u64,
    until: Instant,
}

impl Told {
    /// What the provider has too little left of for `charge`; none where it has enough or has not said.
    pub(crate) fn shortage(&self, charge: &Charge, now: Instant) -> Option<Shortage> {
        let lacks = |(left, unit): (&Option<Remaining>, Unit)| {
            let Remaining { amount, until } = (*left)?;
            let cost = charge.of(unit);
            let limit = Limit::new(unit, amount, until.saturating_duration_since(now));
            let shortage = Shortage { room: Room::Until(until), limit, cost };
            (until > now && cost > amount).then_some(shortage)
        };
        self.left.iter().zip(UNITS).filter_map(lacks).max_by_key(|lacks| lacks.room)
    }

    /// Takes what a request is expected to take.
    pub(crate) fn take(&mut self, charge: &Charge) {
        self.unanswered = self.unanswered.plus(charge);
        self.change(|left, unit| left.saturating_sub(charge.of(unit)));
    }

    /// A request that has taken `charge` was answered, or ended without.
    pub(crate) fn answered(&mut self, charge: &Charge) {
        self.unanswered = self.unanswered.minus(charge);
    }

    /// A request that has taken `charge` was never sent.
    pub(crate) fn give_back(&mut self, charge: &Charge) {
        self.answered(charge);
        self.change(|left, unit| left.saturating_add(charge.of(unit)));
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
            let Some(Left { remaining, reset }) = reported.of(unit) else { continue };
            let amount = remaining.saturating_sub(unanswered.of(unit));
            let until = now + reset.min(LONGEST);
            let was = slot.replace(Remaining { amount, until });
            more |= was.is_some_and(|was| amount > was.amount || until < was.until);
        }
        more
    }

    fn change(&mut self, change: impl Fn(u64, Unit) -> u64) {
        for (left, unit) in self.left.iter_mut().zip(UNITS) {
            if let Some(left) = left {
                left.amount = change(left.amount, unit);
            }
        }
    }
}

#[cfg(test)]
mod tests;
