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
    told: RefCell<Told>,
    /// Which members the latest question left out.
    skips_tried: Cell<bool>,
    roll: Cell<Option<f32>>,
    /// Where it was answered.
    tier: Cell<Option<usize>>,
    considered: RefCell<Vec<Considered>>,
}

/// What strategies say of one question.
#[derive(Debug, Default)]
struct Told {
    /// Those that were asked, the outermost first.
    strategies: Vec<&'static str>,
    reasons: Vec<String>,
    /// What the next scores are called.
    name: Option<&'static str>,
    /// By the index of the member; of several of one name the first that is a number.
    scores: Vec<(u32, &'static str, f64)>,
    remarks: Vec<(u32, &'static str)>,
    /// By what the latest pass chose.
    ranks: Vec<[f64; 2]>,
    /// How the latest pass chose among equals.
    tie: Option<String>,
}

impl Draft {
    #[cold]
    pub(super) fn asking(&self, filter: Filter<'_>) {
        self.told.take();
        self.skips_tried.set(filter.tried.is_some());
        self.roll.set(filter.roll);
        self.tier.set(None);
    }

    #[cold]
    pub(super) fn chose_from(&self, tier: usize) {
        self.tier.set(Some(tier));
    }

    /// The strategy has nothing in this order.
    #[cold]
    pub(super) fn goes_on(&self) {
        self.told.take();
    }

    #[cold]
    pub(in crate::balance) fn asks(&self, strategy: &'static str) {
        let mut told = self.told.borrow_mut();
        told.name = None;
        if !told.strategies.contains(&strategy) {
            told.strategies.push(strategy);
        }
    }

    #[cold]
    pub(in crate::balance) fn reason(&self, reason: String) {
        let reasons = &mut self.told.borrow_mut().reasons;
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }

    #[cold]
    pub(in crate::balance) fn remark(&self, index: u32, words: &'static str) {
        let remarks = &mut self.told.borrow_mut().remarks;
        if !remarks.contains(&(index, words)) {
            remarks.push((index, words));
        }
    }

    #[cold]
    pub(in crate::balance) fn name_scores(&self, name: &'static str) {
        self.told.borrow_mut().name = Some(name);
    }

    #[cold]
    pub(in crate::balance) fn score(&self, index: u32, score: f64) {
        let mut told = self.told.borrow_mut();
        let name = told.name.unwrap_or("score");
        let is_told = told.scores.iter().any(|(of, known, _)| (*of, *known) == (index, name));
        if score.is_finite() && !is_told {
            told.scores.push((index, name, score));
        }
    }

    /// By what one candidate was compared to the others in this pass.
    #[cold]
    pub(in crate::balance) fn rank(&self, rank: [f64; 2]) {
        self.told.borrow_mut().ranks.push(rank);
    }

    /// The pass is over.
    #[cold]
    #[expect(clippy::float_cmp, reason = "it is how they were compared")]
    pub(in crate::balance) fn chose(&self, best: [f64; 2]) {
        let mut told = self.told.borrow_mut();
        let ranks = std::mem::take(&mut told.ranks);
        let good = ranks.iter().filter(|rank| rank[0] == best[0]).count();
        let equal = ranks.iter().filter(|rank| **rank == best).count();
        told.tie = if equal > 1 {
            Some(format!("at random of {equal} equals"))
        } else {
            (good > 1).then(|| format!("the least busy of {good} that are as good"))
        };
    }

    pub(crate) fn finish(
        self,
        at: Instant,
        group: Option<GroupName>,
        refused: Option<Refused>,
    ) -> Explanation {
        let Told { strategies, mut reasons, tie, .. } = self.told.into_inner();
        reasons.extend(tie);
        let considered = self.considered.into_inner();
        Explanation { group, at, considered, strategies, reasons, refused }
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
        if draft.tier.get().is_none() {
            // No strategy picked the last resort.
            draft.told.take();
        }
        let told = draft.told.borrow();
        let considered = self.members.iter().enumerate().filter(|(_, one)| one.is_live());
        let considered = considered.map(|(index, member)| {
            let picked = picked == Some(index);
            // Letting the request through may have changed how it stands.
            let is_choice = picked && draft.tier.get().is_some();
            let removed = if is_choice { None } else { removed(member, draft, wish, needs) };
            let is_told = |of: u32| removed.is_none() && of as usize == index;
            let scores = told.scores.iter().filter(|(of, ..)| is_told(*of));
            let remarks = told.remarks.iter().filter(|(of, _)| is_told(*of));
            Considered {
                deployment: member.deployment.clone(),
                in_flight: member.in_flight,
                removed,
                scores: scores.map(|(_, name, score)| (*name, *score)).collect(),
                remarks: remarks.map(|(_, words)| *words).collect(),
                picked,
            }
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
        Room::Never if shortage.limit.is_nothing() => None,
        Room::Never => return Some(Removed::TooLarge),
    };
    let limit = shortage.limit;
    Some(match limit.unit() {
        Unit::Dollars => Removed::Budget { limit, wait },
        _ => Removed::Limited { limit, wait },
    })
}
