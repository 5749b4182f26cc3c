//! The bucket queue: slots sorted by how many requests they hold, each change a constant number of swaps.
//!
//! A permutation of the slots that are in, plus the end of each level in it. Every slot belongs to an owner (a member of
//! the group, by index); a member of weight w owns w slots. Picking the least level, raising and lowering a slot cost
//! the same at any number of slots; taking one out or putting it back costs one swap for each level above its own.

#![allow(clippy::cast_possible_truncation, reason = "a group has far fewer than 2^32 slots")]

use fastrand::Rng;

const OUT: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    slots: Vec<Slot>,
    /// The slots that are in, by level.
    order: Vec<u32>,
    /// For each level, how many slots that are in have it or a lower one. The last level is never empty, so a burst
    /// that is over costs nothing later.
    ends: Vec<u32>,
    /// The first level that is not empty.
    lowest: u32,
}

#[derive(Debug)]
struct Slot {
    owner: u32,
    level: u32,
    /// Its place in the order, or `OUT`.
    place: u32,
}

impl Queue {
    /// Adds a slot of `owner` at `level`, out of the order.
    pub(crate) fn add(&mut self, owner: u32, level: u32) {
        self.slots.push(Slot { owner, level, place: OUT });
    }

    /// How many slots there are, in and out.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// How many slots are in.
    pub(crate) fn len(&self) -> u32 {
        self.order.len() as u32
    }

    /// Whether no slot is in.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// One request more on `slot`, in the order or out of it.
    pub(crate) fn raise(&mut self, slot: u32) {
        let level = self.slots[slot as usize].level;
        self.slots[slot as usize].level = level + 1;
        if self.slots[slot as usize].place == OUT {
            return;
        }
        if level as usize + 1 == self.ends.len() {
            self.ends.push(self.ends[level as usize]);
        }
        self.ends[level as usize] -= 1;
        self.swap(slot, self.ends[level as usize]);
        if level == self.lowest && self.start(level) == self.ends[level as usize] {
            self.lowest = level + 1;
        }
    }

    /// One request less on `slot`, in the order or out of it. It must hold one.
    pub(crate) fn lower(&mut self, slot: u32) {
        debug_assert!(
            self.slots[slot as usize].level > 0,
            "a slot gave back a request it did not hold"
        );
        let level = self.slots[slot as usize].level.saturating_sub(1);
        self.slots[slot as usize].level = level;
        if self.slots[slot as usize].place == OUT {
            return;
        }
        self.swap(slot, self.ends[level as usize]);
        self.ends[level as usize] += 1;
        self.lowest = self.lowest.min(level);
        self.trim();
    }

    /// Takes `slot` out of the order; nothing if it is out.
    pub(crate) fn take_out(&mut self, slot: u32) {
        let Slot { level, place, .. } = self.slots[slot as usize];
        if place == OUT {
            return;
        }
        for above in level as usize..self.ends.len() {
            self.ends[above] -= 1;
            self.swap(slot, self.ends[above]);
        }
        self.order.pop();
        self.slots[slot as usize].place = OUT;
        self.trim();
        while (self.lowest as usize) < self.ends.len() && self.ends[self.lowest as usize] == 0 {
            self.lowest += 1;
        }
    }

    /// Puts `slot` back into the order; nothing if it is in.
    pub(crate) fn put_in(&mut self, slot: u32) {
        let Slot { level, place, .. } = self.slots[slot as usize];
        if place != OUT {
            return;
        }
        let len = self.order.len() as u32;
        self.slots[slot as usize].place = len;
        self.order.push(slot);
        if self.ends.len() <= level as usize {
            self.ends.resize(level as usize + 1, len);
        }
        for above in (level as usize..self.ends.len()).rev() {
            let first = self.start(above as u32);
            if above as u32 > level {
                self.swap(slot, first);
            }
            self.ends[above] += 1;
        }
        self.lowest = if len == 0 { level } else { self.lowest.min(level) };
    }

    /// The owner of a slot at the lowest level that has one `accepted`, each such slot as likely as the others.
    pub(crate) fn lowest(
        &mut self,
        rng: &mut Rng,
        mut accepted: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut start = 0;
        for level in self.lowest as usize..self.ends.len() {
            // Within a level the order is free: a slot that is not accepted is swapped behind those still to be drawn,
            // so that the draw stays uniform over the rest.
            let mut end = self.ends[level];
            while end > start {
                let slot = self.order[rng.u32(start..end) as usize];
                let owner = self.slots[slot as usize].owner;
                if accepted(owner) {
                    return Some(owner);
                }
                end -= 1;
                self.swap(slot, end);
            }
            start = self.ends[level];
        }
        None
    }

    /// The lowest level that this share of the slots that are in, of 1 and rounded down, have or are below.
    #[allow(clippy::cast_sign_loss, reason = "the share is not negative")]
    pub(crate) fn quantile(&self, share: f64) -> u32 {
        /// A share of 0.29 of 100 is 29 of them.
        const ROUNDING: f64 = 1e-9;
        let share = share.clamp(0.0, 1.0) * f64::from(self.order.len() as u32);
        let below = (share + ROUNDING).floor() as u32;
        let level = self.ends.iter().position(|end| *end >= below.max(1));
        level.map_or(0, |level| level as u32)
    }

    /// The owner of any slot that is in and `accepted`, each such slot as likely as the others.
    pub(crate) fn any(&self, rng: &mut Rng, mut accepted: impl FnMut(u32) -> bool) -> Option<u32> {
        const DRAWS: usize = 4;
        let owner_at = |place: usize| self.slots[self.order[place] as usize].owner;
        let draws = if self.order.is_empty() { 0 } else { DRAWS };
        for _ in 0..draws {
            let owner = owner_at(rng.usize(0..self.order.len()));
            if accepted(owner) {
                return Some(owner);
            }
        }
        // Few are acceptable: reservoir sampling of one, over all of them.
        let mut chosen = None;
        let mut seen = 0;
        for place in 0..self.order.len() {
            let owner = owner_at(place);
            if accepted(owner) {
                seen += 1;
                if rng.usize(0..seen) == 0 {
                    chosen = Some(owner);
                }
            }
        }
        chosen
    }

    fn start(&self, level: u32) -> u32 {
        level.checked_sub(1).map_or(0, |below| self.ends[below as usize])
    }

    fn swap(&mut self, slot: u32, place: u32) {
        let from = self.slots[slot as usize].place;
        let other = self.order[place as usize];
        self.order.swap(from as usize, place as usize);
        self.slots[slot as usize].place = place;
        self.slots[other as usize].place = from;
    }

    /// Drops the levels at the top that no slot has any more.
    fn trim(&mut self) {
        while let [.., below, top] = self.ends[..]
            && below == top
        {
            self.ends.pop();
        }
        if self.order.is_empty() {
            self.ends.clear();
            self.lowest = 0;
        }
    }
}

#[cfg(test)]
mod tests;
