//! Lists for one kind of failure over the whole stack: the layers below act as if there were no other place to go, but
//! for that kind.

use http::StatusCode;
use tokio::time::Instant;
use tower_fleet::{
    Demand, Trail,
    error::RefusedReason,
    fallback::Fallback,
    outcome::{FailureKind, HttpClassify},
    retry::{Backoff, Retry, RetryLayer, RetryPolicy},
};

use super::*;

/// The statuses taken for what an inference API says in the body of a 400.
const TOO_LONG: u16 = 450;
const INDECENT: u16 = 451;

fn classify() -> HttpClassify {
    let status = |status| StatusCode::from_u16(status).unwrap();
    HttpClassify::new()
        .status(status(TOO_LONG), FailureKind::ContextWindow)
        .status(status(INDECENT), FailureKind::ContentPolicy)
}

/// Fallback over retry over the groups `a`, `b` and `c` of one deployment each; that of `a` takes ten tokens. A retry of
/// the same deployment waits for a second.
fn stack(groups: &Groups, plan: FallbackPlan) -> Fallback<Retry<OfOne>> {
    let policy = CooldownPolicy::new(classify()).cooldown_time(Duration::from_secs(60));
    let cooldown = CooldownLayer::new(policy);
    let group = |name: &'static str| {
        let deployment = Deployment::new(name);
        let deployment = if name == "a" { deployment.max_input_tokens(10) } else { deployment };
        let member = (deployment, cooldown.layer(groups.clone()));
        (GroupName::new(name), Balance::new(LeastBusy, [member]))
    };
    let second = Backoff::new(Duration::ZERO, Duration::ZERO).floor(Duration::from_secs(1));
    let retry = RetryPolicy::any_method()
        .classify(classify())
        .backoff(second)
        .retries_of(FailureKind::ContextWindow, 2)
        .retries_of(FailureKind::ContentPolicy, 2);
    let retry = RetryLayer::new(retry);
    FallbackLayer::new(plan.classify(classify()))
        .layer(retry.layer(Fleet::new(["a", "b", "c"].map(group), [])))
}

fn long() -> Request<ReplayBody> {
    let mut request = request("a");
    let mut demand = Demand::default();
    demand.input_tokens = Some(11);
    demand.set(&mut request);
    request
}

#[tokio::test(start_paused = true)]
async fn an_input_too_long_for_the_group_goes_to_its_list_and_nothing_is_sent_before() {
    let groups = Groups::new([("a", 200), ("b", 200), ("c", 200)]);
    let plan =
        FallbackPlan::new().group("a", ["c"]).group_on(FailureKind::ContextWindow, "a", ["b"]);
    let mut request = long();
    let trail = Trail::start(&mut request);
    let start = Instant::now();
    let response = stack(&groups, plan).oneshot(request).await.unwrap();
    assert_eq!(read(response).await, (200, "b".into()));
    assert_eq!((groups.asked().as_str(), start.elapsed()), ("b", Duration::ZERO));
    assert_eq!((trail.attempt_count(), trail.fallbacks()), (1, vec![GroupName::new("b")]));
}

#[tokio::test(start_paused = true)]
async fn without_a_list_of_its_own_it_goes_to_the_general_one_and_without_any_to_the_caller() {
    let groups = Groups::new([("a", 200), ("c", 200)]);
    let plan = FallbackPlan::new().group("a", ["c"]);
    let response = stack(&groups, plan).oneshot(long()).await.unwrap();
    assert_eq!(read(response).await, (200, "c".into()));

    for plan in [
        FallbackPlan::new(),
        FallbackPlan::new().group_on(FailureKind::ContentPolicy, "a", ["b"]),
        FallbackPlan::new().group("a", ["b"]).group_on(FailureKind::ContextWindow, "a", [""; 0]),
    ] {
        let error = stack(&groups, plan).oneshot(long()).await.unwrap_err();
        assert_eq!(error.as_refused().unwrap().reason(), RefusedReason::ContextWindow);
    }
    assert_eq!(groups.asked(), "c");
}

#[tokio::test(start_paused = true)]
async fn when_the_list_fails_too_the_caller_learns_that_the_input_was_too_long() {
    let groups = Groups::new([("a", 200), ("b", 500)]);
    let plan = FallbackPlan::new().group_on(FailureKind::ContextWindow, "a", ["b"]);
    let error = stack(&groups, plan).oneshot(long()).await.unwrap_err();
    assert_eq!(error.as_refused().unwrap().reason(), RefusedReason::ContextWindow);
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_no_failure_that_has_a_list_and_for_those_that_have_none() {
    for (status, kind) in [
        (TOO_LONG, FailureKind::ContextWindow),
        (INDECENT, FailureKind::ContentPolicy),
        (500, FailureKind::Server),
    ] {
        let groups = Groups::new([("a", status), ("b", 200)]);
        let plan = || FallbackPlan::new().group_on(kind, "a", ["b"]);
        let start = Instant::now();
        let response = stack(&groups, plan()).oneshot(request("a")).await.unwrap();
        assert_eq!(read(response).await, (200, "b".into()));
        assert_eq!((groups.asked().as_str(), start.elapsed()), ("a b", Duration::ZERO), "{kind}");

        let groups = Groups::new([("a", 503), ("b", 200)]);
        let response = stack(&groups, plan()).oneshot(request("a")).await.unwrap();
        assert_eq!(read(response).await, (503, "a".into()));
        assert_eq!((groups.asked().as_str(), start.elapsed()), ("a a a", Duration::from_secs(2)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_empty_for_a_kind_is_no_place_to_go_for_it() {
    let groups = Groups::new([("a", INDECENT), ("b", 200)]);
    let plan =
        FallbackPlan::new().group("a", ["b"]).group_on(FailureKind::ContentPolicy, "a", [""; 0]);
    let response = stack(&groups, plan).oneshot(request("a")).await.unwrap();
    assert_eq!(read(response).await, (INDECENT, "a".into()));
    assert_eq!(groups.asked(), "a a a");
}

#[tokio::test(start_paused = true)]
async fn a_lone_deployment_refuses_only_where_a_list_takes_refusals() {
    let no_refusals =
        || FallbackPlan::new().group("a", ["b"]).group_on(FailureKind::Refused, "a", [""; 0]);
    for (plan, answers, asked) in [
        (FallbackPlan::new().group_on(FailureKind::Refused, "a", ["b"]), ["a", "b"], "a b"),
        (FallbackPlan::new().group_on(FailureKind::ContextWindow, "a", ["b"]), ["a", "a"], "a a"),
        (FallbackPlan::new().group("a", ["b"]), ["b", "b"], "a b b"),
        (no_refusals(), ["b", "b"], "a b a b"),
    ] {
        let groups = Groups::new([("a", 401), ("b", 200)]);
        let stack = stack(&groups, plan);
        for answer in answers {
            let response = stack.clone().oneshot(request("a")).await.unwrap();
            assert_eq!(read(response).await.1, answer);
        }
        assert_eq!(groups.asked(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_an_earlier_list_is_a_place_to_go_whatever_the_kind() {
    for status in [TOO_LONG, 500] {
        let groups = Groups::new([("a", 500), ("b", status), ("c", 200)]);
        let plan = FallbackPlan::new().group("a", ["b", "c"]).group_on(
            FailureKind::ContextWindow,
            "b",
            [""; 0],
        );
        let start = Instant::now();
        let response = stack(&groups, plan).oneshot(request("a")).await.unwrap();
        assert_eq!(read(response).await, (200, "c".into()));
        assert_eq!((groups.asked().as_str(), start.elapsed()), ("a b c", Duration::ZERO));
    }
}
