//! Which failures of which requests are retried, and how often.

use std::io;

use http::StatusCode;
use tower_fleet::{
    outcome::{FailureKind, GrpcClassify, HttpClassify},
    retry::RetryBudget,
};

use super::*;
use crate::support::{Answer, secs};

fn twice(first: Answer) -> Fake {
    Fake::new([first, Answer::status(200)])
}

fn eager() -> RetryPolicy {
    RetryPolicy::new().backoff(every(Duration::ZERO))
}

#[tokio::test(start_paused = true)]
async fn by_default_what_the_deployment_did_is_retried_and_what_the_caller_did_is_not() {
    for (status, calls) in [
        (200, 1),
        (304, 1),
        (400, 1),
        (404, 1),
        (413, 1),
        (422, 1),
        (408, 2),
        (429, 2),
        (500, 2),
        (502, 2),
        (503, 2),
        (504, 2),
        (529, 2),
    ] {
        let fake = twice(Answer::status(status));
        let answered = if calls == 1 { status } else { 200 };
        assert_eq!(status_and_calls(eager(), &fake).await, (answered, calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_has_its_own_count() {
    let policy = || {
        eager()
            .attempts(2)
            .retries_of(FailureKind::Timeout, 3)
            .retries_of(FailureKind::Server, 0)
            .retries_of(FailureKind::BadRequest, 1)
    };
    for (status, calls) in [(504, 4), (500, 1), (400, 2), (503, 2)] {
        let fake = Fake::new([Answer::status(status)]);
        assert_eq!(status_and_calls(policy(), &fake).await, (status, calls));
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_s_no_is_stronger_than_a_count_for_the_kind() {
    let fake = twice(
        Answer::status(200).header("grpc-status", "14").header("grpc-retry-pushback-ms", "-1"),
    );
    let policy = eager().classify(GrpcClassify::new()).retries_of(FailureKind::Overloaded, 3);
    assert_eq!(status_and_calls(policy, &fake).await, (200, 1));
}

#[tokio::test(start_paused = true)]
async fn what_asking_the_same_again_cannot_help_is_not_asked_again() {
    let policy = eager().classify(HttpClassify::inference());
    for status in [401, 402, 403, 404] {
        let fake = twice(Answer::status(status));
        assert_eq!(status_and_calls(policy.clone(), &fake).await, (status, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn only_idempotent_methods_are_retried_by_default() {
    use Method as M;
    for (method, calls) in [
        (M::GET, 2),
        (M::HEAD, 2),
        (M::OPTIONS, 2),
        (M::TRACE, 2),
        (M::PUT, 2),
        (M::DELETE, 2),
        (M::POST, 1),
        (M::PATCH, 1),
        (M::from_bytes(b"LOCK").unwrap(), 1),
    ] {
        let fake = twice(Answer::status(500));
        let _ = send(eager(), fake.clone(), request(method.clone())).await.unwrap();
        assert_eq!(fake.count(), calls, "{method}");

        let fake = twice(Answer::status(500));
        let policy = RetryPolicy::any_method().backoff(every(Duration::ZERO));
        let _ = send(policy, fake.clone(), request(method)).await.unwrap();
        assert_eq!(fake.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_makes_a_post_safe() {
    let fake = twice(Answer::status(500));
    let mut request = post();
    request.headers_mut().insert("idempotency-key", "k1".parse().unwrap());
    let response = send(eager(), fake.clone(), request).await.unwrap();
    assert_eq!((response.status(), fake.count()), (StatusCode::OK, 2));
    assert_eq!(fake.calls()[1].head.headers["idempotency-key"], "k1");
}

#[tokio::test(start_paused = true)]
async fn a_post_that_was_surely_not_sent_is_retried() {
    for (error, calls) in
        [(io::ErrorKind::ConnectionRefused, 2), (io::ErrorKind::ConnectionReset, 1)]
    {
        let kind = match error {
            io::ErrorKind::ConnectionRefused => || io::ErrorKind::ConnectionRefused.into(),
            _ => || io::ErrorKind::ConnectionReset.into(),
        };
        let fake = Fake::<io::Error>::failing_with(kind, [Answer::error(), Answer::status(200)]);
        let result = send(eager(), fake.clone(), post()).await;
        assert_eq!((fake.count(), result.is_ok()), (calls, calls == 2), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn tunnels_and_upgrades_are_sent_once() {
    let mut upgrade = get();
    upgrade.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    for request in [upgrade, request(Method::CONNECT)] {
        let fake = twice(Answer::status(503));
        let response = send(RetryPolicy::any_method(), fake.clone(), request).await.unwrap();
        assert_eq!((response.status().as_u16(), fake.count()), (503, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_layer_share_its_budget_and_layers_do_not() {
    let budget = || RetryBudget::new().percent(0).min_per_second(1).window(secs(1));
    let fake = Fake::new([Answer::status(500)]);
    let policy = eager().attempts(2);
    let layer = RetryLayer::new(policy.clone().budget(budget()));
    for service in [layer.layer(fake.clone()), layer.clone().layer(fake.clone())] {
        let _ = service.clone().oneshot(get()).await.unwrap();
        let _ = service.oneshot(get()).await.unwrap();
    }
    assert_eq!(fake.count(), 4 + 1, "four requests, one retry");

    let other = RetryLayer::new(policy.clone().budget(budget())).layer(fake.clone());
    let _ = other.oneshot(get()).await.unwrap();
    assert_eq!(fake.count(), 5 + 2);

    let unbound = RetryLayer::new(policy.budget(None)).layer(fake.clone());
    for _ in 0..200 {
        let _ = unbound.clone().oneshot(get()).await.unwrap();
    }
    assert_eq!(fake.count(), 7 + 400);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failures_adds_no_more_than_the_budget() {
    let fake = Fake::new([Answer::status(500)]);
    let budget = RetryBudget::new().percent(20).min_per_second(0);
    let service = RetryLayer::new(eager().budget(budget)).layer(fake.clone());
    for _ in 0..100 {
        let _ = service.clone().oneshot(get()).await.unwrap();
    }
    assert_eq!(fake.count(), 120);
}
