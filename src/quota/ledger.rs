//! What was taken of one thing in the latest window: plain data, time and amounts from the caller.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::limit::{GRAINS, Window};

/// From so many entries on, those that are near each other become one.
const CROWDED: usize = 2 * GRAINS as usize;

/// The entries of one window.
///
/// Time must not run backwards: whoever asks with an earlier `now` than before is answered as of then.
#[derive(Debug)]
pub(crate) struct Ledger {
    window: Window,
    /// By time. Those that may still count: at most [`CROWDED`].
    entries: VecDeque<Entry>,
    /// The sum of the entries.
    used: u64,
}

/// What was taken from `first` to `last`. It counts until `last` is a window ago: too long by some of it, never too
/// short.
#[derive(Debug)]
struct Entry {
    first: Instant,
    last: Instant,
    cost: u64,
}

/// When something can be taken. The greater one is further away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// Now.
    Open,
    /// Once enough requests in flight are over.
    Held,
    /// Then, and no sooner, unless some of what was taken is given back.
    Until(Instant),
    /// Never: it is more than there is.
    Never,
}

impl Ledger {
    pub(crate) const fn new(window: Window) -> Self {
        Self { window, entries: VecDeque::new(), used: 0 }
    }

    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// What counts, as of the last look at the time.
    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// Forgets what counts no more.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(first) = self.entries.front()
            && self.window.end(first.last).is_some_and(|end| end <= now)
        {
            self.used -= first.cost;
            self.entries.pop_front();
        }
    }

    /// When time alone next changes what counts.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.window.end(self.entries.front()?.last)
    }

    /// When `cost` can be taken so that what counts stays within `most`.
    pub(crate) fn room(&mut self, cost: u64, most: u64, now: Instant) -> Room {
        self.expire(now);
        if cost == 0 || self.used.saturating_add(cost) <= most {
            return Room::Open;
        }
        let Some(most_before) = most.checked_sub(cost) else { return Room::Never };
        let mut left = self.used;
        for entry in &self.entries {
            left -= entry.cost;
            if left <= most_before {
                return self.window.end(entry.last).map_or(Room::Held, Room::Until);
            }
        }
        Room::Held
    }

    /// Enters `cost`, whatever there is room for.
    pub(crate) fn charge(&mut self, cost: u64, now: Instant) {
        let cost = cost.min(u64::MAX - self.used);
        if cost == 0 {
            return;
        }
        self.used += cost;
        match self.entries.back_mut() {
            Some(latest) if latest.last >= now || self.window == Window::InFlight => {
                latest.cost += cost;
            }
            _ => self.entries.push_back(Entry { first: now, last: now, cost }),
        }
        if self.entries.len() > CROWDED {
            self.merge();
        }
    }

    /// Takes `cost` off what was entered at `at`; nothing where that counts no more.
    pub(crate) fn give_back(&mut self, cost: u64, at: Instant) {
        let index = match self.window {
            Window::InFlight => 0,
            Window::Rolling(_) | Window::Calendar(_) => {
                self.entries.partition_point(|entry| entry.last < at)
            }
        };
        let of_then = |entry: &&mut Entry| self.window == Window::InFlight || entry.first <= at;
        if let Some(entry) = self.entries.get_mut(index).filter(of_then) {
            let cost = cost.min(entry.cost);
            entry.cost -= cost;
            self.used -= cost;
        }
    }

    /// Makes one of those that are near each other, so that fewer than [`CROWDED`] are left.
    fn merge(&mut self) {
        let mut merged: VecDeque<Entry> = VecDeque::with_capacity(CROWDED + 1);
        for entry in self.entries.drain(..) {
            match merged.back_mut() {
                Some(before) if self.window.is_near(before.first, entry.last) => {
                    before.last = entry.last;
                    before.cost += entry.cost;
                }
                _ => merged.push_back(entry),
            }
        }
        self.entries = merged;
    }
}

#[cfg(test)]
mod tests;
