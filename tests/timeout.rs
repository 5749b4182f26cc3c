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
    Demand, Deployment, Error, Overrides, Trail,
    balance::{Balance, LeastBusy, ResponseBody},
    cooldown::CooldownLayer,
    error::RefusedReason,
    retry::RetryLayer,
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

fn streamed(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let mut demand = Demand::default();
    demand.stream = true;
    demand.set(&mut request);
    request
}

/// A request that asks for these limits, in seconds.
fn asking(timeout: Option<u64>, stream_timeout: Option<u64>) -> Request<Full<Bytes>> {
    let mut overrides = Overrides::default();
    overrides.timeout = timeout.map(secs);
    overrides.stream_timeout = stream_timeout.map(secs);
    let mut request = get();
    overrides.set(&mut request);
    request
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_streams_goes_before_the_others_and_the_deployment_s_before_the_layer_s() {
    let (bare, layer) = (|| Deployment::new("one"), TimeoutLayer::new(secs(9)));
    for (layer, deployment, streams, others) in [
        (layer, bare(), 9, 9),
        (layer.stream(secs(8)), bare(), 8, 9),
        (layer.stream(secs(8)), bare().timeout(secs(7)), 8, 7),
        (layer.stream(secs(8)), bare().timeout(secs(7)).stream_timeout(secs(6)), 6, 7),
        (layer, bare().timeout(secs(7)), 7, 7),
        (TimeoutLayer::unlimited().stream(secs(5)), bare().timeout(secs(60)), 5, 60),
    ] {
        let result = balanced(layer, deployment.clone(), secs(99), streamed(get())).await;
        assert_eq!(waited(result), secs(streams));
        assert_eq!(waited(balanced(layer, deployment, secs(99), get()).await), secs(others));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_request_asks_for_goes_before_every_limit() {
    let layer = TimeoutLayer::new(secs(9)).stream(secs(8));
    let deployment = Deployment::new("one").timeout(secs(7)).stream_timeout(secs(6));
    for (timeout, stream_timeout, streams, others) in
        [(Some(2), None, 2, 2), (Some(50), Some(3), 3, 50), (None, Some(40), 40, 7)]
    {
        let request = || asking(timeout, stream_timeout);
        let result = balanced(layer, deployment.clone(), secs(99), streamed(request())).await;
        assert_eq!(waited(result), secs(streams));
        let result = balanced(layer, deployment.clone(), secs(99), request()).await;
        assert_eq!(waited(result), secs(others));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_not_blamed_for_a_limit_its_caller_set() {
    let slow = |after| Fake::new([Answer::status(200).after(after)]);
    let layers = (CooldownLayer::default(), TimeoutLayer::new(secs(9)));
    let deployment = Deployment::new("one");
    let service = layers.0.layer(layers.1.layer(slow(secs(2))));
    let balance = Balance::new(LeastBusy, [(deployment.clone(), service)]);
    for _ in 0..10 {
        let error = balance.clone().oneshot(asking(Some(1), None)).await.unwrap_err();
        let Error::TimedOut(timed_out) = error else { panic!("{error:?}") };
        assert!(timed_out.is_callers() && !timed_out.is_deadline());
        text(balance.clone().oneshot(get()).await.unwrap()).await;
    }
    let totals = deployment.health().totals();
    assert_eq!((totals.cancelled, totals.failed, totals.ejections), (10, 0, 0));

    // One that hangs is found out all the same, and by its own limit at once.
    for (limit, least) in [(1, 5), (20, 3)] {
        let deployment = Deployment::new("one");
        let service = layers.0.layer(layers.1.layer(slow(secs(99))));
        let balance = Balance::new(LeastBusy, [(deployment.clone(), service)]);
        for count in 1..=least {
            assert!(deployment.health().totals().ejections == 0, "after {count} of {least}");
            assert!(balance.clone().oneshot(asking(Some(limit), None)).await.is_err());
        }
        assert_eq!(deployment.health().totals().ejections, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_takes_it_elsewhere_when_the_caller_s_limit_runs_out() {
    let fakes = [Fake::new([Answer::never()]), Fake::new([Answer::status(200)])];
    let members = fakes.iter().zip(0..).map(|(fake, order)| {
        let deployment = Deployment::new(order.to_string()).order(order);
        (deployment, TimeoutLayer::unlimited().layer(fake.clone()))
    });
    let retry = RetryLayer::default().layer(Balance::new(LeastBusy, members));
    let start = Instant::now();
    assert_eq!(retry.oneshot(asking(Some(3), None)).await.unwrap().status(), 200);
    assert_eq!(start.elapsed(), secs(3));
}
