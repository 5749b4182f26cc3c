//! Random operations against brute force.

use std::sync::Arc;

use self::brute::{Has, View, forced, lack, limits, refusal, tags_match, tokens};
use super::{super::Member, *};
use crate::{
    balance::{TagMatch, slots::slots},
    deployment::Standing,
    quota::{Limit, Quota, Unit, Window},
    trail::Demand,
};

mod brute;

const OPERATIONS: usize = 300_000;
const SECOND: Duration = Duration::from_secs(1);

/// The pool beside what is known of it from outside: who is a member, and which leases are out.
struct Bench {
    pool: Pool,
    tag_match: TagMatch,
    rng: Rng,
    now: Instant,
    /// Live members.
    live: Vec<Key>,
    draining: Vec<Key>,
    leases: Vec<(u64, Picked)>,
    next_lease: u64,
    shared: Quota,
    /// What counts where, beside what it is held by: the name of a quota, or the id of a deployment with its own.
    taken: Vec<Taken>,
    /// Every deployment there ever was, and how often it was picked.
    all: Vec<(Deployment, u64)>,
}

struct Taken {
    /// The lease, while it lasts.
    lease: Option<u64>,
    from: Arc<str>,
    at: Instant,
    requests: u64,
    tokens: u64,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let max_ejected = [0.0, 0.3, 0.5, 1.0][rng.usize(0..4)];
        let mut pool = Pool::new(Rng::with_seed(seed), max_ejected);
        let tag_match = [TagMatch::Any, TagMatch::All, TagMatch::Ignore][rng.usize(0..3)];
        pool.set_tag_match(tag_match);
        pool.set_spill(rng.bool().then(|| rng.f32() * 2.0));
        let (live, draining, leases, taken, all) = Default::default();
        let shared = Quota::new("shared", [Limit::requests(rng.u64(4..40), 4 * SECOND)]);
        let (now, next_lease) = (Instant::now(), 0);
        Self { pool, tag_match, rng, now, live, draining, leases, next_lease, shared, taken, all }
    }

    fn in_flight(&self, key: Key) -> u32 {
        self.leases.iter().filter(|(_, lease)| lease.key == key).count() as u32
    }

    /// Every live member, its load counted from the leases and its slots from the weights of its order.
    fn views(&self, tried: &Tried, demand: &Demand) -> Vec<View> {
        let deployments: Vec<_> =
            self.live.iter().map(|key| self.pool.deployment(*key).expect("live")).collect();
        let view = |(key, one): (&Key, &&Deployment)| {
            let in_flight = self.in_flight(*key);
            let same = |other: &&&Deployment| other.get_order() == one.get_order();
            let weights: Vec<_> =
                deployments.iter().filter(same).map(|one| one.get_weight()).collect();
            let at = weights.iter().position(|weight| *weight == one.get_weight());
            let standing = one.health().standing(self.now).0;
            let kept = || self.pool.members[key.index as usize].health == InOrOut::KeptIn;
            View {
                key: *key,
                order: one.get_order(),
                in_flight,
                slots: slots(&weights)[at.expect("its own")],
                is_in: !matches!(standing, Standing::Out { .. }) || kept(),
                is_full: one.get_max_parallel_requests().is_some_and(|most| in_flight >= most),
                was_tried: tried.contains(one.identity()),
                lacks: if tags_match(one, &deployments, &demand.tags, self.tag_match) {
                    lack(one, demand)
                } else {
                    Some(RefusedReason::Unsupported)
                },
                has: self.room(one, tokens(demand, one)),
                standing,
            }
        };
        self.live.iter().zip(&deployments).map(view).collect()
    }

    /// What the quotas of `one` say to a request of so many tokens.
    fn room(&self, one: &Deployment, tokens: u64) -> Has {
        let mut room = Has::Room;
        for (from, limit) in limits(one) {
            let Window::Rolling(window) = limit.window() else { panic!("none is of another kind") };
            let is_requests = limit.unit() == Unit::Requests;
            let cost = if is_requests { 1 } else { tokens };
            if cost > limit.most() {
                return Has::NeverRoom;
            }
            let counting = |at: Instant| {
                let counts = self.taken.iter().filter(|one| one.from == from);
                let counts = counts.filter(|one| one.at + window > at);
                counts.map(|one| if is_requests { one.requests } else { one.tokens }).sum::<u64>()
            };
            let ends = self.taken.iter().map(|one| one.at + window).filter(|end| *end > self.now);
            let fits = |at: &Instant| counting(*at) + cost <= limit.most();
            let at = [self.now].into_iter().chain(ends).filter(fits).min().expect("in the end");
            room = match room {
                _ if at == self.now => room,
                Has::RoomAt(other) if other > at => room,
                _ => Has::RoomAt(at),
            };
        }
        room
    }

    fn pick(&mut self) {
        let mut tried = Tried::default();
        for _ in 0..self.rng.usize(0..4).saturating_sub(1) {
            if let Some(key) = self.any(&self.live.clone()) {
                tried.add(self.pool.deployment(key).expect("live"));
            }
        }
        let demand = (self.rng.u8(0..2) == 0).then(|| any_demand(&mut self.rng));
        let wish = Wish {
            now: self.now,
            tried: &tried,
            strict: self.rng.u8(0..8) == 0,
            beside: false,
            elsewhere: self.rng.u8(0..4) == 0,
            demand: demand.as_ref(),
            explain: None,
        };
        if self.pool.next_due.is_some_and(|due| due <= self.now) {
            self.pool.wake(self.now);
        }
        let asked = wish.demand.cloned().unwrap_or_default();
        let views = self.views(&tried, &asked);
        let is_in = |view: &&View| view.is_in && view.can_take();
        let mut eligible: Vec<_> =
            views.iter().filter(is_in).filter(|view| !view.was_tried).collect();
        if eligible.is_empty() && !wish.strict {
            eligible = views.iter().filter(is_in).collect();
        }
        let order = eligible.iter().map(|view| view.order).min_by_key(|o| (o.is_none(), *o));
        if self.pool.spill.is_none() {
            eligible.retain(|view| Some(view.order) == order);
        }
        let forced = if eligible.is_empty() { forced(&views, &wish) } else { Vec::new() };

        match self.pool.pick(&LeastBusy, &wish) {
            Ok(picked) => {
                let view = views.iter().find(|view| view.key == picked.key).expect("a member");
                if eligible.is_empty() {
                    assert!(forced.contains(&picked.key), "{view:?} of {views:?}");
                } else {
                    assert!(eligible.iter().any(|one| one.key == view.key), "{view:?}");
                    let level = eligible.iter().filter(|one| one.order == view.order);
                    let least = level.map(|one| one.level()).min();
                    assert_eq!(Some(view.level()), least, "not the least of {eligible:?}");
                }
                let others = || {
                    let able = |one: &&View| one.slots > 0 && !one.is_full && one.is_able();
                    let is_other = |one: &&View| one.key != view.key && one.is_in;
                    views.iter().filter(is_other).filter(able).filter(|one| !one.was_tried)
                };
                let of = self
                    .all
                    .iter_mut()
                    .find(|(one, _)| one.identity() == picked.deployment.identity());
                let of = of.expect("known");
                of.1 += 1;
                self.next_lease += 1;
                for from in limits(&picked.deployment).into_iter().map(|(from, _)| from) {
                    let is_new =
                        |one: &Taken| one.lease != Some(self.next_lease) || one.from != from;
                    if self.taken.iter().all(is_new) {
                        self.taken.push(Taken {
                            lease: Some(self.next_lease),
                            from,
                            at: self.now,
                            requests: 1,
                            tokens: tokens(&asked, &picked.deployment),
                        });
                    }
                }
                let spare = picked.spare;
                self.leases.push((self.next_lease, picked));
                // What others have left is looked at only where that matters to the pick, and this pick may have taken it.
                if spare {
                    assert!(others().next().is_some(), "{views:?}");
                } else {
                    let after = self.views(&tried, &asked);
                    let has_room = |one: &View| {
                        after.iter().any(|now| now.key == one.key && now.has == Has::Room)
                    };
                    assert!(!others().any(has_room), "{views:?}");
                }
            }
            Err(refused) => {
                assert!(eligible.is_empty() && forced.is_empty(), "refused {views:?}");
                assert_eq!(
                    (refused.reason(), refused.wait(), refused.cause()),
                    refusal(&views, self.now)
                );
            }
        }
    }

    fn give_back(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let (lease, Picked { key, deployment, hold, probe, .. }) =
            self.leases.swap_remove(self.rng.usize(0..self.leases.len()));
        let (is_sent, is_answered) = (self.rng.u8(0..4) > 0, self.rng.bool());
        if let Some(hold) = hold.as_ref().filter(|_| is_sent) {
            hold.hold().sent();
            if is_answered {
                hold.hold().answered();
            } else {
                hold.hold().failed();
            }
        }
        for one in self.taken.iter_mut().filter(|one| one.lease == Some(lease)) {
            one.lease = None;
            one.requests = u64::from(is_sent);
            one.tokens *= u64::from(is_sent && is_answered);
        }
        let _ = deployment.vacate();
        drop(hold);
        let gone = self.pool.release(key);
        let was_last = self.draining.contains(&key) && self.in_flight(key) == 0;
        assert_eq!(gone.is_some(), was_last);
        if let Some(key) = gone {
            self.draining.retain(|other| *other != key);
            self.pool.remove(key);
        }
        drop(probe);
        self.pool.changed(key, self.now);
        // As those who share a quota are told.
        for key in self.live.clone() {
            self.pool.changed(key, self.now);
        }
    }

    fn add(&mut self) {
        if self.live.len() >= 9 {
            return;
        }
        let rng = &mut self.rng;
        let mut deployment = Deployment::new(format!("d{}", self.all.len()))
            .weight(rng.u32(0..6))
            .max_parallel_requests(if rng.bool() { rng.u32(1..8) } else { 0 });
        if rng.u8(0..3) > 0 {
            deployment = deployment.order(rng.i32(-1..2));
        }
        if rng.u8(0..3) == 0 {
            deployment = deployment.max_input_tokens(rng.u64(1..4));
        }
        if rng.bool() {
            deployment = deployment.region(rng.choice(REGIONS).expect("some"));
        }
        if rng.u8(0..4) == 0 {
            deployment = deployment.endpoints(["/chat"]);
        }
        if rng.u8(0..4) > 1 {
            deployment = deployment.images(rng.bool());
        }
        if rng.u8(0..4) == 0 {
            deployment = deployment.tags(TAGS.into_iter().filter(|_| rng.u8(0..3) == 0));
        }
        if rng.u8(0..3) == 0 {
            deployment = deployment.limit(Limit::requests(rng.u64(1..9), rng.u32(1..9) * SECOND));
        }
        if rng.u8(0..4) == 0 {
            deployment = deployment.limit(Limit::tokens(rng.u64(5..60), rng.u32(1..9) * SECOND));
        }
        if rng.u8(0..4) == 0 {
            deployment = deployment.quota(&self.shared);
        }
        self.all.push((deployment.clone(), 0));
        self.live.push(self.pool.add(deployment));
        self.pool.rebuild(self.now);
    }

    fn leave(&mut self) {
        let Some(key) = self.any(&self.live.clone()) else { return };
        self.live.retain(|other| *other != key);
        if self.rng.bool() {
            assert!(self.pool.remove(key).is_some());
        } else if self.pool.drain(key) {
            assert_eq!(self.in_flight(key), 0);
            self.pool.remove(key);
        } else {
            self.draining.push(key);
        }
        self.pool.rebuild(self.now);
    }

    fn reweigh(&mut self) {
        let Some(key) = self.any(&self.live.clone()) else { return };
        let weight = self.rng.u32(0..6);
        let deployment = self.pool.deployment(key).expect("live").clone().weight(weight);
        self.pool.update(key, deployment);
        self.pool.rebuild(self.now);
    }

    fn health(&mut self) {
        let Some(key) = self.any(&self.live.clone()) else { return };
        let length = Duration::from_millis(self.rng.u64(1..200));
        match self.rng.u8(0..7) {
            0 => fail(&mut self.pool, key, &HARD, FailureKind::RateLimited),
            1 | 2 => fail(&mut self.pool, key, &SOFT, FailureKind::Server),
            3 => set(&mut self.pool, key, |one| one.health().cool_for(length)),
            4 => set(&mut self.pool, key, |one| one.health().pause()),
            5 => set(&mut self.pool, key, |one| one.health().resume()),
            _ => set(&mut self.pool, key, |one| one.health().reset()),
        }
    }

    fn any(&mut self, keys: &[Key]) -> Option<Key> {
        (!keys.is_empty()).then(|| keys[self.rng.usize(0..keys.len())])
    }

    fn soft_out(&self) -> Vec<u32> {
        let soft = self.pool.live().filter(|member| member.health.is_soft_out());
        soft.map(|member| member.serial).collect()
    }

    /// What holds after every operation; `before` were out for soft reasons before it.
    fn check(&self, before: &[u32]) {
        let members = || self.pool.live().filter(|member| !member.slots.is_empty());
        let soft = || members().filter(|member| member.health.is_soft_out());
        let new = soft().filter(|member| !before.contains(&member.serial)).count();
        let allowed = ((members().count() as f32 * self.pool.max_ejected) as usize).max(1);
        let stands = members().any(Member::is_proven);
        if new > 0 && members().count() > 1 {
            assert!(soft().count() <= allowed, "more went out than may: {:?}", self.pool);
            assert!(stands, "the last went out: {:?}", self.pool);
        }
        for (index, member) in self.pool.members.iter().enumerate() {
            if member.is_live() && member.health == InOrOut::KeptIn {
                assert!(!self.pool.may_eject(index), "kept in for nothing: {:?}", self.pool);
            }
        }
        assert_eq!(self.pool.ready, self.pool.members.iter().filter(|m| m.is_in).count());
        for key in self.live.iter().chain(&self.draining) {
            let member = &self.pool.members[key.index as usize];
            assert_eq!(member.in_flight, self.in_flight(*key));
            assert_eq!(member.deployment.in_flight() as u32, member.in_flight);
        }
    }
}

/// The second is within the first.
const REGIONS: [&str; 3] = ["eu", "eu-west-1", "us"];

const TAGS: [&str; 3] = ["a", "b", "default"];

/// Each of the things a deployment may lack, asked for now and then.
fn any_demand(rng: &mut Rng) -> Demand {
    let mut one_in = |count: u8| rng.u8(0..count) == 0;
    let mut demand = Demand { images: one_in(6), ..Demand::default() };
    if one_in(4) {
        demand.endpoint = Some(if one_in(2) { "/chat" } else { "/embeddings" }.into());
    }
    if one_in(6) {
        demand.region = rng.choice(REGIONS).map(Into::into);
    }
    demand.input_tokens = rng.bool().then(|| rng.u64(0..5));
    demand.output_tokens = (rng.u8(0..8) > 0).then(|| rng.u64(0..20));
    if rng.u8(0..3) == 0 {
        let asked = ["a", "b", "default", "unknown", "&a", "&b", "!a", "!default", "!"];
        demand.tags = rng.choose_multiple(asked, 2).into_iter().map(Into::into).collect();
    }
    demand
}

#[tokio::test(start_paused = true)]
async fn brute_force_agrees_with_every_pick_and_refusal() {
    let mut picks = 0;
    for seed in 0..50 {
        let mut bench = Bench::new(seed);
        for _ in 0..bench.rng.usize(1..6) {
            bench.add();
        }
        for _ in 0..OPERATIONS / 50 {
            let before = bench.soft_out();
            match bench.rng.u8(0..100) {
                0..48 => bench.pick(),
                48..88 => bench.give_back(),
                88 => bench.add(),
                89 => bench.leave(),
                90 => bench.reweigh(),
                91..95 => bench.health(),
                _ => {
                    advance(Duration::from_millis(bench.rng.u64(0..3000))).await;
                    bench.now = Instant::now();
                    // Longer ago than any window.
                    bench.taken.retain(|one| one.at + 10 * SECOND > bench.now);
                }
            }
            bench.check(&before);
        }
        while !bench.leases.is_empty() {
            bench.give_back();
        }
        advance(10 * SECOND).await;
        assert!(bench.all.iter().all(|(one, _)| one.headroom() >= 1.0));
        assert!(bench.pool.members.iter().all(|member| member.in_flight == 0));
        assert!(bench.draining.is_empty());
        for (deployment, count) in &bench.all {
            assert_eq!((deployment.in_flight(), deployment.picked()), (0, *count));
            picks += count;
        }
    }
    assert!(picks > 50_000, "only {picks} requests were picked");
}
