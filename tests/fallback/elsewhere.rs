//! What the layers below do while the request can still go elsewhere, and when it no longer can.

use tokio::time::Instant;
use tower_fleet::{
    fallback::{Fallback, FallbackToLayer},
    retry::{Retry, RetryLayer, RetryPolicy},
};

use super::*;

/// Fallback over retry over one deployment a group.
fn stack(groups: &Groups, plan: FallbackPlan) -> Fallback<Retry<OfOne>> {
    let retry = RetryLayer::new(RetryPolicy::any_method());
    FallbackLayer::new(plan).layer(retry.layer(of_one(groups)))
}

#[tokio::test(start_paused = true)]
async fn with_a_fallback_left_a_lone_failing_deployment_is_neither_asked_again_nor_waited_for() {
    let groups = Groups::new([("a", 500), ("b", 200)]);
    let stack = stack(&groups, FallbackPlan::new().group("a", ["b"]));
    let begun = Instant::now();
    assert_eq!(read(stack.oneshot(request("a")).await.unwrap()).await, (200, "b".into()));
    assert_eq!((groups.asked().as_str(), begun.elapsed()), ("a b", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn without_a_fallback_it_is_asked_again_and_shows_its_real_error() {
    let groups = Groups::new([("a", 500)]);
    let stack = stack(&groups, FallbackPlan::new().group("b", ["c"]));
    assert_eq!(read(stack.oneshot(request("a")).await.unwrap()).await, (500, "a".into()));
    assert_eq!(groups.asked(), "a a a");
}

#[tokio::test(start_paused = true)]
async fn the_last_target_is_treated_as_if_there_were_no_fallback() {
    let groups = Groups::new([("a", 500), ("b", 500), ("c", 500)]);
    let stack = stack(&groups, FallbackPlan::new().group("a", ["b", "c"]));
    assert_eq!(read(stack.oneshot(request("a")).await.unwrap()).await, (500, "a".into()));
    assert_eq!(groups.asked(), "a b c c c");
}

#[tokio::test(start_paused = true)]
async fn a_target_out_of_bounds_is_no_place_to_go() {
    let groups = Groups::new([("a", 500), ("b", 500), ("c", 200)]);
    let stack = stack(&groups, FallbackPlan::new().group("a", ["b", "c"]).max_fallbacks(1));
    assert_eq!(read(stack.oneshot(request("a")).await.unwrap()).await, (500, "a".into()));
    assert_eq!(groups.asked(), "a b b b");
}

#[tokio::test(start_paused = true)]
async fn a_list_for_a_rare_kind_alone_is_no_place_to_go_for_the_others() {
    let groups = Groups::new([("a", 500)]);
    let kind = tower_fleet::outcome::FailureKind::ContextWindow;
    let stack = stack(&groups, FallbackPlan::new().group_on(kind, "a", ["b"]));
    assert_eq!(read(stack.oneshot(request("a")).await.unwrap()).await, (500, "a".into()));
    assert_eq!(groups.asked(), "a a a");
}

#[tokio::test(start_paused = true)]
async fn a_lone_deployment_that_cools_is_passed_over_for_the_fallback_at_once() {
    let groups = Groups::new([("a", 401), ("b", 200)]);
    let stack = stack(&groups, FallbackPlan::new().group("a", ["b"]));
    for _ in 0..3 {
        let response = stack.clone().oneshot(request("a")).await.unwrap();
        assert_eq!(read(response).await, (200, "b".into()));
    }
    assert_eq!(groups.asked(), "a b b b");
}

#[tokio::test(start_paused = true)]
async fn a_lone_deployment_that_cools_shows_its_real_error_where_nothing_else_is_left() {
    let groups = Groups::new([("a", 401), ("b", 401)]);
    let alone = stack(&groups, FallbackPlan::new());
    for _ in 0..3 {
        let response = alone.clone().oneshot(request("a")).await.unwrap();
        assert_eq!(read(response).await, (401, "a".into()));
    }
    assert_eq!(groups.asked(), "a a a");

    let groups = Groups::new([("a", 401), ("b", 401)]);
    let stack = stack(&groups, FallbackPlan::new().group("a", ["b"]));
    let first = stack.clone().oneshot(request("a")).await.unwrap();
    assert_eq!(read(first).await, (401, "a".into()));
    let again = stack.oneshot(request("a")).await.unwrap();
    assert_eq!(
        read(again).await,
        (401, "a".into()),
        "it left the request to b, and then was asked"
    );
    assert_eq!(groups.asked(), "a b b a");
}

#[tokio::test(start_paused = true)]
async fn the_last_group_below_another_fallback_is_not_the_last_place() {
    let groups = Groups::new([("a", 500), ("b", 500)]);
    let spare = Groups::new([("a", 200)]);
    let outer = FallbackToLayer::new(stack(&spare, FallbackPlan::new()))
        .layer(stack(&groups, FallbackPlan::new().group("a", ["b"])));
    assert_eq!(read(outer.oneshot(request("a")).await.unwrap()).await, (200, "a".into()));
    assert_eq!((groups.asked(), spare.asked()), ("a b".into(), "a".into()));
}
