//! The line of those who wait, together with the pool they wait for.
//!
//! Whoever is woken, and every waker that is let go, is so with the group's lock free: both may run what takes it.

use std::{sync::Arc, task::Waker, time::Duration};

use tokio::time::Instant;

use super::{Group, Inner, Leased, wake};
use crate::{
    balance::{
        pool::{Picked, Wish},
        strategy::Strategy,
        waiting::{Line, QueuePolicy, Ticket, passes},
    },
    deployment::Key,
    error::{Refused, RefusedReason},
};

/// A request that was called and is not polled holds others back no longer than this: its task may be stuck, or have
/// forgotten it.
const PATIENCE: Duration = Duration::from_millis(100);

/// As finely as timers tell time.
const TICK: Duration = Duration::from_millis(1);

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
pub(in crate::balance) enum Turn<S> {
    Leased(Leased<S>),
    Refused(Refused),
    /// It is woken when it is called; it must be polled at this time too.
    Waits {
        until: Instant,
    },
}

enum Step {
    Picked(Picked),
    Refused(Refused),
    Waits,
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
        let left = inner.line.as_mut().and_then(|line| line.leave(ticket, false));
        let next = if left.is_some() { inner.hand_on(Instant::now()) } else { None };
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
    pub(in crate::balance) fn take_turn(&mut self, wish: &Wish<'_>, waker: &Waker) -> Turn<S> {
        let Self { group, place } = self;
        let mut wakers = Wakers::default();
        let mut inner = group.inner.lock();
        let step = inner.step(&group.strategy, place, wish, waker, &mut wakers);
        let service = if let Step::Picked(picked) = &step { inner.service(picked) } else { None };
        let unused_probes = inner.pool.take_unused_probes();
        drop(inner);
        drop(unused_probes);
        drop(wakers.drop);
        wakers.wake.into_iter().for_each(Waker::wake);
        match step {
            Step::Picked(picked) => {
                group.lease(picked, service).map_or_else(Turn::Refused, Turn::Leased)
            }
            Step::Refused(refused) => Turn::Refused(refused),
            Step::Waits => {
                let until = place.look.map_or(place.deadline, |look| look.min(place.deadline));
                Turn::Waits { until }
            }
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
    /// A place came free: calls the first in line.
    pub(super) fn offer(&mut self) -> Option<Waker> {
        self.line.as_mut().and_then(|line| offer(line, Instant::now(), false))
    }

    /// Members came or went: everyone in line is to see what that means for them.
    pub(super) fn offer_to_all(&mut self) -> Option<Waker> {
        self.line.as_mut().and_then(|line| offer(line, Instant::now(), true))
    }

    /// A member's standing may have changed. If it went out, those that waited for it have to learn of it.
    pub(super) fn offer_after_change(&mut self, member: Key) -> Option<Waker> {
        let line = self.line.as_mut()?;
        offer(line, Instant::now(), self.pool.is_out(member))
    }

    /// Whether a request that comes now has to let those in line go first: one is called, or is now, as time has brought
    /// a member back.
    pub(super) fn is_held_back(&mut self, now: Instant, next: &mut Option<Waker>) -> bool {
        let Some(line) = self.line.as_mut().filter(|line| !line.is_empty()) else { return false };
        let due = self.pool.next_due().filter(|due| *due <= now);
        if due.is_some_and(|due| line.offered_at().is_none_or(|at| at < due)) {
            *next = offer(line, now, false);
        }
        line.called_at().is_some_and(|at| now < at + PATIENCE)
    }

    /// One has left: calls the next if there may be something for it, or if time can bring something. Then someone must
    /// know when, and whoever left may have been the one who did.
    fn hand_on(&mut self, now: Instant) -> Option<Waker> {
        let line = self.line.as_mut()?;
        let goes_on =
            line.is_for_everyone() || self.pool.has_room() || self.pool.next_due().is_some();
        if goes_on { call(line, now) } else { None }
    }

    fn step<P: Strategy>(
        &mut self,
        strategy: &P,
        place: &mut Place,
        wish: &Wish<'_>,
        waker: &Waker,
        wakers: &mut Wakers,
    ) -> Step {
        let now = wish.now;
        let Some(line) = &mut self.line else {
            return self.pool.pick(strategy, wish).map_or_else(Step::Refused, Step::Picked);
        };
        if let Some(ticket) = place.ticket {
            if !line.has(ticket) {
                place.ticket = None;
                let refused = self.pool.refuse(wish);
                return Step::Refused(instead(RefusedReason::QueueFull, &refused));
            }
            wakers.drop.push(line.keep_waker(ticket, waker.clone()));
            let look = place.look.take_if(|look| *look <= now);
            // What was offered since then is still on its way down the line, or was not for this one.
            if look.is_some_and(|look| line.offered_at().is_none_or(|at| at < look)) {
                line.offer(now, false);
                let next = line.call(now).filter(|next| *next != ticket);
                wakers.wake.extend(next.and_then(|next| line.waker(next)));
            }
            if !line.is_called(ticket) {
                if now < place.deadline {
                    return Step::Waits;
                }
                let refused = self.pool.refuse(wish);
                return self.dismiss(place, now, &refused, wakers);
            }
        } else {
            let mut next = None;
            let is_held_back = self.is_held_back(now, &mut next);
            wakers.wake.extend(next);
            if is_held_back {
                let refused = self.pool.refuse(wish);
                place.look = Some(now + PATIENCE);
                return self.join(place, wish, waker, &refused, false, wakers);
            }
        }
        match self.pool.pick(strategy, wish) {
            Ok(picked) => {
                if let Some(ticket) = place.ticket.take() {
                    let left = self.line.as_mut().and_then(|line| line.leave(ticket, true));
                    wakers.drop.extend(left);
                    wakers.wake.extend(self.hand_on(now));
                }
                Step::Picked(picked)
            }
            Err(refused) => {
                let wait = refused.wait().and_then(|wait| now.checked_add(wait));
                let look = wait.into_iter().chain(self.pool.next_due()).min();
                place.look = look.map(|look| look.max(now + TICK));
                self.go_on_waiting(place, wish, waker, &refused, wakers)
            }
        }
    }

    /// After a try in vain.
    fn go_on_waiting(
        &mut self,
        place: &mut Place,
        wish: &Wish<'_>,
        waker: &Waker,
        refused: &Refused,
        wakers: &mut Wakers,
    ) -> Step {
        let now = wish.now;
        let Some(ticket) = place.ticket else {
            return self.join(place, wish, waker, refused, true, wakers);
        };
        if now >= place.deadline || !passes(refused, now, place.deadline) {
            return self.dismiss(place, now, refused, wakers);
        }
        if let Some(line) = &mut self.line {
            line.decline(ticket);
            if line.is_for_everyone() || self.pool.has_room() {
                wakers.wake.extend(call(line, now));
            }
        }
        Step::Waits
    }

    fn join(
        &mut self,
        place: &mut Place,
        wish: &Wish<'_>,
        waker: &Waker,
        refused: &Refused,
        has_tried: bool,
        wakers: &mut Wakers,
    ) -> Step {
        let now = wish.now;
        if now >= place.deadline || !passes(refused, now, place.deadline) {
            return self.dismiss(place, now, refused, wakers);
        }
        let (priority, caller) =
            wish.demand.map_or((None, &None), |demand| (demand.priority, &demand.caller));
        let joined =
            self.line.as_mut().map(|line| line.join(priority, caller, has_tried, waker.clone()));
        let Some(Ok((ticket, displaced))) = joined else {
            return Step::Refused(instead(RefusedReason::QueueFull, refused));
        };
        place.ticket = Some(ticket);
        if displaced.is_some() {
            wakers.wake.extend(displaced);
            wakers.wake.extend(self.hand_on(now));
        }
        Step::Waits
    }

    /// Ends the wait: its time is up, or what it waits for will not come in time.
    fn dismiss(
        &mut self,
        place: &mut Place,
        now: Instant,
        refused: &Refused,
        wakers: &mut Wakers,
    ) -> Step {
        if let Some(ticket) = place.ticket.take() {
            let left = self.line.as_mut().and_then(|line| line.leave(ticket, false));
            wakers.drop.extend(left);
        }
        let is_late = now >= place.deadline;
        // Those behind may be as hopeless, and are to learn it now.
        let next = if is_late {
            self.hand_on(now)
        } else {
            self.line.as_mut().and_then(|line| call(line, now))
        };
        wakers.wake.extend(next);
        Step::Refused(if is_late {
            instead(RefusedReason::QueueTimeout, refused)
        } else {
            refused.clone()
        })
    }
}

/// Lets those that declined be called again, and calls the first.
fn offer(line: &mut Line, now: Instant, everyone: bool) -> Option<Waker> {
    if line.is_empty() {
        return None;
    }
    line.offer(now, everyone);
    call(line, now)
}

fn call(line: &mut Line, now: Instant) -> Option<Waker> {
    line.call(now).and_then(|next| line.waker(next))
}

/// A refusal for `reason` that keeps what is known of the time.
fn instead(reason: RefusedReason, refused: &Refused) -> Refused {
    Refused::new(reason).retry_after(refused.wait()).caused_by(refused.cause())
}
