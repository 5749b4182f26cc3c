//! Which groups are tried, and in what order.

use http::response::Parts;
use tower_fleet::{
    Fallbacks,
    outcome::{Classify, Failure, FailureKind, HttpClassify, Outcome},
};

use super::*;

/// Takes two statuses for what an inference API says in the body of a 400.
fn by_status(head: &Parts) -> Option<Outcome> {
    let kind = match head.status.as_u16() {
        450 => FailureKind::ContextWindow,
        451 => FailureKind::ContentPolicy,
        _ => return HttpClassify::new().head(head),
    };
    Some(Failure::new(kind).with_status(head.status).into())
}

#[tokio::test]
async fn the_groups_of_the_list_are_tried_in_order_until_one_answers() {
    let groups = Groups::new([("c", 200), ("d", 200)]);
    let plan = FallbackPlan::new().group("a", ["b", "c", "d"]);
    assert_eq!(groups.ask(plan, request("a")).await, (200, "c".into()));
    assert_eq!(groups.asked(), "a b c");
}

#[tokio::test]
async fn a_kind_with_a_list_of_its_own_uses_it_instead() {
    let plan = || {
        FallbackPlan::new()
            .classify(by_status)
            .group("a", ["any"])
            .group_on(FailureKind::ContextWindow, "a", ["long"])
            .group_on(FailureKind::ContentPolicy, "a", ["lenient"])
    };
    for (status, expected) in [(450, "long"), (451, "lenient"), (500, "any"), (429, "any")] {
        let groups = Groups::new([("a", status), ("long", 200), ("lenient", 200), ("any", 200)]);
        assert_eq!(groups.ask(plan(), request("a")).await, (200, expected.into()));
        assert_eq!(groups.asked(), format!("a {expected}"));
    }
}

#[tokio::test]
async fn a_kind_without_a_list_of_its_own_uses_the_general_one() {
    let plan = FallbackPlan::new().classify(by_status).group("a", ["any"]);
    let groups = Groups::new([("a", 450), ("any", 200)]);
    assert_eq!(groups.ask(plan, request("a")).await.0, 200);
}

#[tokio::test]
async fn a_list_for_one_kind_is_for_no_other() {
    let plan = || {
        let plan = FallbackPlan::new().classify(by_status);
        plan.group_on(FailureKind::ContextWindow, "a", ["long"])
    };
    let groups = Groups::new([("a", 450), ("long", 200)]);
    assert_eq!(groups.ask(plan(), request("a")).await.0, 200);
    let groups = Groups::new([("a", 500), ("long", 200)]);
    assert_eq!(groups.ask(plan(), request("a")).await.0, 500);
}

#[tokio::test]
async fn groups_without_a_list_and_requests_without_a_group_go_to_the_default() {
    let plan = || FallbackPlan::new().group("a", ["b"]).otherwise(["spare"]);
    let groups = Groups::new([("spare", 200)]);
    assert_eq!(groups.ask(plan(), request("other")).await.0, 200);
    assert_eq!(groups.ask(plan(), Request::new(ReplayBody::empty())).await.0, 200);
    assert_eq!(groups.ask(plan(), request("a")).await.0, 200, "what stands in has no list either");
    assert_eq!(groups.asked(), "other spare - spare a b spare");
}

#[tokio::test]
async fn the_list_of_a_fallback_that_failed_goes_before_the_rest_of_the_first_list() {
    let plan = FallbackPlan::new().group("a", ["b", "e"]).group("b", ["c", "d"]);
    let groups = Groups::new([("e", 200)]);
    assert_eq!(groups.ask(plan, request("a")).await, (200, "e".into()));
    assert_eq!(groups.asked(), "a b c d e");
}

#[tokio::test]
async fn a_cycle_ends_and_no_group_is_asked_twice() {
    let plan = FallbackPlan::new().group("a", ["a", "b"]).group("b", ["c", "a"]).group("c", ["b"]);
    let groups = Groups::new([]);
    assert_eq!(groups.ask(plan, request("a")).await, (503, "a".into()));
    assert_eq!(groups.asked(), "a b c");
}

#[tokio::test]
async fn the_bound_counts_every_group_however_the_lists_nest() {
    let flat = FallbackPlan::new().group("a", ["b", "c", "d", "e", "f", "g", "h"]);
    let chain = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .windows(2)
        .fold(FallbackPlan::new(), |plan, pair| plan.group(pair[0], [pair[1]]));
    let nested = FallbackPlan::new().group("a", ["b", "e", "f"]).group("b", ["c", "d"]);
    let nested = nested.group("f", ["g"]);
    for plan in [flat, chain, nested] {
        for (plan, asked) in [
            (plan.clone(), "a b c d e f"),
            (plan.clone().max_fallbacks(2), "a b c"),
            (plan.max_fallbacks(0), "a"),
        ] {
            let groups = Groups::new([]);
            groups.ask(plan, request("a")).await;
            assert_eq!(groups.asked(), asked);
        }
    }
}

#[tokio::test]
async fn the_list_of_a_request_takes_the_place_of_all_the_plans_lists() {
    let plan = || FallbackPlan::new().group("a", ["b"]).group("x", ["b"]).otherwise(["b"]);
    let groups = Groups::new([("b", 200)]);
    let mut own = request("a");
    Fallbacks::new(["x", "y"]).set(&mut own);
    assert_eq!(groups.ask(plan(), own).await, (503, "a".into()));
    assert_eq!(groups.asked(), "a x y");

    let groups = Groups::new([("b", 200)]);
    let mut none = request("a");
    Fallbacks::new::<GroupName>([]).set(&mut none);
    assert_eq!(groups.ask(plan(), none).await.0, 503);
    assert_eq!(groups.asked(), "a");
}

#[tokio::test]
async fn what_the_request_did_wrong_goes_on_only_if_the_plan_says_so() {
    for status in [400, 413, 422] {
        let plan = || FallbackPlan::new().group("a", ["b"]);
        let groups = Groups::new([("a", status), ("b", 200)]);
        assert_eq!(groups.ask(plan(), request("a")).await, (status, "a".into()));
        assert_eq!(groups.ask(plan().on_bad_request(true), request("a")).await.0, 200);
    }
}
