//! Alone over a service, the layer is a circuit breaker.

use std::time::Duration;

use http::{Method, Request, response::Parts};
use http_body_util::BodyExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_fleet::{
    Deployment, Error,
    cooldown::{Cooldown, CooldownLayer, CooldownPolicy},
    deployment::{Cause, Status, Totals},
    error::{Refused, RefusedReason},
    outcome::{FailureKind, Outcome},
};

use super::backend::{Backend, Frames, Reply, advance, refused, send};

fn breaker(policy: CooldownPolicy, backend: &Backend) -> Cooldown<Backend> {
    CooldownLayer::new(policy).layer(backend.clone())
}

/// Rate limited for 20 s at first, then well.
fn limited_at_first() -> Backend {
    Backend::new(|before| match before {
        0 => Reply::status(429).header("retry-after", "20"),
        _ => Reply::status(200).after(2.0),
    })
}

fn is_cooling(service: &Cooldown<Backend>) -> bool {
    matches!(service.health().status(), Status::Cooling { .. })
}

fn cause(service: &Cooldown<Backend>) -> FailureKind {
    match service.health().status() {
        Status::Cooling { cause: Cause::Failed(kind), .. } => kind,
        other => panic!("{other:?}"),
    }
}

/// The totals as a tuple: succeeded, failed, cancelled.
fn totals(service: &Cooldown<Backend>) -> (u64, u64, u64) {
    let Totals { succeeded, failed, cancelled, .. } = service.health().totals();
    (succeeded, failed, cancelled)
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_and_says_exactly_how_long() {
    let backend = limited_at_first();
    let service = breaker(CooldownPolicy::default(), &backend);
    assert_eq!(send(&service).await.unwrap(), 429);

    advance(7.5).await;
    let refused = refused(&service).await;
    assert_eq!(refused.reason(), RefusedReason::Cooling);
    assert_eq!(refused.wait(), Some(Duration::from_millis(12_500)));
    assert_eq!(refused.cause(), Some(FailureKind::RateLimited));
    assert_eq!(backend.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn half_open_it_tries_one_request_at_a_time_and_closes_when_that_succeeds() {
    let backend = limited_at_first();
    let service = breaker(CooldownPolicy::default(), &backend);
    send(&service).await.unwrap();
    advance(20.0).await;

    let mut trial = task::spawn(send(&service));
    assert_pending!(trial.poll());
    let meanwhile = refused(&service).await;
    assert_eq!(meanwhile.reason(), RefusedReason::Cooling);
    assert_eq!(meanwhile.wait(), Some(Duration::from_secs(30)), "when the trial's time is over");

    advance(2.0).await;
    assert_eq!(assert_ready!(trial.poll()).unwrap(), 200);
    assert!(matches!(service.health().status(), Status::Ramping { .. }));
    assert_eq!(tokio::join!(send(&service), send(&service)).1.unwrap(), 200);
    advance(10.0).await;
    assert_eq!(service.health().status(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_failed_trial_opens_it_again_for_longer() {
    let backend = Backend::status(500);
    let service = breaker(CooldownPolicy::default().consecutive_failures(1), &backend);
    send(&service).await.unwrap();
    for least in [10_u32, 20, 40] {
        advance(f64::from(least)).await;
        assert_eq!(send(&service).await.unwrap(), 500);
        assert!(refused(&service).await.wait() >= Some(Duration::from_secs(least.into())));
    }
    assert_eq!(backend.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_trial_does_not_wedge_it() {
    let backend = limited_at_first();
    let service = breaker(CooldownPolicy::default(), &backend);
    send(&service).await.unwrap();
    advance(20.0).await;
    for _ in 0..10 {
        let mut trial = task::spawn(send(&service));
        assert_pending!(trial.poll());
        drop(trial);
        assert_eq!(service.health().status(), Status::Probing);
    }
    assert_eq!(send(&service).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_trial_runs_until_its_body_ends_or_its_time_is_over() {
    let backend = Backend::new(|before| match before {
        0 => Reply::status(429).header("retry-after", "20"),
        _ => Reply::status(200).chunk(),
    });
    let service =
        breaker(CooldownPolicy::default().probe_deadline(Duration::from_secs(9)), &backend);
    send(&service).await.unwrap();
    advance(20.0).await;

    let stuck = service.clone().oneshot(Request::new(())).await.unwrap();
    refused(&service).await;
    advance(9.0).await;
    assert_eq!(send(&service).await.unwrap(), 200);
    drop(stuck);
    assert_eq!(totals(&service), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_caller_has_seen_enough_of_the_answer_has_succeeded() {
    let service = breaker(CooldownPolicy::default(), &limited_at_first());
    send(&service).await.unwrap();
    advance(20.0).await;
    drop(service.clone().oneshot(Request::new(())).await.unwrap());
    assert!(matches!(service.health().status(), Status::Ramping { .. }));
}

#[tokio::test(start_paused = true)]
async fn clones_share_their_state_and_services_of_one_layer_do_not() {
    let layer = CooldownLayer::default();
    let (one, other) = (layer.layer(limited_at_first()), layer.layer(limited_at_first()));
    let clone = one.clone();
    send(&one).await.unwrap();
    refused(&clone).await;
    assert_eq!(send(&other).await.unwrap(), 429);

    let deployment = Deployment::new("shared");
    let layer = CooldownLayer::default().of(deployment.clone());
    let (one, other) = (layer.layer(limited_at_first()), layer.layer(limited_at_first()));
    send(&one).await.unwrap();
    refused(&other).await;
    deployment.health().reset();
    assert_eq!(send(&other).await.unwrap(), 429);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_midway_is_truncated() {
    let backend = Backend::new(|_| Reply::status(200).chunk().breaks_off());
    let service = breaker(CooldownPolicy::default().consecutive_failures(1), &backend);
    let mut body = service.clone().oneshot(Request::new(())).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(service.health().status(), Status::Ready);
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(cause(&service), FailureKind::Truncated);
    drop(body);
    assert_eq!(totals(&service), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn every_request_is_reported_exactly_once() {
    type Make = fn() -> Reply;
    let whole: [(Make, (u64, u64, u64)); 7] = [
        (|| Reply::status(200), (1, 0, 0)),
        (|| Reply::status(200).chunk().chunk(), (1, 0, 0)),
        (|| Reply::status(200).chunk().trailer("x", "y"), (1, 0, 0)),
        (|| Reply::status(200).breaks_off(), (0, 1, 0)),
        (|| Reply::status(500).chunk(), (0, 1, 0)),
        (|| Reply::status(500).breaks_off(), (0, 1, 0)),
        (Reply::error, (0, 1, 0)),
    ];
    for (case, (reply, expected)) in whole.into_iter().enumerate() {
        let service = breaker(CooldownPolicy::default(), &Backend::new(move |_| reply()));
        let _ = send(&service).await;
        assert_eq!(totals(&service), expected, "{case}");
    }

    let streams = Backend::new(|_| Reply::status(200).chunk().chunk());
    for (method, status, read, expected) in [
        (Method::GET, 200, 0, (0, 0, 1)),
        (Method::GET, 200, 1, (0, 0, 1)),
        (Method::GET, 200, 2, (0, 0, 1)),
        (Method::GET, 200, 3, (1, 0, 0)),
        (Method::GET, 500, 1, (0, 1, 0)),
        (Method::HEAD, 200, 0, (1, 0, 0)),
        (Method::GET, 204, 0, (1, 0, 0)),
        (Method::GET, 304, 0, (1, 0, 0)),
    ] {
        let backend = Backend::new(move |_| Reply::status(status).chunk().chunk());
        let service = breaker(CooldownPolicy::default(), &backend);
        let request = Request::builder().method(&method).body(()).unwrap();
        let mut body = service.clone().oneshot(request).await.unwrap().into_body();
        for _ in 0..read {
            body.frame().await;
        }
        drop(body);
        assert_eq!(totals(&service), expected, "{method} {status}, {read} frames read");
    }

    let mut unpolled = breaker(CooldownPolicy::default(), &streams);
    drop(unpolled.ready().await.unwrap().call(Request::new(())));
    assert_eq!(totals(&unpolled), (0, 0, 1));
    let service =
        breaker(CooldownPolicy::default(), &Backend::new(|_| Reply::status(500).after(9.0)));
    let mut cancelled = task::spawn(send(&service));
    assert_pending!(cancelled.poll());
    drop(cancelled);
    assert_eq!(totals(&service), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_when_called_gives_its_trial_back() {
    let service = CooldownLayer::default().layer(service_fn(|request: Request<bool>| {
        assert!(!request.body(), "told to panic");
        async { Ok::<_, std::io::Error>(http::Response::new(Frames::default())) }
    }));
    service.health().cool_for(Duration::ZERO);
    let panicking = tokio::spawn(service.clone().oneshot(Request::new(true)));
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(service.health().status(), Status::Probing);
    assert!(service.oneshot(Request::new(false)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_open_it_only_when_there_are_no_others() {
    let cancel = |service: &Cooldown<Backend>| {
        let mut request = task::spawn(send(service));
        assert_pending!(request.poll());
    };
    let hangs =
        breaker(CooldownPolicy::default(), &Backend::new(|_| Reply::status(200).after(99.0)));
    for _ in 0..5 {
        assert!(!is_cooling(&hangs));
        cancel(&hangs);
    }
    assert_eq!(cause(&hangs), FailureKind::Cancelled);

    let answers_once =
        Backend::new(|before| Reply::status(400).after(if before == 0 { 0.0 } else { 99.0 }));
    let mixed = breaker(CooldownPolicy::default(), &answers_once);
    assert_eq!(send(&mixed).await.unwrap(), 400);
    (0..50).for_each(|_| cancel(&mixed));
    assert_eq!(mixed.health().status(), Status::Ready);
    assert_eq!(totals(&mixed), (0, 1, 50));
}

#[tokio::test(start_paused = true)]
async fn callers_that_have_seen_enough_of_a_response_say_nothing_against_it() {
    let backend = Backend::new(|before| {
        Reply::status(200).chunk().after(if before < 50 { 0.0 } else { 99.0 })
    });
    let service = breaker(CooldownPolicy::default(), &backend);
    for _ in 0..50 {
        drop(service.clone().oneshot(Request::new(())).await.unwrap());
    }
    for _ in 0..50 {
        let mut impatient = task::spawn(send(&service));
        assert_pending!(impatient.poll());
    }
    assert_eq!(service.health().status(), Status::Ready, "it did answer within the window");
    assert_eq!(totals(&service), (0, 0, 100));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_did_wrong_and_what_a_layer_below_refused_never_open_it() {
    let policy = || CooldownPolicy::default().consecutive_failures(1).failure_share(0.0, 1);
    let service = breaker(policy(), &Backend::status(422));
    for _ in 0..50 {
        assert_eq!(send(&service).await.unwrap(), 422);
    }
    let full = CooldownLayer::new(policy()).layer(service_fn(|_: Request<()>| async {
        Err::<http::Response<Frames>, _>(Error::from(Refused::new(RefusedReason::Full)))
    }));
    for _ in 0..50 {
        assert_eq!(refused(&full).await.reason(), RefusedReason::Full);
    }
}

#[tokio::test(start_paused = true)]
async fn six_failures_among_many_successes_do_not_open_it_at_any_edge_of_the_window() {
    // Windows that end apart from each other would hold the failures without the successes.
    let backend = Backend::new(|before| Reply::status(if before % 17 == 16 { 500 } else { 200 }));
    let service = breaker(CooldownPolicy::default(), &backend);
    for _ in 0..1060 {
        send(&service).await.unwrap();
        advance(1.13).await;
    }
    assert_eq!(service.health().totals().ejections, 0);
    assert_eq!(backend.calls(), 1060);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_ones_own_decides() {
    let degraded =
        |head: &Parts| head.headers.contains_key("x-degraded").then_some(Outcome::Ignored);
    let backend = Backend::new(|_| Reply::status(500).header("x-degraded", "1"));
    let service = breaker(CooldownPolicy::new(degraded).consecutive_failures(1), &backend);
    assert_eq!(send(&service).await.unwrap(), 500);
    assert_eq!(totals(&service), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn opened_by_an_operator_it_comes_back_as_its_policy_says() {
    let policy = CooldownPolicy::default().probe_successes(2).ramp(Duration::ZERO);
    let service = breaker(policy, &Backend::status(200));
    service.health().cool_for(Duration::from_secs(1));
    advance(1.0).await;
    send(&service).await.unwrap();
    assert_eq!(service.health().status(), Status::Probing);
    send(&service).await.unwrap();
    assert_eq!(service.health().status(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn an_operator_opens_resets_and_pauses_it() {
    let service = breaker(CooldownPolicy::default(), &Backend::status(200));
    service.health().cool_for(Duration::from_secs(60));
    let cooled = refused(&service).await;
    assert_eq!((cooled.wait(), cooled.cause()), (Some(Duration::from_secs(60)), None));
    service.health().reset();
    assert_eq!(send(&service).await.unwrap(), 200);

    service.health().pause();
    let paused = refused(&service).await;
    assert_eq!((paused.reason(), paused.wait()), (RefusedReason::Paused, None));
    service.health().resume();
    assert_eq!(send(&service).await.unwrap(), 200);
}
