//! Deployments that have had what they may have are passed over.

use super::*;
use crate::{
    quota::{Limit, Quota},
    trail::Demand,
};

const NANO: Duration = Duration::from_nanos(1);

fn tokens(input: u64) -> Demand {
    Demand { input_tokens: Some(input), output_tokens: Some(10), ..Demand::default() }
}

fn ask(pool: &mut Pool, strategy: &impl Strategy, demand: &Demand) -> Result<Picked, Refused> {
    let (now, tried) = (Instant::now(), Tried::default());
    let demand = Some(demand);
    pool.pick(
        strategy,
        &Wish {
            now,
            tried: &tried,
            strict: false,
            beside: false,
            elsewhere: false,
            demand,
            explain: None,
        },
    )
}

/// Picks for which a provider answers, so that they count for good.
fn answered(picked: Result<Picked, Refused>) -> Result<Picked, Refused> {
    if let Some(hold) = picked.as_ref().ok().and_then(|picked| picked.hold.as_ref()) {
        hold.hold().sent();
        hold.hold().answered();
    }
    picked
}

/// The id of the next pick that is answered, or why there is none.
fn next_for(pool: &mut Pool, demand: &Demand) -> Result<String, Refused> {
    answered(ask(pool, &LeastBusy, demand)).map(|picked| give_back(pool, picked))
}

#[tokio::test(start_paused = true)]
async fn as_many_pass_as_may_and_the_next_one_exactly_when_it_may() {
    let (mut pool, _) = pool([Deployment::new("a").rpm(5)]);
    let second = Duration::from_secs(1);
    for _ in 0..5 {
        assert!(next_for(&mut pool, &tokens(1)).is_ok());
        advance(second).await;
    }
    let refused = next_for(&mut pool, &tokens(1)).unwrap_err();
    let wait = 55 * second;
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Limited, Some(wait)));
    assert_eq!(refused.limit(), Some(Limit::rpm(5)));
    let told = "every deployment has had all it may have in a time: 5 requests in 60 s, try again in 55.0 s";
    assert_eq!(refused.to_string(), told);
    advance(wait.saturating_sub(NANO)).await;
    let refused = next_for(&mut pool, &tokens(1)).unwrap_err();
    assert_eq!(refused.wait(), Some(NANO));
    advance(NANO).await;
    assert!(next_for(&mut pool, &tokens(1)).is_ok());
    assert_eq!(next_for(&mut pool, &tokens(1)).unwrap_err().wait(), Some(second));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_spent_is_out_until_it_has_something_again() {
    let (mut pool, _) = pool([Deployment::new("a").rpm(1).order(1), Deployment::new("b")]);
    assert_eq!(next_for(&mut pool, &tokens(1)).as_deref(), Ok("a"));
    assert_eq!(pool.ready, 1, "nobody needs to ask it");
    assert_eq!(next_for(&mut pool, &tokens(1)).as_deref(), Ok("b"));
    advance(MINUTE).await;
    assert_eq!(next_for(&mut pool, &tokens(1)).as_deref(), Ok("a"));
}

#[tokio::test(start_paused = true)]
async fn a_request_too_large_for_what_is_left_goes_elsewhere_and_smaller_ones_still_come() {
    let (mut pool, _) = pool([Deployment::new("a").order(1).tpm(100), Deployment::new("b")]);
    assert_eq!(next_for(&mut pool, &tokens(50)).as_deref(), Ok("a"));
    let large = ask(&mut pool, &LeastBusy, &tokens(31)).expect("the other takes it");
    assert_eq!((large.deployment.id(), large.spare), ("b", false));
    assert_eq!(next_for(&mut pool, &tokens(30)).as_deref(), Ok("a"));
    assert_eq!(next_for(&mut pool, &tokens(1)).as_deref(), Ok("b"));
    give_back(&mut pool, large);
}

#[tokio::test(start_paused = true)]
async fn every_strategy_keeps_to_it() {
    fn check(strategy: &impl Strategy) {
        let (mut pool, _) = pool([
            Deployment::new("a").tpm(100),
            Deployment::new("b").itpm(300).rpm(2),
            Deployment::new("c").otpm(20),
        ]);
        let mut ids = Vec::new();
        let refused = loop {
            match answered(ask(&mut pool, strategy, &tokens(90))) {
                Ok(picked) => ids.push(give_back(&mut pool, picked)),
                Err(refused) => break refused,
            }
        };
        ids.sort();
        assert_eq!(
            (ids.join(" ").as_str(), refused.reason()),
            ("a b b c c", RefusedReason::Limited)
        );
    }
    check(&LeastBusy);
    check(&WeightedShuffle);
    check(&RoundRobin);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_deployment_may_ever_take_is_told_so() {
    let (mut pool, _) = pool([Deployment::new("a").tpm(100), Deployment::new("b").tpm(50)]);
    let refused = ask(&mut pool, &LeastBusy, &tokens(91)).unwrap_err();
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::TooLarge, None));
    assert_eq!(refused.lack().and_then(|lack| lack.limit), Some((Limit::tpm(100), 101)));
    assert_eq!(
        refused.to_string(),
        "the request takes more than any deployment may ever have: about 101 tokens, 100 tokens in 60 s at most"
    );
    // One it fits is spent now; that passes.
    assert!(next_for(&mut pool, &tokens(90)).is_ok());
    let refused = ask(&mut pool, &LeastBusy, &tokens(90)).unwrap_err();
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Limited, Some(MINUTE)));
}

#[tokio::test(start_paused = true)]
async fn the_last_resort_breaks_no_limit() {
    let (mut pool, keys) = pool([Deployment::new("a").rpm(1)]);
    fail(&mut pool, keys[0], &SOFT, FailureKind::Server);
    assert_eq!(next_for(&mut pool, &tokens(1)).as_deref(), Ok("a"), "asked although it cools");
    let refused = next_for(&mut pool, &tokens(1)).unwrap_err();
    assert!(refused.wait() >= Some(MINUTE), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_until_the_first_can_whatever_keeps_them() {
    let second = Duration::from_secs(1);
    let limited = Deployment::new("limited").limit(Limit::requests(1, 30 * second));
    let both = Deployment::new("both").limit(Limit::requests(1, 10 * second));
    let (mut pool, keys) = pool([limited, Deployment::new("cooling"), both]);
    set(&mut pool, keys[1], |one| one.health().pause());
    assert!((0..2).all(|_| next_for(&mut pool, &tokens(1)).is_ok()));
    let refusal = |pool: &mut Pool| {
        let refused = pick_elsewhere(pool).unwrap_err();
        (refused.reason(), refused.wait().map(|wait| wait.as_secs()))
    };
    assert_eq!(refusal(&mut pool), (RefusedReason::Limited, Some(10)));
    fail(&mut pool, keys[2], &HARD, FailureKind::RateLimited);
    assert_eq!(refusal(&mut pool), (RefusedReason::Limited, Some(30)));
    set(&mut pool, keys[1], |one| {
        one.health().resume();
        one.health().cool_for(20 * second);
    });
    assert_eq!(refusal(&mut pool), (RefusedReason::Cooling, Some(20)));
}

#[tokio::test(start_paused = true)]
async fn a_full_one_may_be_free_at_any_moment() {
    let (mut pool, _) =
        pool([Deployment::new("a").max_parallel_requests(1), Deployment::new("b").rpm(1)]);
    let held: Vec<_> = (0..2).map(|_| ask(&mut pool, &LeastBusy, &tokens(1)).unwrap()).collect();
    let refused = ask(&mut pool, &LeastBusy, &tokens(1)).unwrap_err();
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Full, None));
    give_all_back(&mut pool, held);
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_requests_at_a_time_is_full_and_not_limited() {
    let quota = Quota::new("key", [Limit::parallel(2)]);
    let (mut pool, keys) = pool(["a", "b"].map(|id| Deployment::new(id).quota(&quota)));
    let held: Vec<_> = (0..2).map(|_| ask(&mut pool, &LeastBusy, &tokens(1)).unwrap()).collect();
    let refused = ask(&mut pool, &LeastBusy, &tokens(1)).unwrap_err();
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Full, None));
    give_all_back(&mut pool, held);
    for key in keys {
        pool.changed(key, Instant::now());
    }
    assert!(next_for(&mut pool, &tokens(1)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn limits_that_change_apply_to_what_counts_already() {
    let (mut pool, keys) = pool([Deployment::new("a").rpm(5)]);
    assert!((0..3).all(|_| next_for(&mut pool, &tokens(1)).is_ok()));
    let limit = |pool: &mut Pool, most| {
        let before = pool.deployment(keys[0]).expect("it is there").clone();
        pool.update(keys[0], Deployment::new("a").rpm(most).with_vitals_of(&before));
        pool.rebuild(Instant::now());
    };
    limit(&mut pool, 3);
    assert!(next_for(&mut pool, &tokens(1)).is_err());
    limit(&mut pool, 4);
    assert!(next_for(&mut pool, &tokens(1)).is_ok());
    assert!(next_for(&mut pool, &tokens(1)).is_err());
    limit(&mut pool, 0);
    assert!((0..9).all(|_| next_for(&mut pool, &tokens(1)).is_ok()));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_estimated_is_expected_to_be_as_before() {
    let deployment = Deployment::new("a").tpm(1000);
    let expected = |demand: Option<&Demand>| {
        let expected = deployment.expected(demand);
        (expected.input, expected.output)
    };
    assert_eq!(expected(None), (1, 256));
    assert_eq!(expected(Some(&tokens(7))), (7, 10));
    let mut demand = tokens(7);
    demand.output_tokens = None;
    for (input, output) in [(100, 20), (300, 40)] {
        deployment.used(&crate::deployment::Usage { input, output, ..Default::default() }, None);
    }
    assert_eq!((expected(Some(&demand)), expected(None)), ((7, 30), (200, 30)));
}
