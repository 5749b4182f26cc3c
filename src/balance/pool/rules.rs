//! The rules of a fleet: who goes out and comes back, who is asked when nobody is in, and what a refusal says.
//!
//! At most a share of a group is out for soft reasons, one always, the last of several never.

#![allow(clippy::cast_possible_truncation, reason = "a group has far fewer than 2^32 members")]

use std::cmp::Reverse;

use tokio::time::Instant;

use super::{
    Needs, Pool, Wish,
    member::{InOrOut, Member},
};
use crate::{
    balance::lowest::Lowest,
    deployment::{Refusal, Standing},
    error::{Lack, Refused, RefusedReason},
    outcome::FailureKind,
    quota::{Room, Shortage, Unit},
};

impl Pool {
    /// The last resort, when none that is in can take the request: a member that is out for soft reasons, one whose
    /// time is up, or the only one there is, is asked all the same, so that the caller sees its real answer. The least
    /// busy of the lowest order, of those not tried yet if there are any. Not when another group can answer.
    pub(super) fn forced(&mut self, wish: &Wish<'_>, needs: Option<Needs<'_>>) -> Option<usize> {
        if wish.elsewhere || wish.strict {
            return None;
        }
        let mut least = Lowest::new();
        for (index, member) in self.members.iter().enumerate() {
            let can = self.may_be_forced(member)
                && member.meets(needs)
                && member.has_room(wish.demand, wish.now);
            if !can {
                continue;
            }
            let load = (wish.tried.contains(member.identity), member.tier, member.in_flight);
            least.offer(load, index, &mut self.rng);
        }
        least.get().map(|(_, index)| index)
    }

    /// Whether the last resort may be `member`.
    pub(super) fn may_be_forced(&self, member: &Member) -> bool {
        let may = match member.health {
            InOrOut::Out { why: Refusal::Cooling { kind, soft }, .. } => {
                soft || (self.serving == 1 && kind.is_some())
            }
            InOrOut::Out { why: Refusal::ProbesTaken, .. } => true,
            _ => false,
        };
        may && member.is_live() && !member.slots.is_empty() && !member.deployment.is_full()
    }

    /// Why none can take the request: of those that meet its needs, what keeps them; or that none does.
    pub(super) fn refusal(&self, wish: &Wish<'_>, needs: Option<Needs<'_>>) -> Refused {
        self.explain(wish, needs, None);
        let able = || self.serving().filter(|member| member.meets(needs));
        if self.serving == 0 {
            return Refused::new(RefusedReason::Empty);
        }
        if let Some(needs) = needs.filter(|_| able().next().is_none()) {
            let deployments = self.serving().map(|member| &member.deployment);
            return needs.refusal(&deployments.collect::<Vec<_>>());
        }
        // Whoever is closest to taking it says why it cannot.
        let obstacles = able().map(|member| Obstacle::of(member, wish));
        match obstacles.min_by_key(Obstacle::distance) {
            Some(nearest) => nearest.refusal(wish.now),
            None => Refused::new(RefusedReason::Empty),
        }
    }

    /// Looks again at every member whose time is up.
    pub(super) fn wake(&mut self, now: Instant) {
        // No more than there are now, whatever those looked at put in.
        for _ in 0..self.dues.len() {
            let Some(&Reverse((due, index))) = self.dues.peek().filter(|one| one.0.0 <= now) else {
                break;
            };
            self.dues.pop();
            let index = index as usize;
            let member = &mut self.members[index];
            if member.listed != Some(due) {
                continue;
            }
            member.listed = None;
            match member.next_look() {
                Some(due) if due <= now => self.refresh(index, now),
                Some(due) => self.look_at(index, due),
                None => {}
            }
        }
        self.next_due = self.dues.peek().map(|first| first.0.0);
    }

    fn look_at(&mut self, index: usize, due: Instant) {
        let member = &mut self.members[index];
        if member.listed.is_some_and(|listed| listed <= due) {
            return;
        }
        member.listed = Some(due);
        self.dues.push(Reverse((due, index as u32)));
        if self.dues.len() > 4 * self.members.len().max(16) {
            // Most of it is no longer so.
            let members = &self.members;
            self.dues.retain(|one| members[one.0.1 as usize].listed == Some(one.0.0));
        }
        self.next_due = self.dues.peek().map(|first| first.0.0);
    }

    /// Says what keeps every request from a member, of its quotas; it is out until then, once it is placed.
    pub(super) fn exhaust(&mut self, index: usize, spent: Option<Room>) {
        self.members[index].spent = spent;
        if let Some(Room::Until(at)) = spent {
            self.look_at(index, at);
        }
    }

    pub(super) fn refresh(&mut self, index: usize, now: Instant) {
        let member = &self.members[index];
        if !member.is_live() {
            return;
        }
        let (before, was_proven) = (member.health, member.is_proven());
        let (standing, epoch) = member.deployment.health().standing(now);
        let (health, ramp) = match standing {
            Standing::In { ramp } => (InOrOut::In, ramp),
            Standing::Probing => (InOrOut::In, None),
            Standing::Out { due, why } => {
                let out = InOrOut::Out { due, why };
                let stays = out.is_soft_out() && !before.is_soft_out() && !self.may_eject(index);
                (if stays { InOrOut::KeptIn } else { out }, None)
            }
        };
        self.kept_in = self.kept_in + usize::from(health == InOrOut::KeptIn)
            - usize::from(before == InOrOut::KeptIn);
        let member = &mut self.members[index];
        member.health = health;
        member.epoch = epoch;
        member.probing = standing == Standing::Probing;
        let ramped = std::mem::replace(&mut member.ramp, ramp).is_some();
        self.ramping = self.ramping + usize::from(ramp.is_some()) - usize::from(ramped);
        member.due = match standing {
            Standing::Out { due, .. } => due,
            Standing::In { ramp } => ramp.map(|ramp| ramp.end()),
            Standing::Probing => None,
        };
        let is_back = !was_proven && member.is_proven();
        let spent = member.deployment.spent(now).map(|spent| spent.room);
        if let Some(due) = member.due {
            self.look_at(index, due);
        }
        self.exhaust(index, spent);
        self.place(index);
        let is_place_free = before.is_soft_out() && !health.is_soft_out();
        if is_back || is_place_free {
            self.eject_one_kept_in(now);
        }
    }

    /// Whether the member at `index` may go out for a soft reason: a share of the group may, one always, the last of
    /// several never. A lone member goes out; the last resort of the pick is made for it.
    pub(super) fn may_eject(&self, index: usize) -> bool {
        let member = &self.members[index];
        if self.serving == 1 || member.slots.is_empty() {
            return true;
        }
        let serial = member.serial;
        let others = || self.serving().filter(|member| member.serial != serial);
        let out = others().filter(|member| member.health.is_soft_out()).count();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of a small number"
        )]
        let allowed = ((self.serving as f32 * self.max_ejected) as usize).max(1);
        out < allowed && others().any(Member::is_proven)
    }

    fn eject_one_kept_in(&mut self, now: Instant) {
        if self.kept_in == 0 {
            return;
        }
        let kept = |member: &Member| member.is_live() && member.health == InOrOut::KeptIn;
        if let Some(index) = self.members.iter().position(kept) {
            self.refresh(index, now);
        }
    }
}

/// What keeps a request from a member.
struct Obstacle {
    /// When the member can take it; none where that is not known.
    until: Option<Instant>,
    what: What,
}

enum What {
    /// Something that may be over at any moment.
    Busy,
    OnTrial,
    Cooling(Option<FailureKind>),
    Limited(Shortage),
    Paused,
    TooLarge(Shortage),
}

impl Obstacle {
    fn of(member: &Member, wish: &Wish<'_>) -> Self {
        let shortage = member.deployment.shortage(wish.demand, wish.now);
        let room_at = match shortage {
            Some(shortage) if shortage.room == Room::Never => {
                return Self { until: None, what: What::TooLarge(shortage) };
            }
            Some(Shortage { room: Room::Until(at), .. }) => Some(at),
            _ => None,
        };
        let limited = shortage.filter(|_| room_at.is_some());
        match (member.health, limited) {
            (InOrOut::Out { why: Refusal::Paused, .. } | InOrOut::Out { due: None, .. }, _) => {
                Self { until: None, what: What::Paused }
            }
            (InOrOut::Out { due: Some(due), why: Refusal::Cooling { kind, .. } }, _)
                if room_at.is_none_or(|at| at <= due) =>
            {
                Self { until: Some(due), what: What::Cooling(kind) }
            }
            (_, Some(shortage)) => Self { until: room_at, what: What::Limited(shortage) },
            // A trial may end at any moment, and its deadline is not when.
            (InOrOut::Out { .. }, None) => Self { until: None, what: What::OnTrial },
            (InOrOut::In | InOrOut::KeptIn, None) => Self { until: None, what: What::Busy },
        }
    }

    /// The lower, the sooner the member may take it.
    fn distance(&self) -> (u8, Option<Instant>) {
        let rank = match self.what {
            What::Busy => 0,
            What::OnTrial => 1,
            What::Cooling(_) | What::Limited(_) => 2,
            What::Paused => 3,
            What::TooLarge(_) => 4,
        };
        (rank, self.until)
    }

    fn refusal(self, now: Instant) -> Refused {
        let wait = self.until.map(|until| until.saturating_duration_since(now));
        let refused = |reason| Refused::new(reason).retry_after(wait);
        match self.what {
            What::Busy => refused(RefusedReason::Full),
            What::OnTrial => refused(RefusedReason::Cooling),
            What::Cooling(kind) => refused(RefusedReason::Cooling).caused_by(kind),
            What::Limited(shortage) if shortage.limit.unit() == Unit::Dollars => {
                refused(RefusedReason::Budget).by_limit(shortage.limit)
            }
            What::Limited(shortage) => refused(RefusedReason::Limited).by_limit(shortage.limit),
            What::Paused => refused(RefusedReason::Paused),
            What::TooLarge(shortage) if shortage.limit.is_nothing() => {
                refused(RefusedReason::Budget).by_limit(shortage.limit)
            }
            What::TooLarge(Shortage { limit, cost, .. }) => refused(RefusedReason::TooLarge)
                .lacking(Lack { limit: Some((limit, cost)), ..Lack::default() }),
        }
    }
}
