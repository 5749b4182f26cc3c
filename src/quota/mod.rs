//! How much a deployment, or several that share a key or an account, may take in a time.
//!
//! A deployment has [limits](crate::Deployment::limit) of its own, and shares in any number of [`Quota`]s. They are part
//! of the pick: a balance takes what the request is [expected](crate::Deployment::expected) to need in the same step in
//! which it chooses, of all of them or of none, and passes over a deployment that has not enough left. When the answer
//! tells what it took, that takes the place of what was expected; what was never sent is given back.
//!
//! ```
//! use tower_fleet::{Deployment, quota::{Limit, Quota}};
//!
//! let key = Quota::new("key of team a", [Limit::rpm(500), Limit::tpm(200_000)]);
//! let chat = Deployment::new("chat").quota(&key);
//! let code = Deployment::new("code").quota(&key).rpm(100);
//! assert_eq!(code.headroom(), 1.0);
//! ```
//!
//! # What a limit promises
//!
//! At most so much is taken in *any* stretch of the window, wherever it begins: five requests in a minute are five, and
//! the sixth goes out a minute after the first. A token bucket (GCRA) of the same size and rate would let the sixth go
//! after twelve seconds, so nine in the first minute; and a window that begins with the minute lets ten go around its
//! turn. Whatever is let through here, such a bucket would let through as well, so a provider that counts by one sees
//! no excess.
//!
//! It is a log of what was taken when. Beyond 128 entries, those within a 64th of the window are made one, that counts
//! as long as its latest part: memory is bounded, and what is taken may count too long by that much, never too short.
//!
//! What an answer took beyond what was expected of it is entered when that is known, even above the limit; the next
//! request then waits longer. What it did not take is given back to the time it was taken at.

mod account;
mod hold;
mod ledger;
mod limit;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use tokio::time::Instant;

pub(crate) use self::account::{Account, Charge, Shortage};
pub(crate) use self::hold::{Hold, Reservation, reserve};
pub(crate) use self::ledger::Room;
pub use self::limit::{Limit, Unit, Window};

/// Limits that hold for all who share them together.
///
/// A cheap handle: clones are the same quota.
#[derive(Clone)]
pub struct Quota(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    limits: Vec<Limit>,
    account: Arc<Account>,
    /// The version of the account and the share that was left of the limits then.
    headroom: AtomicU64,
}

/// How much of a [`Limit`] is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitUsage {
    /// The limit.
    pub limit: Limit,
    /// What counts now: taken, and not given back or a window ago. It may be above the limit, where answers took more
    /// than was expected.
    pub used: u64,
    /// When the least thing can be taken again; none where it can be now, or when a request in flight ends.
    pub room_at: Option<Instant>,
}

impl Quota {
    /// A quota of these limits, of which a later one takes the place of an earlier one that counts the same in the same
    /// time. The `name` is for logs and metrics, so it should not hold a secret.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, limits: impl IntoIterator<Item = Limit>) -> Self {
        let mut all = Vec::new();
        limits.into_iter().for_each(|limit| put(&mut all, limit));
        Self::of_account(name.into(), all, Arc::new(Account::open()))
    }

    /// Takes over what counts in `other`, so that it stays with a quota whose limits change.
    #[must_use]
    pub fn with_usage_of(self, other: &Self) -> Self {
        let Inner { name, limits, .. } = &*self.0;
        Self::of_account(Arc::clone(name), limits.clone(), Arc::clone(&other.0.account))
    }

    pub(crate) fn of_account(name: Arc<str>, limits: Vec<Limit>, account: Arc<Account>) -> Self {
        account.keep(&limits);
        Self(Arc::new(Inner { name, limits, account, headroom: AtomicU64::new(0) }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.0.limits
    }

    /// How much of each limit is used now.
    #[must_use]
    pub fn usage(&self) -> Vec<LimitUsage> {
        usage(&self.0.account, &self.0.limits)
    }

    /// The least share that is left of any limit, of 1.
    pub(crate) fn headroom(&self, now: Instant) -> f32 {
        self.0.account.headroom(&self.0.limits, &self.0.headroom, now)
    }

    pub(crate) fn shortage(&self, charge: &Charge, now: Instant) -> Option<Shortage> {
        self.0.account.shortage(&self.0.limits, charge, now)
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.0.account
    }
}

/// How much of each of `limits` is used now.
pub(crate) fn usage(account: &Account, limits: &[Limit]) -> Vec<LimitUsage> {
    let state = account.state(limits, Instant::now());
    let usage = state.into_iter().map(|(limit, used, room)| {
        let room_at = if let Room::Until(at) = room { Some(at) } else { None };
        LimitUsage { limit, used, room_at }
    });
    usage.collect()
}

/// Puts `limit` in the place of one that counts the same in the same time, or beside the others; one that is not set
/// takes it away.
pub(crate) fn put(limits: &mut Vec<Limit>, limit: Limit) {
    limits.retain(|other| !limit.replaces(other));
    if limit.is_set() {
        limits.push(limit);
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("name", &self.0.name)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
