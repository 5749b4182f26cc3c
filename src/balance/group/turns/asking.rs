use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Line, Picked, Place, Pool, Refused, Strategy, Turn, Waker, Wakers, Wish, call, call_beside,
    hand_on, has_place_behind, is_held_back, offer, pass_over, passes,
};
use crate::error::RefusedReason;

/// As finely as timers tell time.
const TICK: Duration = Duration::from_millis(1);

/// A request that is polled, with all it needs to see whether its turn has come.
pub(super) struct Asking<'a> {
    pub(super) pool: &'a mut Pool,
    pub(super) line: &'a mut Line,
    pub(super) place: &'a mut Place,
    pub(super) wish: &'a Wish<'a>,
    pub(super) waker: &'a Waker,
    pub(super) wakers: &'a mut Wakers,
}

impl Asking<'_> {
    pub(super) fn turn(&mut self, strategy: &impl Strategy) -> Turn<Picked> {
        let now = self.wish.now;
        if self.place.ticket.is_none() {
            let (is_held_back, next) = is_held_back(self.pool, self.line, now);
            self.wakers.wake.extend(next);
            if is_held_back && !self.goes_beside() {
                let refused = self.pool.refuse(self.wish);
                return self.wait(&refused, false);
            }
        } else if let Some(turn) = self.before_call() {
            return turn;
        }
        match self.pool.pick(strategy, self.wish) {
            Ok(picked) => {
                if let Some(ticket) = self.place.ticket.take() {
                    self.wakers.drop.extend(self.line.leave(ticket, true));
                    self.wakers.wake.extend(hand_on(self.pool, self.line, now));
                }
                Turn::Picked(picked)
            }
            Err(refused) => {
                let wait = refused.wait().and_then(|wait| now.checked_add(wait));
                let look = wait.into_iter().chain(self.pool.next_due()).min();
                self.place.look = look.map(|look| look.max(now + TICK));
                self.wait(&refused, true)
            }
        }
    }

    /// Whether it may try although it is held back: it has no place in line, and there is one for it beside those that
    /// are called.
    fn goes_beside(&self) -> bool {
        let (priority, caller) = asked(self.wish);
        self.line.is_full_for(priority, caller)
            && has_place_behind(self.pool, self.line.called(self.wish.now))
    }

    /// What becomes of one in line; nothing if it is called, and is to try.
    fn before_call(&mut self) -> Option<Turn<Picked>> {
        let now = self.wish.now;
        let ticket = self.place.ticket?;
        if !self.line.has(ticket) {
            self.place.ticket = None;
            let refused = self.pool.refuse(self.wish);
            return Some(Turn::Refused(instead(RefusedReason::QueueFull, &refused)));
        }
        self.wakers.drop.extend(self.line.keep_waker(ticket, self.waker));
        let look = self.place.look.take_if(|look| *look <= now);
        // What was offered since then is on its way down the line already, or whoever had it last knows when to look.
        if look.is_some_and(|look| self.line.offered_at().is_none_or(|at| at < look)) {
            self.wakers.wake.extend(offer(self.pool, self.line, now, false));
        }
        if !self.line.is_called(ticket) {
            self.wakers.wake.extend(pass_over(self.pool, self.line, now));
        }
        if self.line.is_called(ticket) {
            let others = self.line.called_before(ticket, now);
            if has_place_behind(self.pool, others) {
                return None;
            }
            // Those who were called first hand on what they leave.
            self.line.take_back(ticket);
            let refused = self.pool.refuse(self.wish);
            if !passes(&refused, now, self.place.deadline) {
                return Some(self.give_up(&refused));
            }
        }
        if now < self.place.deadline {
            return Some(self.waits());
        }
        let refused = self.pool.refuse(self.wish);
        Some(self.give_up(&refused))
    }

    /// Waits on after it was `refused`, if that can pass in time.
    fn wait(&mut self, refused: &Refused, has_tried: bool) -> Turn<Picked> {
        let (now, deadline) = (self.wish.now, self.place.deadline);
        if now >= deadline || !passes(refused, now, deadline) {
            return self.give_up(refused);
        }
        if let Some(ticket) = self.place.ticket {
            self.line.decline(ticket);
            if self.line.is_for_everyone() || self.pool.has_room() {
                self.wakers.wake.extend(call_beside(self.pool, self.line, now));
            }
            return self.waits();
        }
        let (priority, caller) = asked(self.wish);
        match self.line.join(priority, caller, has_tried, self.waker.clone()) {
            Ok((ticket, displaced)) => {
                self.place.ticket = Some(ticket);
                if displaced.is_some() {
                    self.wakers.wake.extend(displaced);
                    self.wakers.wake.extend(hand_on(self.pool, self.line, now));
                }
                self.waits()
            }
            Err(_) => Turn::Refused(instead(RefusedReason::QueueFull, refused)),
        }
    }

    fn waits(&self) -> Turn<Picked> {
        let Place { look, deadline, .. } = *self.place;
        let watch = self.line.watch_at(self.wish.now);
        Turn::Waits { until: look.into_iter().chain(watch).fold(deadline, Instant::min) }
    }

    /// Ends the wait: its time is up, or what it waits for will not come in time.
    fn give_up(&mut self, refused: &Refused) -> Turn<Picked> {
        let now = self.wish.now;
        let is_late = now >= self.place.deadline;
        if let Some(ticket) = self.place.ticket.take() {
            self.wakers.drop.extend(self.line.leave(ticket, false));
            let next = if is_late {
                hand_on(self.pool, self.line, now)
            } else {
                // Those behind may be as hopeless, and are to learn it now.
                call(self.line, now)
            };
            self.wakers.wake.extend(next);
        }
        Turn::Refused(if is_late {
            instead(RefusedReason::QueueTimeout, refused)
        } else {
            refused.clone()
        })
    }
}

/// Its priority, and who asks.
fn asked<'a>(wish: &Wish<'a>) -> (Option<i32>, &'a Option<Arc<str>>) {
    wish.demand.map_or((None, &None), |demand| (demand.priority, &demand.caller))
}

/// A refusal for `reason` that keeps what is known of the time, and of what was waited for.
fn instead(reason: RefusedReason, refused: &Refused) -> Refused {
    let instead = Refused::new(reason).retry_after(refused.wait()).caused_by(refused.cause());
    match refused.limit() {
        Some(limit) => instead.by_limit(limit),
        None => instead,
    }
}
