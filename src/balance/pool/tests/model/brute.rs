//! What a pick may choose and what a refusal says, worked out member by member from what is known from outside.

use std::sync::Arc;

use super::super::*;
use crate::{
    balance::TagMatch,
    deployment::{Refusal, Standing},
    quota::{Limit, Quota, Unit},
    trail::Demand,
};

/// What the quotas of a member say to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Has {
    Room,
    RoomAt(Instant),
    NeverRoom,
}

/// A member as brute force sees it.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) key: Key,
    pub(super) order: Option<i32>,
    pub(super) in_flight: u32,
    pub(super) slots: u32,
    pub(super) is_in: bool,
    pub(super) is_full: bool,
    pub(super) was_tried: bool,
    /// What keeps the request from it, whatever its health and load.
    pub(super) lacks: Option<RefusedReason>,
    pub(super) has: Has,
    pub(super) standing: Standing,
}

impl View {
    pub(super) fn can_take(&self) -> bool {
        self.slots > 0 && !self.is_full && self.is_able() && self.has == Has::Room
    }

    pub(super) fn is_able(&self) -> bool {
        self.lacks.is_none()
    }

    pub(super) fn level(&self) -> u32 {
        self.in_flight / self.slots
    }
}

/// Whether the tags a request asks for let it go to `one` of `group`: the table of [`TagMatch`], line by line.
pub(super) fn tags_match(
    one: &Deployment,
    group: &[&Deployment],
    asked: &[Arc<str>],
    how: TagMatch,
) -> bool {
    if how == TagMatch::Ignore {
        return true;
    }
    let has = |one: &Deployment, name: &str| one.get_tags().iter().any(|tag| &**tag == name);
    let known = |name: &str| group.iter().any(|one| has(one, name));
    let after = |mark: char| asked.iter().filter_map(move |tag| tag.strip_prefix(mark));
    let plain: Vec<_> = asked.iter().filter(|tag| !tag.starts_with(['&', '!'])).collect();
    let (must, mut not) = (after('&'), after('!').filter(|name| !name.is_empty()));
    let is_bare = must.clone().next().is_none() && plain.is_empty();
    if !must.clone().all(|name| has(one, name)) || not.any(|name| has(one, name)) {
        return false;
    }
    if group.iter().all(|one| one.get_tags().is_empty()) {
        return true;
    }
    if plain.iter().any(|name| known(name)) {
        return match how {
            TagMatch::All => plain.iter().all(|name| has(one, name)),
            _ => plain.iter().any(|name| has(one, name)),
        };
    }
    if plain.is_empty() && !(is_bare && known("default")) { true } else { has(one, "default") }
}

/// What a request that asks for `demand` is expected to take.
pub(super) fn tokens(demand: &Demand, one: &Deployment) -> u64 {
    let input = demand.input_tokens.unwrap_or(1).max(1);
    let limits = limits(one).into_iter().map(|(_, limit)| limit);
    let most = limits.filter(|limit| limit.unit() == Unit::Tokens).map(|limit| limit.most()).min();
    // No guess is more than there ever is.
    let guess = || most.map_or(256, |most| most.saturating_sub(input).clamp(1, 256));
    input + demand.output_tokens.unwrap_or_else(guess).max(1)
}

/// All that `one` is held to, and by what name that counts.
pub(super) fn limits(one: &Deployment) -> Vec<(Arc<str>, Limit)> {
    let own = one.limits().into_iter().map(|usage| (Arc::from(one.id()), usage.limit));
    let name = |quota: &Quota| Arc::from(quota.name());
    let shared = one
        .quotas()
        .iter()
        .flat_map(|quota| quota.limits().iter().map(move |limit| (name(quota), *limit)));
    own.chain(shared).collect()
}

pub(super) fn lack(one: &Deployment, demand: &Demand) -> Option<RefusedReason> {
    let has_endpoint = match (&demand.endpoint, one.get_endpoints()) {
        (Some(endpoint), Some(all)) => all.iter().any(|one| one == endpoint),
        _ => true,
    };
    let is_there = match (demand.region.as_deref(), one.get_region()) {
        (Some("eu"), Some(region)) => ["eu", "eu-west-1"].contains(&region),
        (asked, region) => asked.is_none() || region == asked,
    };
    let takes_images = !demand.images || one.get_images() != Some(false);
    if !(has_endpoint && is_there && takes_images) {
        return Some(RefusedReason::Unsupported);
    }
    let most = one.get_max_input_tokens().unwrap_or(u64::MAX);
    (demand.input_tokens.unwrap_or(0) > most).then_some(RefusedReason::ContextWindow)
}

/// Who may be asked as a last resort.
pub(super) fn forced(views: &[View], wish: &Wish<'_>) -> Vec<Key> {
    if wish.strict || wish.elsewhere {
        return Vec::new();
    }
    let serving = views.iter().filter(|view| view.slots > 0).count();
    let may = |view: &&View| match view.standing {
        Standing::Out { why: Refusal::Cooling { kind, soft }, .. } => {
            soft || serving == 1 && kind.is_some()
        }
        Standing::Out { why: Refusal::ProbesTaken, .. } => true,
        _ => false,
    };
    let asked: Vec<_> = views.iter().filter(|view| view.can_take()).filter(may).collect();
    let load = |view: &View| (view.was_tried, view.order.is_none(), view.order, view.in_flight);
    let least = asked.iter().map(|view| load(view)).min();
    asked.iter().filter(|view| Some(load(view)) == least).map(|view| view.key).collect()
}

pub(super) fn refusal(
    views: &[View],
    now: Instant,
) -> (RefusedReason, Option<Duration>, Option<FailureKind>) {
    let serving = || views.iter().filter(|view| view.slots > 0);
    if serving().next().is_none() {
        return (RefusedReason::Empty, None, None);
    }
    if !serving().any(View::is_able) {
        let too_long = Some(RefusedReason::ContextWindow);
        let shorter_would_do = serving().any(|view| view.lacks == too_long);
        let other = RefusedReason::Unsupported;
        let reason = too_long.filter(|_| shorter_would_do).unwrap_or(other);
        return (reason, None, None);
    }
    let serving = || views.iter().filter(|view| view.slots > 0 && view.is_able());
    let fitting = || serving().filter(|view| view.has != Has::NeverRoom);
    if fitting().next().is_none() {
        return (RefusedReason::TooLarge, None, None);
    }
    let with_room = || fitting().filter(|view| view.has == Has::Room);
    if with_room().any(|view| view.is_in) {
        return (RefusedReason::Full, None, None);
    }
    let on_trial =
        |view: &View| matches!(view.standing, Standing::Out { why: Refusal::ProbesTaken, .. });
    if with_room().any(on_trial) {
        return (RefusedReason::Cooling, None, None);
    }
    let until = |view: &View| {
        let room_at = if let Has::RoomAt(at) = view.has { at } else { now };
        let limited = (room_at, RefusedReason::Limited, None);
        match view.standing {
            _ if view.is_in || on_trial(view) => Some(limited),
            Standing::Out { due: Some(due), why: Refusal::Cooling { kind, .. } } => {
                Some(if room_at > due { limited } else { (due, RefusedReason::Cooling, kind) })
            }
            _ => None,
        }
    };
    let first = fitting()
        .filter_map(|view| Some((until(view)?, view.key.index)))
        .min_by_key(|((until, ..), index)| (*until, *index));
    match first {
        Some(((until, reason, kind), _)) => (reason, Some(until - now), kind),
        None => (RefusedReason::Paused, None, None),
    }
}
