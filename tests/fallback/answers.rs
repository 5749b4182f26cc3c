//! What the caller sees, and what is left behind.

use futures_util::FutureExt;
use tower::service_fn;
use tower_fleet::{
    Error, Trail,
    body::NotReplayable,
    outcome::FailureKind,
    retry::{RetryLayer, RetryPolicy},
};

use super::*;

#[tokio::test]
async fn when_all_fail_it_is_the_answer_of_the_group_asked_for_body_and_all() {
    let plan = FallbackPlan::new().group("a", ["b", "c"]);
    let groups = Groups::new([("a", 500), ("b", 429), ("c", 401)]);
    assert_eq!(groups.ask(plan, request("a")).await, (500, "a".into()));
}

#[tokio::test]
async fn an_error_of_the_group_asked_for_is_kept_too() {
    let service = service_fn(|request: Request<ReplayBody>| async move {
        match GroupName::of(&request).map(GroupName::as_str) {
            Some("a") => Err(BoxError::from("no route to a")),
            _ => Ok(answer(502, "b")),
        }
    });
    let fallback = FallbackLayer::new(FallbackPlan::new().group("a", ["b"])).layer(service);
    let error = fallback.oneshot(request("a")).await.unwrap_err();
    assert!(matches!(error, Error::Service(inner) if inner.to_string() == "no route to a"));
}

#[tokio::test]
async fn a_success_is_returned_at_once() {
    let plan = FallbackPlan::new().group("a", ["b"]);
    let groups = Groups::new([("a", 200)]);
    let mut request = request("a");
    let trail = Trail::start(&mut request);
    assert_eq!(groups.ask(plan, request).await, (200, "a".into()));
    assert_eq!((groups.asked(), trail.fallbacks()), ("a".into(), vec![]));
}

#[tokio::test]
async fn the_trail_has_every_group_and_how_it_ended() {
    let plan = FallbackPlan::new().group("a", ["b", "c"]);
    let fleet = of_one(&Groups::new([("a", 500), ("b", 429), ("c", 200)]));
    let retry = RetryLayer::new(RetryPolicy::any_method());
    let service = FallbackLayer::new(plan).layer(retry.layer(fleet));
    let mut request = request("a");
    let trail = Trail::start(&mut request);
    assert_eq!(read(service.oneshot(request).await.unwrap()).await.0, 200);

    assert_eq!(trail.fallbacks(), [GroupName::new("b"), GroupName::new("c")]);
    let attempts = trail.attempts();
    let said = attempts.iter().map(|step| {
        let failure = step.outcome().and_then(|outcome| outcome.failure());
        let group = step.group().unwrap().as_str();
        (group, step.deployment().unwrap().id(), failure.map(|failure| failure.kind()))
    });
    let server = ("a", "a", Some(FailureKind::Server));
    let limited = ("b", "b", Some(FailureKind::RateLimited));
    assert_eq!(said.collect::<Vec<_>>(), [server, limited, ("c", "c", None)]);
}

#[tokio::test]
async fn a_target_that_no_group_has_is_passed_over_and_neither_counted_nor_told() {
    let plan = FallbackPlan::new().group("a", ["nope", "b", "nada", "c"]).max_fallbacks(2);
    for (b, answered, told) in [(200, (200, "b"), &["b"][..]), (500, (500, "a"), &["b", "c"])] {
        let groups = Groups::new([("a", 500), ("b", b), ("c", 502)]);
        let fallback = FallbackLayer::new(plan.clone()).layer(of_one(&groups));
        let mut request = request("a");
        let trail = Trail::start(&mut request);
        let answer = read(fallback.oneshot(request).await.unwrap()).await;
        assert_eq!((answer.0, answer.1.as_str()), answered);
        assert_eq!(trail.fallbacks(), told.iter().copied().map(GroupName::new).collect::<Vec<_>>());
        assert_eq!(groups.asked(), format!("a {}", told.join(" ")));
    }
    let groups = Groups::new([("a", 500)]);
    let plan = FallbackPlan::new().group("a", ["nope", "nada"]);
    let mut request = request("a");
    let trail = Trail::start(&mut request);
    let fallback = FallbackLayer::new(plan).layer(of_one(&groups));
    assert_eq!(read(fallback.oneshot(request).await.unwrap()).await, (500, "a".into()));
    assert!(trail.fallbacks().is_empty());
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_ends_it_and_the_trail_says_why() {
    let plan = FallbackPlan::new().group("a", ["b"]).replay_limit(2048);
    let body = in_pieces(3, || Bytes::from(vec![0; 1024]));
    let groups = Groups::new([("b", 200)]);
    let mut request = request("a").map(|_| body);
    let trail = Trail::start(&mut request);
    let fallback = FallbackLayer::new(plan).layer(groups.clone());
    let response = fallback.oneshot(request).await.unwrap();

    assert_eq!(read(response).await, (503, "a".into()));
    assert_eq!(groups.asked(), "a");
    assert_eq!(trail.not_replayed(), Some(NotReplayable::TooLarge { limit: 2048 }));
    assert!(trail.fallbacks().is_empty());
}

#[tokio::test]
async fn the_answer_that_is_kept_holds_no_place_while_another_group_is_asked() {
    let groups = Groups::new([("a", 500), ("b", HANGS)]);
    let fleet = of_one(&groups);
    let plan = FallbackPlan::new().group("a", ["b"]);
    let mut call = Box::pin(FallbackLayer::new(plan).layer(fleet.clone()).oneshot(request("a")));
    assert!((&mut call).now_or_never().is_none());
    assert_eq!(groups.asked(), "a b");
    assert_eq!((deployment(&fleet, "a").in_flight(), deployment(&fleet, "b").in_flight()), (0, 1));
}

#[tokio::test]
async fn a_call_that_is_dropped_asks_no_further_group_and_leaves_nothing_in_flight() {
    let groups = Groups::new([("b", HANGS), ("c", 200)]);
    let fleet = of_one(&groups);
    let plan = FallbackPlan::new().group("a", ["b", "c"]);
    let mut call = Box::pin(FallbackLayer::new(plan).layer(fleet.clone()).oneshot(request("a")));
    assert!((&mut call).now_or_never().is_none());
    drop(call);
    tokio::task::yield_now().await;
    assert_eq!(groups.asked(), "a b");
    assert!(["a", "b", "c"].iter().all(|group| deployment(&fleet, group).in_flight() == 0));
}
