//! What a strategy chooses from.

#![allow(clippy::cast_possible_truncation, reason = "a group has far fewer than 2^32 members")]

use std::fmt;

use fastrand::Rng;
use tokio::time::Instant;

use super::{
    pool::{Member, Needs},
    queue::Queue,
};
use crate::{
    deployment::Deployment,
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
    pub(super) filter: Filter<'a>,
    pub(super) demand: Option<&'a Demand>,
}

/// Which members of a queue a pick may not choose.
#[derive(Clone, Copy)]
pub(super) struct Filter<'a> {
    pub(super) tried: Option<&'a Tried>,
    /// Drawn once a pick: members whose share has not grown to it yet are passed over.
    pub(super) roll: Option<f32>,
    /// None where every member meets them.
    pub(super) needs: Option<Needs<'a>>,
    pub(super) now: Instant,
}

impl Filter<'_> {
    fn accepts(&self, member: &Member) -> bool {
        let was_tried = self.tried.is_some_and(|tried| tried.contains(member.identity));
        let thinned =
            || member.ramp.zip(self.roll).is_some_and(|(ramp, roll)| roll >= ramp.share(self.now));
        !was_tried && !thinned() && member.meets(self.needs)
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

    /// Its weight.
    #[must_use]
    pub fn weight(&self) -> f64 {
        f64::from(self.member.deployment.get_weight())
    }

    /// The number the strategy keeps for it, see [`Candidates::set_note`].
    #[must_use]
    pub fn note(&self) -> f64 {
        self.member.note
    }

    /// Chooses it.
    #[must_use]
    pub fn choose(&self) -> Choice {
        Choice(self.index)
    }
}

impl Candidates<'_> {
    /// The candidate with the fewest requests in flight for its weight, ties broken at random. Constant time.
    pub fn least_busy(&mut self) -> Option<Choice> {
        let Self { members, queue, rng, filter, .. } = self;
        queue.lowest(rng, |owner| filter.accepts(&members[owner as usize])).map(Choice)
    }

    /// Any candidate, in proportion to the weights. Constant time, as long as most can be chosen.
    pub fn random(&mut self) -> Option<Choice> {
        let Self { members, queue, rng, filter, .. } = self;
        queue.any(rng, |owner| filter.accepts(&members[owner as usize])).map(Choice)
    }

    /// Every candidate, in no order to rely on.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'_>> {
        let members = self.members.iter().enumerate().filter(|(_, member)| self.accepts(member));
        members.map(|(index, member)| Candidate { member, index: index as u32 })
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
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if self.accepts(member) {
                self.members[index].note = note(Candidate { member, index: index as u32 });
            }
        }
    }

    /// What the request asks for, where something said so.
    #[must_use]
    pub fn demand(&self) -> Option<&Demand> {
        self.demand
    }

    /// The balance's source of randomness.
    pub fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// Whether `choice` is one of these candidates.
    pub(super) fn holds(&self, choice: Choice) -> bool {
        self.members.get(choice.index()).is_some_and(|member| self.accepts(member))
    }

    fn accepts(&self, member: &Member) -> bool {
        member.is_in && member.tier == self.tier && self.filter.accepts(member)
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|candidate| candidate.deployment())).finish()
    }
}
