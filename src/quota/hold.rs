//! What a request in flight has taken, from its pick until what it used is known.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Quota,
    account::{Account, Charge, Shortage},
    money::billionths_up,
    reported::Reported,
};
use crate::{deployment::Usage, sync::Lock};

/// What one request holds in some quotas. What is not used is given back once.
#[derive(Debug)]
pub(crate) struct Hold {
    quotas: Arc<[Quota]>,
    at: Instant,
    /// What was taken at first.
    expected: Charge,
    /// What of it the provider has once the request is sent, whatever comes of it.
    sunk: Charge,
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    /// What counts of it.
    charge: Charge,
    /// No head of a response has come.
    unanswered: bool,
    stage: Stage,
    /// No longer in flight.
    landed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Nothing left this process.
    Picked,
    /// The provider has it, as far as is known, and may be working on it.
    Sent,
    /// The provider has turned it away, or broke down over it.
    Failed,
    /// It was taken on, so it takes what it was expected to as long as nobody knows better.
    Answered,
    /// What it used is known.
    Settled,
}

/// What was taken of all quotas at once.
pub(crate) struct Taken<T> {
    pub(crate) by: T,
    pub(crate) hold: Reservation,
    /// What keeps the least thing that can be asked from being taken now.
    pub(crate) spent: Option<Shortage>,
}

/// What a request asks of quotas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// What it is expected to take.
    pub(crate) expected: Charge,
    /// What of it the provider has once the request is sent.
    pub(crate) sunk: Charge,
    /// What the least request takes.
    pub(crate) least: Charge,
}

/// Takes what is `asked` of all of `quotas`, and what `then` takes, or nothing. `quotas` are in the order of their locks.
///
/// All are locked before anything is taken: a part of it could otherwise be in the way of another request although the
/// whole cannot be had.
pub(crate) fn reserve<T>(
    quotas: &Arc<[Quota]>,
    asked: &Asked,
    now: Instant,
    then: impl FnOnce() -> Option<T>,
) -> Option<Taken<T>> {
    let Asked { expected, sunk, least } = *asked;
    let (by, at, spent) = reserve_each(quotas, &expected, &least, now, then)?;
    let state = State { charge: expected, unanswered: true, stage: Stage::Picked, landed: false };
    let quotas = Arc::clone(quotas);
    let hold = Hold { quotas, at, expected, sunk, state: Lock::new(state) };
    Some(Taken { by, hold: Reservation(Arc::new(hold)), spent })
}

fn reserve_each<T>(
    quotas: &[Quota],
    charge: &Charge,
    least: &Charge,
    now: Instant,
    then: impl FnOnce() -> Option<T>,
) -> Option<(T, Instant, Option<Shortage>)> {
    let Some((first, rest)) = quotas.split_first() else { return Some((then()?, now, None)) };
    first.account().with(|books| {
        let now = books.at(now);
        if books.shortage(first.limits(), charge, now).is_some() {
            return None;
        }
        // With the lock held: from here on, the others are looked at, and then all are charged.
        let (by, at, spent) = reserve_each(rest, charge, least, now, then)?;
        books.at(at);
        books.charge(charge, at);
        if first.is_tagged() {
            // Others may still be let through.
            return Some((by, at, spent));
        }
        let spent = Shortage::worse(spent, books.shortage(first.limits(), least, at));
        Some((by, at, spent))
    })
}

impl Hold {
    /// The request is handed to the service below.
    pub(crate) fn sent(&self) {
        self.state.lock().stage = Stage::Sent;
    }

    /// It turned out not to have reached the provider.
    pub(crate) fn not_sent(&self) {
        self.became(Stage::Picked);
    }

    /// It came to nothing, for a reason that leaves the provider nothing to work on.
    pub(crate) fn failed(&self) {
        self.became(Stage::Failed);
    }

    /// The provider has taken it on.
    pub(crate) fn answered(&self) {
        self.became(Stage::Answered);
    }

    fn became(&self, next: Stage) {
        let mut state = self.state.lock();
        if state.stage == Stage::Sent {
            state.stage = next;
        }
    }

    /// The head of a response has come, with what the provider says in it, where that is to be heard.
    pub(crate) fn heard(&self, reported: Option<&Reported>) {
        self.end_unanswered(Account::answered);
        let Some(reported) = reported else { return };
        let now = Instant::now();
        for quota in &*self.quotas {
            quota.hear(reported, now);
        }
    }

    /// Says once that it is no longer waited for.
    fn end_unanswered(&self, say: impl Fn(&Account, &Charge)) {
        if std::mem::take(&mut self.state.lock().unanswered) {
            for quota in &*self.quotas {
                say(quota.account(), &self.expected);
            }
        }
    }

    /// Makes what it takes what it used, and what that cost in US dollars, where that is known. The first time counts, also
    /// after the response has ended.
    pub(crate) fn settle(&self, usage: &Usage, cost: Option<f64>) {
        let mut state = self.state.lock();
        if state.stage == Stage::Settled {
            return;
        }
        state.stage = Stage::Settled;
        let dollars = cost.map_or(state.charge.dollars, billionths_up);
        let used = Charge { input: usage.input, output: usage.output, dollars, ..state.charge };
        let before = std::mem::replace(&mut state.charge, used);
        drop(state);
        self.correct(&before, &used);
    }

    /// Gives back what the request no longer holds: its place in flight, and what it will not use.
    fn end(&self) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.landed, true) {
            return;
        }
        let used = match state.stage {
            Stage::Picked => Charge::default(),
            // Left, or timed out: the provider has read it, and may even answer.
            Stage::Sent => self.sunk,
            // It was counted where it arrived, and nothing came of it.
            Stage::Failed => Charge { requests: state.charge.requests, ..Charge::default() },
            Stage::Answered | Stage::Settled => state.charge,
        };
        let before = std::mem::replace(&mut state.charge, used);
        let was_sent = state.stage != Stage::Picked;
        drop(state);
        self.end_unanswered(if was_sent { Account::answered } else { Account::never_sent });
        for quota in &*self.quotas {
            quota.account().land(self.at);
        }
        self.correct(&before, &used);
    }

    fn correct(&self, before: &Charge, after: &Charge) {
        if before == after {
            return;
        }
        let now = Instant::now();
        for quota in &*self.quotas {
            quota.account().correct(self.at, before, after, now);
        }
    }
}

/// Ends a [`Hold`] when it is dropped, which tells those who wait: not to be dropped under a lock.
#[derive(Debug)]
pub(crate) struct Reservation(Arc<Hold>);

impl Reservation {
    pub(crate) fn hold(&self) -> &Arc<Hold> {
        &self.0
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.end();
    }
}
