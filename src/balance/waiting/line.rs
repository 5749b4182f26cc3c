use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    PriorityClass, QueuePolicy,
    class::{Caller, Class, Paid},
};

/// How long a request that was called is sure to come. One that is not polled in this time, for its task is stuck or
/// keeps it for later, holds nobody back: whoever looks then, of those who come and of those who [watch](Line::watch_at),
/// calls the next.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often one that waits beside others looks while none is called: it cannot be told when one is.
const WATCH: Duration = Duration::from_secs(1);

/// The requests that wait, and whose turn it is.
///
/// Each is *open*, to be called in its turn; *called*, to try its pick when it is next polled; or *declined*: nothing it
/// could use was free when it tried, so it is not called before something comes free. While any is open, either one is
/// called, or nothing is free that any of them could use.
#[derive(Debug)]
pub(in crate::balance) struct Line {
    policy: QueuePolicy,
    /// First those that go first.
    classes: Vec<Class>,
    waiters: BTreeMap<Ticket, Waiter>,
    declined: BTreeSet<Ticket>,
    /// Never the same twice, and so no other's when a request looks for its own.
    next: u64,
    /// Calls that led, or may yet lead, to a pick.
    dispatched: i64,
    /// Those that are called, in the order of their calls, and when they were.
    calls: VecDeque<(Ticket, Instant)>,
    /// When something last came free or changed.
    offered: Option<Instant>,
    /// Every request is to try, whether or not the ones before it left anything.
    everyone: bool,
}

/// A request in the line; an earlier one is lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::balance) struct Ticket(u64);

#[derive(Debug)]
struct Waiter {
    class: usize,
    caller: Caller,
    waker: Waker,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Open,
    Called(Paid),
    Declined,
}

/// The line has no place for a request.
#[derive(Debug)]
pub(in crate::balance) struct NoPlace;

impl Line {
    pub(in crate::balance) fn new(mut policy: QueuePolicy) -> Self {
        policy.classes.sort_by_key(|class| class.up_to);
        let all: f64 = policy.classes.iter().map(|class| class.share.max(0.0)).sum();
        let shares = policy.classes.iter().map(|class| class.share.max(0.0) / all.max(1.0));
        let shares = shares.chain([(1.0 - all).max(0.0)]);
        let classes = shares.map(|share| Class::new(share, policy.max_waiting)).collect();
        Self {
            policy,
            classes,
            waiters: BTreeMap::new(),
            declined: BTreeSet::new(),
            next: 0,
            dispatched: 0,
            calls: VecDeque::new(),
            offered: None,
            everyone: false,
        }
    }

    pub(in crate::balance) fn policy(&self) -> &QueuePolicy {
        &self.policy
    }

    /// A line by another policy, and the wakers of those that wait in this one: they have no place in the new one.
    pub(in crate::balance) fn replace(&mut self, policy: QueuePolicy) -> Vec<Waker> {
        let before = mem::replace(self, Self::new(policy));
        self.next = before.next;
        before.waiters.into_values().map(|waiter| waiter.waker).collect()
    }

    pub(in crate::balance) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many wait, by class.
    pub(in crate::balance) fn waiting(&self) -> Vec<usize> {
        self.classes.iter().map(|class| class.waiting).collect()
    }

    /// How many are called and have not tried yet, of those that are sure to come.
    pub(in crate::balance) fn called(&self, now: Instant) -> usize {
        self.calls.iter().filter(|call| is_fresh(call, now)).count()
    }

    /// Whether one that is called does not come.
    pub(in crate::balance) fn is_stuck(&self, now: Instant) -> bool {
        self.calls.front().is_some_and(|call| !is_fresh(call, now))
    }

    /// How many are open or called.
    pub(in crate::balance) fn to_try(&self) -> usize {
        self.waiters.len() - self.declined.len()
    }

    /// When one that waits is to look whether those who were called come: nobody else can tell that a task is stuck. None
    /// where it waits alone.
    pub(in crate::balance) fn watch_at(&self, now: Instant) -> Option<Instant> {
        let called = self.calls.iter().find(|call| is_fresh(call, now)).map(|(_, at)| *at);
        let watch = called.map_or(now + WATCH, |at| at + PATIENCE);
        (self.waiters.len() > 1).then_some(watch)
    }

    /// How many of those that are sure to come were called before this one, if it is called.
    pub(in crate::balance) fn called_before(&self, ticket: Ticket, now: Instant) -> usize {
        let before = self.calls.iter().take_while(|(called, _)| *called != ticket);
        before.filter(|call| is_fresh(call, now)).count()
    }

    /// When something last came free or changed.
    pub(in crate::balance) fn offered_at(&self) -> Option<Instant> {
        self.offered
    }

    /// Whether every request is to try, whatever is left.
    pub(in crate::balance) fn is_for_everyone(&self) -> bool {
        self.everyone
    }

    /// Puts a request in: open, or declined if it has just tried. In a full line it takes the place of one whose class
    /// or caller has more than its part; the waker of that one is returned, and its ticket is no longer
    /// [there](Self::has).
    pub(in crate::balance) fn join(
        &mut self,
        priority: Option<i32>,
        caller: &Caller,
        has_tried: bool,
        waker: Waker,
    ) -> Result<(Ticket, Option<Waker>), NoPlace> {
        let class = self.class_of(priority);
        let mut displaced = None;
        if self.waiters.len() >= self.policy.max_waiting {
            let victim = self.displaceable(class, caller).ok_or(NoPlace)?;
            displaced = self.leave(victim, false);
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        self.classes[class].join(caller, ticket, self.dispatched);
        let stage = if has_tried {
            self.declined.insert(ticket);
            Stage::Declined
        } else {
            self.classes[class].open(caller, ticket);
            Stage::Open
        };
        self.waiters.insert(ticket, Waiter { class, caller: caller.clone(), waker, stage });
        Ok((ticket, displaced))
    }

    /// Whether a request would find no place in it.
    pub(in crate::balance) fn is_full_for(&self, priority: Option<i32>, caller: &Caller) -> bool {
        self.waiters.len() >= self.policy.max_waiting
            && self.displaceable(self.class_of(priority), caller).is_none()
    }

    fn class_of(&self, priority: Option<i32>) -> usize {
        let priority = priority.unwrap_or(self.policy.default_priority);
        let is_of = |class: &PriorityClass| priority <= class.up_to;
        self.policy.classes.iter().position(is_of).unwrap_or(self.classes.len() - 1)
    }

    /// The request that makes room for one of this class and caller, if one has more than its part.
    fn displaceable(&self, class: usize, caller: &Caller) -> Option<Ticket> {
        let own = &self.classes[class];
        if own.waiting < own.reserved {
            let excess = |class: &Class| class.waiting.saturating_sub(class.reserved);
            let most =
                self.classes.iter().filter(|class| excess(class) > 0).max_by_key(|c| excess(c));
            return Some(most?.longest()?.1);
        }
        let (most, latest) = own.longest()?;
        (most > own.waiting_of(caller) + 1).then_some(latest)
    }

    pub(in crate::balance) fn has(&self, ticket: Ticket) -> bool {
        self.waiters.contains_key(&ticket)
    }

    pub(in crate::balance) fn is_called(&self, ticket: Ticket) -> bool {
        let waiter = self.waiters.get(&ticket);
        waiter.is_some_and(|waiter| matches!(waiter.stage, Stage::Called(_)))
    }

    /// Keeps the waker of the latest poll. The one before is returned, to be dropped outside any lock.
    pub(in crate::balance) fn keep_waker(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
    ) -> Option<Waker> {
        let kept = self.waiters.get_mut(&ticket).map(|waiter| &mut waiter.waker);
        let kept = kept.filter(|kept| !kept.will_wake(waker))?;
        Some(mem::replace(kept, waker.clone()))
    }

    /// Something came free or changed: those that declined can be called again. For `everyone`: the offer goes down the
    /// whole line, whatever is taken of it.
    pub(in crate::balance) fn offer(&mut self, now: Instant, everyone: bool) {
        self.offered = Some(now);
        self.everyone |= everyone;
        for ticket in mem::take(&mut self.declined) {
            if let Some(waiter) = self.waiters.get_mut(&ticket) {
                waiter.stage = Stage::Open;
                self.classes[waiter.class].open(&waiter.caller, ticket);
            }
        }
    }

    /// Calls the open request whose turn it is: of the class that is owed most, or else of the first class that has any.
    pub(in crate::balance) fn call(&mut self, now: Instant) -> Option<Ticket> {
        let open = || self.classes.iter().enumerate().filter(|(_, class)| class.has_open());
        let owed = open().filter_map(|(index, class)| Some((class.owed(self.dispatched)?, index)));
        // Of equals the first.
        let owed = owed.max_by_key(|(owed, index)| (*owed, usize::MAX - index));
        let called = match owed {
            Some((_, index)) => Some((index, true)),
            None => open().next().map(|(index, _)| (index, false)),
        };
        let call = called
            .and_then(|(index, by_share)| self.classes[index].call(self.dispatched, by_share))
            .and_then(|(ticket, paid)| Some((ticket, paid, self.waiters.get_mut(&ticket)?)));
        let Some((ticket, paid, waiter)) = call else {
            self.everyone = false;
            return None;
        };
        waiter.stage = Stage::Called(paid);
        self.calls.push_back((ticket, now));
        self.dispatched += 1;
        Some(ticket)
    }

    pub(in crate::balance) fn waker(&self, ticket: Ticket) -> Option<Waker> {
        Some(self.waiters.get(&ticket)?.waker.clone())
    }

    /// The request that was called has tried in vain, and keeps its place and its turn.
    pub(in crate::balance) fn decline(&mut self, ticket: Ticket) {
        if self.end_call(ticket, Stage::Declined).is_some() {
            self.declined.insert(ticket);
        }
    }

    /// Those that were called before go first: the request is called again in its turn, which it keeps.
    pub(in crate::balance) fn take_back(&mut self, ticket: Ticket) {
        if let Some((class, caller)) = self.end_call(ticket, Stage::Open) {
            self.classes[class].open(&caller, ticket);
        }
    }

    fn end_call(&mut self, ticket: Ticket, stage: Stage) -> Option<(usize, Caller)> {
        let waiter = self.waiters.get_mut(&ticket)?;
        let Stage::Called(paid) = waiter.stage else { return None };
        waiter.stage = stage;
        self.calls.retain(|(called, _)| *called != ticket);
        self.dispatched -= 1;
        self.classes[waiter.class].give_back(&waiter.caller, paid);
        Some((waiter.class, waiter.caller.clone()))
    }

    /// Takes a request out, `served` or not, and returns its waker.
    pub(in crate::balance) fn leave(&mut self, ticket: Ticket, served: bool) -> Option<Waker> {
        let Waiter { class, caller, waker, stage } = self.waiters.remove(&ticket)?;
        self.declined.remove(&ticket);
        self.classes[class].leave(&caller, ticket);
        if let Stage::Called(paid) = stage {
            self.calls.retain(|(called, _)| *called != ticket);
            if !served {
                self.dispatched -= 1;
                self.classes[class].give_back(&caller, paid);
            }
        }
        if self.waiters.is_empty() {
            self.waiters = BTreeMap::new();
            self.declined = BTreeSet::new();
            self.calls = VecDeque::new();
            self.everyone = false;
        }
        Some(waker)
    }
}

/// Whether one that was called then is sure to come.
fn is_fresh(&(_, called): &(Ticket, Instant), now: Instant) -> bool {
    now < called + PATIENCE
}

#[cfg(test)]
mod tests;
