#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the numbers of a test are small"
)]

use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, advance};

use super::{Key, Picked, Pool, Wish, member::InOrOut};
use crate::{
    balance::{LeastBusy, RoundRobin, Strategy, WeightedShuffle},
    deployment::{Deployment, Judge, Record, Recovery, Sentence, Status},
    error::{Refused, RefusedReason},
    outcome::{Failure, FailureKind, Outcome},
    trail::{Demand, Tried},
};

mod candidates;
mod explain;
mod fleet;
mod limits;
mod model;
mod needs;
mod shares;
mod spill;
mod tags;

const MINUTE: Duration = Duration::from_secs(60);

/// Sets aside at every failure, for a minute.
struct Strict {
    soft: bool,
}

const SOFT: Strict = Strict { soft: true };
const HARD: Strict = Strict { soft: false };

impl Judge for Strict {
    fn judge(&self, failure: &Failure, _: &Record, _: u32) -> Option<Sentence> {
        Some(Sentence { length: MINUTE, soft: self.soft, kind: failure.kind() })
    }

    fn probe_failed(&self, failure: &Failure, level: u32) -> Option<Sentence> {
        self.judge(failure, &Record::default(), level)
    }

    fn window(&self) -> Duration {
        MINUTE
    }

    fn recovery(&self) -> Recovery {
        Recovery::default()
    }
}

fn pool(members: impl IntoIterator<Item = Deployment>) -> (Pool, Vec<Key>) {
    let mut pool = Pool::new(Rng::with_seed(7), 0.5);
    let keys = members.into_iter().map(|one| pool.add(one)).collect();
    pool.rebuild(Instant::now());
    (pool, keys)
}

/// As many deployments as there are `weights`, named `a`, `b`, `c` …
fn weighted(weights: &[u32]) -> Vec<Deployment> {
    let name = |index: usize| char::from(b'a' + index as u8).to_string();
    weights.iter().enumerate().map(|(i, w)| Deployment::new(name(i)).weight(*w)).collect()
}

impl<'a> Wish<'a> {
    /// For whatever there is, now.
    pub(in crate::balance) fn past(tried: &'a Tried) -> Self {
        let now = Instant::now();
        Self {
            now,
            tried,
            strict: false,
            beside: false,
            elsewhere: false,
            demand: None,
            explain: None,
        }
    }
}

/// A pick with these tried.
fn pick_past(pool: &mut Pool, strategy: &impl Strategy, tried: &Tried) -> Result<Picked, Refused> {
    pool.pick(strategy, &Wish::past(tried))
}

/// A pick for `demand`.
fn pick_for(pool: &mut Pool, strategy: &impl Strategy, demand: &Demand) -> Result<Picked, Refused> {
    pool.pick(strategy, &Wish { demand: Some(demand), ..Wish::past(&Tried::default()) })
}

fn pick(pool: &mut Pool) -> Result<Picked, Refused> {
    pick_past(pool, &LeastBusy, &Tried::default())
}

fn pick_elsewhere(pool: &mut Pool) -> Result<Picked, Refused> {
    pool.pick(&LeastBusy, &Wish { elsewhere: true, ..Wish::past(&Tried::default()) })
}

/// The id of the next pick, which is given back at once.
fn next(pool: &mut Pool) -> String {
    let picked = pick(pool).expect("one can be picked");
    give_back(pool, picked)
}

fn give_back(pool: &mut Pool, picked: Picked) -> String {
    let Picked { key, deployment, hold, probe, .. } = picked;
    let is_awaited = deployment.vacate();
    drop(hold);
    pool.release(key);
    if probe.is_some() || is_awaited {
        drop(probe);
        pool.changed(key, Instant::now());
    }
    deployment.id().to_owned()
}

fn give_all_back(pool: &mut Pool, picks: impl IntoIterator<Item = Picked>) {
    for picked in picks {
        give_back(pool, picked);
    }
}

fn fail(pool: &mut Pool, key: Key, judge: &Strict, kind: FailureKind) {
    let now = Instant::now();
    let health = pool.deployment(key).expect("it is there").health();
    let admission = health.force(now);
    health.report(judge, admission, &Outcome::Failure(Failure::new(kind)), now);
    pool.changed(key, now);
}

fn succeed(pool: &mut Pool, picked: Picked) {
    let now = Instant::now();
    picked.deployment.health().report(&SOFT, picked.admission, &Outcome::Success, now);
    pool.changed(picked.key, now);
    give_back(pool, picked);
}

/// Changes a member's health by hand.
fn set(pool: &mut Pool, key: Key, change: impl FnOnce(&Deployment)) {
    change(pool.deployment(key).expect("it is there"));
    pool.changed(key, Instant::now());
}

/// The ids that are out of the pick by their health.
fn out(pool: &Pool) -> Vec<&str> {
    pool.live().filter(|member| member.health.is_out()).map(|m| m.deployment.id()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_full_member_is_passed_over_until_it_gives_back() {
    let (mut pool, _) = pool([Deployment::new("a").max_parallel_requests(1), Deployment::new("b")]);
    let held: Vec<_> = (0..5).map(|_| pick(&mut pool).expect("one can be picked")).collect();
    let on = |id| held.iter().filter(|picked| picked.deployment.id() == id).count();
    assert_eq!((on("a"), on("b")), (1, 4));
    give_all_back(&mut pool, held);
    assert_eq!(pool.ready, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_is_passed_over_until_nothing_else_is_left() {
    let (mut pool, _) = pool(weighted(&[1, 1, 1]));
    let mut tried = Tried::default();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let picked = pick_past(&mut pool, &LeastBusy, &tried).expect("one can be picked");
        tried.add(&picked.deployment);
        assert_eq!(picked.spare, seen.len() < 2, "{seen:?}");
        seen.push(give_back(&mut pool, picked));
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    let again = pick_past(&mut pool, &LeastBusy, &tried).expect("tried is better than none");
    assert!(!again.spare);
    let strict = Wish { strict: true, ..Wish::past(&tried) };
    assert!(pool.pick(&LeastBusy, &strict).is_err());
}

#[tokio::test(start_paused = true)]
async fn the_lowest_order_is_used_and_the_next_one_when_it_cannot() {
    let (mut pool, keys) = pool([
        Deployment::new("last"),
        Deployment::new("second").order(2),
        Deployment::new("first").order(-1).max_parallel_requests(1),
    ]);
    let held = pick(&mut pool).expect("one can be picked");
    assert_eq!(held.deployment.id(), "first");
    assert_eq!(next(&mut pool), "second");
    set(&mut pool, keys[1], |one| one.health().pause());
    assert_eq!(next(&mut pool), "last");
    give_back(&mut pool, held);
    assert_eq!(next(&mut pool), "first");
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_member_that_left_says_nothing_of_the_one_in_its_place() {
    let (mut pool, keys) = pool(weighted(&[1]));
    let old = pick(&mut pool).expect("one can be picked");
    pool.remove(keys[0]);
    let key = pool.add(Deployment::new("a"));
    pool.rebuild(Instant::now());
    assert_eq!(key.index, old.key.index);
    let new = pick(&mut pool).expect("one can be picked");
    give_back(&mut pool, old);
    assert_eq!(pool.members[0].in_flight, 1);
    give_back(&mut pool, new);
    assert_eq!(pool.members[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_drained_member_goes_with_its_last_lease() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    let held: Vec<_> = (0..4).map(|_| pick(&mut pool).expect("one can be picked")).collect();
    assert!(!pool.drain(keys[0]));
    pool.rebuild(Instant::now());
    assert_eq!(next(&mut pool), "b");
    let (mut gone, mut left) = (Vec::new(), 2);
    for picked in held {
        left -= usize::from(picked.key == keys[0]);
        let _ = picked.deployment.vacate();
        let last = pool.release(picked.key);
        assert_eq!(last.is_some(), picked.key == keys[0] && left == 0);
        gone.extend(last);
    }
    assert_eq!(gone, [keys[0]]);
    assert_eq!(pool.remove(gone[0]).map(|one| one.id().to_owned()).as_deref(), Some("a"));
    assert!(pool.drain(keys[1]), "nothing is in flight on it");
}

#[tokio::test(start_paused = true)]
async fn a_new_weight_takes_over_what_is_in_flight() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    let held: Vec<_> = (0..6).map(|_| pick(&mut pool).expect("one can be picked")).collect();
    pool.update(keys[0], pool.members[0].deployment.clone().weight(4));
    pool.rebuild(Instant::now());
    // 3 of weight 4 against 3 of weight 1: the next 9 all go to the first.
    let more: Vec<_> = (0..10).map(|_| pick(&mut pool).expect("one can be picked")).collect();
    assert!(more.iter().take(9).all(|picked| picked.key == keys[0]));
    give_all_back(&mut pool, held.into_iter().chain(more));
    assert!(pool.members.iter().all(|member| member.in_flight == 0));
}
