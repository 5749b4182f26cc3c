//! What a pick has seen, for those who want to know why.

use std::cell::{Cell, RefCell};

use tokio::time::Instant;

use super::{InOrOut, Member, Needs, Pool, Wish};
use crate::{
    balance::candidates::Filter,
    deployment::Refusal,
    error::Refused,
    quota::{Room, Shortage, Unit},
    trail::{Considered, Explanation, GroupName, Removed},
};

/// What a pick notes as it goes.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// By the index of the member; of several the last.
    scores: RefCell<Vec<(u32, f64)>>,
    /// Which members the latest question left out.
    skips_tried: Cell<bool>,
    roll: Cell<Option<f32>>,
    /// Where it was answered.
    tier: Cell<Option<usize>>,
    considered: RefCell<Vec<Considered>>,
}

impl Draft {
    #[cold]
    pub(super) fn asking(&self, filter: Filter<'_>) {
        self.skips_tried.set(filter.tried.is_some());
        self.roll.set(filter.roll);
        self.tier.set(None);
    }

    #[cold]
    pub(super) fn chose_from(&self, tier: usize) {
        self.tier.set(Some(tier));
    }

    pub(in crate::balance) fn score(&self, index: u32, score: f64) {
        self.scores.borrow_mut().push((index, score));
    }

    fn score_of(&self, index: usize) -> Option<f64> {
        let scores = self.scores.borrow();
        scores.iter().rev().find(|(of, _)| *of as usize == index).map(|(_, score)| *score)
    }

    pub(crate) fn finish(
        self,
        at: Instant,
        group: Option<GroupName>,
        refused: Option<Refused>,
    ) -> Explanation {
        Explanation { group, at, considered: self.considered.into_inner(), refused }
    }
}

impl Pool {
    /// Notes how the members stand before `picked` gets the request, if that is wanted.
    #[inline]
    pub(super) fn explain(&self, wish: &Wish<'_>, needs: Option<Needs<'_>>, picked: Option<usize>) {
        if let Some(draft) = wish.explain {
            self.note(draft, wish, needs, picked);
        }
    }

    #[cold]
    fn note(
        &self,
        draft: &Draft,
        wish: &Wish<'_>,
        needs: Option<Needs<'_>>,
        picked: Option<usize>,
    ) {
        let considered = self.members.iter().enumerate().filter(|(_, one)| one.is_live());
        let considered = considered.map(|(index, member)| {
            let picked = picked == Some(index);
            // Letting the request through may have changed how it stands.
            let is_choice = picked && draft.tier.get().is_some();
            let removed = if is_choice { None } else { removed(member, draft, wish, needs) };
            let score = draft.score_of(index).filter(|_| removed.is_none());
            let (deployment, in_flight) = (member.deployment.clone(), member.in_flight);
            Considered { deployment, in_flight, removed, score, picked }
        });
        draft.considered.replace(considered.collect());
    }
}

/// What keeps the request from a member: in the order of the pick.
fn removed(
    member: &Member,
    draft: &Draft,
    wish: &Wish<'_>,
    needs: Option<Needs<'_>>,
) -> Option<Removed> {
    let by_health = match member.health {
        InOrOut::In | InOrOut::KeptIn => None,
        InOrOut::Out { why: Refusal::Paused, .. } => Some(Removed::Paused),
        InOrOut::Out { why: Refusal::ProbesTaken, .. } => Some(Removed::OnTrial),
        InOrOut::Out { why: Refusal::Cooling { kind, .. }, due } => {
            let wait = due.map(|due| due.saturating_duration_since(wish.now)).unwrap_or_default();
            Some(Removed::Cooling { wait, cause: kind })
        }
    };
    let by_room = || match member {
        _ if member.slots.is_empty() => Some(Removed::Weight),
        _ if member.deployment.is_full() => Some(Removed::Full),
        _ => short_of(&member.deployment.shortage(wish.demand, wish.now)?, wish.now),
    };
    let by_needs = || needs.and_then(|needs| needs.lacking(&member.deployment));
    let was_tried = || draft.skips_tried.get() && wish.tried.contains(member.identity);
    let by_past = || was_tried().then_some(Removed::Tried);
    let by_ramp = || {
        let (ramp, roll) = member.ramp.zip(draft.roll.get())?;
        let share = ramp.share(wish.now);
        (roll >= share).then_some(Removed::Ramping { share })
    };
    let by_order =
        || draft.tier.get().is_some_and(|tier| tier != member.tier).then_some(Removed::Order);
    by_health.or_else(by_room).or_else(by_needs).or_else(by_past).or_else(by_ramp).or_else(by_order)
}

/// The same of its quotas.
fn short_of(shortage: &Shortage, now: Instant) -> Option<Removed> {
    let wait = match shortage.room {
        Room::Open => return None,
        Room::Held => None,
        Room::Until(at) => Some(at.saturating_duration_since(now)),
        Room::Never if shortage.limit.is_nothing() => return Some(Removed::Budget { wait: None }),
        Room::Never => return Some(Removed::TooLarge),
    };
    Some(match shortage.limit.unit() {
        Unit::Dollars => Removed::Budget { wait },
        _ => Removed::Limited { wait },
    })
}
