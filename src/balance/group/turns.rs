//! The line of those who wait, together with the pool they wait for.
//!
//! Whoever is woken, and every waker that is let go, is so with the group's lock free: both may run what takes it.

use std::{sync::Arc, task::Waker};

use tokio::time::Instant;

use super::{Group, Inner, Leased, wake};
use crate::{
    balance::{
        pool::{Picked, Pool, Wish},
        strategy::Strategy,
        waiting::{Line, QueuePolicy, Ticket, passes},
    },
    error::Refused,
};

mod asking;

use self::asking::Asking;

/// A request's seat in the line of a group. When it is dropped, the request leaves the line, and what it was called for
/// is offered to the next.
pub(in crate::balance) struct Seat<S, P> {
    group: Arc<Group<S, P>>,
    place: Place,
}

struct Place {
    /// None before it has joined the line.
    ticket: Option<Ticket>,
    /// When time alone may have changed what it was refused for.
    look: Option<Instant>,
    deadline: Instant,
}

/// What became of a request's turn.
pub(in crate::balance) enum Turn<T> {
    Picked(T),
    Refused(Refused),
    /// It is woken when it is called; it must be polled at this time too.
    Waits {
        until: Instant,
    },
}

/// For when the lock is free.
#[derive(Default)]
struct Wakers {
    wake: Vec<Waker>,
    drop: Vec<Waker>,
}

impl<S, P> Group<S, P> {
    /// Lets requests wait from now on. Those that wait by another policy are refused.
    pub(in crate::balance) fn queue(&self, policy: QueuePolicy) {
        let mut inner = self.inner.lock();
        let left = inner.line.as_mut().map(|line| line.replace(policy.clone()));
        inner.line.get_or_insert_with(|| Box::new(Line::new(policy)));
        drop(inner);
        left.into_iter().flatten().for_each(Waker::wake);
    }

    /// How many wait, by class.
    pub(in crate::balance) fn waiting(&self) -> Vec<usize> {
        self.inner.lock().line.as_ref().map(|line| line.waiting()).unwrap_or_default()
    }

    /// A seat for a request that was `refused`, where that can pass in the time it may wait.
    pub(in crate::balance) fn seat(
        self: &Arc<Self>,
        refused: &Refused,
        wish: &Wish<'_>,
        deadline: Option<Instant>,
    ) -> Option<Seat<S, P>> {
        let inner = self.inner.lock();
        let policy = inner.line.as_ref()?.policy();
        let deadline = policy.deadline(wish.now, deadline, wish.elsewhere)?;
        drop(inner);
        let waits = deadline > wish.now && passes(refused, wish.now, deadline);
        let place = Place { ticket: None, look: None, deadline };
        waits.then(|| Seat { group: Arc::clone(self), place })
    }

    fn leave(&self, ticket: Ticket) {
        let mut inner = self.inner.lock();
        let Inner { pool, line: Some(line), .. } = &mut *inner else { return };
        let left = line.leave(ticket, false);
        let next = if left.is_some() { hand_on(pool, line, Instant::now()) } else { None };
        drop(inner);
        drop(left);
        wake(next);
    }
}

impl<S, P> Seat<S, P> {
    pub(in crate::balance) fn group(&self) -> &Arc<Group<S, P>> {
        &self.group
    }
}

impl<S, P> Seat<S, P>
where
    S: Send + Sync + 'static,
    P: Strategy,
{
    /// Joins the line, or tries the pick where it may: nobody else is to go first, or it was called.
    pub(in crate::balance) fn take_turn(
        &mut self,
        wish: &Wish<'_>,
        waker: &Waker,
    ) -> Turn<Leased<S>> {
        let Self { group, place } = self;
        let mut wakers = Wakers::default();
        let mut inner = group.inner.lock();
        // A group that lets requests wait goes on to do so.
        let Inner { pool, line: Some(line), .. } = &mut *inner else {
            return Turn::Waits { until: place.deadline };
        };
        let mut asking = Asking { pool, line, place, wish, waker, wakers: &mut wakers };
        let turn = asking.turn(&group.strategy);
        let service = if let Turn::Picked(picked) = &turn { inner.service(picked) } else { None };
        let unused_probes = inner.pool.take_unused_probes();
        drop(inner);
        drop(unused_probes);
        drop(wakers.drop);
        wakers.wake.into_iter().for_each(Waker::wake);
        match turn {
            Turn::Picked(picked) => {
                group.lease(picked, service).map_or_else(Turn::Refused, Turn::Picked)
            }
            Turn::Refused(refused) => Turn::Refused(refused),
            Turn::Waits { until } => Turn::Waits { until },
        }
    }
}

impl<S, P> Drop for Seat<S, P> {
    fn drop(&mut self) {
        if let Some(ticket) = self.place.ticket {
            self.group.leave(ticket);
        }
    }
}

impl<S> Inner<S> {
    /// Something came free or changed: calls the first in line. The end of one request may be told in several ways, and
    /// any number of times. For `everyone`: all in line are to see what it means for them.
    pub(super) fn offer(&mut self, everyone: bool) -> Option<Waker> {
        // Without a line this is all there is of it.
        if self.line.is_some() { self.offer_in_line(everyone) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn offer_in_line(&mut self, everyone: bool) -> Option<Waker> {
        let Self { pool, line, .. } = self;
        offer(pool, line.as_mut().filter(|line| !line.is_empty())?, Instant::now(), everyone)
    }

    /// Whether a request that comes now has to let those in line go first, and whom to wake then.
    #[cold]
    #[inline(never)]
    pub(super) fn is_held_back(&mut self, now: Instant) -> (bool, Option<Waker>) {
        self.line.as_mut().map_or((false, None), |line| is_held_back(&self.pool, line, now))
    }
}

/// Lets those that declined be called again, and calls the first.
fn offer(pool: &Pool, line: &mut Line, now: Instant, everyone: bool) -> Option<Waker> {
    line.offer(now, everyone);
    hand_on(pool, line, now)
}

/// Calls the next if there may be something for it, or if time can bring something. Then someone must know when, and one
/// that left may have been the one who did.
fn hand_on(pool: &Pool, line: &mut Line, now: Instant) -> Option<Waker> {
    let goes_on = line.is_for_everyone() || pool.has_room() || pool.next_due().is_some();
    if goes_on { call_beside(pool, line, now) } else { None }
}

/// Calls the next if there is a place for it beside those that are called already. Otherwise it is for them to hand on
/// what they leave.
fn call_beside(pool: &Pool, line: &mut Line, now: Instant) -> Option<Waker> {
    let goes_on = line.is_for_everyone() || has_place_behind(pool, line.called(now));
    if goes_on { call(line, now) } else { None }
}

fn call(line: &mut Line, now: Instant) -> Option<Waker> {
    line.call(now).and_then(|next| line.waker(next))
}

/// Whether there is a place for one more when so many others have theirs.
fn has_place_behind(pool: &Pool, others: usize) -> bool {
    others == 0 || pool.places(others + 1) > others
}

/// While one is called, others are held back, unless whatever they take leaves enough for all who are to try. One is
/// called now where time has brought a member back, or where one that was called before does not come.
fn is_held_back(pool: &Pool, line: &mut Line, now: Instant) -> (bool, Option<Waker>) {
    let due = pool.next_due().filter(|due| *due <= now);
    let is_back = due.is_some_and(|due| line.offered_at().is_none_or(|at| at < due));
    let next = if line.is_empty() {
        None
    } else if is_back {
        offer(pool, line, now, false)
    } else {
        pass_over(pool, line, now)
    };
    (line.called(now) > 0 && pool.least_places() <= line.to_try(), next)
}

/// Calls the next where one that was called does not come, and there is a place beside those that do: for who would have
/// none, to be called is to be woken for nothing, however often it looks.
fn pass_over(pool: &Pool, line: &mut Line, now: Instant) -> Option<Waker> {
    let goes_on = line.is_stuck(now) && has_place_behind(pool, line.called(now));
    if goes_on { hand_on(pool, line, now) } else { None }
}
