//! Under a balance the layer judges, and the balance passes over what is set aside.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, response::Parts};
use http_body_util::{BodyExt, Empty};
use tokio::{task::JoinSet, time::Instant};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_fleet::{
    Deployment, Served, Trail,
    balance::{Balance, LeastBusy},
    cooldown::{Cooldown, CooldownLayer, CooldownPolicy},
    deployment::{Cause, Status},
    error::RefusedReason,
    outcome::{Failure, FailureKind, GrpcClassify, HttpClassify},
    retry::{RetryLayer, RetryPolicy},
};

use super::backend::{Backend, Reply, advance, refused, send};

type Fleet = Balance<Cooldown<Backend>, LeastBusy>;

fn fleet<'a>(
    policy: CooldownPolicy,
    members: impl IntoIterator<Item = (&'a str, &'a Backend)>,
) -> Fleet {
    let layer = CooldownLayer::new(policy);
    let members = members.into_iter();
    Balance::new(LeastBusy, members.map(|(id, at)| (Deployment::new(id), layer.layer(at.clone()))))
}

fn deployment(fleet: &Fleet, id: &str) -> Deployment {
    fleet.members().list().into_iter().find(|one| one.id() == id).unwrap()
}

/// What set it aside, and for how long from now.
fn cooling(fleet: &Fleet, id: &str) -> (FailureKind, Duration) {
    match deployment(fleet, id).health().status() {
        Status::Cooling { until, cause: Cause::Failed(kind) } => (kind, until - Instant::now()),
        other => panic!("{other:?}"),
    }
}

/// Sends 40 requests, one after the other, and counts those that fail.
async fn failed_of_40(fleet: &Fleet) -> usize {
    let mut failed = 0;
    for _ in 0..40 {
        failed += usize::from(!matches!(send(fleet).await, Ok(200)));
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn one_that_errs_is_set_aside_after_three_failures() {
    for reply in [|| Reply::status(500), Reply::error] {
        let (bad, good) = (Backend::new(move |_| reply()), Backend::status(200));
        let fleet = fleet(CooldownPolicy::default(), [("bad", &bad), ("good", &good)]);
        assert_eq!(failed_of_40(&fleet).await, 3);
        assert_eq!(bad.calls(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_rate_limited_is_set_aside_at_once() {
    let (bad, good) = (Backend::status(429), Backend::status(200));
    let fleet = fleet(CooldownPolicy::default(), [("bad", &bad), ("good", &good)]);
    assert_eq!(failed_of_40(&fleet).await, 1);
    assert_eq!(cooling(&fleet, "bad").0, FailureKind::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_believed_within_limits() {
    for (name, value, expected) in [
        ("retry-after", "86400", 300.0),
        ("retry-after", "0", 1.0),
        ("retry-after", "2.5", 2.5),
        ("retry-after-ms", "1500", 1.5),
    ] {
        let bad = Backend::new(move |_| Reply::status(429).header(name, value));
        let good = Backend::status(200);
        let fleet = fleet(CooldownPolicy::default(), [("bad", &bad), ("good", &good)]);
        assert_eq!(failed_of_40(&fleet).await, 1, "{name}: {value}");
        assert_eq!(cooling(&fleet, "bad").1, Duration::from_secs_f64(expected), "{name}: {value}");

        advance(expected - 0.01).await;
        assert_eq!(failed_of_40(&fleet).await, 0, "{name}: {value}");
        advance(0.01).await;
        assert_eq!(failed_of_40(&fleet).await, 1, "{name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_end_learned_while_it_cools_wins() {
    let backend = Backend::new(|before| match before {
        0 => Reply::status(429).header("retry-after", "4").after(1.0),
        1 => Reply::status(429).header("retry-after", "20").after(2.0),
        _ => Reply::status(429).header("retry-after", "2").after(3.0),
    });
    let fleet = fleet(CooldownPolicy::default(), [("a", &backend)]);
    let _ = tokio::join!(send(&fleet), send(&fleet), send(&fleet));
    assert_eq!(cooling(&fleet, "a").1, Duration::from_secs(19));
    assert_eq!(deployment(&fleet, "a").health().totals().ejections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_cools_as_a_whole_says_exactly_how_long_still() {
    let [sooner, later] = ["4", "9"]
        .map(|wait| Backend::new(move |_| Reply::status(429).header("retry-after", wait)));
    let fleet = fleet(CooldownPolicy::default(), [("sooner", &sooner), ("later", &later)]);
    let _ = (send(&fleet).await, send(&fleet).await);
    for (passes, left) in [(0.0, 4.0), (1.5, 2.5), (2.375, 0.125)] {
        advance(passes).await;
        let refused = refused(&fleet).await;
        assert_eq!(refused.reason(), RefusedReason::Cooling);
        assert_eq!(refused.wait(), Some(Duration::from_secs_f64(left)));
        assert_eq!(refused.cause(), Some(FailureKind::RateLimited));
    }
    advance(0.125).await;
    assert_eq!(send(&fleet).await.unwrap(), 429);
    assert_eq!((sooner.calls(), later.calls()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lone_deployment_goes_on_showing_its_real_error() {
    for status in [401, 404, 429, 500] {
        let backend = Backend::status(status);
        let policy = CooldownPolicy::new(HttpClassify::inference());
        let fleet = fleet(policy.cooldown_time(Duration::from_secs(60)), [("a", &backend)]);
        for _ in 0..10 {
            assert_eq!(send(&fleet).await.unwrap(), status);
        }
        assert_eq!(backend.calls(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_never_refuses_everything_for_soft_reasons() {
    let backend = Backend::status(500);
    let fleet = fleet(CooldownPolicy::default(), [("a", &backend), ("b", &backend)]);
    for _ in 0..100 {
        assert_eq!(send(&fleet).await.unwrap(), 500);
        advance(0.3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_do_not_take_the_fleet_from_the_others() {
    let backend =
        Backend::new(|before| Reply::status(200).after(if before < 40 { 99.0 } else { 1.0 }));
    let fleet = fleet(CooldownPolicy::default(), [("a", &backend), ("b", &backend)]);
    for _ in 0..40 {
        let mut impatient = task::spawn(send(&fleet));
        assert_pending!(impatient.poll());
    }
    for _ in 0..10 {
        assert_eq!(send(&fleet).await.unwrap(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn many_failures_at_once_eject_once() {
    let bad = Backend::new(|_| Reply::status(500).after(1.0));
    let good = Backend::new(|_| Reply::status(200).after(1.0));
    let fleet = fleet(CooldownPolicy::default(), [("bad", &bad), ("good", &good)]);
    let mut all = JoinSet::new();
    for _ in 0..100 {
        let fleet = fleet.clone();
        all.spawn(async move { send(&fleet).await });
    }
    all.join_all().await;
    let totals = deployment(&fleet, "bad").health().totals();
    assert_eq!((totals.failed, totals.ejections), (50, 1));
    assert!(cooling(&fleet, "bad").1 < Duration::from_secs(6), "and escalates once");
}

#[tokio::test(start_paused = true)]
async fn a_late_success_of_a_request_from_before_does_not_bring_it_back() {
    let bad = Backend::new(|before| match before {
        0 => Reply::status(200).after(5.0),
        _ => Reply::status(429).header("retry-after", "20"),
    });
    let fleet = fleet(CooldownPolicy::default(), [("bad", &bad)]);
    let (slow, quick) = tokio::join!(send(&fleet), send(&fleet));
    assert_eq!((slow.unwrap(), quick.unwrap()), (200, 429));
    assert_eq!(cooling(&fleet, "bad").1, Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn its_time_up_one_request_at_a_time_tries_it() {
    let bad = Backend::new(|before| match before {
        0 => Reply::status(429).header("retry-after", "20"),
        _ => Reply::status(200).after(5.0),
    });
    let good = Backend::new(|_| Reply::status(200).after(1.0));
    let fleet = fleet(CooldownPolicy::default(), [("bad", &bad), ("good", &good)]);
    while bad.calls() == 0 {
        let _ = send(&fleet).await;
    }
    advance(20.0).await;
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let fleet = fleet.clone();
        all.spawn(async move { send(&fleet).await });
    }
    advance(0.5).await;
    assert_eq!(bad.calls(), 2);
    assert!(all.join_all().await.into_iter().all(|result| matches!(result, Ok(200))));
    assert!(matches!(deployment(&fleet, "bad").health().status(), Status::Ramping { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_trial_given_up_leaves_the_place_to_the_next() {
    let bad = Backend::new(|before| match before {
        0 => Reply::status(429).header("retry-after", "1"),
        1..6 => Reply::status(200).after(99.0),
        _ => Reply::status(200).chunk(),
    });
    let fleet = fleet(CooldownPolicy::default(), [("bad", &bad)]);
    send(&fleet).await.unwrap();
    advance(1.0).await;
    for _ in 0..5 {
        let mut trial = task::spawn(send(&fleet));
        assert_pending!(trial.poll());
        assert_eq!(deployment(&fleet, "bad").health().status(), Status::Probing);
    }
    drop(fleet.clone().call(Request::new(())));
    assert_eq!(deployment(&fleet, "bad").health().status(), Status::Probing);
    assert_eq!(send(&fleet).await.unwrap(), 200);
    assert!(matches!(deployment(&fleet, "bad").health().status(), Status::Ramping { .. }));
    assert_eq!(deployment(&fleet, "bad").in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_cuts_streams_is_set_aside_after_the_first_few() {
    let cuts = Backend::new(|_| Reply::status(200).chunk().breaks_off());
    let [one, other] = [(); 2].map(|()| Backend::new(|_| Reply::status(200).chunk().chunk()));
    let members = [("cuts", &cuts), ("one", &one), ("other", &other)];
    let fleet = fleet(CooldownPolicy::default(), members);
    for _ in 0..3 {
        failed_of_40(&fleet).await;
    }
    assert_eq!(cuts.calls(), 3);
    assert_eq!(cooling(&fleet, "cuts").0, FailureKind::Truncated);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_fast_among_slow_ones_draws_less_than_its_share() {
    let fast = Backend::status(500);
    let [one, other] = [(); 2].map(|()| Backend::new(|_| Reply::status(200).after(1.0)));
    let members = [("fast", &fast), ("one", &one), ("other", &other)];
    let fleet = fleet(CooldownPolicy::default(), members);
    let mut all = JoinSet::new();
    // Least busy alone would send it nearly all, as it never has one in flight.
    for _ in 0..3000 {
        let fleet = fleet.clone();
        all.spawn(async move { send(&fleet).await });
        advance(0.01).await;
    }
    all.join_all().await;
    assert!(fast.calls() < 10, "{}", fast.calls());
}

#[tokio::test(start_paused = true)]
async fn a_grpc_status_in_the_trailers_sets_it_aside() {
    let grpc = |status| {
        let head = |_| Reply::status(200).header("content-type", "application/grpc").chunk();
        Backend::new(move |before| head(before).trailer("grpc-status", status))
    };
    let (exhausted, fine) = (grpc("8"), grpc("0"));
    let policy = CooldownPolicy::new(GrpcClassify::new());
    let fleet = fleet(policy, [("exhausted", &exhausted), ("fine", &fine)]);
    for _ in 0..40 {
        send(&fleet).await.unwrap();
    }
    assert_eq!((exhausted.calls(), fine.calls()), (1, 39));
    assert_eq!(cooling(&fleet, "exhausted").0, FailureKind::RateLimited);
    assert_eq!(deployment(&fleet, "fine").health().totals().succeeded, 39);
}

#[tokio::test(start_paused = true)]
async fn an_operator_takes_one_out_and_brings_it_back() {
    let [a, b] = [(); 2].map(|()| Backend::status(200));
    let fleet = fleet(CooldownPolicy::default(), [("a", &a), ("b", &b)]);
    let a_takes_none = async || {
        let before = a.calls();
        assert_eq!(failed_of_40(&fleet).await, 0);
        a.calls() == before
    };
    let handle = deployment(&fleet, "a");
    let health = handle.health();
    assert!(!a_takes_none().await);

    health.pause();
    assert!(a_takes_none().await);
    advance(3600.0).await;
    assert!(a_takes_none().await);
    health.resume();
    assert!(!a_takes_none().await);

    health.cool_for(Duration::from_secs(60));
    assert!(a_takes_none().await);
    health.reset();
    assert!(!a_takes_none().await);

    health.cool_for(Duration::from_secs(60));
    advance(60.0).await;
    assert!(!a_takes_none().await, "it is probed");

    health.pause();
    deployment(&fleet, "b").health().pause();
    assert_eq!(refused(&fleet).await.reason(), RefusedReason::Paused);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_set_aside_is_not_asked_as_a_last_resort() {
    let backend = Backend::status(200);
    let fleet = fleet(CooldownPolicy::default(), [("a", &backend)]);
    deployment(&fleet, "a").health().cool_for(Duration::from_secs(60));
    assert_eq!(refused(&fleet).await.wait(), Some(Duration::from_secs(60)));
    assert_eq!(backend.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_trail_learns_how_the_body_ended() {
    let backend = Backend::new(|_| Reply::status(200).chunk().breaks_off());
    let fleet = fleet(CooldownPolicy::default(), [("a", &backend)]);
    let mut request = Request::new(());
    let trail = Trail::start(&mut request);
    let body = fleet.oneshot(request).await.unwrap().into_body();
    assert_eq!(trail.attempts()[0].outcome(), None);
    body.collect().await.unwrap_err();
    let failure = trail.attempts()[0].outcome().and_then(|outcome| outcome.failure());
    assert_eq!(failure.unwrap().kind(), FailureKind::Truncated);
}

#[tokio::test(start_paused = true)]
async fn what_its_classifier_makes_of_a_response_moves_the_retry_above() {
    let degraded = Backend::new(|_| Reply::status(200).header("x-degraded", "1"));
    let good = Backend::status(200);
    let policy = CooldownPolicy::new(|head: &Parts| {
        let failure = Failure::new(FailureKind::Overloaded);
        head.headers.contains_key("x-degraded").then(|| failure.into())
    });
    let fleet = fleet(policy, [("degraded", &degraded), ("good", &good)]);
    let retrying = RetryLayer::new(RetryPolicy::any_method()).layer(
        ServiceBuilder::new().map_request(|request: Request<_>| request.map(drop)).service(fleet),
    );
    for _ in 0..40 {
        let request = Request::new(Empty::<Bytes>::new());
        let response = retrying.clone().oneshot(request).await.unwrap();
        assert!(!response.headers().contains_key("x-degraded"));
    }
    assert_eq!(degraded.calls(), 3);
}

/// Ready for its first request alone.
#[derive(Clone)]
struct Once(Backend);

impl Service<Request<()>> for Once {
    type Response = <Backend as Service<Request<()>>>::Response;
    type Error = io::Error;
    type Future = <Backend as Service<Request<()>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(if self.0.calls() == 0 { Ok(()) } else { Err(io::ErrorKind::Other.into()) })
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.0.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_ready_is_set_aside_by_the_policy_it_was_under() {
    let once = CooldownLayer::default().layer(Once(Backend::status(200)));
    let deployment = Deployment::new("once");
    let fleet = Balance::new(LeastBusy, [(deployment.clone(), once)]);
    assert_eq!(send(&fleet).await.unwrap(), 200);
    assert!(send(&fleet).await.is_err());
    let status = deployment.health().status();
    assert!(matches!(status, Status::Cooling { cause: Cause::Failed(FailureKind::Connect), .. }));
}

#[tokio::test(start_paused = true)]
async fn a_response_names_who_served_it_and_holds_it_until_its_body_ends() {
    let backend = Backend::new(|_| Reply::status(200).chunk());
    let fleet = fleet(CooldownPolicy::default(), [("a", &backend)]);
    let response = fleet.clone().oneshot(Request::new(())).await.unwrap();
    let served = Served::of(&response).unwrap().deployment().clone();
    assert_eq!((served.id(), served.in_flight()), ("a", 1));
    assert_eq!(served.health().totals().succeeded, 0);
    response.into_body().collect().await.unwrap();
    assert_eq!((served.in_flight(), served.health().totals().succeeded), (0, 1));
}
