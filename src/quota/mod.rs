//! How much a deployment, or several that share a key or an account, may take in a time.
//!
//! A deployment has [limits](crate::Deployment::limit) of its own, and shares in any number of [`Quota`]s. They are part
//! of the pick: a balance takes what the request is [expected](crate::Deployment::expected) to need in the same step in
//! which it chooses, of all of them or of none, and passes over a deployment that has not enough left. When the answer
//! tells what it took, that takes the place of what was expected.
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
//!
//! A window begins with the pick, not with the sending. Where a service below is not ready for long, as one with a queue
//! of its own, what was picked over a longer time may reach the provider in a shorter one.
//!
//! # What counts of a request without a whole answer
//!
//! - One that was never sent: nothing.
//! - One that failed, by its answer or by an error other than a time-out: the request, but no tokens and no money.
//! - One that timed out, or was left by its caller, before there was an answer: the request, its input and what that
//!   costs, since the provider has them. Its output is given back.
//! - One whose answer has begun: all that was expected, until someone knows better.
//!
//! # Accounts
//!
//! A [`Quota`] stands for a key or an account with its provider. A 429, or another answer that says that the account has
//! nothing left, sets all aside that share it, in whatever group they are, for as long as the one it came from; each of
//! them is tried again by itself. An overload or a broken deployment concerns no other.
//!
//! # Money
//!
//! [`Limit::dollars`] bounds what may be spent, in any stretch of a length or in a [`Calendar`]'s day or month. For what
//! several accounts may spend together, such as all of a provider, there is [`Quota::budget`], and
//! [`for_tag`](Quota::for_tag) for what those may spend who carry a tag:
//!
//! ```
//! use std::time::Duration;
//! use tower_fleet::{Deployment, deployment::Price, quota::{Calendar, Limit, Quota}};
//!
//! let day = Duration::from_secs(24 * 60 * 60);
//! let provider = Quota::budget("openai", [Limit::dollars(100.0, day)]);
//! let team = Quota::budget("team a", [Limit::dollars(500.0, Calendar::monthly())]).for_tag("team-a");
//! let chat = Deployment::new("chat")
//!     .price(Price::new(2.5e-6, 1e-5))
//!     .limit(Limit::dollars(10.0, day))
//!     .quota(&provider)
//!     .quota(&team);
//! # let _ = chat;
//! ```
//!
//! # What the provider says
//!
//! Many providers say in each response what is left. Where a deployment [heeds](crate::Deployment::reported_limits) it,
//! one with too little left for a request is passed over before there is a 429, less what is on its way to it, until the
//! provider's reset; where the provider refills evenly, as OpenAI and Anthropic do, until there is enough. So it goes
//! with no limit configured; and one that is configured is never lifted by it. A report holds for a minute at most, and
//! until the next. It corrects what the deployment itself may take, and of the accounts it shares in what they limit,
//! as many a key has other limits for each model.
//!
//! As long as it holds, it counts for the [headroom](crate::Deployment::headroom): what is left of the limit that the
//! provider tells beside it, or else of the most that it ever said was left, or of what is configured for a minute or
//! less where that is more.

mod account;
mod calendar;
mod hold;
mod ledger;
mod limit;
mod money;
mod parse;
mod reported;
mod told;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use tokio::time::Instant;

pub(crate) use self::account::{Account, Charge, Shortage};
pub use self::calendar::Calendar;
pub(crate) use self::hold::{Asked, Hold, Reservation, reserve};
pub(crate) use self::ledger::Room;
pub use self::limit::{Limit, Unit, Window};
pub(crate) use self::money::billionths_up;
pub use self::parse::ParseWindowError;
pub(crate) use self::reported::{Reported, reported};
use crate::trail::Demand;

/// Limits that hold for all who share them together.
///
/// A cheap handle: clones are the same quota.
#[derive(Clone)]
pub struct Quota(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    limits: Vec<Limit>,
    kind: Kind,
    account: Arc<Account>,
    /// The version of the account and the share that was left of the limits then.
    headroom: AtomicU64,
}

/// What the limits are those of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// One deployment.
    Own,
    /// A key or an account: what its provider says of it goes for all who share it.
    Account,
    /// Whatever it is, across accounts; with a tag, only the requests that carry it.
    Budget { tag: Option<Arc<str>> },
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
    /// When the least thing can be taken again. None where it can be now, where it can be once a request in flight ends,
    /// and where it never can be, as of `Limit::dollars(0.0, _)`: with a [most](Limit::most) of 0.
    pub room_at: Option<Instant>,
}

impl Quota {
    /// A quota of these limits, of which a later one takes the place of an earlier one that counts the same in the same
    /// time. The `name` is for logs and metrics, so it should not hold a secret.
    ///
    /// It stands for one key or account with its provider, whose word on it goes for all who share it: a 429 that sets
    /// one aside sets all of them aside, and so there may be a reason to have one without any limit.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, limits: impl IntoIterator<Item = Limit>) -> Self {
        let mut all = Vec::new();
        limits.into_iter().for_each(|limit| put(&mut all, limit));
        Self::with(name.into(), all, Kind::Account, Arc::new(Account::open()))
    }

    /// The same across accounts, such as the money that all deployments of a provider, a team or a purpose may spend
    /// together. What is wrong with one of its deployments concerns no other.
    #[must_use]
    pub fn budget(name: impl Into<Arc<str>>, limits: impl IntoIterator<Item = Limit>) -> Self {
        Self::new(name, limits).of_kind(Kind::Budget { tag: None })
    }

    /// A [budget](Self::budget) of the same limits for the requests that carry this [tag](crate::Demand::tags) alone;
    /// others take nothing of it and are not kept by it. It begins with nothing used, and shares nothing with the quota it
    /// was made from: so one can be made into the budgets of several tags.
    #[must_use]
    pub fn for_tag(self, tag: impl Into<Arc<str>>) -> Self {
        self.of_kind(Kind::Budget { tag: Some(tag.into()) })
    }

    /// Takes over what counts in `other`, so that it stays with a quota whose limits change.
    #[must_use]
    pub fn with_usage_of(self, other: &Self) -> Self {
        let Inner { name, limits, kind, .. } = &*self.0;
        let account = Arc::clone(&other.0.account);
        Self::with(Arc::clone(name), limits.clone(), kind.clone(), account)
    }

    /// With an account of its own: of two on one, a deployment heeds but the later.
    fn of_kind(self, kind: Kind) -> Self {
        let Inner { name, limits, .. } = &*self.0;
        Self::with(Arc::clone(name), limits.clone(), kind, Arc::new(Account::open()))
    }

    /// The limits of one deployment.
    pub(crate) fn of_account(name: Arc<str>, limits: Vec<Limit>, account: Arc<Account>) -> Self {
        Self::with(name, limits, Kind::Own, account)
    }

    fn with(name: Arc<str>, limits: Vec<Limit>, kind: Kind, account: Arc<Account>) -> Self {
        account.keep(&limits);
        Self(Arc::new(Inner { name, limits, kind, account, headroom: AtomicU64::new(0) }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is a [budget](Self::budget) across accounts, rather than one of them.
    #[must_use]
    pub fn is_budget(&self) -> bool {
        matches!(self.0.kind, Kind::Budget { .. })
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

    /// Whether it is that of a key or an account, so that what goes for one goes for all.
    pub(crate) fn is_account(&self) -> bool {
        self.0.kind == Kind::Account
    }

    /// Whether it leaves some requests alone.
    pub(crate) fn is_tagged(&self) -> bool {
        matches!(self.0.kind, Kind::Budget { tag: Some(_) })
    }

    /// Whether it is for requests that ask for `demand`.
    pub(crate) fn concerns(&self, demand: Option<&Demand>) -> bool {
        let Kind::Budget { tag: Some(tag) } = &self.0.kind else { return true };
        demand.is_some_and(|demand| demand.tags.contains(tag))
    }

    /// Enters what the provider says: of all it counts where the quota is that of the deployment which it answered, or
    /// else of what the quota limits, as others may share no more than that.
    pub(crate) fn hear(&self, reported: &Reported, now: Instant) {
        let limits = |unit| self.0.limits.iter().any(|limit| limit.unit() == unit);
        match self.0.kind {
            Kind::Own => self.0.account.hear(reported, |_| true, now),
            Kind::Account => self.0.account.hear(reported, limits, now),
            Kind::Budget { .. } => {}
        }
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
