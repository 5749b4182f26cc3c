//! What strategies are given to choose with.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the methods alone are of one lifetime"
)]

use super::*;
use crate::balance::{Candidate, Candidates, Choice};

/// A strategy of a closure.
struct By<F>(F);

impl<F> Strategy for By<F>
where
    F: Fn(&mut Candidates<'_>) -> Option<Choice> + Send + Sync + 'static,
{
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        self.0(candidates)
    }
}

fn by<F>(choose: F) -> By<F>
where
    F: Fn(&mut Candidates<'_>) -> Option<Choice> + Send + Sync + 'static,
{
    By(choose)
}

/// How often each of ten is picked, of which the fourth is out, the second was tried, and `a` to `h` are kept.
fn spread(strategy: &impl Strategy) -> Vec<(String, u32)> {
    let (mut pool, keys) = pool(weighted(&[1; 10]));
    set(&mut pool, keys[3], |one| one.health().cool_for(MINUTE));
    let mut tried = Tried::default();
    tried.add(&pool.members[1].deployment);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..60_000 {
        let picked = pick_past(&mut pool, strategy, &tried).expect("one can be picked");
        *counts.entry(give_back(&mut pool, picked)).or_default() += 1;
    }
    counts.into_iter().collect()
}

fn is_kept(one: Candidate<'_>) -> bool {
    one.deployment().id() <= "h"
}

#[tokio::test(start_paused = true)]
async fn ties_are_uniform_among_those_that_are_kept_however_they_are_drawn() {
    fn check(strategy: &impl Strategy) {
        let counts = spread(strategy);
        let ids: Vec<_> = counts.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["a", "c", "e", "f", "g", "h"]);
        let square: f64 =
            counts.iter().map(|(_, count)| (f64::from(*count) - 10_000.0).powi(2) / 1e4).sum();
        // The 99.9 % limit for six.
        assert!(square < 20.52, "{square}: {counts:?}");
    }
    check(&by(|all| all.only(is_kept, |kept| kept.lowest(|_| 1.0))));
    check(&by(|all| all.only(is_kept, |kept| kept.lowest_then_least_busy(|_| 1.0))));
    check(&by(|all| all.only(is_kept, |kept| kept.least_busy())));
    check(&by(|all| all.only(is_kept, |kept| kept.random())));
    check(&by(|all| {
        all.only(
            |one| one.deployment().id() > "",
            |all| all.only(is_kept, |kept| kept.lowest(|_| 1.0)),
        )
    }));
}

#[tokio::test(start_paused = true)]
async fn the_lowest_score_wins_and_what_is_no_number_comes_last() {
    let (mut pool, _) = pool(weighted(&[1; 4]));
    let mut picked = |scores: [f64; 4]| {
        let score = move |one: Candidate<'_>| {
            let id = one.deployment().id().as_bytes()[0];
            scores[usize::from(id - b'a')]
        };
        let strategy = by(move |all| all.lowest(score));
        let picked = pick_past(&mut pool, &strategy, &Tried::default()).expect("one can be picked");
        give_back(&mut pool, picked)
    };
    assert_eq!(picked([2.0, 1.0, 3.0, f64::INFINITY]), "b");
    assert_eq!(picked([f64::NAN, 4.0, -f64::NAN, f64::INFINITY]), "b");
    assert_eq!(picked([0.0, 4.0, f64::NEG_INFINITY, -1.0]), "c");
}

#[tokio::test(start_paused = true)]
async fn of_equal_scores_the_less_busy_wins_and_load_never_beats_a_score() {
    let (mut pool, _) = pool(weighted(&[1, 2, 2]));
    let score = |one: Candidate<'_>| f64::from(u8::from(one.deployment().id() == "a"));
    let strategy = by(move |all| all.lowest_then_least_busy(score));
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(pick_past(&mut pool, &strategy, &Tried::default()).expect("one can be picked"));
    }
    let on = |id| held.iter().filter(|picked| picked.deployment.id() == id).count();
    assert_eq!((on("a"), on("b"), on("c")), (0, 10, 10));
    give_all_back(&mut pool, held);
}

#[tokio::test(start_paused = true)]
async fn quantiles_of_the_load_are_those_of_the_members() {
    let (mut pool, _) = pool(weighted(&[1; 5]));
    let held: Vec<_> = (0..7).map(|_| pick(&mut pool).expect("one can be picked")).collect();
    // Three have one request and two have two.
    let strategy = by(|all| {
        let quantiles =
            [0.0, 0.5, 0.6, 0.79, 0.8, 1.0, f64::NAN].map(|share| all.load_quantile(share));
        assert_eq!(quantiles, [1, 1, 1, 1, 2, 2, 1]);
        let one = all.least_busy()?;
        assert!(all.get(one).is_some_and(|one| (one.load() - 1.0).abs() < 1e-9));
        Some(one)
    });
    let picked = pick_past(&mut pool, &strategy, &Tried::default()).expect("one can be picked");
    give_back(&mut pool, picked);
    give_all_back(&mut pool, held);
}
