//! Which deployment served what.

use std::{collections::HashMap, fmt, num::NonZeroU64, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Deployment, Usage};
use crate::{
    hash::{hash, mix},
    sync::Lock,
};

/// What the keys of answers begin with, apart from those of requests.
const ANSWERS: u64 = 1;
const REQUESTS: u64 = 2;
/// No entry.
const NONE: u32 = u32::MAX;
/// Providers cache no shorter input, in tokens: OpenAI's limit, and Anthropic's for most of its models.
#[cfg_attr(not(feature = "llm"), allow(dead_code, reason = "only answers of models are read"))]
const CACHEABLE: u64 = 1024;

/// Remembers which deployment served which requests, for [`Affinity`](crate::balance::Affinity). A cheap handle: clones
/// are the same memory.
///
/// It holds a bounded number of hashes, neither keys nor ids; the one that was used longest ago goes first. Each use
/// costs the same at any number.
#[derive(Clone)]
pub struct Pins {
    shared: Arc<Shared>,
    /// Others that learn of the same answers.
    others: Option<Arc<Self>>,
}

struct Shared {
    most: usize,
    ttl: Duration,
    state: Lock<State>,
}

/// A map, and through its entries a list by their latest use.
struct State {
    places: HashMap<u64, u32>,
    entries: Vec<Pin>,
    newest: u32,
    oldest: u32,
}

struct Pin {
    key: u64,
    deployment: u64,
    /// None where it is of use for as long as there is room.
    until: Option<Instant>,
    /// An answer of the deployment has come to its end.
    answered: bool,
    newer: u32,
    older: u32,
}

impl Pin {
    fn holds(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Pins {
    pub(crate) fn new(most: usize, ttl: Duration) -> Self {
        let most = most.clamp(1, NONE as usize);
        let (places, entries) = (HashMap::new(), Vec::new());
        let state = State { places, entries, newest: NONE, oldest: NONE };
        let shared = Arc::new(Shared { most, ttl, state: Lock::new(state) });
        Self { shared, others: None }
    }

    /// These and `others`: what answers tell is entered in each memory, once.
    pub(crate) fn and(self, others: &Self) -> Self {
        others.each().fold(self, |all, one| {
            if all.each().any(|known| Arc::ptr_eq(known, one)) {
                return all;
            }
            Self { shared: Arc::clone(one), others: Some(Arc::new(all)) }
        })
    }

    fn each(&self) -> impl Iterator<Item = &Arc<Shared>> {
        let all = std::iter::successors(Some(self), |one| one.others.as_deref());
        all.map(|one| &one.shared)
    }

    /// How many there are, those included whose time is over and that were not met since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.each().map(|shared| shared.state.lock().entries.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Enters that `deployment` gave the answer of this `id`: requests that [continue](crate::Demand::continues) it go
    /// there. `llm::Meter` does so for OpenAI's responses. Such a pin has no time limit, for the answer is nowhere else;
    /// it goes when there are too many.
    pub fn answer(&self, id: &str, deployment: &Deployment) {
        let key = hash(ANSWERS, id.as_bytes());
        self.each().for_each(|shared| shared.set(key, deployment.id_hash(), None));
    }

    pub(crate) fn most(&self) -> usize {
        self.shared.most
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.shared.ttl
    }

    /// The hash of the id of the deployment that gave the answer of this `id`.
    pub(crate) fn answerer(&self, id: &str, now: Instant) -> Option<u64> {
        self.get(hash(ANSWERS, id.as_bytes()), now)
    }

    /// What the requests with this affinity are pinned by in the group at this address. Another group that later comes to
    /// lie there finds pins to members it has not got, which are as good as none.
    pub(crate) fn key(group: usize, affinity: &str) -> u64 {
        hash(mix(group as u64 ^ REQUESTS), affinity.as_bytes())
    }

    /// The hash of the id of the deployment that `key` is pinned to.
    pub(crate) fn get(&self, key: u64, now: Instant) -> Option<u64> {
        let state = self.shared.state.lock();
        let pin = &state.entries[*state.places.get(&key)? as usize];
        pin.holds(now).then_some(pin.deployment)
    }

    /// Pins `key`, used `now`.
    pub(crate) fn pin(&self, key: u64, deployment: u64, now: Instant) {
        self.shared.set(key, deployment, Some((now, self.ttl())));
    }
}

impl Shared {
    fn set(&self, key: u64, deployment: u64, limit: Option<(Instant, Duration)>) {
        let until = limit.and_then(|(now, ttl)| now.checked_add(ttl));
        let mut state = self.state.lock();
        let there = state.places.get(&key).copied();
        let place = if let Some(place) = there {
            let pin = &mut state.entries[place as usize];
            let goes_on = limit.is_none_or(|(now, _)| pin.holds(now));
            pin.answered &= goes_on && pin.deployment == deployment;
            (pin.deployment, pin.until) = (deployment, until);
            state.unlink(place);
            place
        } else {
            state.add(
                Pin { key, deployment, until, answered: false, newer: NONE, older: NONE },
                self.most,
            )
        };
        state.link(place);
    }

    /// Enters that an answer of the deployment to a request with this `key` has come to its end. Whether it is still
    /// pinned there, and another one had before.
    #[cfg_attr(not(feature = "llm"), allow(dead_code, reason = "only answers of models are read"))]
    fn answered_again(&self, key: u64, deployment: u64, now: Instant) -> bool {
        let mut state = self.state.lock();
        let Some(place) = state.places.get(&key).copied() else { return false };
        let pin = &mut state.entries[place as usize];
        let is_there = pin.deployment == deployment && pin.holds(now);
        is_there && std::mem::replace(&mut pin.answered, true)
    }
}

impl State {
    /// Adds a pin outside the list, in the place of the oldest one where there are `most` already.
    fn add(&mut self, pin: Pin, most: usize) -> u32 {
        let key = pin.key;
        let place = if self.entries.len() < most {
            self.entries.push(pin);
            #[expect(clippy::cast_possible_truncation, reason = "there are fewer than NONE")]
            let last = self.entries.len() as u32 - 1;
            last
        } else {
            let place = self.oldest;
            self.unlink(place);
            let gone = std::mem::replace(&mut self.entries[place as usize], pin);
            self.places.remove(&gone.key);
            place
        };
        self.places.insert(key, place);
        place
    }

    /// Takes an entry out of the list.
    fn unlink(&mut self, place: u32) {
        let Pin { newer, older, .. } = self.entries[place as usize];
        match self.entries.get_mut(newer as usize) {
            Some(pin) => pin.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older as usize) {
            Some(pin) => pin.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Puts an entry at the newest end of the list.
    fn link(&mut self, place: u32) {
        let older = std::mem::replace(&mut self.newest, place);
        let pin = &mut self.entries[place as usize];
        (pin.newer, pin.older) = (NONE, older);
        match self.entries.get_mut(older as usize) {
            Some(pin) => pin.newer = place,
            None => self.oldest = place,
        }
    }
}

/// Leaves out the pins.
impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What an attempt is pinned by: travels with it to whoever reads the answer.
#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    pub(crate) pins: Pins,
    /// Of the request's affinity, where it has one: one in 2^64 is taken for none, which makes room.
    pub(crate) key: Option<NonZeroU64>,
}

impl Pinned {
    /// Enters what an answer took: where another with this key came from the same deployment before, it tells whether
    /// the provider's cache made use of that.
    #[cfg_attr(not(feature = "llm"), allow(dead_code, reason = "only answers of models are read"))]
    pub(crate) fn answered(&self, deployment: &Deployment, usage: &Usage, now: Instant) {
        let Some(key) = self.key.map(NonZeroU64::get) else { return };
        let mut again = false;
        for shared in self.pins.each() {
            again |= shared.answered_again(key, deployment.id_hash(), now);
        }
        if again && usage.input >= CACHEABLE && !usage.estimated {
            #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
            deployment.cached((usage.cached as f32 / usage.input as f32).min(1.0));
        }
    }
}

#[cfg(test)]
mod tests;
