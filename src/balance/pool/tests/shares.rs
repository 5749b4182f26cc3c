//! How evenly, and how exactly by weight, the strategies spread.

use std::collections::{BTreeMap, VecDeque};

use super::*;

fn counts(mut pick: impl FnMut() -> String, picks: u32) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    (0..picks).for_each(|_| *counts.entry(pick()).or_default() += 1);
    counts
}

fn chi_square(counts: &BTreeMap<String, u32>) -> f64 {
    let want = f64::from(counts.values().sum::<u32>()) / counts.len() as f64;
    counts.values().map(|count| (f64::from(*count) - want).powi(2) / want).sum()
}

/// The 99.9 % limits of chi-square for 9, 8 and 7 degrees of freedom: all of ten, one fewer, two fewer.
const LIMITS: [f64; 3] = [27.88, 26.12, 24.32];

#[tokio::test(start_paused = true)]
async fn ties_are_uniform_while_all_are_up_or_one_is_cooling_or_two_were_tried() {
    fn check(strategy: &impl Strategy, missing: usize) {
        let (mut pool, keys) = pool(weighted(&[1; 10]));
        let mut tried = Tried::default();
        match missing {
            1 => set(&mut pool, keys[3], |one| one.health().cool_for(MINUTE)),
            2 => [2, 6].iter().for_each(|index: &usize| {
                tried.add(&pool.members[*index].deployment);
            }),
            _ => {}
        }
        let mut next = || {
            let picked = pick_past(&mut pool, strategy, &tried).expect("one can be picked");
            give_back(&mut pool, picked)
        };
        let counts = counts(&mut next, 90_000);
        assert_eq!(counts.len(), 10 - missing);
        let square = chi_square(&counts);
        assert!(square < LIMITS[missing], "{square} with {missing} missing: {counts:?}");
    }
    for missing in 0..3 {
        check(&LeastBusy, missing);
        check(&WeightedShuffle, missing);
    }
}

/// The shares of `picks` when `held` requests are in flight all the time, the oldest given back first.
fn shares(strategy: &impl Strategy, weights: &[u32], held: usize) -> Vec<f64> {
    const PICKS: u32 = 60_000;
    let (mut pool, keys) = pool(weighted(weights));
    let (mut running, mut hits) = (VecDeque::new(), vec![0; keys.len()]);
    for _ in 0..PICKS {
        if running.len() == held {
            running.pop_front().map(|oldest| give_back(&mut pool, oldest));
        }
        let picked = pick_past(&mut pool, strategy, &Tried::default()).expect("one can");
        hits[keys.iter().position(|key| *key == picked.key).expect("known")] += 1;
        running.push_back(picked);
    }
    give_all_back(&mut pool, running);
    assert!(pool.members.iter().all(|m| m.in_flight == 0 && m.deployment.in_flight() == 0));
    hits.into_iter().map(|hits: u32| f64::from(hits) / f64::from(PICKS)).collect()
}

#[tokio::test(start_paused = true)]
async fn weighted_shares_hold_at_any_number_in_flight() {
    for held in [1, 2, 3, 5, 7, 20, 70] {
        for (got, weight) in shares(&LeastBusy, &[1, 2, 4], held).into_iter().zip([1.0, 2.0, 4.0]) {
            let want = weight / 7.0;
            assert!((got - want).abs() < 0.01, "{held} in flight: {got} of weight {weight}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shuffle_holds_its_shares_however_much_is_in_flight() {
    for held in [1, 20] {
        for (got, weight) in
            shares(&WeightedShuffle, &[1, 2, 4], held).into_iter().zip([1.0, 2.0, 4.0])
        {
            assert!((got - weight / 7.0).abs() < 0.01, "{got} of weight {weight}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_instant_of_a_weighted_group_is_never_two_requests_off_its_share() {
    let (mut pool, _) = pool(weighted(&[1, 2, 4]));
    let mut rng = Rng::with_seed(3);
    let mut running = Vec::new();
    for _ in 0..70 {
        running.push(pick(&mut pool).expect("one can be picked"));
    }
    for _ in 0..20_000 {
        for (member, weight) in pool.members.iter().zip([1.0, 2.0, 4.0]) {
            let off = f64::from(member.in_flight) - 70.0 * weight / 7.0;
            assert!(off.abs() < 2.0, "{off} requests off");
        }
        let one = running.swap_remove(rng.usize(0..running.len()));
        give_back(&mut pool, one);
        running.push(pick(&mut pool).expect("one can be picked"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_robin_is_smooth() {
    let (mut pool, keys) = pool(weighted(&[5, 1, 1]));
    let turns = |pool: &mut Pool, count: usize| -> String {
        let turn = |pool: &mut Pool| {
            let picked = pick_past(pool, &RoundRobin, &Tried::default()).expect("one can");
            give_back(pool, picked)
        };
        (0..count).map(|_| turn(pool)).collect()
    };
    assert_eq!(turns(&mut pool, 14), "aabacaaaabacaa");
    set(&mut pool, keys[0], |one| one.health().pause());
    assert_eq!(turns(&mut pool, 4), "bcbc");
}

#[tokio::test(start_paused = true)]
async fn a_thousandth_is_a_thousandth() {
    fn check(strategy: &impl Strategy) {
        let (mut pool, _) = pool(weighted(&[1000, 1]));
        let mut next = || {
            let picked = pick_past(&mut pool, strategy, &Tried::default()).expect("one can");
            give_back(&mut pool, picked)
        };
        let counts = counts(&mut next, 100_000);
        // Four times the deviation of what is drawn a hundred times on average.
        assert!(counts["b"].abs_diff(100) <= 40, "{counts:?}");
    }
    check(&WeightedShuffle);
    check(&LeastBusy);
    check(&RoundRobin);
}
