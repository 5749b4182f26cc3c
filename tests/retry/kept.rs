//! The caller gets the last real response, its body intact.

use tokio::time::{Instant, sleep};
use tokio_test::task;
use tower_fleet::{
    Served,
    cooldown::CooldownLayer,
    error::{Refused, RefusedReason},
};

use super::*;
use crate::support::{Answer, secs, text};

fn policy() -> RetryPolicy {
    RetryPolicy::new().attempts(2).backoff(every(secs(1)))
}

#[tokio::test(start_paused = true)]
async fn when_attempts_run_out_it_is_the_latest_response() {
    let fake = Fake::new([Answer::status(502).data("one"), Answer::status(503).data("two")]);
    let response = send(policy(), fake, get()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(text(response).await, "two");
}

#[tokio::test(start_paused = true)]
async fn a_response_is_better_than_a_later_error() {
    for size in [3, 64 * 1024, 1_000_000] {
        let chunk = "x".repeat(size / 3 + 1);
        let first = Answer::status(502).header("x-from", "first");
        let first = first.data(chunk.clone()).data(chunk.clone()).data(chunk.clone());
        let fake = Fake::new([first.trailer("x-end", "end"), Answer::error()]);
        let response = send(policy(), fake.clone(), get()).await.unwrap();
        assert_eq!((response.status().as_u16(), fake.count()), (502, 2));
        assert_eq!(response.headers()["x-from"], "first");
        assert!(text(response).await == chunk.repeat(3), "of {size} bytes");
        assert_eq!(fake.live(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_is_better_than_a_later_refusal() {
    let limited = Answer::status(429).header("retry-after", "0").data("slow down");
    let fake = Fake::new([limited]);
    let breaker = CooldownLayer::default().layer(fake.clone());
    let response = send(policy(), breaker.clone(), get()).await.unwrap();
    assert_eq!((response.status().as_u16(), fake.count()), (429, 1));
    assert_eq!(text(response).await, "slow down");

    let error = send(policy(), breaker, get()).await.unwrap_err();
    assert_eq!(error.as_refused().map(Refused::reason), Some(RefusedReason::Cooling));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_service_is_better_than_a_later_refusal() {
    let fake = Fake::new([Answer::error()]);
    let (balance, [deployment]) = in_order(&[fake]);
    let sent = send(policy(), balance, get());
    let paused = async {
        sleep(secs(1) / 2).await;
        deployment.health().pause();
    };
    let error = tokio::join!(sent, paused).0.unwrap_err();
    assert!(error.as_refused().is_none(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_response_is_better_than_a_readiness_that_fails_later() {
    let fake = Fake::new([Answer::status(502).data("first")]);
    let sent = send(policy(), fake.clone(), get());
    let goes_down = async {
        sleep(secs(1) / 2).await;
        let _ = fake.clone().unready();
    };
    let response = tokio::join!(sent, goes_down).0.unwrap();
    assert_eq!((response.status().as_u16(), fake.count()), (502, 1));
}

#[tokio::test(start_paused = true)]
async fn while_the_next_attempt_runs_it_holds_no_place() {
    let failed = Answer::status(500).data("some").data("thing").pausing(secs(1));
    let fakes = [Fake::new([failed]), Fake::new([Answer::status(500).after(secs(60))])];
    let (balance, [first, second]) = in_order(&fakes);
    let mut sent = task::spawn(send(policy(), balance, get()));
    assert!(sent.poll().is_pending());
    assert_eq!((first.in_flight(), second.in_flight()), (1, 1), "its body is yet to come");
    for _ in 0..2 {
        sleep(secs(1)).await;
        assert!(sent.is_woken() && sent.poll().is_pending());
    }
    assert_eq!((first.in_flight(), second.in_flight()), (0, 1));
    assert_eq!(fakes[0].live(), 0, "nor the connection");
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_to_repeat_it_holds_no_place() {
    let fake = Fake::new([Answer::status(500).data("something")]);
    let (balance, [deployment]) = in_order(&[fake]);
    let mut sent = task::spawn(send(policy(), balance, get()));
    assert!(sent.poll().is_pending());
    assert_eq!(deployment.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_off_still_breaks_off() {
    let first = Answer::status(502).data("some").broken();
    let fake = Fake::new([first, Answer::error()]);
    let response = send(policy(), fake, get()).await.unwrap();
    let mut body = response.into_body();
    let frame = http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "some");
    assert!(http_body_util::BodyExt::frame(&mut body).await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_answer_says_who_gave_it() {
    let start = Instant::now();
    let fakes = [Fake::new([Answer::status(502)]), Fake::new([Answer::error()])];
    let (balance, _) = in_order(&fakes);
    let response: Answered = send(policy(), balance, get()).await.unwrap();
    let served = Served::of(&response).unwrap();
    assert_eq!(served.deployment().id(), "0");
    assert_eq!(served.trail().unwrap().attempt_count(), 2);
    assert_eq!(start.elapsed(), secs(0));
}
