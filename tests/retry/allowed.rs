//! Who says how many retries there may be: the request, the deployment, the policy by kind or by group.

use tower_fleet::{
    Demand, GroupName, Overrides, Trail,
    error::RefusedReason,
    outcome::{FailureKind, HttpClassify},
    retry::RetryCounts,
};

use super::*;
use crate::support::Answer;

fn eager() -> RetryPolicy {
    RetryPolicy::any_method().backoff(every(Duration::ZERO)).budget(None)
}

fn asking(retries: u32) -> Request<Full<Bytes>> {
    let mut request = get();
    let mut overrides = Overrides::default();
    overrides.retries = Some(retries);
    overrides.set(&mut request);
    request
}

/// How often a deployment is asked that always fails with `status`.
async fn calls(
    policy: RetryPolicy,
    deployment: Deployment,
    status: u16,
    request: Request<Full<Bytes>>,
) -> usize {
    let fake: Fake = Fake::new([Answer::status(status)]);
    let balance = Balance::new(LeastBusy, [(deployment, fake.clone())]);
    assert_eq!(send(policy, balance, request).await.unwrap().status(), status);
    fake.count()
}

#[tokio::test(start_paused = true)]
async fn the_request_s_count_goes_before_the_deployment_s_and_that_before_the_policy_s() {
    let (plain, own) = (|| Deployment::new("one"), || Deployment::new("one").retries(4));
    let policy = || eager().attempts(2);
    assert_eq!(calls(policy(), plain(), 500, get()).await, 2);
    assert_eq!(calls(policy(), own(), 500, get()).await, 5);
    assert_eq!(calls(policy(), own(), 500, asking(3)).await, 4);
    assert_eq!(calls(policy(), own(), 500, asking(0)).await, 1);
    assert_eq!(calls(policy(), Deployment::new("one").retries(0), 500, get()).await, 1);
    assert_eq!(calls(eager().attempts(1), plain(), 500, asking(3)).await, 4);
    assert_eq!(calls(policy(), plain(), 400, asking(3)).await, 1, "it asks for no other kinds");
    assert_eq!(calls(policy(), plain(), 500, asking(u32::MAX)).await, 11, "no more are granted");
    assert_eq!(calls(policy().most_asked(3), plain(), 500, asking(9)).await, 4);
}

#[tokio::test(start_paused = true)]
async fn the_deployment_that_failed_last_says() {
    for (counts, asked) in [([5, 1], [1, 1]), ([0, 5], [1, 0]), ([1, 5], [2, 1])] {
        let fakes: [Fake; 2] = [500, 500].map(|status| Fake::new([Answer::status(status)]));
        let members = fakes.iter().zip(counts).zip(0..).map(|((fake, count), order)| {
            (Deployment::new(order.to_string()).order(order).retries(count), fake.clone())
        });
        send(eager(), Balance::new(LeastBusy, members), get()).await.unwrap();
        assert_eq!(fakes.each_ref().map(Fake::count), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_for_the_kind_goes_before_all_but_a_request_that_wants_none() {
    let own = || Deployment::new("one").retries(4);
    let policy = || eager().retries_of(FailureKind::Server, 1);
    assert_eq!(calls(policy(), own(), 500, get()).await, 2);
    assert_eq!(calls(policy(), own(), 500, asking(6)).await, 2);
    assert_eq!(calls(policy(), own(), 500, asking(0)).await, 1);
    assert_eq!(calls(policy(), own(), 503, asking(6)).await, 7);
}

#[tokio::test(start_paused = true)]
async fn a_count_for_the_kind_sends_a_lone_deployment_what_is_of_no_use_otherwise() {
    let second = Duration::from_secs(1);
    let policy = || eager().attempts(3).backoff(every(second)).classify(HttpClassify::inference());
    for (kind, status) in [
        (FailureKind::Unauthorized, 401),
        (FailureKind::QuotaExhausted, 402),
        (FailureKind::NotFound, 404),
    ] {
        let start = tokio::time::Instant::now();
        let one = || Deployment::new("one");
        assert_eq!(calls(policy(), one(), status, get()).await, 1);
        let others = policy().counts(RetryCounts::new().others(2));
        assert_eq!(calls(others, one(), status, get()).await, 1);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(calls(policy().retries_of(kind, 2), one(), status, get()).await, 3);
        assert_eq!(start.elapsed(), 2 * second);
        assert_eq!(calls(policy().retries_of(kind, 0), one(), status, get()).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_for_the_others_is_for_what_is_retried_at_all() {
    let counts = RetryCounts::new().of(FailureKind::Server, 1).others(3);
    let policy = || eager().attempts(1).counts(counts.clone());
    assert_eq!(calls(policy(), Deployment::new("one"), 500, get()).await, 2);
    assert_eq!(calls(policy(), Deployment::new("one").retries(0), 503, asking(1)).await, 4);
    assert_eq!(calls(policy(), Deployment::new("one"), 400, get()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_counts_of_a_group_take_the_place_of_those_for_all() {
    let policy = || {
        eager()
            .retries_of(FailureKind::Server, 1)
            .retries_of(FailureKind::Overloaded, 0)
            .group("batch", RetryCounts::new().of(FailureKind::Server, 3))
    };
    let to = |group: &str| {
        let mut request = get();
        GroupName::new(group).set(&mut request);
        request
    };
    for (status, group, count) in
        [(500, "batch", 4), (500, "chat", 2), (503, "chat", 1), (503, "batch", 3)]
    {
        assert_eq!(calls(policy(), Deployment::new("one"), status, to(group)).await, count);
    }
    assert_eq!(calls(policy(), Deployment::new("one"), 500, get()).await, 2);
    let only = eager().attempts(1).group("batch", RetryCounts::new().of(FailureKind::Server, 1));
    assert_eq!(calls(only, Deployment::new("one"), 500, to("batch")).await, 2);
}

fn long() -> Request<Full<Bytes>> {
    let mut request = get();
    let mut demand = Demand::default();
    demand.input_tokens = Some(1000);
    demand.endpoint = Some("/chat/completions".into());
    demand.set(&mut request);
    request
}

#[tokio::test(start_paused = true)]
async fn what_no_deployment_can_take_is_handed_on_at_once_and_is_no_attempt() {
    let start = tokio::time::Instant::now();
    let policy = eager()
        .backoff(every(Duration::from_secs(1)))
        .retries_of(FailureKind::ContextWindow, 3)
        .retries_of(FailureKind::Refused, 3);
    for (deployment, reason) in [
        (Deployment::new("one").max_input_tokens(999), RefusedReason::ContextWindow),
        (Deployment::new("one").endpoints(["/embeddings"]), RefusedReason::Unsupported),
    ] {
        let mut request = long();
        let trail = Trail::start(&mut request);
        let fake: Fake = Fake::new([Answer::status(200)]);
        let balance = Balance::new(LeastBusy, [(deployment, fake.clone())]);
        let error = send(policy.clone(), balance, request).await.unwrap_err();
        assert_eq!(error.as_refused().unwrap().reason(), reason);
        assert_eq!((fake.count(), trail.attempt_count(), start.elapsed()), (0, 0, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_to_none_that_is_too_small_and_waits_for_the_one_that_is_not() {
    let large: Fake = Fake::new([Answer::status(500), Answer::status(200)]);
    let small: Fake = Fake::new([Answer::status(200)]);
    let members = [
        (Deployment::new("large"), large.clone()),
        (Deployment::new("small").max_input_tokens(10), small.clone()),
    ];
    let start = tokio::time::Instant::now();
    let policy = eager().backoff(every(Duration::from_secs(1)));
    let response = send(policy, Balance::new(LeastBusy, members), long()).await.unwrap();
    assert_eq!((response.status().as_u16(), large.count(), small.count()), (200, 2, 0));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}
