//! How many retries a stream of requests may cause.
//!
//! A retry budget keeps a failing fleet from being buried under its own retries: however many
//! requests fail, the traffic added to help them stays a share of the traffic that came in.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

use crate::sync::Lock;

#[cfg(test)]
mod tests;

/// Slots in a window. Rounding costs a steady stream of retries at most one part in `SLOTS` of the
/// bound.
const SLOTS: u64 = 64;

/// Bounds retries to a share of the requests that cause them, with a floor for quiet times.
///
/// Clones share one ledger, so the layers and tasks that hold them stay within one bound together.
/// Hedges can draw on it too: to the servers a hedge is a retry sent early.
///
/// ```
/// use tokio::time::Instant;
/// use tower_fleet::retry::RetryBudget;
///
/// let budget = RetryBudget::new().percent(30).min_per_second(0);
/// let now = Instant::now();
/// for _ in 0..10 {
///     budget.request(now);
/// }
/// let granted = (0..10).filter(|_| budget.try_retry(now)).count();
/// assert_eq!(granted, 3);
/// ```
///
/// # The bound
///
/// Whenever a retry is granted, the retries granted in the window that ends then, itself among
/// them, are at most
///
/// > `percent` / 100 × requests in that window + `min_per_second` × seconds in the window
///
/// It is never exceeded, whatever the number of threads and whenever they ask. The window slides in
/// 64 slots. A request counts as long as its whole slot lies in the window, so for 63 to 64 slots;
/// a retry counts as long as any of its slot does, so for 64 to 65. A retry thus outlasts the
/// requests that paid for it, and rounding can only refuse.
///
/// A ledger takes less than 2 KiB and no task. Counting a request takes one lock and constant time;
/// asking for a retry adds up the slots.
///
/// The defaults, 20 %, 10 a second and 10 s, are those of Finagle's [retry budgets].
///
/// [retry budgets]: https://finagle.github.io/blog/2016/02/08/retry-budgets
#[derive(Clone)]
pub struct RetryBudget {
    terms: Terms,
    ledger: Arc<Lock<Ledger>>,
}

impl RetryBudget {
    /// Makes a budget with the default terms.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Terms { percent: 20, min_per_second: 10, window: Duration::from_secs(10) })
    }

    /// Sets how many retries a hundred requests may cause; 20 by default.
    ///
    /// A fifth carries a fleet through a fault of every fifth request and, the floor apart, adds at
    /// most a fifth to the load of one that is down. More than 100 allows several retries for each
    /// request; 0 leaves only the floor.
    ///
    /// This starts a new ledger: set the terms before the budget is shared.
    #[must_use]
    pub fn percent(self, percent: u32) -> Self {
        Self::with(Terms { percent, ..self.terms })
    }

    /// Sets how many retries a second are allowed without any requests to pay for them; 10 by
    /// default.
    ///
    /// The floor is for clients that send little, whose share would not make up one retry. It may
    /// be spent at any time in the window, also all at once: with the default window up to 100
    /// retries.
    ///
    /// This starts a new ledger: set the terms before the budget is shared.
    #[must_use]
    pub fn min_per_second(self, min_per_second: u32) -> Self {
        Self::with(Terms { min_per_second, ..self.terms })
    }

    /// Sets the window in which requests pay for retries; 10 s by default.
    ///
    /// Ten seconds outlast a short fault, and forget the traffic of before soon enough when it
    /// falls. A window of less than a second, zero too, is taken as one second, so that any floor
    /// is worth a retry at least.
    ///
    /// This starts a new ledger: set the terms before the budget is shared.
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        Self::with(Terms { window: window.max(Duration::from_secs(1)), ..self.terms })
    }

    /// Counts a request sent for the first time.
    ///
    /// Retries and hedges are not counted, or they would pay for more of their kind. A `now` before
    /// the latest that the budget has seen, as when threads read the clock and then wait for the
    /// lock, is taken as that latest.
    pub fn request(&self, now: Instant) {
        self.ledger_at(now).current.requests += 1;
    }

    /// Takes one retry from the budget and returns true, or returns false if none is left.
    ///
    /// It asks and takes in one step: two callers cannot be granted the same last retry. What is
    /// taken is not given back, so ask when the retry is about to be sent. For `now` see
    /// [`request`](Self::request).
    #[must_use = "a retry that was granted is spent"]
    pub fn try_retry(&self, now: Instant) -> bool {
        let mut ledger = self.ledger_at(now);
        let granted = ledger.left(self.terms) > 0;
        ledger.current.retries += u64::from(granted);
        granted
    }

    /// Returns how many retries would be granted at `now`, for metrics.
    ///
    /// Others may take them meanwhile; to decide on a retry use [`try_retry`](Self::try_retry).
    #[must_use]
    pub fn available(&self, now: Instant) -> u32 {
        u32::try_from(self.ledger_at(now).left(self.terms)).unwrap_or(u32::MAX)
    }

    fn with(terms: Terms) -> Self {
        Self { terms, ledger: Arc::new(Lock::new(Ledger::new())) }
    }

    /// The ledger, locked and brought up to `now`.
    fn ledger_at(&self, now: Instant) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.ledger.lock();
        ledger.advance(self.terms.window, now);
        ledger
    }
}

impl Default for RetryBudget {
    /// As [`new`](Self::new).
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("percent", &self.terms.percent)
            .field("min_per_second", &self.terms.min_per_second)
            .field("window", &self.terms.window)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct Terms {
    percent: u32,
    min_per_second: u32,
    /// At least a second.
    window: Duration,
}

impl Terms {
    /// The retries that `requests` in one window pay for, with the floor.
    fn allowance(self, requests: u64) -> u128 {
        // In hundredths of a retry, so that the share is exact and joins the fraction that an odd
        // window leaves of the floor. Neither product can overflow.
        let share = u128::from(self.percent) * u128::from(requests);
        let floor = u128::from(self.min_per_second) * self.window.as_nanos() / 10_000_000;
        (share + floor) / 100
    }
}

/// What happened in the slots that still count.
struct Ledger {
    /// When slot 0 began: the first time seen.
    epoch: Option<Instant>,
    /// The slot of the latest time seen. Its number never falls.
    current: Slot,
    /// Earlier slots in which anything was asked, oldest first: at most `SLOTS`, none more than
    /// `SLOTS` before the current one.
    past: VecDeque<Slot>,
}

#[derive(Default)]
struct Slot {
    number: u64,
    requests: u64,
    retries: u64,
}

impl Ledger {
    /// An empty one, that has all the room it will need: no request is to pay for that.
    fn new() -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a small number")]
        let past = VecDeque::with_capacity(SLOTS as usize);
        Self { epoch: None, current: Slot::default(), past }
    }

    /// Moves on to the slot of `now`, and forgets the slots that no longer count.
    fn advance(&mut self, window: Duration, now: Instant) {
        let elapsed = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        // Divided once, and last: slots of a rounded length would drift against the window.
        let number = elapsed.as_nanos() * u128::from(SLOTS) / window.as_nanos();
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        if number <= self.current.number {
            return;
        }
        while self.past.front().is_some_and(|slot| number - slot.number > SLOTS) {
            self.past.pop_front();
        }
        let ended = mem::replace(&mut self.current, Slot { number, ..Slot::default() });
        if number - ended.number <= SLOTS {
            self.past.push_back(ended);
        }
    }

    /// The retries that may still be granted now.
    fn left(&self, terms: Terms) -> u128 {
        let (mut requests, mut retries) = (self.current.requests, self.current.retries);
        for slot in &self.past {
            // The oldest slot may have begun before the window did: its requests may be too old,
            // its retries may not.
            if self.current.number - slot.number < SLOTS {
                requests += slot.requests;
            }
            retries += slot.retries;
        }
        terms.allowance(requests).saturating_sub(retries.into())
    }
}
