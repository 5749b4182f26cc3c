//! The pick: who is asked, the choice, and the places that are taken with it.

#![allow(clippy::cast_possible_truncation, reason = "a group has far fewer than 2^32 members")]

use tokio::time::Instant;

use super::{Draft, Key, Needs, Pool, needs::Particulars};
use crate::{
    balance::{
        candidates::{Candidates, Filter},
        strategy::Strategy,
    },
    deployment::{Admission, Deployment, Probe},
    error::Refused,
    quota::Reservation,
    trail::{Demand, Tried},
};

/// What a pick is asked for.
pub(crate) struct Wish<'a> {
    pub(crate) now: Instant,
    pub(crate) tried: &'a Tried,
    /// Rather none than one that was tried or is out.
    pub(crate) strict: bool,
    /// Only one that has no limits, as the request may not go there after all: what it took in the meantime would keep
    /// others away.
    pub(crate) beside: bool,
    /// Another group can take the request if this one does not.
    pub(crate) elsewhere: bool,
    pub(crate) demand: Option<&'a Demand>,
    /// Where to note why, if that is wanted.
    pub(crate) explain: Option<&'a Draft>,
}

/// A pick, its place taken.
#[derive(Debug)]
pub(crate) struct Picked {
    pub(crate) key: Key,
    pub(crate) deployment: Deployment,
    pub(crate) admission: Admission,
    pub(crate) hold: Option<Reservation>,
    pub(crate) probe: Option<Probe>,
    /// Another member, not tried yet, was in; of a quota it shares, others may have had the rest.
    pub(crate) spare: bool,
}

impl Pool {
    /// Picks a member and takes a place on it, or says why none can be picked.
    pub(crate) fn pick(
        &mut self,
        strategy: &(impl Strategy + ?Sized),
        wish: &Wish<'_>,
    ) -> Result<Picked, Refused> {
        if self.next_due.is_some_and(|due| due <= wish.now) {
            self.wake(wish.now);
        }
        let particulars = Particulars::of(wish.demand, self.picky, &self.tags);
        let needs = particulars.as_ref().map(Particulars::needs);
        let first = self.spill.map_or(0, |factor| self.first_tier(factor, needs));
        // Only once a member has too little left for this request are all asked what they have left.
        let mut asks_room = false;
        while let Some(index) = self.choose(strategy, wish, needs, first, asks_room) {
            self.explain(wish, needs, Some(index));
            if let Some(picked) = self.take(index, wish, needs, asks_room) {
                return Ok(picked);
            }
            self.refresh(index, wish.now);
            asks_room |= self.members[index].is_in;
        }
        self.pick_last(wish, needs)
    }

    /// Where none that is in can take the request.
    #[cold]
    fn pick_last(&mut self, wish: &Wish<'_>, needs: Option<Needs<'_>>) -> Result<Picked, Refused> {
        let forced = self.forced(wish, needs);
        if forced.is_some() {
            self.explain(wish, needs, forced);
        }
        let picked = forced.and_then(|index| self.take(index, wish, needs, true));
        picked.ok_or_else(|| self.refusal(wish, needs))
    }

    /// The places that picks had no use for.
    pub(crate) fn take_unused_probes(&mut self) -> Option<Vec<Probe>> {
        let is_any = !self.unused_probes.is_empty();
        is_any.then(|| std::mem::take(&mut self.unused_probes))
    }

    /// Why a pick would be refused that found nothing.
    pub(crate) fn refuse(&self, wish: &Wish<'_>) -> Refused {
        let particulars = Particulars::of(wish.demand, self.picky, &self.tags);
        self.refusal(wish, particulars.as_ref().map(Particulars::needs))
    }

    fn choose(
        &mut self,
        strategy: &(impl Strategy + ?Sized),
        wish: &Wish<'_>,
        needs: Option<Needs<'_>>,
        first: usize,
        asks_room: bool,
    ) -> Option<usize> {
        let fresh = Filter {
            tried: Some(wish.tried).filter(|tried| !tried.is_empty()),
            roll: None,
            needs,
            room_for: (asks_room || wish.beside).then_some(wish),
            now: wish.now,
        };
        if self.ramping > 0 {
            let roll = Some(self.rng.f32());
            let thinned = Filter { roll, ..fresh };
            if let Some(index) = self.ask(strategy, wish, &thinned, first) {
                return Some(index);
            }
        }
        let chosen = self.ask(strategy, wish, &fresh, first);
        if chosen.is_some() || fresh.tried.is_none() || wish.strict {
            return chosen;
        }
        self.ask(strategy, wish, &Filter { tried: None, ..fresh }, first)
    }

    fn ask(
        &mut self,
        strategy: &(impl Strategy + ?Sized),
        wish: &Wish<'_>,
        filter: &Filter<'_>,
        first: usize,
    ) -> Option<usize> {
        let Self { members, tiers, rng, group, epoch, .. } = self;
        let (demand, group, epoch, draft) = (wish.demand, *group, *epoch, wish.explain);
        if let Some(draft) = draft {
            draft.asking(*filter);
        }
        let count = tiers.len();
        for step in first..first + count {
            let tier = if step < count { step } else { step - count };
            let queue = &mut tiers[tier].queue;
            if queue.is_empty() {
                continue;
            }
            let mut candidates = Candidates {
                members,
                queue,
                tier,
                rng,
                epoch,
                filter,
                demand,
                group,
                strict: wish.strict,
                kept: None,
                draft,
            };
            let choice = candidates.pick_by(strategy);
            if let Some(choice) = choice.filter(|choice| candidates.holds(*choice)) {
                if let Some(draft) = draft {
                    draft.chose_from(tier);
                }
                return Some(choice.index());
            }
            if let Some(draft) = draft {
                draft.goes_on();
            }
        }
        None
    }

    /// Takes a place on a member, and what the request needs of its quotas: all at once, or nothing.
    fn take(
        &mut self,
        index: usize,
        wish: &Wish<'_>,
        needs: Option<Needs<'_>>,
        asks_room: bool,
    ) -> Option<Picked> {
        let Self { members, unused_probes, .. } = self;
        let member = &members[index];
        let (mut hold, mut spent) = (None, None);
        let (admission, probe) = if member.deployment.is_limited() {
            let enter = || member.enter(wish.now, unused_probes);
            let reserved = member.deployment.reserve(wish.demand, wish.now, enter)?;
            (hold, spent) = (reserved.1, reserved.2.map(|spent| spent.room));
            reserved.0
        } else {
            member.enter(wish.now, unused_probes)?
        };
        let spare = self.has_spare(index, wish, needs, asks_room);
        if self.members[index].probing {
            self.refresh(index, wish.now);
        }
        let member = &mut self.members[index];
        let slot = member.slot();
        member.in_flight += 1;
        let (tier, serial, deployment) = (member.tier, member.serial, member.deployment.clone());
        let is_bounded = member.is_bounded;
        if let Some(slot) = slot {
            self.tiers[tier].queue.raise(slot);
        }
        if spent.is_some() {
            self.exhaust(index, spent);
        }
        if spent.is_some() || is_bounded {
            self.place(index);
        }
        Some(Picked {
            key: Key { index: index as u32, serial },
            deployment,
            admission,
            hold,
            probe,
            spare,
        })
    }

    fn has_spare(
        &self,
        picked: usize,
        wish: &Wish<'_>,
        needs: Option<Needs<'_>>,
        asks_room: bool,
    ) -> bool {
        let others = self.ready - usize::from(self.members[picked].is_in);
        if others == 0 || wish.tried.is_empty() && needs.is_none() && !asks_room {
            return others > 0;
        }
        let mut all = self.members.iter().enumerate();
        all.any(|(index, member)| {
            index != picked
                && member.is_in
                && !wish.tried.contains(member.identity)
                && member.meets(needs)
                && (!asks_room || member.has_room(wish.demand, wish.now))
        })
    }
}
