//! The requests of one priority class that wait: a lane for each caller, the lanes taking turns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::line::Ticket;

pub(super) type Caller = Option<Arc<str>>;

/// A whole dispatch, in the units of shares.
const WHOLE: i64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Class {
    /// Of the dispatches, in parts of [`WHOLE`].
    share: i64,
    /// Places in line that are its own.
    pub(super) reserved: usize,
    pub(super) waiting: usize,
    lanes: HashMap<Caller, Lane>,
    /// The lanes that have a request to be called, by their turn.
    turns: BTreeMap<u64, Caller>,
    next_turn: u64,
    /// The dispatches of the whole line when it began to wait.
    since: i64,
    /// How many of those since were its own by its share.
    taken: i64,
}

/// One caller's requests.
#[derive(Debug)]
struct Lane {
    turn: u64,
    all: BTreeSet<Ticket>,
    /// Those that can be called.
    open: BTreeSet<Ticket>,
}

/// What a call took from its class, to be given back if it comes to nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid {
    turn: u64,
    by_share: bool,
}

impl Class {
    pub(super) fn new(share: f64, places: usize) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share is of 1, and a line far shorter than 2^52"
        )]
        let (share, reserved) = ((share * WHOLE as f64) as i64, (share * places as f64) as usize);
        Self {
            share,
            reserved,
            waiting: 0,
            lanes: HashMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            since: 0,
            taken: 0,
        }
    }

    /// Puts a request at the end of its caller's lane, not yet open. `dispatched` counts those of the whole line.
    pub(super) fn join(&mut self, caller: &Caller, ticket: Ticket, dispatched: i64) {
        if self.waiting == 0 {
            self.since = dispatched;
            self.taken = 0;
        }
        self.waiting += 1;
        if let Some(lane) = self.lanes.get_mut(caller) {
            lane.all.insert(ticket);
            return;
        }
        let turn = self.take_turn();
        let lane = Lane { turn, all: BTreeSet::from([ticket]), open: BTreeSet::new() };
        self.lanes.insert(caller.clone(), lane);
    }

    /// Lets a request be called.
    pub(super) fn open(&mut self, caller: &Caller, ticket: Ticket) {
        let Some(lane) = self.lanes.get_mut(caller) else { return };
        lane.open.insert(ticket);
        self.turns.insert(lane.turn, caller.clone());
    }

    pub(super) fn has_open(&self) -> bool {
        !self.turns.is_empty()
    }

    /// How much of the `dispatched` is owed to it, if that comes to a whole one.
    pub(super) fn owed(&self, dispatched: i64) -> Option<i64> {
        let owed = self.share * (dispatched - self.since) - self.taken * WHOLE;
        (owed >= WHOLE).then_some(owed)
    }

    /// Calls the first request of the caller whose turn it is, and puts that caller behind the others.
    /// `dispatched` counts those of the whole line; `by_share`: this one is [owed](Self::owed).
    pub(super) fn call(&mut self, dispatched: i64, by_share: bool) -> Option<(Ticket, Paid)> {
        let (turn, caller) = self.turns.pop_first()?;
        let next = self.take_turn();
        let lane = self.lanes.get_mut(&caller)?;
        let ticket = lane.open.pop_first()?;
        lane.turn = next;
        if !lane.open.is_empty() {
            self.turns.insert(next, caller);
        }
        if by_share {
            // What it could not use while it was owed more is forgone: it would come all at once later.
            let due = self.share * (dispatched - self.since) / WHOLE;
            self.taken = (self.taken + 1).max(due - 1);
        }
        Some((ticket, Paid { turn, by_share }))
    }

    /// The call came to nothing: the caller keeps its turn, the class its share.
    pub(super) fn give_back(&mut self, caller: &Caller, paid: Paid) {
        self.taken -= i64::from(paid.by_share);
        let Some(lane) = self.lanes.get_mut(caller) else { return };
        if paid.turn < lane.turn {
            self.turns.remove(&lane.turn);
            lane.turn = paid.turn;
            if !lane.open.is_empty() {
                self.turns.insert(lane.turn, caller.clone());
            }
        }
    }

    pub(super) fn leave(&mut self, caller: &Caller, ticket: Ticket) {
        let Some(lane) = self.lanes.get_mut(caller) else { return };
        self.waiting -= usize::from(lane.all.remove(&ticket));
        lane.open.remove(&ticket);
        if lane.open.is_empty() {
            self.turns.remove(&lane.turn);
        }
        if lane.all.is_empty() {
            self.lanes.remove(caller);
        }
        if self.lanes.is_empty() {
            self.lanes = HashMap::new();
        }
    }

    /// How many requests of `caller` wait.
    pub(super) fn waiting_of(&self, caller: &Caller) -> usize {
        self.lanes.get(caller).map_or(0, |lane| lane.all.len())
    }

    /// The latest request of the caller that has most, and how many those are.
    pub(super) fn longest(&self) -> Option<(usize, Ticket)> {
        let lanes = self.lanes.values();
        lanes.filter_map(|lane| Some((lane.all.len(), *lane.all.last()?))).max()
    }

    fn take_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }
    /// The callers that wait, by their turns.
    #[cfg(test)]
    pub(super) fn callers(&self) -> Vec<u8> {
        let mut lanes: Vec<_> = self.lanes.iter().collect();
        lanes.sort_by_key(|(_, lane)| lane.turn);
        let name = |caller: &Caller| caller.as_ref()?.parse().ok();
        lanes.into_iter().filter_map(|(caller, _)| name(caller)).collect()
    }

    /// Whether nobody who waited has left a trace.
    #[cfg(test)]
    pub(super) fn is_as_new(&self) -> bool {
        self.waiting == 0 && self.lanes.capacity() == 0 && self.turns.is_empty()
    }
}
