use std::time::Duration;

use tokio::time::advance;
use tokio_test::task::spawn;
use tower_fleet::{
    Deployment,
    balance::{Balance, LeastBusy},
    error::RefusedReason,
    quota::{Limit, Quota},
};

use super::{
    ask, refusal, request,
    support::{Answer, Fake, secs},
};

fn saying(remaining: &str, reset: &str) -> Answer {
    Answer::status(200)
        .header("x-ratelimit-remaining-requests", remaining)
        .header("x-ratelimit-reset-requests", reset)
}

fn tokens(remaining: &str, reset: &str) -> Answer {
    Answer::status(200)
        .header("anthropic-ratelimit-input-tokens-remaining", remaining)
        .header("anthropic-ratelimit-input-tokens-reset", reset)
}

fn hears(id: &str) -> Deployment {
    Deployment::new(id).reported_limits(true)
}

/// Asks so often, and says how often each answered.
async fn shares(fleet: &Balance<Fake, LeastBusy>, fakes: [&Fake; 2], times: usize) -> [usize; 2] {
    let before = fakes.map(Fake::count);
    for _ in 0..times {
        ask(fleet, request(&[])).await.unwrap();
    }
    [fakes[0].count() - before[0], fakes[1].count() - before[1]]
}

#[tokio::test(start_paused = true)]
async fn traffic_moves_before_the_429_and_comes_back_at_the_reset() {
    // It publishes no limit; none is configured.
    let (eu, us) =
        (Fake::new([saying("0", "20s"), saying("50", "1s")]), Fake::new([Answer::status(200)]));
    let fleet = Balance::new(
        LeastBusy,
        [(hears("eu").order(1), eu.clone()), (hears("us").order(2), us.clone())],
    );
    assert_eq!(shares(&fleet, [&eu, &us], 1).await, [1, 0]);
    assert_eq!(shares(&fleet, [&eu, &us], 5).await, [0, 5]);
    advance(secs(20).saturating_sub(Duration::from_nanos(1))).await;
    assert_eq!(shares(&fleet, [&eu, &us], 5).await, [0, 5]);
    advance(Duration::from_nanos(1)).await;
    assert_eq!(shares(&fleet, [&eu, &us], 5).await, [5, 0]);
}

#[tokio::test(start_paused = true)]
async fn nobody_else_being_there_the_refusal_says_until_when() {
    let eu = Fake::new([saying("0", "20s")]);
    let fleet = Balance::new(LeastBusy, [(hears("eu"), eu)]);
    ask(&fleet, request(&[])).await.unwrap();
    advance(secs(5)).await;
    let refused = refusal(ask(&fleet, request(&[])).await);
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Limited, Some(secs(15))));
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_evenly_is_used_as_it_does() {
    // OpenAI's reset is when all of the sixty are back.
    let eu = Fake::new([saying("0", "60s").header("x-ratelimit-limit-requests", "60")]);
    let fleet = Balance::new(LeastBusy, [(hears("eu"), eu.clone())]);
    ask(&fleet, request(&[])).await.unwrap();
    let refused = refusal(ask(&fleet, request(&[])).await);
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Limited, Some(secs(1))));
    advance(secs(1)).await;
    ask(&fleet, request(&[])).await.unwrap();
    refusal(ask(&fleet, request(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_is_taken_off_what_is_left() {
    let late = |after| saying("3", "30s").after(secs(after));
    let last = Answer::status(200).after(secs(9));
    let eu = Fake::new([late(1), late(9), late(9), last]);
    let us = Fake::new([Answer::status(200)]);
    let fleet = Balance::new(
        LeastBusy,
        [(hears("eu").order(1), eu.clone()), (hears("us").order(2), us.clone())],
    );
    let mut calls = [(); 3].map(|()| spawn(ask(&fleet, request(&[]))));
    assert!(calls.each_mut().map(|call| call.poll().is_pending()).iter().all(|pending| *pending));
    let [first, second, third] = calls;
    first.await.unwrap();
    // Of the three that are left, two may be for those that are still out.
    let mut fourth = spawn(ask(&fleet, request(&[])));
    assert!(fourth.poll().is_pending());
    assert_eq!((eu.count(), us.count()), (4, 0));
    assert_eq!(shares(&fleet, [&eu, &us], 3).await, [0, 3]);
    for call in [second, third, fourth] {
        call.await.unwrap();
    }
    // The last of the reports came with the fourth still out.
    assert_eq!(shares(&fleet, [&eu, &us], 4).await, [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_request_too_long_for_what_is_left_goes_elsewhere_and_a_shorter_one_stays() {
    let eu = Fake::new([tokens("99", "30")]);
    let us = Fake::new([Answer::status(200)]);
    let fleet = Balance::new(
        LeastBusy,
        [(hears("eu").order(1), eu.clone()), (hears("us").order(2), us.clone())],
    );
    assert_eq!(shares(&fleet, [&eu, &us], 1).await, [1, 0]);
    assert_eq!(shares(&fleet, [&eu, &us], 2).await, [0, 2], "a hundred tokens each");
    let mut short = request(&[]);
    let mut demand = tower_fleet::Demand::default();
    demand.input_tokens = Some(99);
    demand.set(&mut short);
    ask(&fleet, short).await.unwrap();
    assert_eq!(eu.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_report_lifts_no_limit_that_is_configured() {
    let eu = Fake::new([saying("1000", "1s")]);
    let fleet = Balance::new(LeastBusy, [(Deployment::new("eu").rpm(2), eu.clone())]);
    ask(&fleet, request(&[])).await.unwrap();
    ask(&fleet, request(&[])).await.unwrap();
    let refused = refusal(ask(&fleet, request(&[])).await);
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Limited, Some(secs(60))));
}

#[tokio::test(start_paused = true)]
async fn a_newer_report_takes_the_place_of_the_older() {
    // The second has been on its way meanwhile, and says more.
    let eu = Fake::new([
        saying("0", "50s").after(secs(1)),
        saying("9", "50s").after(secs(2)),
        Answer::status(200),
    ]);
    let fleet = Balance::new(LeastBusy, [(hears("eu"), eu.clone())]);
    let mut calls = [(); 2].map(|()| spawn(ask(&fleet, request(&[]))));
    assert!(calls.each_mut().map(|call| call.poll().is_pending()).iter().all(|pending| *pending));
    let [first, second] = calls;
    first.await.unwrap();
    assert_eq!(refusal(ask(&fleet, request(&[])).await).wait(), Some(secs(50)));
    second.await.unwrap();
    ask(&fleet, request(&[])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_report_holds_for_longer_than_a_minute() {
    let eu = Fake::new([saying("0", "24h"), Answer::status(200)]);
    let fleet = Balance::new(LeastBusy, [(hears("eu"), eu)]);
    ask(&fleet, request(&[])).await.unwrap();
    assert_eq!(refusal(ask(&fleet, request(&[])).await).wait(), Some(secs(60)));
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_quota_of_requests_shares_what_is_reported_of_them() {
    let key = Quota::new("key", [Limit::rpm(100)]);
    let (chat, code) = (Fake::new([saying("0", "20s")]), Fake::new([Answer::status(200)]));
    let one = Balance::new(LeastBusy, [(Deployment::new("chat").quota(&key), chat)]);
    let other = Balance::new(LeastBusy, [(Deployment::new("code").quota(&key), code.clone())]);
    ask(&one, request(&[])).await.unwrap();
    assert_eq!(refusal(ask(&other, request(&[])).await).wait(), Some(secs(20)));
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_quota_of_tokens_or_a_budget_shares_nothing_that_is_reported_of_requests() {
    for shared in [Quota::new("key", [Limit::tpm(10_000)]), Quota::budget("all", [Limit::rpm(100)])]
    {
        let (chat, code) = (Fake::new([saying("0", "20s")]), Fake::new([Answer::status(200)]));
        let one = Balance::new(LeastBusy, [(Deployment::new("chat").quota(&shared), chat)]);
        let other = Balance::new(LeastBusy, [(Deployment::new("code").quota(&shared), code)]);
        ask(&one, request(&[])).await.unwrap();
        refusal(ask(&one, request(&[])).await);
        ask(&other, request(&[])).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_not_to_hear_does_not() {
    let answer = || Fake::new([saying("0", "20s")]);
    for deaf in [Deployment::new("eu"), Deployment::new("eu").rpm(9).reported_limits(false)] {
        let fleet = Balance::new(LeastBusy, [(deaf, answer())]);
        ask(&fleet, request(&[])).await.unwrap();
        ask(&fleet, request(&[])).await.unwrap();
    }
    let fleet = Balance::new(LeastBusy, [(Deployment::new("eu").rpm(9), answer())]);
    ask(&fleet, request(&[])).await.unwrap();
    refusal(ask(&fleet, request(&[])).await);
}
