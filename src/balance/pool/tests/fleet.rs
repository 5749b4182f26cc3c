//! The fleet rules, refusals, probes and ramps.

use super::*;

use FailureKind::{RateLimited, Server};

#[tokio::test(start_paused = true)]
async fn at_most_the_share_is_out_for_soft_reasons() {
    let (mut pool, keys) = pool(weighted(&[1; 6]));
    for key in &keys {
        fail(&mut pool, *key, &SOFT, Server);
    }
    assert_eq!(out(&pool), ["a", "b", "c"]);
    let mut seen: Vec<_> = (0..60).map(|_| next(&mut pool)).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["d", "e", "f"], "those kept in still take requests");
}

#[tokio::test(start_paused = true)]
async fn hard_reasons_know_no_share() {
    let (mut pool, keys) = pool(weighted(&[1; 4]));
    for key in &keys {
        fail(&mut pool, *key, &HARD, RateLimited);
    }
    assert_eq!(out(&pool), ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn one_may_always_go_out_and_the_last_of_several_never() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    pool.max_ejected = 0.0;
    fail(&mut pool, keys[0], &SOFT, Server);
    assert_eq!(out(&pool), ["a"]);
    pool.max_ejected = 1.0;
    fail(&mut pool, keys[1], &SOFT, Server);
    assert_eq!(out(&pool), ["a"]);
    assert_eq!(next(&mut pool), "b");
}

#[tokio::test(start_paused = true)]
async fn one_kept_in_goes_out_when_another_comes_back() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    fail(&mut pool, keys[0], &SOFT, Server);
    fail(&mut pool, keys[1], &SOFT, Server);
    set(&mut pool, keys[0], |one| one.health().reset());
    assert_eq!(out(&pool), ["b"]);
    assert_eq!(next(&mut pool), "a");
}

#[tokio::test(start_paused = true)]
async fn one_kept_in_goes_out_when_another_that_was_out_for_any_reason_comes_back() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    set(&mut pool, keys[0], |one| one.health().pause());
    fail(&mut pool, keys[1], &SOFT, Server);
    assert_eq!(out(&pool), ["a"], "the last stays in");
    set(&mut pool, keys[0], |one| one.health().resume());
    assert_eq!(out(&pool), ["b"]);
    assert_eq!(next(&mut pool), "a");
}

#[tokio::test(start_paused = true)]
async fn one_kept_in_stays_while_another_is_on_trial() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    fail(&mut pool, keys[0], &SOFT, Server);
    advance(MINUTE / 2).await;
    fail(&mut pool, keys[1], &SOFT, Server);
    advance(MINUTE / 2).await;
    let mut held = Vec::new();
    let trial = loop {
        let picked = pick_elsewhere(&mut pool).expect("the one kept in takes what is no trial");
        if picked.probe.is_some() {
            break picked;
        }
        held.push(picked);
    };
    assert_eq!(out(&pool), ["a"], "its place is taken");
    succeed(&mut pool, trial);
    assert_eq!(out(&pool), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn one_kept_in_goes_out_when_another_is_put_in() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    fail(&mut pool, keys[0], &SOFT, Server);
    fail(&mut pool, keys[1], &SOFT, Server);
    pool.add(Deployment::new("c"));
    pool.add(Deployment::new("d"));
    pool.rebuild(Instant::now());
    assert_eq!(out(&pool), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_lone_member_is_asked_although_it_cools_unless_there_is_an_elsewhere() {
    for (judge, kind) in [(&SOFT, Server), (&HARD, RateLimited)] {
        let (mut pool, keys) = pool(weighted(&[1]));
        fail(&mut pool, keys[0], judge, kind);
        assert_eq!(next(&mut pool), "a");
        let refused = pick_elsewhere(&mut pool).expect_err("another group can answer");
        assert_eq!(refused.reason(), RefusedReason::Cooling);
        assert_eq!(refused.cause(), Some(kind));
        assert_eq!(refused.wait(), Some(MINUTE));
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_set_aside_is_not_asked_even_alone() {
    let (mut pool, keys) = pool(weighted(&[1]));
    set(&mut pool, keys[0], |one| one.health().cool_for(MINUTE));
    let refused = pick(&mut pool).expect_err("it is cooling");
    assert_eq!((refused.reason(), refused.cause()), (RefusedReason::Cooling, None));
    set(&mut pool, keys[0], |one| one.health().pause());
    let refused = pick(&mut pool).expect_err("it is paused");
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Paused, None));
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_every_member_cools_for_soft_reasons_is_still_asked() {
    let (mut pool, keys) = pool(weighted(&[1; 4]));
    fail(&mut pool, keys[0], &SOFT, Server);
    fail(&mut pool, keys[1], &SOFT, Server);
    pool.remove(keys[2]);
    pool.remove(keys[3]);
    pool.rebuild(Instant::now());
    assert_eq!(out(&pool), ["a", "b"]);
    let held = [pick(&mut pool).expect("asked"), pick(&mut pool).expect("asked")];
    assert_ne!(held[0].key, held[1].key, "the one with fewer in flight");
    give_all_back(&mut pool, held);
    let mut tried = Tried::default();
    tried.add(pool.deployment(keys[0]).expect("it is there"));
    for _ in 0..20 {
        let picked = pick_past(&mut pool, &LeastBusy, &tried).expect("asked");
        assert_eq!(give_back(&mut pool, picked), "b", "untried first");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_exactly_when_the_first_is_back_and_what_set_it_aside() {
    let (mut pool, keys) = pool(weighted(&[1, 1, 1]));
    fail(&mut pool, keys[0], &HARD, RateLimited);
    advance(Duration::from_secs(13)).await;
    fail(&mut pool, keys[1], &HARD, FailureKind::Unauthorized);
    set(&mut pool, keys[2], |one| one.health().pause());
    advance(Duration::from_millis(500)).await;
    let refused = pick(&mut pool).expect_err("all are out");
    assert_eq!(refused.reason(), RefusedReason::Cooling);
    assert_eq!(refused.wait(), Some(Duration::from_millis(46_500)));
    assert_eq!(refused.cause(), Some(RateLimited));
    advance(Duration::from_millis(46_500)).await;
    assert_eq!(next(&mut pool), "a", "its time is up");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_empty_full_and_paused_apart() {
    let (mut empty, _) = pool([]);
    assert_eq!(pick(&mut empty).expect_err("empty").reason(), RefusedReason::Empty);

    let (mut full, keys) = pool([
        Deployment::new("a").max_parallel_requests(1),
        Deployment::new("b"),
        Deployment::new("c"),
    ]);
    fail(&mut full, keys[1], &HARD, RateLimited);
    set(&mut full, keys[2], |one| one.health().pause());
    let _held = pick(&mut full).expect("one can be picked");
    let refused = pick(&mut full).expect_err("full");
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Full, None));
}

#[tokio::test(start_paused = true)]
async fn a_member_of_weight_zero_takes_no_part() {
    let (mut pool, keys) = pool(weighted(&[1, 0]));
    for _ in 0..50 {
        assert_eq!(next(&mut pool), "a");
    }
    fail(&mut pool, keys[0], &HARD, RateLimited);
    let refused = pick_elsewhere(&mut pool).expect_err("the one that counts is out");
    assert_eq!(refused.reason(), RefusedReason::Cooling);
    assert_eq!(refused.wait(), Some(MINUTE));
    assert_eq!(next(&mut pool), "a", "alone, so it shows its real answer");
}

#[tokio::test(start_paused = true)]
async fn a_trial_is_admitted_one_at_a_time_and_brings_the_member_back() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    fail(&mut pool, keys[0], &HARD, RateLimited);
    advance(MINUTE).await;
    let held: Vec<_> = (0..20).map(|_| pick(&mut pool).expect("one can be picked")).collect();
    let trials = held.iter().filter(|picked| picked.key == keys[0]).count();
    assert_eq!(trials, 1);
    for picked in held {
        let is_trial = picked.probe.is_some();
        assert_eq!((is_trial, picked.admission.probe), (picked.key == keys[0], is_trial));
        give_back(&mut pool, picked);
    }
    // The first trial ended without a verdict, so its place is free for another.
    let (mut trial, mut held) = (None, Vec::new());
    while trial.is_none() {
        let picked = pick(&mut pool).expect("one can be picked");
        if picked.probe.is_some() { trial = Some(picked) } else { held.push(picked) }
    }
    succeed(&mut pool, trial.expect("a trial"));
    let status = pool.members[0].deployment.health().status();
    assert!(matches!(status, Status::Ramping { .. }), "{status:?}");
    assert_eq!(pool.ramping, 1);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_never_ends_loses_its_place() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    fail(&mut pool, keys[0], &HARD, RateLimited);
    set(&mut pool, keys[1], |one| one.health().pause());
    advance(MINUTE).await;
    let first = pick(&mut pool).expect("a trial");
    assert!(first.probe.is_some());
    let refused = pick_elsewhere(&mut pool).expect_err("its only place is taken");
    assert_eq!(
        (refused.reason(), refused.wait()),
        (RefusedReason::Cooling, None),
        "it may end at any moment"
    );
    advance(Duration::from_secs(30)).await;
    assert!(pick_elsewhere(&mut pool).expect("another trial").probe.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_ramping_member_takes_its_growing_share_and_then_the_whole() {
    const PICKS: u32 = 20_000;
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    fail(&mut pool, keys[0], &SOFT, Server);
    advance(MINUTE).await;
    while pool.ramping == 0 {
        let picked = pick(&mut pool).expect("one can be picked");
        if picked.probe.is_some() {
            succeed(&mut pool, picked);
        } else {
            give_back(&mut pool, picked);
        }
    }
    let share = |pool: &mut Pool| {
        let hits = (0..PICKS).filter(|_| next(pool) == "a").count();
        hits as f64 / f64::from(PICKS)
    };
    // It stands for the tie in that share of the picks, and wins half of those.
    for (passed, of_one) in [(0, 0.1), (3, 0.3), (2, 0.5), (3, 0.8), (2, 1.0)] {
        advance(Duration::from_secs(passed)).await;
        let (got, want) = (share(&mut pool), of_one / 2.0);
        assert!((got - want).abs() < 0.015, "{got} where {want} was due");
    }
    assert_eq!(pool.ramping, 0, "and the picks no longer roll for it");
}

#[tokio::test(start_paused = true)]
async fn a_ramping_member_that_is_alone_takes_everything() {
    let (mut pool, keys) = pool(weighted(&[1]));
    fail(&mut pool, keys[0], &SOFT, Server);
    advance(MINUTE).await;
    let trial = pick(&mut pool).expect("a trial");
    succeed(&mut pool, trial);
    assert_eq!(pool.ramping, 1);
    assert!((0..100).all(|_| next(&mut pool) == "a"));
}

#[tokio::test(start_paused = true)]
async fn a_ramping_member_that_leaves_ends_the_rolls_for_it() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    set(&mut pool, keys[1], |one| one.health().pause());
    fail(&mut pool, keys[0], &SOFT, Server);
    advance(MINUTE).await;
    let trial = pick(&mut pool).expect("a trial");
    succeed(&mut pool, trial);
    assert_eq!(pool.ramping, 1);
    pool.remove(keys[0]);
    pool.rebuild(Instant::now());
    assert_eq!(pool.ramping, 0);
}
