//! The line of requests that wait for a place: plain data, no lock and no I/O.
//!
//! Whenever something comes free, or changes, the first in line is *called*: woken to try its pick once more. If it
//! declines, for it needs something else than what came free, it hands the call on to the next, so that the room goes
//! down the line once. One free place is one call: another is called beside it only if there is a place for both, and
//! one that is polled before it is called, or before those that were called earlier and may take all there is, does not
//! pick. So neither the order in which tasks poll their requests nor how often an end is told makes a difference. The
//! group keeps its line under the same lock as its members, so that a pick that fails and the place taken in line are
//! one step: nothing can come free in between.

#![allow(clippy::cast_possible_wrap, reason = "counts are far below 2^63")]

mod class;
mod line;
mod policy;

pub(super) use self::line::{Line, Ticket};
pub(super) use self::policy::passes;
pub use self::policy::{PriorityClass, QueuePolicy};
