//! What a deployment may take, and what a pick takes of it.

use std::{
    borrow::Cow,
    sync::{Arc, Weak, atomic::Ordering},
};

use tokio::time::Instant;

use super::{Aside, Deployment, Key, Usage, Vitals, Watch};
use crate::{
    quota::{self, Account, Asked, Charge, Limit, LimitUsage, Quota, Reservation, Shortage, Unit},
    trail::Demand,
};

#[derive(Clone, Default)]
pub(super) struct Limits {
    own: Vec<Limit>,
    shared: Vec<Quota>,
    /// Both, in the order in which they are locked; none where nothing is limited.
    all: Option<Arc<[Quota]>>,
    /// Some of them are for some requests only.
    are_tagged: bool,
    /// Some of them are of money.
    count_money: bool,
    /// Whether what the provider says is heard; unset, where anything is limited.
    hear: Option<bool>,
}

impl Limits {
    /// What the vitals take counts against them from now on.
    pub(super) fn count_in(&mut self, id: &Arc<str>, vitals: &Vitals) {
        let mut all = self.shared.clone();
        if !self.own.is_empty() || self.hear.unwrap_or(!all.is_empty()) {
            let account = vitals.account.get_or_init(|| Arc::new(Account::open()));
            all.push(Quota::of_account(Arc::clone(id), self.own.clone(), Arc::clone(account)));
        }
        if self.hear != Some(false) {
            for quota in &all {
                quota.account().listen();
            }
        }
        self.are_tagged = all.iter().any(Quota::is_tagged);
        let mut limits = all.iter().flat_map(Quota::limits);
        self.count_money = limits.any(|limit| limit.unit() == Unit::Dollars);
        let address = |quota: &Quota| Arc::as_ptr(quota.account()).addr();
        all.sort_by_key(address);
        // Locked once; of two limits on one account the later one holds.
        all.reverse();
        all.dedup_by_key(|quota| address(quota));
        all.reverse();
        self.all = (!all.is_empty()).then(|| all.into());
    }
}

/// Limits by time. What they promise, and what is taken when, is told in [`quota`].
impl Deployment {
    /// Takes no more than this; several limits hold together, and one takes the place of another that counts the same in
    /// the same time. A deployment that has had its share is passed over. None by default; 0 means no limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        quota::put(&mut inner.limits.own, limit);
        inner.limits.count_in(&inner.id, &inner.vitals);
        self
    }

    /// At most so many requests in a minute.
    #[must_use]
    pub fn rpm(self, requests: u64) -> Self {
        self.limit(Limit::rpm(requests))
    }

    /// At most so many requests in a day.
    #[must_use]
    pub fn rpd(self, requests: u64) -> Self {
        self.limit(Limit::rpd(requests))
    }

    /// At most so many tokens in a minute, of input and output together.
    #[must_use]
    pub fn tpm(self, tokens: u64) -> Self {
        self.limit(Limit::tpm(tokens))
    }

    /// At most so many tokens in a day, of input and output together.
    #[must_use]
    pub fn tpd(self, tokens: u64) -> Self {
        self.limit(Limit::tpd(tokens))
    }

    /// At most so many tokens of input in a minute.
    #[must_use]
    pub fn itpm(self, tokens: u64) -> Self {
        self.limit(Limit::itpm(tokens))
    }

    /// At most so many tokens of output in a minute.
    #[must_use]
    pub fn otpm(self, tokens: u64) -> Self {
        self.limit(Limit::otpm(tokens))
    }

    /// Shares in a quota, with whoever else does: others with the same key or account, in this group or another. Several
    /// hold together. None by default.
    #[must_use]
    pub fn quota(mut self, quota: &Quota) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.limits.shared.push(quota.clone());
        inner.limits.count_in(&inner.id, &inner.vitals);
        self
    }

    /// Whether to heed what the provider says in each response is left of its limits, in headers such as
    /// `x-ratelimit-remaining-requests`; but a 429, which a [cooldown](crate::cooldown) heeds. A deployment with too little left for a request is passed over until there is
    /// [enough](crate::quota#what-the-provider-says), a minute at most; limits of its own hold all the same. By default
    /// where it has a [limit](Self::limit) or a [quota](Self::quota); elsewhere nothing reads the headers.
    #[must_use]
    pub fn reported_limits(mut self, heed: bool) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.limits.hear = Some(heed);
        inner.limits.count_in(&inner.id, &inner.vitals);
        self
    }

    /// Whether [what the provider says](Self::reported_limits) is heeded.
    #[must_use]
    pub fn get_reported_limits(&self) -> bool {
        self.0.limits.hear.unwrap_or(self.is_limited())
    }

    /// Its own [limits](Self::limit), and how much of each is used now.
    #[must_use]
    pub fn limits(&self) -> Vec<LimitUsage> {
        let account = self.0.vitals.account.get();
        account.map_or_else(Vec::new, |account| quota::usage(account, &self.0.limits.own))
    }

    /// The [quotas](Self::quota) it shares in.
    #[must_use]
    pub fn quotas(&self) -> &[Quota] {
        &self.0.limits.shared
    }

    /// The least share that is left, of 1, of any of its limits and quotas and of what its provider
    /// [says](crate::quota#what-the-provider-says) it has; 1 where it has none and nothing is said.
    #[must_use]
    pub fn headroom(&self) -> f32 {
        if self.0.limits.all.is_none() { 1.0 } else { self.headroom_at(Instant::now()) }
    }

    /// [`headroom`](Self::headroom), for those who know the time.
    pub(crate) fn headroom_at(&self, now: Instant) -> f32 {
        let all = self.0.limits.all.iter().flat_map(|all| all.iter());
        let all = all.filter(|quota| !quota.is_tagged());
        all.map(|quota| quota.headroom(now)).fold(1.0, f32::min)
    }

    /// The most requests it may have at a time, as of now: the lower of what is set and what was found.
    pub(crate) fn parallel_limit(&self) -> Option<u32> {
        let set = self.get_max_parallel_requests();
        if self.0.adaptive.is_none() {
            return set;
        }
        set.into_iter().chain(self.concurrency_limit()).min()
    }

    /// Whether anything limits how many requests it may have at a time.
    pub(crate) fn is_bounded(&self) -> bool {
        self.0.max_parallel_requests.is_some() || self.0.adaptive.is_some()
    }

    /// Whether it has all the requests it may have at a time. If so, [`vacate`](Self::vacate) will say that someone waits.
    pub(crate) fn is_full(&self) -> bool {
        let Some(limit) = self.parallel_limit() else { return false };
        let is_full = || self.in_flight() >= limit as usize;
        if !is_full() {
            return false;
        }
        self.0.vitals.is_awaited.store(true, Ordering::SeqCst);
        // A request that ended in between may have found nobody waiting.
        is_full()
    }

    /// Takes a place for a request in flight, if there is one.
    pub(crate) fn occupy(&self) -> bool {
        let Vitals { picked, ended, .. } = &*self.0.vitals;
        let Some(limit) = self.parallel_limit() else {
            picked.fetch_add(1, Ordering::Relaxed);
            return true;
        };
        // The picks are read before the ends: if there are as many of them when one is added, no more were in flight than
        // it seemed, and if there seem to be too many, there were.
        let mut before = picked.load(Ordering::SeqCst);
        loop {
            if before.saturating_sub(ended.load(Ordering::SeqCst)) >= u64::from(limit) {
                return false;
            }
            let added = picked.compare_exchange_weak(
                before,
                before + 1,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            match added {
                Ok(_) => return true,
                Err(now) => before = now,
            }
        }
    }

    /// Gives a place back. True if someone found none since the last time: the health's watchers are to be told, once
    /// no lock is held.
    #[must_use]
    pub(crate) fn vacate(&self) -> bool {
        let Vitals { ended, is_awaited, .. } = &*self.0.vitals;
        ended.fetch_add(1, Ordering::SeqCst);
        is_awaited.load(Ordering::SeqCst) && is_awaited.swap(false, Ordering::SeqCst)
    }

    /// Whether any limit or quota may hold for it.
    pub(crate) fn is_limited(&self) -> bool {
        self.0.limits.all.is_some()
    }

    /// Takes what a request that asks for `demand` is expected to take, of all quotas, and what `then` takes; or nothing.
    /// Beside what `then` took: what is held, and what now keeps the least request from being taken.
    pub(crate) fn reserve<T>(
        &self,
        demand: Option<&Demand>,
        now: Instant,
        then: impl FnOnce() -> Option<T>,
    ) -> Option<(T, Option<Reservation>, Option<Shortage>)> {
        let Some(quotas) = self.quotas_of(demand) else { return Some((then()?, None, None)) };
        let expected = self.charge(demand);
        let dollars = self.dollars(expected.input, 0).min(expected.dollars);
        let sunk = Charge { output: 0, dollars, ..expected };
        let taken =
            quota::reserve(&quotas, &Asked { expected, sunk, least: self.least() }, now, then)?;
        Some((taken.by, Some(taken.hold), taken.spent))
    }

    /// What keeps a request that asks for `demand` from it, of its limits and quotas.
    pub(crate) fn shortage(&self, demand: Option<&Demand>, now: Instant) -> Option<Shortage> {
        let quotas = self.quotas_of(demand)?;
        let charge = self.charge(demand);
        let each = quotas.iter().map(|quota| quota.shortage(&charge, now));
        each.fold(None, Shortage::worse)
    }

    /// What keeps every request from it.
    pub(crate) fn spent(&self, now: Instant) -> Option<Shortage> {
        let quotas = self.0.limits.all.as_ref()?;
        let least = self.least();
        let quotas = quotas.iter().filter(|quota| !quota.is_tagged());
        quotas.map(|quota| quota.shortage(&least, now)).fold(None, Shortage::worse)
    }

    /// The quotas that a request which asks for `demand` takes of.
    fn quotas_of(&self, demand: Option<&Demand>) -> Option<Cow<'_, Arc<[Quota]>>> {
        let Limits { all, are_tagged, .. } = &self.0.limits;
        let all = all.as_ref()?;
        if !are_tagged {
            return Some(Cow::Borrowed(all));
        }
        let some: Arc<[Quota]> = all.iter().filter(|one| one.concerns(demand)).cloned().collect();
        (!some.is_empty()).then_some(Cow::Owned(some))
    }

    /// Sets all aside that share its account, as it was itself.
    pub(crate) fn cool_account(&self, aside: Aside, now: Instant) {
        for account in self.quotas().iter().filter(|quota| quota.is_account()) {
            let others = account.account().deployments();
            for other in others.iter().filter(|other| other.identity() != self.identity()) {
                other.health().cool_along(aside, now);
            }
        }
    }

    /// What a request is expected to take; of what it does not say itself no more than there ever is, as a guess must
    /// not keep it from a deployment for good.
    fn charge(&self, demand: Option<&Demand>) -> Charge {
        let expected = self.expected(demand);
        let most = |unit| {
            let quotas = self.0.limits.all.iter().flat_map(|all| all.iter());
            let limits = quotas.filter(|quota| quota.concerns(demand)).flat_map(Quota::limits);
            let of_unit = limits.filter(|limit| limit.unit() == unit).map(Limit::most);
            of_unit.min().unwrap_or(u64::MAX)
        };
        // At least what the least request takes, so that none fits where that one does not.
        let (mut input, mut output) = (expected.input.max(1), expected.output.max(1));
        let mut surely = input;
        if demand.is_none_or(|demand| demand.input_tokens.is_none()) {
            surely = 1;
            let all = most(Unit::Tokens).saturating_sub(1);
            input = input.min(most(Unit::InputTokens)).min(all).max(1);
        }
        if demand.is_some_and(|demand| demand.output_tokens.is_some()) {
            return Charge { requests: 1, input, output, dollars: self.dollars(input, output) };
        }
        let rest = most(Unit::Tokens).saturating_sub(input);
        output = output.min(most(Unit::OutputTokens)).min(rest).max(1);
        let dollars = self.dollars(input, output).min(most(Unit::Dollars));
        Charge { requests: 1, input, output, dollars: dollars.max(self.dollars(surely, 1)) }
    }

    /// What the least request takes: where anything costs money, some of it.
    fn least(&self) -> Charge {
        Charge { requests: 1, input: 1, output: 1, dollars: self.dollars(1, 1).min(1) }
    }

    /// What so many tokens cost, in billionths of a US dollar, where money is counted.
    fn dollars(&self, input: u64, output: u64) -> u64 {
        let price = self.get_price().filter(|_| self.0.limits.count_money);
        price.map_or(0, |price| {
            quota::billionths_up(price.cost(&Usage { input, output, ..Usage::default() }))
        })
    }

    /// Tells `watcher` whenever what may be sent to it changes.
    pub(crate) fn watch(&self, watcher: &Weak<dyn Watch>, member: Key) {
        self.health().watch(Weak::clone(watcher), member);
        for quota in self.0.limits.all.iter().flat_map(|all| all.iter()) {
            quota.account().watch(Weak::clone(watcher), member);
        }
    }

    /// Takes [`watch`](Self::watch) back.
    pub(crate) fn unwatch(&self, watcher: &Weak<dyn Watch>, member: Key) {
        self.health().unwatch(watcher, member);
        for quota in self.0.limits.all.iter().flat_map(|all| all.iter()) {
            quota.account().unwatch(watcher, member);
        }
    }
}
