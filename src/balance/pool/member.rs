//! A member: a deployment, its place in the queue, and what the group knows of its health.

#![allow(clippy::cast_possible_truncation, reason = "a member has far fewer than 2^32 slots")]

use std::{ops::Range, sync::Arc};

use tokio::time::Instant;

use super::{Needs, Wish};
use crate::{
    deployment::{Admission, Deployment, Latency, Probe, Ramp, Refusal},
    quota::Room,
    trail::Demand,
};

/// What a pick reads of each comes first, in one line of the cache: a pick may read a thousand.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Member {
    pub(in crate::balance) is_in: bool,
    /// The requests it may have at a time are limited: only then does one more or less bring it in or out.
    pub(super) is_bounded: bool,
    /// Picks must ask the health for a trial's place.
    pub(super) probing: bool,
    pub(super) stage: Stage,
    pub(in crate::balance) in_flight: u32,
    pub(in crate::balance) tier: usize,
    pub(super) slots: Range<u32>,
    pub(in crate::balance) deployment: Deployment,
    /// Its deployment's, at hand for a pick that reads those of many.
    pub(in crate::balance) latency: Arc<Latency>,
    /// A number a strategy keeps for it.
    pub(in crate::balance) note: f64,
    pub(in crate::balance) identity: usize,
    /// What the clock of its latencies was when the pool began: reading both for each pick would cost more than a score.
    pub(in crate::balance) clock: u32,
    /// Tells it from an earlier member at the same index.
    pub(super) serial: u32,
    pub(in crate::balance) id_hash: u64,
    pub(super) epoch: u32,
    pub(super) health: InOrOut,
    /// When its quotas have room for anything again; none while they have.
    pub(super) spent: Option<Room>,
    pub(in crate::balance) ramp: Option<Ramp>,
    /// When to look at its health again.
    pub(super) due: Option<Instant>,
    /// When the pool is going to look at it.
    pub(super) listed: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    Live,
    /// Takes no request any more; goes with its last one.
    Draining,
    /// Its place is free for another.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum InOrOut {
    In,
    /// Cooling, but kept in: too many others are out already.
    KeptIn,
    Out {
        due: Option<Instant>,
        why: Refusal,
    },
}

impl Member {
    /// A member that is out until its slots are laid out.
    pub(super) fn new(deployment: Deployment, serial: u32, began: Instant) -> Self {
        Self {
            clock: deployment.latency().time(began),
            latency: deployment.shared_latency(),
            identity: deployment.identity(),
            id_hash: deployment.id_hash(),
            serial,
            in_flight: 0,
            note: 0.0,
            tier: 0,
            slots: 0..0,
            health: InOrOut::In,
            spent: None,
            is_in: false,
            is_bounded: deployment.is_bounded(),
            ramp: None,
            probing: false,
            epoch: 0,
            due: None,
            listed: None,
            stage: Stage::Live,
            deployment,
        }
    }

    /// How many slots it has: its reduced weight.
    pub(in crate::balance) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// How many requests it can surely take, if it can take any: of what is left of quotas one may need it all, and so
    /// of the places of trials.
    pub(super) fn places(&self) -> usize {
        if self.probing || self.is_out() || self.deployment.is_limited() {
            return usize::from(!self.deployment.is_full());
        }
        let limit = self.deployment.parallel_limit();
        limit.map_or(usize::MAX, |limit| {
            (limit as usize).saturating_sub(self.deployment.in_flight())
        })
    }

    /// Whether it is set aside.
    pub(in crate::balance) fn is_out(&self) -> bool {
        self.health.is_out()
    }

    pub(in crate::balance) fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Whether others may go out because of it: one on trial takes few requests, and may fail.
    pub(super) fn is_proven(&self) -> bool {
        !self.health.is_out() && !self.probing
    }

    /// When to look at it again: at its health, or at what its quotas have left.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let room = if let Some(Room::Until(at)) = self.spent { Some(at) } else { None };
        self.due.into_iter().chain(room).min()
    }

    /// Takes a place for a request; none if it has none left, or its health turned out to be no longer what it was. A
    /// trial's place that was taken for nothing is put to the `unused`.
    #[inline]
    pub(super) fn enter(
        &self,
        now: Instant,
        unused: &mut Vec<Probe>,
    ) -> Option<(Admission, Option<Probe>)> {
        if self.probing || self.health.is_out() {
            return self.enter_on_trial(now, unused);
        }
        let admission = Admission { epoch: self.epoch, probe: false };
        self.deployment.occupy().then_some((admission, None))
    }

    #[cold]
    fn enter_on_trial(
        &self,
        now: Instant,
        unused: &mut Vec<Probe>,
    ) -> Option<(Admission, Option<Probe>)> {
        let health = self.deployment.health();
        let (admission, probe) = if self.health.is_out() {
            // The last resort.
            (health.force(now), None)
        } else {
            health.admit(&self.deployment, now).ok()?
        };
        if self.deployment.occupy() {
            return Some((admission, probe));
        }
        unused.extend(probe);
        None
    }

    /// Whether its quotas have enough left for a request that asks for `demand`.
    pub(in crate::balance) fn has_room(&self, demand: Option<&Demand>, now: Instant) -> bool {
        self.deployment.shortage(demand, now).is_none()
    }

    /// The same for what is wished for, which may be no limits at all.
    pub(in crate::balance) fn has_room_for(&self, wish: &Wish<'_>) -> bool {
        let has_limits = || self.is_bounded || self.deployment.is_limited();
        !(wish.beside && has_limits()) && self.has_room(wish.demand, wish.now)
    }

    pub(in crate::balance) fn meets(&self, needs: Option<Needs<'_>>) -> bool {
        needs.is_none_or(|needs| needs.are_met_by(&self.deployment))
    }

    /// The level its next request starts from: what it has in flight, for its slots.
    pub(in crate::balance) fn level(&self) -> u32 {
        self.in_flight.checked_div(self.slots.len() as u32).unwrap_or(0)
    }

    /// The slot its next request goes on, which is also the one its latest came from: requests stay spread evenly over
    /// a member's slots, so their levels follow from the count alone.
    pub(super) fn slot(&self) -> Option<u32> {
        let next = self.in_flight.checked_rem(self.slots())?;
        Some(self.slots.start + next)
    }
}

impl InOrOut {
    pub(super) const fn is_out(self) -> bool {
        matches!(self, Self::Out { .. })
    }

    pub(super) const fn is_soft_out(self) -> bool {
        matches!(self, Self::Out { why: Refusal::Cooling { soft: true, .. }, .. })
    }
}
