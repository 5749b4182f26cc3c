#![allow(clippy::cast_precision_loss, reason = "the numbers of a test are small")]

use std::{collections::HashMap, sync::Arc};

use fastrand::Rng;
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    balance::{
        LeastBusy,
        pool::{Picked, Pool, Wish},
    },
    deployment::{Deployment, Key},
    trail::{Demand, Tried},
};

/// A pool whose picks go by an [`Affinity`].
struct Fleet {
    pool: Pool,
    strategy: Affinity<LeastBusy>,
    keys: HashMap<String, Key>,
}

impl Fleet {
    fn new(members: impl IntoIterator<Item = Deployment>) -> Self {
        Self::by(Affinity::new(LeastBusy), members)
    }

    fn by(strategy: Affinity<LeastBusy>, members: impl IntoIterator<Item = Deployment>) -> Self {
        let mut pool = Pool::new(Rng::with_seed(7), 0.5);
        let members = members.into_iter();
        let keys = members.map(|one| (one.id().to_owned(), pool.add(one))).collect();
        pool.rebuild(Instant::now());
        Self { pool, strategy, keys }
    }

    fn pick_past(&mut self, demand: &Demand, tried: &[&Deployment]) -> Picked {
        self.pick_so(demand, tried, false)
    }

    fn pick_so(&mut self, demand: &Demand, tried: &[&Deployment], strict: bool) -> Picked {
        let mut past = Tried::default();
        for one in tried {
            past.add(one);
        }
        let (now, demand) = (Instant::now(), Some(demand));
        let wish = Wish {
            now,
            tried: &past,
            strict,
            beside: false,
            elsewhere: false,
            demand,
            explain: None,
        };
        self.pool.pick(&self.strategy, &wish).unwrap()
    }

    fn pick(&mut self, demand: &Demand) -> Picked {
        self.pick_past(demand, &[])
    }

    /// Where a request goes that is over at once.
    fn goes(&mut self, demand: &Demand) -> String {
        let picked = self.pick(demand);
        self.pool.release(picked.key);
        picked.deployment.id().to_owned()
    }

    fn set_aside(&mut self, deployment: &Deployment, aside: bool) {
        if aside {
            deployment.health().pause();
        } else {
            deployment.health().resume();
        }
        self.pool.changed(self.keys[deployment.id()], Instant::now());
    }
}

fn session(key: impl AsRef<str>) -> Demand {
    Demand { affinity: Some(key.as_ref().into()), ..Demand::default() }
}

fn guess(key: impl AsRef<str>) -> Demand {
    Demand { affinity_is_guess: true, ..session(key) }
}

fn continuing(id: &str) -> Demand {
    Demand { continues: Some(id.into()), ..Demand::default() }
}

fn named<const N: usize>(ids: [&str; N]) -> [Deployment; N] {
    ids.map(|id| Deployment::new(id.to_owned()))
}

/// The deployments called `0`, `1` …, of these weights.
fn weighted(weights: &[u32]) -> Vec<Deployment> {
    let name = |(index, weight): (usize, &u32)| Deployment::new(index.to_string()).weight(*weight);
    weights.iter().enumerate().map(name).collect()
}

/// Where so many keys belong among these members.
fn homes(members: &[Deployment], keys: u32) -> Vec<String> {
    let mut fleet = Fleet::new(members.iter().cloned());
    (0..keys).map(|key| fleet.goes(&session(key.to_string()))).collect()
}

#[tokio::test(start_paused = true)]
async fn keys_are_shared_out_by_weight() {
    let homes = homes(&weighted(&[1, 2, 5]), 16_000);
    let count = |id: &str| homes.iter().filter(|home| *home == id).count();
    for (id, share) in [("0", 2000), ("1", 4000), ("2", 10_000)] {
        // Three standard deviations are less than 200.
        assert!(count(id).abs_diff(share) < 200, "{id}: {}", count(id));
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_know_the_same_ids_agree_whatever_else_they_know() {
    let here = homes(&named(["a", "b", "c"]), 300);
    assert_eq!(here, homes(&named(["c", "a", "b"]), 300));
    let strategy = Affinity::new(LeastBusy).seed(1);
    let mut other = Fleet::by(strategy, named(["a", "b", "c"]));
    let other: Vec<_> = (0..300).map(|key| other.goes(&session(key.to_string()))).collect();
    assert_ne!(here, other);
    // These are fixed: versions must agree too.
    assert_eq!(here[..8].concat(), "bacaabba");
}

proptest! {
    #[test]
    fn one_that_goes_gives_its_keys_away_and_no_other_key_moves(
        weights in prop::collection::vec(1..10_u32, 2..8),
        gone in any::<prop::sample::Index>(),
    ) {
        let members = weighted(&weights);
        let mut left = members.clone();
        let gone = left.remove(gone.index(members.len()));
        let (before, after) = (homes(&members, 400), homes(&left, 400));
        for (before, after) in before.iter().zip(&after) {
            prop_assert_eq!(before != after, *before == gone.id());
        }
    }

    #[test]
    fn no_pick_goes_beyond_the_bound(
        weights in prop::collection::vec(1..5_u32, 1..6),
        bound in 1.0..3.0_f64,
        steps in prop::collection::vec((0..4_u8, any::<prop::sample::Index>()), 1..200),
    ) {
        let strategy = Affinity::new(LeastBusy).bound(bound);
        let mut fleet = Fleet::by(strategy, weighted(&weights));
        let weights = f64::from(weights.iter().sum::<u32>());
        let mut held: Vec<Picked> = Vec::new();
        for (key, ended) in steps {
            if key == 0 && !held.is_empty() {
                let ended = held.swap_remove(ended.index(held.len()));
                fleet.pool.release(ended.key);
                continue;
            }
            held.push(fleet.pick(&session(key.to_string())));
            let Some(Picked { deployment: latest, .. }) = held.last() else { continue };
            let on_it = held.iter().filter(|one| one.deployment.id() == latest.id()).count();
            let share = held.len() as f64 * f64::from(latest.get_weight()) / weights;
            prop_assert!(on_it as f64 <= bound * share + 2.0 + 1e-9, "{} of {}", on_it, held.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_where_it_went_though_a_better_place_comes() {
    let mut fleet = Fleet::new(named(["a"]));
    let keys: Vec<_> = (0..50).map(|key| session(key.to_string())).collect();
    assert!(keys.iter().all(|key| fleet.goes(key) == "a"));
    fleet.pool.add(Deployment::new("b"));
    fleet.pool.rebuild(Instant::now());
    assert!(keys.iter().all(|key| fleet.goes(key) == "a"));
    advance(Duration::from_secs(3600)).await;
    assert!(keys.iter().any(|key| fleet.goes(key) == "b"), "the time is over");
}

#[tokio::test(start_paused = true)]
async fn a_busy_place_lends_its_keys_and_gets_them_back() {
    let mut fleet = Fleet::new(named(["a", "b", "c"]));
    let home = fleet.goes(&session("s"));
    let held: Vec<_> = (0..9).map(|_| fleet.pick(&session("s"))).collect();
    let on_it = held.iter().filter(|one| one.deployment.id() == home).count();
    // Of 9 requests 1.25 times a third, and 2.
    assert_eq!(on_it, 5);
    for one in &held {
        fleet.pool.release(one.key);
    }
    assert_eq!(fleet.goes(&session("s")), home);

    let all = Affinity::new(LeastBusy).bound(f64::INFINITY);
    let mut fleet = Fleet::by(all, named(["a", "b", "c"]));
    assert!((0..9).all(|_| fleet.pick(&session("s")).deployment.id() == home));
}

#[tokio::test(start_paused = true)]
async fn a_full_place_keeps_its_keys() {
    let members = named(["a", "b"]).map(|one| one.max_parallel_requests(1));
    let mut fleet = Fleet::new(members);
    let first = fleet.pick(&session("s"));
    let second = fleet.pick(&session("s"));
    assert_ne!(first.deployment.id(), second.deployment.id());
    let _ = first.deployment.vacate();
    fleet.pool.release(first.key);
    assert_eq!(fleet.goes(&session("s")), first.deployment.id());
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_place_failed_stays_where_it_moved_unless_told_otherwise() {
    for repins in [true, false] {
        let strategy = Affinity::new(LeastBusy).repin_on_failure(repins);
        let members = named(["a", "b", "c"]);
        let mut fleet = Fleet::by(strategy, members.clone());
        let home = fleet.goes(&session("s"));
        let failed = members.iter().find(|one| one.id() == home).unwrap();
        fleet.set_aside(failed, true);
        let elsewhere = fleet.goes(&session("s"));
        assert_ne!(elsewhere, home);
        assert_eq!(fleet.goes(&session("s")), elsewhere);
        fleet.set_aside(failed, false);
        assert_eq!(fleet.goes(&session("s")), if repins { elsewhere } else { home });
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_elsewhere_and_takes_the_key_along() {
    let members = named(["a", "b", "c"]);
    let mut fleet = Fleet::new(members);
    let first = fleet.pick(&session("s")).deployment;
    let second = fleet.pick_past(&session("s"), &[&first]).deployment;
    assert_ne!(first.id(), second.id());
    assert_eq!(fleet.goes(&session("s")), second.id());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_ready_at_once_keeps_its_keys() {
    let mut fleet = Fleet::new(named(["a", "b", "c"]));
    let first = fleet.pick(&session("s")).deployment;
    let beside = fleet.pick_so(&session("s"), &[&first], true).deployment;
    assert_ne!(first.id(), beside.id());
    assert_eq!(fleet.goes(&session("s")), first.id());
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_back_to_a_lower_order_as_any_request_does() {
    let [a, b] = named(["a", "b"]);
    let mut fleet = Fleet::new([a.clone().order(1), b.order(2)]);
    fleet.set_aside(&a, true);
    assert_eq!(fleet.goes(&session("s")), "b");
    fleet.set_aside(&a, false);
    assert_eq!([fleet.goes(&session("s")), fleet.goes(&session("s"))], ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_from_an_answer_goes_to_who_gave_it_however_busy_that_is() {
    let [a, b] = named(["a", "b"]);
    // Of a later order too.
    let mut fleet = Fleet::new([a, b.clone().order(1)]);
    for id in ["a", "b"] {
        let answer = format!("resp_{id}");
        fleet.strategy.pins().answer(&answer, &Deployment::new(id));
        let both = Demand { affinity: Some("s".into()), ..continuing(&answer) };
        for _ in 0..20 {
            assert_eq!(fleet.pick(&continuing(&answer)).deployment.id(), id);
            assert_eq!(fleet.pick(&both).deployment.id(), id);
        }
    }
    fleet.set_aside(&b, true);
    assert_eq!(fleet.goes(&continuing("resp_b")), "a");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_knows_leaves_the_request_to_its_key() {
    let mut fleet = Fleet::new(named(["a", "b", "c"]));
    let home = fleet.goes(&session("s"));
    let unknown = Demand { affinity: Some("s".into()), ..continuing("resp_x") };
    assert!((0..20).all(|_| fleet.goes(&unknown) == home));
}

#[tokio::test(start_paused = true)]
async fn without_a_key_the_strategy_inside_picks() {
    let mut fleet = Fleet::new(named(["a", "b", "c"]));
    let picked: Vec<_> = (0..30).map(|_| fleet.pick(&Demand::default())).collect();
    for id in ["a", "b", "c"] {
        assert_eq!(picked.iter().filter(|one| one.deployment.id() == id).count(), 10);
    }
    assert!(fleet.strategy.pins().is_empty());
}

#[tokio::test(start_paused = true)]
async fn guesses_are_followed_where_the_cache_makes_use_of_them_or_is_not_known() {
    let members = named(["a", "b", "c"]);
    let mut fleet = Fleet::new(members.clone());
    let stays = |fleet: &mut Fleet, demand: Demand| {
        let homes: Vec<String> = (0..20).map(|_| fleet.goes(&demand)).collect();
        homes.iter().all(|home| *home == homes[0])
    };
    assert!(stays(&mut fleet, guess("p")));
    let answers = |share: f32| {
        for one in &members {
            (0..200).for_each(|_| one.cached(share));
        }
    };
    answers(0.0);
    assert!(!stays(&mut fleet, guess("p")));
    assert!(stays(&mut fleet, session("s")), "a session is no guess");
    answers(0.5);
    assert!(stays(&mut fleet, guess("p")));
}

#[tokio::test(start_paused = true)]
async fn groups_that_share_a_strategy_share_no_keys() {
    let strategy = Arc::new(Affinity::new(LeastBusy));
    let mut groups = [["a", "b", "c"], ["d", "e", "f"]].map(|ids| {
        let mut fleet = Fleet::new(named(ids));
        fleet.strategy = Affinity::clone(&strategy);
        fleet
    });
    groups[1].pool = std::mem::replace(&mut groups[1].pool, Pool::new(Rng::new(), 0.5)).of_group(1);
    // Away from home, so that only the pin holds it.
    let [first, second] = &mut groups;
    let home = first.pick(&session("s")).deployment;
    let moved = first.pick_past(&session("s"), &[&home]).deployment;
    second.goes(&session("s"));
    assert_eq!(first.goes(&session("s")), moved.id());
}
