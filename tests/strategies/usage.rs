//! Lowest usage.

use tower_fleet::{
    balance::LowestUsage,
    error::RefusedReason,
    quota::{Limit, Quota},
};

use super::*;

fn tokens(count: u64) -> Request<Full<Bytes>> {
    asking(|demand| {
        demand.input_tokens = Some(count);
        demand.output_tokens = Some(0);
    })
}

#[tokio::test(start_paused = true)]
async fn limits_of_different_sizes_fill_up_together() {
    let (small, large) = (Deployment::new("small").rpm(10), Deployment::new("large").rpm(30));
    let pool = pool(LowestUsage, [small.clone(), large.clone()].map(|one| (one, answering(1))));
    for count in 1..=40 {
        send(&pool, get()).await;
        let apart = (small.headroom() - large.headroom()).abs();
        assert!(apart <= 0.15 + 1e-6, "a step, and a request: {apart} after {count}");
    }
    assert_eq!((small.picked(), large.picked()), (10, 30));
    let refused = pool.clone().oneshot(get()).await.unwrap_err();
    assert_eq!(refused.as_refused().unwrap().reason(), RefusedReason::Limited);
}

#[tokio::test(start_paused = true)]
async fn the_fullest_limit_counts_be_it_of_tokens_requests_or_a_shared_quota() {
    let key = Quota::new("key", [Limit::tpm(1000)]);
    let shares = Deployment::new("shares").quota(&key);
    let other = Deployment::new("other").quota(&key);
    let own = Deployment::new("own").rpm(10).tpm(1000);
    let elsewhere = Balance::new(LowestUsage, [(other, answering(1))]);
    send(&elsewhere, tokens(300)).await;
    let pool = pool(LowestUsage, [(shares.clone(), answering(1)), (own.clone(), answering(1))]);
    send(&pool, tokens(100)).await;
    assert_eq!((shares.picked(), own.picked()), (0, 1), "what others took of the key counts");
    send(&pool, tokens(280)).await;
    assert_eq!((shares.picked(), own.picked()), (0, 2));
    send(&pool, tokens(100)).await;
    assert_eq!(
        (shares.picked(), own.picked()),
        (1, 2),
        "0.38 of its tokens are gone, of the key 0.3"
    );
}

/// One whose provider says that so much is left of its requests.
fn saying(remaining: &str) -> Fake {
    let answer = Answer::status(200).data("{}");
    Fake::new([answer.header("x-ratelimit-remaining-requests", remaining).after(ms(1))])
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_says_is_left_counts_with_a_limit_or_without() {
    let limited = ["a", "b"].map(|id| Deployment::new(id).rpm(1000));
    let unlimited = ["a", "b"].map(|id| Deployment::new(id).reported_limits(true));
    for [little, much] in [limited, unlimited] {
        let headers = ["900", "20"].map(saying);
        let first = Balance::new(LowestUsage, [(little.clone(), headers[0].clone())]);
        send(&first, get()).await;
        let [more, less] = headers;
        let pool = pool(LowestUsage, [(little.clone(), less), (much.clone(), more)]);
        for _ in 0..30 {
            send(&pool, get()).await;
        }
        let picks = [little.picked() - 1, much.picked()];
        assert!(picks[0] <= 2 && picks[1] >= 28, "{picks:?}");
        assert!(little.headroom() < 0.03 && much.headroom() > 0.85, "{little:?} {much:?}");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(little.headroom() > 0.99, "the report is out of date");
    }
}

#[tokio::test(start_paused = true)]
async fn equals_are_spread_by_least_busy() {
    let all = ["a", "b", "c"].map(Deployment::new);
    let pool = pool(LowestUsage, all.each_ref().map(|one| (one.clone(), answering(1))));
    let held = hold(&pool, 30);
    assert_eq!(all.each_ref().map(Deployment::in_flight), [10; 3]);
    drop(held);
    let before = all.each_ref().map(Deployment::picked);
    for _ in 0..3000 {
        send(&pool, get()).await;
    }
    let picks: Vec<_> = all.iter().zip(before).map(|(one, before)| one.picked() - before).collect();
    assert!(chi_square(&picks) < LIMIT_OF_3, "{picks:?}");
}

#[tokio::test(start_paused = true)]
async fn the_less_busy_of_two_with_about_as_much_left_is_picked() {
    let [ahead, behind] = ["ahead", "behind"].map(|id| Deployment::new(id).rpm(100));
    let elsewhere = Balance::new(LowestUsage, [(ahead.clone(), answering(0))]);
    for _ in 0..4 {
        send(&elsewhere, get()).await;
    }
    let members = [&ahead, &behind].map(|one| (one.clone(), Fake::new([Answer::never()])));
    let pool = pool(LowestUsage, members);
    let held = hold(&pool, 10);
    assert_eq!((ahead.in_flight(), behind.in_flight()), (5, 5), "by usage alone three and seven");
    for _ in 0..4 {
        send(&elsewhere, get()).await;
    }
    let more = hold(&pool, 4);
    assert_eq!((ahead.in_flight(), behind.in_flight()), (5, 9), "0.13 is gone of one");
    drop((held, more));
}

#[tokio::test(start_paused = true)]
async fn what_is_used_is_free_again_after_its_window() {
    let (one, other) = (Deployment::new("one").rpm(10), Deployment::new("other").rpm(100));
    let pool = pool(LowestUsage, [(one.clone(), answering(0)), (other.clone(), answering(0))]);
    for _ in 0..22 {
        send(&pool, get()).await;
    }
    assert!(one.headroom() < 0.95 && other.headroom() < 0.85, "{one:?} {other:?}");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(one.headroom() > 0.999 && other.headroom() > 0.999);
}
