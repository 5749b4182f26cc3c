//! How long it waits, and when waiting is of no use.

use std::time::SystemTime;

use tokio::time::{Instant, sleep};
use tokio_test::task;
use tower_fleet::{
    Deployment, Trail,
    balance::{Balance, LeastBusy},
    timeout::TimeoutLayer,
};

use super::*;
use crate::support::{Answer, secs, text};

#[tokio::test(start_paused = true)]
async fn after_the_last_attempt_it_does_not_sleep() {
    let start = Instant::now();
    let fake = Fake::new([Answer::status(500)]);
    let policy = RetryPolicy::new().attempts(3).backoff(every(secs(1)));
    assert_eq!(status_and_calls(policy, &fake).await, (500, 3));
    assert_eq!(start.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_exactly() {
    let start = Instant::now();
    let fake = Fake::new([Answer::status(429).header("retry-after", "2"), Answer::status(200)]);
    let policy = RetryPolicy::new().attempts(2).backoff(every(secs(9)));
    assert_eq!(status_and_calls(policy, &fake).await, (200, 2));
    assert_eq!(start.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_cap_ends_it_at_once() {
    let start = Instant::now();
    let fake = Fake::new([Answer::status(429).header("retry-after", "61"), Answer::status(200)]);
    assert_eq!(status_and_calls(RetryPolicy::new(), &fake).await, (429, 1));
    let policy = RetryPolicy::new().longest_wait(secs(61));
    let fake = Fake::new([Answer::status(429).header("retry-after", "61"), Answer::status(200)]);
    assert_eq!(start.elapsed(), secs(0));
    assert_eq!(status_and_calls(policy, &fake).await, (200, 2));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_deadline_ends_it_at_once() {
    let start = Instant::now();
    let fake = Fake::new([Answer::status(503).header("retry-after", "5"), Answer::status(200)]);
    let policy = RetryPolicy::new().deadline(secs(5));
    assert_eq!(status_and_calls(policy, &fake).await, (503, 1));
    assert_eq!(start.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn a_past_date_is_now_and_garbage_is_nothing() {
    let start = Instant::now();
    let past = httpdate::fmt_http_date(SystemTime::now() - secs(60));
    let fake = Fake::new([Answer::status(503).header("retry-after", &past), Answer::status(200)]);
    let policy = RetryPolicy::new().backoff(every(secs(3)));
    assert_eq!(status_and_calls(policy.clone(), &fake).await, (200, 2));
    let tenth = Duration::from_millis(100);
    assert_eq!(start.elapsed(), tenth, "but never quite at once");

    let fake = Fake::new([Answer::status(503).header("retry-after", "soon"), Answer::status(200)]);
    assert_eq!(status_and_calls(policy, &fake).await, (200, 2));
    assert_eq!(start.elapsed(), secs(3) + tenth);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_waits_that_would_pass_it() {
    let start = Instant::now();
    let fake = Fake::new([Answer::status(500)]);
    let policy = RetryPolicy::new().attempts(100).backoff(every(secs(2))).deadline(secs(5));
    assert_eq!(status_and_calls(policy, &fake).await, (500, 3));
    assert_eq!(start.elapsed(), secs(4));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_bounds_attempts_over_a_timeout() {
    for attempts in [1, 3] {
        let start = Instant::now();
        let fake = Fake::new([Answer::never()]);
        let service = TimeoutLayer::new(secs(3)).layer(fake.clone());
        let policy =
            RetryPolicy::new().attempts(attempts).backoff(every(secs(1))).deadline(secs(5));
        let error = send(policy, service, get()).await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(start.elapsed(), if attempts == 1 { secs(3) } else { secs(5) });
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_a_request_that_is_sent_once() {
    for (policy, request) in
        [(RetryPolicy::new().attempts(1), get()), (RetryPolicy::new(), request(Method::CONNECT))]
    {
        let start = Instant::now();
        let service = TimeoutLayer::unlimited().layer(Fake::new([Answer::never()]));
        let error = send(policy.deadline(secs(5)), service, request).await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(start.elapsed(), secs(5));
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_from_above_stays() {
    let start = Instant::now();
    let mut request = get();
    let trail = Trail::start(&mut request);
    trail.limit(start + secs(2));
    let service = TimeoutLayer::unlimited().layer(Fake::new([Answer::never()]));
    let policy = RetryPolicy::new().deadline(secs(5));
    assert!(send(policy, service, request).await.unwrap_err().is_timeout());
    assert_eq!((start.elapsed(), trail.deadline()), (secs(2), Some(start + secs(2))));
}

#[tokio::test(start_paused = true)]
async fn dropped_during_the_wait_it_sends_nothing_more() {
    let fake = Fake::new([Answer::status(500)]);
    let policy = RetryPolicy::new().backoff(every(secs(1)));
    let mut waiting = task::spawn(send(policy, fake.clone(), get()));
    assert!(waiting.poll().is_pending());
    sleep(secs(1) / 2).await;
    assert!(waiting.poll().is_pending());
    drop(waiting);
    sleep(secs(60)).await;
    assert_eq!((fake.count(), fake.live()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn readiness_is_awaited_before_each_attempt() {
    let start = Instant::now();
    let fake = Fake::new([Answer::status(500), Answer::status(200)]).ready_after(secs(4));
    let policy = RetryPolicy::new().backoff(every(secs(1)));
    assert_eq!(status_and_calls(policy, &fake).await, (200, 2));
    assert_eq!(start.elapsed(), secs(9));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_an_attempt_over_a_bare_client_and_a_wait_for_readiness() {
    let policy = || RetryPolicy::new().deadline(secs(5));
    for fake in
        [Fake::new([Answer::never()]), Fake::new([Answer::status(200)]).ready_after(secs(99))]
    {
        let start = Instant::now();
        let balance = Balance::new(LeastBusy, [(Deployment::new("one"), fake.clone())]);
        let error = RetryLayer::new(policy()).layer(balance).oneshot(get()).await.unwrap_err();
        let Error::TimedOut(timed_out) = error else { panic!("{error:?}") };
        assert!(timed_out.is_deadline());
        assert_eq!((start.elapsed(), fake.live()), (secs(5), 0));
    }
    let start = Instant::now();
    let bare: Fake = Fake::new([Answer::never()]);
    assert!(
        RetryLayer::new(policy())
            .layer(bare)
            .oneshot(get())
            .await
            .is_err_and(|error| error.is_timeout())
    );
    assert_eq!(start.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_leaves_the_last_real_response() {
    let fake: Fake = Fake::new([Answer::status(503).data("busy"), Answer::never()]);
    let policy = RetryPolicy::new().deadline(secs(30));
    let response = RetryLayer::new(policy).layer(fake).oneshot(get()).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await), (503, "busy".to_owned()));
}
