//! What `Timeout` promises, under paused time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::{Instant, sleep};
use tokio_test::task;
use tower::{Layer, ServiceExt};
use tower_fleet::{
    Deployment, Error, Trail,
    balance::{Balance, LeastBusy, ResponseBody},
    cooldown::CooldownLayer,
    error::RefusedReason,
    timeout::TimeoutLayer,
};

mod support;

use self::support::{Answer, Fake, FakeBody, secs, text};

fn get() -> Request<Full<Bytes>> {
    Request::new(Full::default())
}

/// Sends `request` to a deployment that answers `after` a time, under `layer`.
async fn balanced(
    layer: TimeoutLayer,
    deployment: Deployment,
    after: Duration,
    request: Request<Full<Bytes>>,
) -> Result<Response<ResponseBody<FakeBody>>, Error> {
    let service = layer.layer(Fake::new([Answer::status(200).after(after)]));
    Balance::new(LeastBusy, [(deployment, service)]).oneshot(request).await
}

fn waited(result: Result<Response<ResponseBody<FakeBody>>, Error>) -> Duration {
    match result.unwrap_err() {
        Error::TimedOut(timed_out) => timed_out.after(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_ends_after_the_limit() {
    let start = Instant::now();
    let fake = Fake::new([Answer::never()]);
    let error = TimeoutLayer::new(secs(3)).layer(fake.clone()).oneshot(get()).await.err().unwrap();
    assert!(error.is_timeout());
    assert_eq!(error.to_string(), "no response within 3s");
    assert_eq!((start.elapsed(), fake.live()), (secs(3), 0));
}

#[tokio::test(start_paused = true)]
async fn the_deployment_s_own_limit_wins_whether_shorter_or_longer() {
    for own in [secs(1), secs(9)] {
        let start = Instant::now();
        let deployment = Deployment::new("one").timeout(own);
        let result = balanced(TimeoutLayer::new(secs(3)), deployment, secs(60), get()).await;
        assert_eq!((waited(result), start.elapsed()), (own, own));
    }
    let deployment = Deployment::new("one").timeout(secs(2));
    let result = balanced(TimeoutLayer::unlimited(), deployment, secs(60), get()).await;
    assert_eq!(waited(result), secs(2));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_caps_every_limit() {
    let limited = Deployment::new("one").timeout(secs(9));
    for (layer, deployment) in [
        (TimeoutLayer::new(secs(9)), Deployment::new("one")),
        (TimeoutLayer::unlimited(), Deployment::new("one")),
        (TimeoutLayer::unlimited(), limited),
    ] {
        let mut request = get();
        Trail::start(&mut request).limit(Instant::now() + secs(2));
        assert_eq!(waited(balanced(layer, deployment, secs(60), request).await), secs(2));
    }
    let mut request = get();
    Trail::start(&mut request).limit(Instant::now() + secs(9));
    let layer = TimeoutLayer::new(secs(2));
    assert_eq!(waited(balanced(layer, Deployment::new("one"), secs(60), request).await), secs(2));
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_it_calls_nothing_and_blames_nobody() {
    let fake = Fake::new([Answer::status(200)]);
    let service = CooldownLayer::default().layer(TimeoutLayer::unlimited().layer(fake.clone()));
    let deployment = Deployment::new("one");
    let balance = Balance::new(LeastBusy, [(deployment.clone(), service)]);
    for _ in 0..10 {
        let mut request = get();
        Trail::start(&mut request).limit(Instant::now());
        let error = balance.clone().oneshot(request).await.err().unwrap();
        assert_eq!(error.as_refused().unwrap().reason(), RefusedReason::Deadline);
    }
    assert_eq!((fake.count(), deployment.in_flight()), (0, 0));
    assert_eq!(balance.oneshot(get()).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_not_blamed_for_the_deadline_of_a_request() {
    let service = CooldownLayer::default()
        .layer(TimeoutLayer::new(secs(9)).layer(Fake::new([Answer::status(200).after(secs(2))])));
    let deployment = Deployment::new("one");
    let balance = Balance::new(LeastBusy, [(deployment.clone(), service)]);
    for _ in 0..10 {
        let mut request = get();
        Trail::start(&mut request).limit(Instant::now() + secs(1));
        assert!(balance.clone().oneshot(request).await.is_err_and(|error| error.is_timeout()));
        text(balance.clone().oneshot(get()).await.unwrap()).await;
    }
    let totals = deployment.health().totals();
    assert_eq!((totals.cancelled, totals.failed, totals.ejections), (10, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_there_is_no_timer() {
    let fake = Fake::new([Answer::status(200).after(secs(1_000_000))]);
    let mut sent = task::spawn(TimeoutLayer::unlimited().layer(fake).oneshot(get()));
    assert!(sent.poll().is_pending());
    sleep(secs(999_999)).await;
    assert!(!sent.is_woken());
    sleep(secs(1)).await;
    assert_eq!(sent.await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_there_is_taken_however_late() {
    let fake = Fake::new([Answer::status(200).after(secs(5))]);
    let mut sent = task::spawn(TimeoutLayer::new(secs(1)).layer(fake).oneshot(get()));
    assert!(sent.poll().is_pending());
    // As in a task that was not polled for a while.
    sleep(secs(9)).await;
    assert_eq!(sent.await.unwrap().status(), 200);

    let at_once = TimeoutLayer::new(Duration::ZERO).layer(Fake::new([Answer::status(200)]));
    assert_eq!(at_once.oneshot(get()).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_limit_beyond_all_time_is_none() {
    let fake = Fake::new([Answer::status(200).after(secs(1_000_000))]);
    let sent = TimeoutLayer::new(Duration::MAX).layer(fake).oneshot(get()).await;
    assert_eq!(sent.unwrap().status(), 200);
}
