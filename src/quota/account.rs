//! What was taken under some limits, and who waits for more.

use std::sync::{
    MutexGuard, Weak,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use tokio::time::Instant;

use super::{
    ledger::{Ledger, Room},
    limit::{Limit, Unit, Window},
    reported::Reported,
    told::{LONGEST, Told},
};
use crate::{
    deployment::{Deployment, Key, Watch, Watchers},
    sync::Lock,
};

/// What a request takes, or is expected to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) requests: u64,
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// In billionths of a US dollar.
    pub(crate) dollars: u64,
}

impl Charge {
    pub(crate) const fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::Tokens => self.input.saturating_add(self.output),
            Unit::InputTokens => self.input,
            Unit::OutputTokens => self.output,
            Unit::Parallel => 1,
            Unit::Dollars => self.dollars,
        }
    }

    pub(super) const fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            dollars: self.dollars.saturating_add(other.dollars),
        }
    }

    pub(super) const fn minus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
            dollars: self.dollars.saturating_sub(other.dollars),
        }
    }
}

/// What keeps a request from being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    /// When there will be enough; never [`Room::Open`].
    pub(crate) room: Room,
    pub(crate) limit: Limit,
    /// What the request takes of what is limited.
    pub(crate) cost: u64,
}

impl Shortage {
    /// The one that lasts longer.
    pub(crate) fn worse(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.room > one.room => Some(other),
            (one, other) => one.or(other),
        }
    }
}

/// The ledgers of all that is limited together. The limits themselves belong to those who take: two may hold one
/// account to different ones.
#[derive(Debug)]
pub(crate) struct Account {
    books: Lock<Books>,
    /// Grows with each change of what counts.
    version: AtomicU32,
    /// When time alone may next change what counts, in nanoseconds since it was opened. What was worked out of it holds
    /// until then, as long as the version is the same.
    fresh_until: AtomicU64,
    opened: Instant,
    watchers: Watchers,
}

#[derive(Debug)]
pub(super) struct Books {
    /// What is in flight is always counted: whoever comes to limit it later finds those who are on their way.
    ledgers: Vec<(Unit, Ledger)>,
    /// Someone limits what is in flight.
    bounds_flight: bool,
    /// What the provider says, where it is heard.
    told: Option<Told>,
    /// The latest time anyone came with: they read the clock before they have the lock.
    latest: Option<Instant>,
    /// Someone was turned away since something was last given back.
    is_awaited: bool,
}

impl Account {
    pub(crate) fn open() -> Self {
        let books = Books {
            ledgers: vec![(Unit::Parallel, Ledger::new(Window::InFlight))],
            bounds_flight: false,
            told: None,
            latest: None,
            is_awaited: false,
        };
        Self {
            books: Lock::new(books),
            version: AtomicU32::new(1),
            fresh_until: AtomicU64::new(0),
            opened: Instant::now(),
            watchers: Watchers::default(),
        }
    }

    /// Keeps a ledger for each of `limits`.
    pub(crate) fn keep(&self, limits: &[Limit]) {
        let mut books = self.books.lock();
        for limit in limits {
            books.bounds_flight |= limit.unit() == Unit::Parallel;
            if books.ledger(limit).is_none() {
                books.ledgers.push((limit.unit(), Ledger::new(limit.window())));
            }
        }
        self.changed(&books);
    }

    /// Hears what the provider says, from now on.
    pub(crate) fn listen(&self) {
        self.books.lock().told.get_or_insert_default();
    }

    /// Enters what the provider says of the units that `counts`. Whoever waits is told if it is more than before.
    pub(super) fn hear(&self, reported: &Reported, counts: impl Fn(Unit) -> bool, now: Instant) {
        let mut books = self.books.lock();
        let now = books.at(now);
        let is_more = books.told.as_mut().is_some_and(|told| told.report(reported, counts, now));
        self.put_back(books, is_more);
    }

    /// A request that has taken `charge` is no longer on its way to the provider.
    pub(super) fn answered(&self, charge: &Charge) {
        if let Some(told) = &mut self.books.lock().told {
            told.answered(charge);
        }
    }

    /// A request that has taken `charge` was not sent. Whoever waits is told by what it gives back.
    pub(super) fn never_sent(&self, charge: &Charge) {
        let mut books = self.books.lock();
        if let Some(told) = &mut books.told {
            told.give_back(charge);
            self.changed(&books);
        }
    }

    /// The deployments that share it, as far as they are members of groups.
    pub(crate) fn deployments(&self) -> Vec<Deployment> {
        self.watchers.deployments()
    }

    pub(crate) fn watch(&self, watcher: Weak<dyn Watch>, member: Key) {
        self.watchers.add(watcher, member);
    }

    pub(crate) fn unwatch(&self, watcher: &Weak<dyn Watch>, member: Key) {
        self.watchers.remove(watcher, member);
    }

    /// What under `limits` keeps `charge` from being taken; whoever asks is told when something is given back.
    pub(crate) fn shortage(
        &self,
        limits: &[Limit],
        charge: &Charge,
        now: Instant,
    ) -> Option<Shortage> {
        self.books.lock().shortage(limits, charge, now)
    }

    /// Looks at the books, and works on them if `work` says so; they are locked in between.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Books) -> Option<T>) -> Option<T> {
        let mut books = self.books.lock();
        let done = work(&mut books);
        if done.is_some() {
            self.changed(&books);
        }
        done
    }

    /// Makes what was taken at `at` as `taken` what it turned out to be by `now`. Whoever waits is told of what is given back.
    pub(crate) fn correct(&self, at: Instant, taken: &Charge, used: &Charge, now: Instant) {
        let mut books = self.books.lock();
        let now = books.at(now);
        let mut is_less = false;
        for (unit, ledger) in &mut books.ledgers {
            if *unit == Unit::Parallel {
                continue;
            }
            let (taken, used) = (taken.of(*unit), used.of(*unit));
            ledger.charge(used.saturating_sub(taken), now);
            ledger.give_back(taken.saturating_sub(used), at);
            is_less |= used < taken;
        }
        self.put_back(books, is_less);
    }

    /// One request less is in flight.
    pub(crate) fn land(&self, at: Instant) {
        let mut books = self.books.lock();
        for (_, ledger) in books.ledgers.iter_mut().filter(|(unit, _)| *unit == Unit::Parallel) {
            ledger.give_back(1, at);
        }
        if books.bounds_flight {
            self.put_back(books, true);
        }
    }

    /// After a change; if it `frees` something, whoever waits is told, with the books put back.
    fn put_back(&self, mut books: MutexGuard<'_, Books>, frees: bool) {
        self.changed(&books);
        let tells = frees && std::mem::take(&mut books.is_awaited);
        drop(books);
        if tells {
            self.watchers.tell();
        }
    }

    /// For each of `limits`, what counts and when there is room for the least thing.
    pub(crate) fn state(&self, limits: &[Limit], now: Instant) -> Vec<(Limit, u64, Room)> {
        let mut books = self.books.lock();
        let state = |limit: &Limit| {
            let ledger = books.ledger(limit)?;
            let room = ledger.room(1, limit.most(), now);
            Some((*limit, ledger.used(), room))
        };
        limits.iter().filter_map(state).collect()
    }

    /// The least share, of 1, that is left of any of `limits`, or by what the provider says, kept in `cache` for as long
    /// as nothing changes.
    pub(super) fn headroom(&self, limits: &[Limit], cache: &AtomicU64, now: Instant) -> f32 {
        let version = self.version.load(Ordering::Acquire);
        let kept = cache.load(Ordering::Relaxed);
        let since_opened = nanos(self.opened, now);
        if kept >> 32 == u64::from(version)
            && since_opened < self.fresh_until.load(Ordering::Relaxed)
        {
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is the share")]
            return f32::from_bits(kept as u32);
        }
        let mut books = self.books.lock();
        let now = books.at(now);
        let mut least = 1_f32;
        for limit in limits {
            let Some(ledger) = books.ledger(limit) else { continue };
            ledger.expire(now);
            let left = limit.most().saturating_sub(ledger.used());
            #[expect(clippy::cast_precision_loss, reason = "a share, for comparison")]
            let share = left as f32 / limit.most().max(1) as f32;
            least = least.min(share);
        }
        if let Some(told) = &books.told {
            let short = limits.iter().filter(|limit| limit.window().is_within(LONGEST));
            let set =
                |unit| short.clone().filter(|limit| limit.unit() == unit).map(Limit::most).min();
            least = least.min(told.headroom(set, now));
        }
        if since_opened >= self.fresh_until.load(Ordering::Relaxed) {
            self.changed(&books);
        }
        let version = u64::from(self.version.load(Ordering::Relaxed));
        cache.store(version << 32 | u64::from(least.to_bits()), Ordering::Relaxed);
        least
    }

    /// To be called with the books locked, after each change.
    fn changed(&self, books: &Books) {
        let expiries = books.ledgers.iter().filter_map(|(_, ledger)| ledger.next_expiry());
        let told = || books.told.as_ref()?.next_change(books.latest?);
        let until = expiries.chain(told()).min().map_or(u64::MAX, |next| nanos(self.opened, next));
        self.fresh_until.store(until, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl Books {
    /// `now`, unless someone was here later.
    pub(super) fn at(&mut self, now: Instant) -> Instant {
        let at = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(at);
        at
    }

    pub(super) fn shortage(
        &mut self,
        limits: &[Limit],
        charge: &Charge,
        now: Instant,
    ) -> Option<Shortage> {
        let mut worst = None;
        for limit in limits {
            let Some(ledger) = self.ledger(limit) else { continue };
            let cost = charge.of(limit.unit());
            let room =
                if limit.is_nothing() { Room::Never } else { ledger.room(cost, limit.most(), now) };
            if room != Room::Open {
                worst = Shortage::worse(worst, Some(Shortage { room, limit: *limit, cost }));
            }
        }
        if let Some(told) = &self.told {
            worst = Shortage::worse(worst, told.shortage(charge, now));
        }
        self.is_awaited |= worst.is_some();
        worst
    }

    pub(super) fn charge(&mut self, charge: &Charge, now: Instant) {
        if let Some(told) = &mut self.told {
            told.take(charge);
        }
        for (unit, ledger) in &mut self.ledgers {
            ledger.expire(now);
            ledger.charge(charge.of(*unit), now);
        }
    }

    fn ledger(&mut self, limit: &Limit) -> Option<&mut Ledger> {
        let is = |(unit, ledger): &&mut (Unit, Ledger)| {
            (*unit, ledger.window()) == (limit.unit(), limit.window())
        };
        self.ledgers.iter_mut().find(is).map(|(_, ledger)| ledger)
    }
}

fn nanos(since: Instant, until: Instant) -> u64 {
    u64::try_from(until.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX)
}
