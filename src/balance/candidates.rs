//! What a strategy chooses from.

#![allow(clippy::cast_possible_truncation, reason = "a group has far fewer than 2^32 members")]

use std::fmt;

use fastrand::Rng;
use tokio::time::Instant;

use super::{
    lowest::Lowest,
    pool::{Draft, Member, Needs, Wish},
    queue::Queue,
    strategy::Strategy,
};
use crate::{
    deployment::{Deployment, Latency, Measure, Reading},
    trail::{Demand, Tried},
};

/// The deployments a request can go to: those that are healthy, below their limits, that have what it
/// [asks for](Demand), of the lowest `order` that has any, and, as long as there are such, not tried yet for this request.
///
/// [`least_busy`](Self::least_busy) and [`random`](Self::random) cost the same at any number of candidates; whatever
/// goes through [`iter`](Self::iter) costs a step for each.
pub struct Candidates<'a> {
    pub(super) members: &'a mut [Member],
    pub(super) queue: &'a mut Queue,
    pub(super) tier: usize,
    pub(super) rng: &'a mut Rng,
    /// When the pool began.
    pub(super) epoch: Instant,
    pub(super) filter: &'a Filter<'a>,
    pub(super) demand: Option<&'a Demand>,
    /// Tells the group from others that share the strategy.
    pub(super) group: usize,
    /// Asked beside or after others that were not ready: those count as tried, and did not fail.
    pub(super) strict: bool,
    /// What [`only`](Self::only) has added to the filter.
    pub(super) kept: Option<&'a Kept<'a>>,
    /// Where to note the scores, if they are wanted.
    pub(super) draft: Option<&'a Draft>,
}

/// One narrowing of the candidates, and those around it.
pub(super) struct Kept<'a> {
    keep: &'a dyn Fn(Candidate<'_>) -> bool,
    outer: Option<&'a Self>,
}

impl Kept<'_> {
    fn accepts(&self, candidate: Candidate<'_>) -> bool {
        (self.keep)(candidate) && self.outer.is_none_or(|outer| outer.accepts(candidate))
    }
}

/// Which members of a queue a pick may not choose.
#[derive(Clone, Copy)]
pub(super) struct Filter<'a> {
    pub(super) tried: Option<&'a Tried>,
    /// Drawn once a pick: members whose share has not grown to it yet are passed over.
    pub(super) roll: Option<f32>,
    /// None where every member meets them.
    pub(super) needs: Option<Needs<'a>>,
    /// What the members must have room for in their quotas, where that is to be asked of each.
    pub(super) room_for: Option<&'a Wish<'a>>,
    pub(super) now: Instant,
}

impl Filter<'_> {
    fn accepts(&self, member: &Member) -> bool {
        let was_tried = self.tried.is_some_and(|tried| tried.contains(member.identity));
        let thinned =
            || member.ramp.zip(self.roll).is_some_and(|(ramp, roll)| roll >= ramp.share(self.now));
        let has_room = || self.room_for.is_none_or(|wish| member.has_room_for(wish));
        !was_tried && !thinned() && member.meets(self.needs) && has_room()
    }

    /// Whether it accepts every member.
    const fn is_open(&self) -> bool {
        let Self { tried, roll, needs, room_for, now: _ } = self;
        tried.is_none() && roll.is_none() && needs.is_none() && room_for.is_none()
    }
}

/// A strategy's choice among [`Candidates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice(u32);

impl Choice {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a member is in the course of a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is a candidate.
    Here(Choice),
    /// It will be if no other is chosen: it is still coming back to its full share, or of a later order.
    Later { order: bool },
    /// It cannot take the request now, for want of room or of what that asks for.
    Busy,
    /// It is set aside, or was tried.
    Failed,
}

/// One of the [`Candidates`].
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    member: &'a Member,
    index: u32,
}

impl<'a> Candidate<'a> {
    /// The deployment.
    #[must_use]
    pub fn deployment(&self) -> &'a Deployment {
        &self.member.deployment
    }

    /// How many requests this balance has in flight on it.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.member.in_flight
    }

    /// How busy it is: the requests this balance has in flight on it, for its weight after the weights of its order are
    /// reduced by their common divisor. Least busy goes by this, in whole numbers.
    #[must_use]
    pub fn load(&self) -> f64 {
        let (in_flight, slots) = (f64::from(self.member.in_flight), self.member.slots());
        // A division is a third of what some strategies ask of each.
        if slots > 1 { in_flight / f64::from(slots) } else { in_flight }
    }

    /// Its weight.
    #[must_use]
    pub fn weight(&self) -> f64 {
        f64::from(self.member.deployment.get_weight())
    }

    /// What is to be expected of it at a [time](Candidates::clock).
    pub(super) fn latency(&self, measure: Measure, clock: u32) -> Reading {
        let clock = clock.wrapping_add(self.member.clock);
        self.member.latency.read(measure, clock)
    }

    /// For how many seconds it gave no answer at a [time](Candidates::clock), as [`Latency::silence`] says.
    pub(super) fn silence(&self, clock: u32) -> Option<f32> {
        self.member.latency.silence(clock.wrapping_add(self.member.clock))
    }

    /// The number the strategy keeps for it, see [`Candidates::set_note`].
    #[must_use]
    pub fn note(&self) -> f64 {
        self.member.note
    }

    pub(super) fn id_hash(&self) -> u64 {
        self.member.id_hash
    }

    /// Chooses it.
    #[must_use]
    pub fn choose(&self) -> Choice {
        Choice(self.index)
    }
}

impl Candidates<'_> {
    /// The candidate with the fewest requests in flight for its weight, ties broken at random. Constant time.
    #[inline]
    pub fn least_busy(&mut self) -> Option<Choice> {
        if let Some(draft) = self.draft {
            self.note_levels(draft);
        }
        let Self { members, queue, rng, filter, kept, .. } = self;
        queue.lowest(rng, |owner| accepts(members, owner, filter, *kept)).map(Choice)
    }

    /// Any candidate, in proportion to the weights. Constant time, as long as most can be chosen.
    pub fn random(&mut self) -> Option<Choice> {
        let Self { members, queue, rng, filter, kept, .. } = self;
        queue.any(rng, |owner| accepts(members, owner, filter, *kept)).map(Choice)
    }

    /// Every candidate, in no order to rely on.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'_>> {
        accepted(self.members, self.tier, self.filter, self.kept)
    }

    /// The candidate with the lowest score, ties broken at random; one whose score is not a number only where all are
    /// so. A step for each candidate.
    pub fn lowest(&mut self, mut score: impl FnMut(Candidate<'_>) -> f64) -> Option<Choice> {
        self.first_of(|candidate| {
            let score = score(candidate);
            (score, [score, 0.0])
        })
    }

    /// The same with the highest score.
    pub(super) fn highest(
        &mut self,
        mut score: impl FnMut(Candidate<'_>) -> f64,
    ) -> Option<Choice> {
        self.first_of(|candidate| {
            let score = score(candidate);
            (score, [-score, 0.0])
        })
    }

    /// As [`lowest`](Self::lowest), but of those with the lowest score the [least busy](Candidate::load), ties broken at random.
    pub fn lowest_then_least_busy(
        &mut self,
        mut score: impl FnMut(Candidate<'_>) -> f64,
    ) -> Option<Choice> {
        self.first_of(|candidate| {
            let score = score(candidate);
            (score, [score, candidate.load()])
        })
    }

    /// The [least busy](Candidate::load) of the candidates whose score is no more than what `most` makes of the lowest,
    /// ties broken at random. One pass where that is all of them, else two.
    pub(super) fn least_busy_within(
        &mut self,
        mut score: impl FnMut(Candidate<'_>) -> f64,
        most: impl FnOnce(f64) -> f64,
    ) -> Option<Choice> {
        let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
        let least_busy = self.first_of(|candidate| {
            let score = score(candidate);
            let last = if score.is_nan() { f64::INFINITY } else { score };
            (lowest, highest) = (lowest.min(last), highest.max(last));
            (score, [0.0, candidate.load()])
        });
        let most = most(lowest);
        if highest <= most {
            return least_busy;
        }
        // Scores may change meanwhile; then these are some that are, or were, low enough.
        self.first_of(|candidate| {
            let score = score(candidate);
            (score, [f64::from(u8::from(score.is_nan() || score > most)), candidate.load()])
        })
    }

    /// The candidate that comes first by the numbers beside its score.
    fn first_of(
        &mut self,
        mut scores: impl FnMut(Candidate<'_>) -> (f64, [f64; 2]),
    ) -> Option<Choice> {
        let mut lowest = Lowest::new();
        let Self { members, rng, filter, draft, .. } = self;
        for candidate in accepted(members, self.tier, filter, self.kept) {
            let (score, [first, next]) = scores(candidate);
            // Puts what is not a number last, of either sign.
            let scores = [if first.is_nan() { f64::INFINITY } else { first }, next];
            if let Some(draft) = draft {
                draft.score(candidate.index, score);
                draft.rank(scores);
            }
            lowest.offer(scores, candidate.choose(), rng);
        }
        let (scores, choice) = lowest.get()?;
        if let Some(draft) = draft {
            draft.chose(scores);
        }
        Some(choice)
    }

    /// What this `share` of those that can take requests, of 1 and rounded down to whole ones but one at least, are not
    /// busier than, each as often as its weight says: a whole number of the scale of [`Candidate::load`]. Whatever this
    /// request passes over counts too. A step for each such number there is.
    #[must_use]
    pub fn load_quantile(&self, share: f64) -> u32 {
        self.queue.quantile(share)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, choice: Choice) -> Option<Candidate<'_>> {
        let member = self.members.get(choice.index()).filter(|_| self.holds(choice))?;
        Some(Candidate { member, index: choice.0 })
    }

    /// When the pick was begun.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.filter.now
    }

    /// What `then` makes of those candidates alone that `keep` accepts: how a strategy hands a part of them to another
    /// one, or to [`least_busy`](Self::least_busy).
    ///
    /// ```
    /// use tower_fleet::balance::{Candidates, Choice, Strategy};
    ///
    /// /// Leaves those with more than ten requests alone, as long as there are others.
    /// struct Spare<P>(P);
    ///
    /// impl<P: Strategy> Strategy for Spare<P> {
    ///     fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
    ///         let spared = candidates.only(|one| one.in_flight() <= 10, |few| self.0.pick(few));
    ///         spared.or_else(|| self.0.pick(candidates))
    ///     }
    /// }
    /// ```
    pub fn only<T>(
        &mut self,
        keep: impl Fn(Candidate<'_>) -> bool,
        then: impl FnOnce(&mut Candidates<'_>) -> T,
    ) -> T {
        let kept = Kept { keep: &keep, outer: self.kept };
        let Self { members, queue, rng, .. } = self;
        then(&mut Candidates {
            members,
            queue,
            tier: self.tier,
            rng,
            epoch: self.epoch,
            filter: self.filter,
            demand: self.demand,
            group: self.group,
            strict: self.strict,
            kept: Some(&kept),
            draft: self.draft,
        })
    }

    /// Keeps `note` for the chosen candidate until it is set again: a credit, a score, whatever the strategy needs to
    /// remember. It starts at 0 and goes with the member.
    pub fn set_note(&mut self, choice: Choice, note: f64) {
        if let Some(member) = self.members.get_mut(choice.index()) {
            member.note = note;
        }
    }

    /// Sets every candidate's note to what `note` makes of it.
    pub fn update_notes(&mut self, mut note: impl FnMut(Candidate<'_>) -> f64) {
        for index in 0..self.members.len() as u32 {
            if self.accepts(index) {
                let candidate = Candidate { member: &self.members[index as usize], index };
                self.members[index as usize].note = note(candidate);
            }
        }
    }

    /// What the request asks for, where something said so.
    #[must_use]
    pub fn demand(&self) -> Option<&Demand> {
        self.demand
    }

    /// When the pick was begun, for [`Candidate::latency`].
    pub(super) fn clock(&self) -> u32 {
        Latency::clock(self.epoch, self.now())
    }

    /// The balance's source of randomness.
    pub fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// What another strategy picks: an [explanation](crate::trail::Explanation) then names that one too.
    #[inline]
    pub fn pick_by(&mut self, strategy: &(impl Strategy + ?Sized)) -> Option<Choice> {
        if let Some(draft) = self.draft {
            draft.asks(strategy.name());
        }
        strategy.pick(self)
    }

    /// Says why the pick goes as it does, in a few words: they are asked for, and kept, only where the request wants an
    /// [explanation](crate::trail::Explanation::reasons).
    #[inline]
    pub fn explain(&self, reason: impl FnOnce() -> String) {
        if let Some(draft) = self.draft {
            draft.reason(reason());
        }
    }

    /// Says what there is to be said of each candidate, in a few words that follow its name, such as `is hot`: again only
    /// for an [explanation](crate::trail::Considered::remarks).
    #[inline]
    pub fn remark(&self, words: impl Fn(Candidate<'_>) -> Option<&'static str>) {
        if let Some(draft) = self.draft {
            let remarks = self.iter().filter_map(|one| Some((one.index, words(one)?)));
            remarks.for_each(|(index, words)| draft.remark(index, words));
        }
    }

    /// What an explanation calls the scores of the passes that follow; `score` unless told.
    #[inline]
    pub fn name_scores(&self, name: &'static str) {
        if let Some(draft) = self.draft {
            draft.name_scores(name);
        }
    }

    /// Tells an explanation a number for each candidate that this strategy goes by without
    /// [asking](Self::lowest) for the lowest.
    #[inline]
    pub fn show_scores(&self, name: &'static str, mut score: impl FnMut(Candidate<'_>) -> f64) {
        if let Some(draft) = self.draft {
            draft.name_scores(name);
            self.iter().for_each(|one| draft.score(one.index, score(one)));
        }
    }

    #[cold]
    fn note_levels(&self, draft: &Draft) {
        let level = |one: Candidate<'_>| f64::from(one.member.level());
        self.show_scores("load", level);
        self.iter().for_each(|one| draft.rank([level(one), 0.0]));
        draft.chose([self.iter().map(level).fold(f64::INFINITY, f64::min), 0.0]);
    }

    /// Whether `choice` is one of these candidates.
    pub(super) fn holds(&self, choice: Choice) -> bool {
        choice.index() < self.members.len() && self.accepts(choice.0)
    }

    #[inline]
    fn accepts(&self, index: u32) -> bool {
        let member = &self.members[index as usize];
        member.is_in
            && member.tier == self.tier
            && accepts(self.members, index, self.filter, self.kept)
    }

    /// Where the member is whose id has this hash; none where it is gone. One that a strategy around this one
    /// [left out](Self::only) is busy.
    pub(super) fn place(&self, id_hash: u64) -> Option<Place> {
        self.place_among(self.kept, id_hash)
    }

    /// The same, whatever the strategies around this one left out: they know no reason that is good enough.
    pub(super) fn place_of_all(&self, id_hash: u64) -> Option<Place> {
        self.place_among(None, id_hash)
    }

    fn place_among(&self, kept: Option<&Kept<'_>>, id_hash: u64) -> Option<Place> {
        let mut all = self.members.iter().zip(0..).filter(|(one, _)| one.id_hash == id_hash);
        let (member, index) = all.find(|(member, _)| member.is_live())?;
        let is_of_tier = member.is_in && member.tier == self.tier;
        if is_of_tier && accepts(self.members, index, self.filter, kept) {
            return Some(Place::Here(Choice(index)));
        }
        let unthinned = Filter { roll: None, ..*self.filter };
        if member.is_in && accepts(self.members, index, &unthinned, kept) {
            return Some(Place::Later { order: member.tier > self.tier });
        }
        let tried = self.filter.tried.is_some_and(|tried| tried.contains(member.identity));
        Some(if tried && !self.strict || member.is_out() { Place::Failed } else { Place::Busy })
    }
}

/// Every member that a pick in this tier may choose.
fn accepted<'a>(
    members: &'a [Member],
    tier: usize,
    filter: &'a Filter<'_>,
    kept: Option<&'a Kept<'a>>,
) -> impl Iterator<Item = Candidate<'a>> {
    let all = filter.is_open() && kept.is_none();
    members.iter().zip(0..).filter_map(move |(member, index)| {
        let is_there = member.is_in && member.tier == tier;
        let accepted = is_there && (all || passes(members, index, filter, kept));
        accepted.then_some(Candidate { member, index })
    })
}

#[inline]
fn accepts(members: &[Member], index: u32, filter: &Filter<'_>, kept: Option<&Kept<'_>>) -> bool {
    filter.is_open() && kept.is_none() || passes(members, index, filter, kept)
}

fn passes(members: &[Member], index: u32, filter: &Filter<'_>, kept: Option<&Kept<'_>>) -> bool {
    let member = &members[index as usize];
    filter.accepts(member) && kept.is_none_or(|kept| kept.accepts(Candidate { member, index }))
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|candidate| candidate.deployment())).finish()
    }
}
