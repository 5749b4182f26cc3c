//! The members of one group and the pick among them: plain data, no lock and no I/O.
//!
//! A member is *in* while it may be picked: healthy (or kept in by the fleet rules), below its limit of parallel
//! requests, with something left of its quotas, not draining. Members that are in stand in the [`Queue`] of their tier,
//! one tier for each `order`. What takes a member out for a time says when to look again, so the pick needs neither timer
//! nor task.

#![allow(clippy::cast_possible_truncation, reason = "a group has far fewer than 2^32 members")]

mod explain;
mod member;
mod needs;
mod pick;
mod rules;
mod spill;
mod tags;

use std::{cmp::Reverse, collections::BinaryHeap};

use fastrand::Rng;
use tokio::time::Instant;

pub(crate) use self::explain::Draft;
pub(super) use self::member::Member;
use self::member::{InOrOut, Stage};
pub(super) use self::needs::Needs;
use self::needs::is_picky;
pub(crate) use self::pick::{Picked, Wish};
pub use self::tags::TagMatch;
use self::tags::Tags;
use super::{queue::Queue, slots::slots};
use crate::deployment::{Deployment, Key, Probe};

#[derive(Debug)]
pub(crate) struct Pool {
    members: Vec<Member>,
    free: Vec<u32>,
    /// By order, lowest first.
    tiers: Vec<Tier>,
    rng: Rng,
    /// When it began.
    epoch: Instant,
    /// The share of the members that may be out for soft reasons, of 1.
    max_ejected: f32,
    /// How much more than its share a tier can carry, where tiers shed requests before they are out.
    spill: Option<f32>,
    /// When to look at which member again. What is no longer so is passed over in its time.
    dues: BinaryHeap<Reverse<(Instant, u32)>>,
    /// No member's time is up before this.
    next_due: Option<Instant>,
    /// Members that are live and have a weight.
    serving: usize,
    /// Members that are in.
    ready: usize,
    ramping: usize,
    /// Members that are cooling and kept in.
    kept_in: usize,
    /// A member turns requests away by what they ask for.
    picky: bool,
    tags: Tags,
    next_serial: u32,
    /// Tells it from the pools of other groups that share a strategy.
    group: usize,
    /// Places of trials that picks took and had no use for, to be given back with the group's lock free.
    unused_probes: Vec<Probe>,
}

#[derive(Debug)]
struct Tier {
    order: Option<i32>,
    queue: Queue,
}

impl Pool {
    pub(crate) fn new(rng: Rng, max_ejected: f32) -> Self {
        Self {
            members: Vec::new(),
            free: Vec::new(),
            tiers: Vec::new(),
            rng,
            epoch: Instant::now(),
            max_ejected,
            spill: None,
            dues: BinaryHeap::new(),
            next_due: None,
            serving: 0,
            ready: 0,
            ramping: 0,
            kept_in: 0,
            picky: false,
            tags: Tags::default(),
            next_serial: 0,
            group: 0,
            unused_probes: Vec::new(),
        }
    }

    pub(crate) fn of_group(self, group: usize) -> Self {
        Self { group, ..self }
    }

    pub(crate) fn set_max_ejected(&mut self, share: f32, now: Instant) {
        self.max_ejected = share;
        self.rebuild(now);
    }

    pub(crate) fn set_tag_match(&mut self, how: TagMatch) {
        self.tags.set_match(how);
    }

    pub(crate) fn seed(&mut self, seed: u64) {
        self.rng.seed(seed);
    }

    pub(crate) fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.live().map(|member| &member.deployment)
    }

    /// The members that are not draining, and their keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Deployment, Key)> {
        let all = self.members.iter().enumerate().filter(|(_, member)| member.is_live());
        all.map(|(index, member)| {
            (&member.deployment, Key { index: index as u32, serial: member.serial })
        })
    }

    /// The member with this id that is not draining.
    pub(crate) fn find(&self, id: &str) -> Option<Key> {
        self.key_of(id, Stage::Live)
    }

    /// A member with this id that is draining.
    pub(crate) fn find_draining(&self, id: &str) -> Option<Key> {
        self.key_of(id, Stage::Draining)
    }

    fn key_of(&self, id: &str, stage: Stage) -> Option<Key> {
        let is = |member: &Member| member.stage == stage && member.deployment.id() == id;
        let index = self.members.iter().position(is)?;
        Some(Key { index: index as u32, serial: self.members[index].serial })
    }

    /// Adds a member, out until the next [`rebuild`](Self::rebuild).
    pub(crate) fn add(&mut self, deployment: Deployment) -> Key {
        self.next_serial = self.next_serial.wrapping_add(1);
        let serial = self.next_serial;
        let member = Member::new(deployment, serial, self.epoch);
        let index = if let Some(index) = self.free.pop() {
            self.members[index as usize] = member;
            index
        } else {
            self.members.push(member);
            self.members.len() as u32 - 1
        };
        Key { index, serial }
    }

    /// Gives a member another handle to the same vitals: its attributes change with the next [`rebuild`](Self::rebuild),
    /// its leases go on.
    pub(crate) fn update(&mut self, key: Key, deployment: Deployment) {
        let epoch = self.epoch;
        if let Some(member) = self.member_mut(key) {
            member.clock = deployment.latency().time(epoch);
            member.latency = deployment.shared_latency();
            member.is_bounded = deployment.is_bounded();
            member.deployment = deployment;
        }
    }

    /// The deployment of a member.
    pub(crate) fn deployment(&self, key: Key) -> Option<&Deployment> {
        self.members
            .get(key.index as usize)
            .filter(|member| member.serial == key.serial)
            .map(|m| &m.deployment)
    }

    /// Takes a member away at once; its leases stay valid and no longer matter here.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Deployment> {
        let member = self.member_mut(key)?;
        member.stage = Stage::Gone;
        let deployment = member.deployment.clone();
        self.place(key.index as usize);
        self.free.push(key.index);
        Some(deployment)
    }

    /// Takes a member out for good, to be removed when nothing is in flight on it. True if nothing is already.
    pub(crate) fn drain(&mut self, key: Key) -> bool {
        let Some(member) = self.member_mut(key) else { return true };
        member.stage = Stage::Draining;
        let idle = member.in_flight == 0;
        self.place(key.index as usize);
        idle
    }

    /// Lays out tiers and slots anew after members came, went or changed.
    pub(crate) fn rebuild(&mut self, now: Instant) {
        let Self { members, tiers, .. } = self;
        let live = members.iter().filter(|member| member.is_live());
        let mut sorted: Vec<_> = live.map(|member| member.deployment.get_order()).collect();
        // Without an order comes after every order.
        sorted.sort_unstable_by_key(|order| (order.is_none(), *order));
        sorted.dedup();
        *tiers = sorted.into_iter().map(|order| Tier { order, queue: Queue::default() }).collect();
        for (index, tier) in tiers.iter_mut().enumerate() {
            let of_tier =
                |member: &Member| member.is_live() && member.deployment.get_order() == tier.order;
            let weights: Vec<u32> =
                members.iter().filter(|m| of_tier(m)).map(|m| m.deployment.get_weight()).collect();
            let counts = slots(&weights);
            let owners = members.iter_mut().enumerate().filter(|(_, member)| of_tier(member));
            for ((owner, member), count) in owners.zip(counts) {
                let levels = (0..count).map(|slot| (member.in_flight + count - 1 - slot) / count);
                let first = tier.queue.slots();
                levels.for_each(|level| tier.queue.add(owner as u32, level));
                member.slots = first..tier.queue.slots();
                member.tier = index;
                member.is_in = false;
            }
        }
        self.serving = self.serving().count();
        let picky = self.live().any(|member| is_picky(&member.deployment));
        self.picky = picky;
        let live = self.members.iter().filter(|member| member.is_live());
        self.tags.learn(live.map(|member| &member.deployment));
        self.ready = 0;
        // Members that left took their ramps with them.
        self.ramping = self.live().filter(|member| member.ramp.is_some()).count();
        self.kept_in = self.live().filter(|member| member.health == InOrOut::KeptIn).count();
        for index in 0..self.members.len() {
            self.place(index);
        }
        for index in 0..self.members.len() {
            self.refresh(index, now);
        }
    }

    /// Whether a member cannot be picked for now, whoever asks.
    pub(crate) fn is_out(&self, key: Key) -> bool {
        let member = self.members.get(key.index as usize);
        member.is_none_or(|member| member.serial != key.serial || member.health.is_out())
    }

    /// Reads a member's health anew.
    pub(crate) fn changed(&mut self, key: Key, now: Instant) {
        if self.member_mut(key).is_some() {
            self.refresh(key.index as usize, now);
        }
    }

    /// Whether some request could be taken; if not, none can be before something comes free, or
    /// [time](Self::next_due) changes it.
    pub(crate) fn has_room(&self) -> bool {
        self.ready > 0 || self.live().any(|member| self.may_be_forced(member))
    }

    /// How many requests can surely be taken by now, counted up to `most`, each by a member that meets its needs.
    pub(crate) fn places(&self, most: usize) -> usize {
        let open = self.live().filter(|member| member.is_in || self.may_be_forced(member));
        let mut places = 0_usize;
        for member in open {
            places = places.saturating_add(member.places());
            if places >= most {
                return most;
            }
        }
        places
    }

    /// How many requests each member that can take any can surely take: who takes one of more than these, wherever it
    /// is, leaves others theirs.
    pub(crate) fn least_places(&self) -> usize {
        let open = self.live().filter(|member| member.is_in || self.may_be_forced(member));
        open.map(Member::places).min().unwrap_or(0)
    }

    /// When to look at a member again: none changes by time alone before.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.next_due
    }

    /// Gives a place back. The member, if it was draining and this was its last request.
    pub(crate) fn release(&mut self, key: Key) -> Option<Key> {
        let member = self.member_mut(key)?;
        member.in_flight = member.in_flight.saturating_sub(1);
        if member.stage != Stage::Live {
            return (member.stage == Stage::Draining && member.in_flight == 0).then_some(key);
        }
        let (tier, slot, is_bounded) = (member.tier, member.slot(), member.is_bounded);
        if let Some(slot) = slot {
            self.tiers[tier].queue.lower(slot);
        }
        if is_bounded {
            self.place(key.index as usize);
        }
        None
    }

    /// Makes a member's place in its queue what its health and load say.
    fn place(&mut self, index: usize) {
        let member = &mut self.members[index];
        let should = member.is_live()
            && !member.health.is_out()
            && member.spent.is_none()
            && !member.slots.is_empty()
            && !member.deployment.is_full();
        if should == member.is_in {
            return;
        }
        member.is_in = should;
        let queue = &mut self.tiers[member.tier].queue;
        if should {
            self.ready += 1;
            member.slots.clone().for_each(|slot| queue.put_in(slot));
        } else {
            self.ready -= 1;
            member.slots.clone().for_each(|slot| queue.take_out(slot));
        }
    }

    fn live(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_live())
    }

    /// The members that count for the fleet rules: one of weight 0 takes no request.
    fn serving(&self) -> impl Iterator<Item = &Member> {
        self.live().filter(|member| !member.slots.is_empty())
    }

    fn member_mut(&mut self, key: Key) -> Option<&mut Member> {
        self.members.get_mut(key.index as usize).filter(|member| member.serial == key.serial)
    }
}

#[cfg(test)]
mod tests;
