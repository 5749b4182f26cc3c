//! Over a balance: other deployments first, at once.

use tokio::time::Instant;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_fleet::{
    Attempt, Served,
    balance::{BalanceLayer, WeightedShuffle},
    outcome::{FailureKind, HttpClassify},
    upstream::Upstream,
};

use super::*;
use crate::support::{Answer, secs};

fn served(response: &Answered) -> &str {
    Served::of(response).unwrap().deployment().id()
}

#[tokio::test(start_paused = true)]
async fn one_failing_of_two_fails_no_request() {
    let start = Instant::now();
    let (bad, good) = (Fake::new([Answer::status(500)]), Fake::new([Answer::status(200)]));
    let members = [(Deployment::new("bad"), bad.clone()), (Deployment::new("good"), good.clone())];
    let balance = Balance::new(WeightedShuffle, members);
    for _ in 0..60 {
        let response = send(RetryPolicy::new().attempts(2), balance.clone(), get()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert!(bad.count() > 0, "the failing one was never asked");
    assert_eq!((good.count(), start.elapsed()), (60, secs(0)));
}

#[tokio::test(start_paused = true)]
async fn a_404_or_a_400_tries_a_sibling_where_it_is_told_to() {
    for (status, kind) in [(404, FailureKind::NotFound), (400, FailureKind::BadRequest)] {
        let fakes = [Fake::new([Answer::status(status)]), Fake::new([Answer::status(200)])];
        let (balance, _) = in_order(&fakes);
        let policy = RetryPolicy::new().classify(HttpClassify::inference());
        let response = send(policy.clone().retries_of(kind, 0), balance.clone(), get()).await;
        assert_eq!(response.unwrap().status(), status);
        let response = send(policy.retries_of(kind, 1), balance, get()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn others_are_tried_at_once_and_only_a_repeat_waits() {
    let start = Instant::now();
    let fakes = [0, 1, 2].map(|_| Fake::new([Answer::status(500), Answer::status(200)]));
    let (balance, _) = in_order(&fakes);
    let policy = RetryPolicy::new().attempts(4).backoff(every(secs(1)));
    let response = send(policy, balance, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), served(&response)), (200, "0"));
    let times = |fake: &Fake| fake.calls().iter().map(|call| call.at - start).collect::<Vec<_>>();
    assert_eq!(times(&fakes[0]), [secs(0), secs(1)]);
    assert_eq!((times(&fakes[1]), times(&fakes[2])), (vec![secs(0)], vec![secs(0)]));
}

#[tokio::test(start_paused = true)]
async fn another_deployment_does_not_wait_for_the_retry_after_of_the_first() {
    let start = Instant::now();
    let limited = Answer::status(429).header("retry-after", "3600");
    let (balance, _) = in_order(&[Fake::new([limited]), Fake::new([Answer::status(200)])]);
    let response = send(RetryPolicy::new(), balance, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed()), (200, secs(0)));
}

#[tokio::test(start_paused = true)]
async fn a_lone_deployment_is_retried_after_a_wait() {
    let start = Instant::now();
    let (balance, _) = in_order(&[Fake::new([Answer::status(500), Answer::status(200)])]);
    let policy = RetryPolicy::new().backoff(every(secs(1)));
    let response = send(policy, balance, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed()), (200, secs(1)));
}

#[tokio::test(start_paused = true)]
async fn under_nested_balances_the_other_branch_is_tried_at_once() {
    let start = Instant::now();
    let fakes = [Fake::new([Answer::status(500)]), Fake::new([Answer::status(200)])];
    let [one, other] = fakes.clone().map(|fake| in_order(&[fake]).0);
    let balance = Balance::new(
        LeastBusy,
        [(Deployment::new("one").order(0), one), (Deployment::new("other").order(1), other)],
    );
    let response = send(RetryPolicy::new().attempts(2), balance, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed()), (200, secs(0)));
    assert_eq!(fakes.map(|fake| fake.count()), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn under_nested_balances_a_sibling_within_the_branch_is_tried_at_once() {
    let start = Instant::now();
    let fakes = [Fake::new([Answer::status(500)]), Fake::new([Answer::status(200)])];
    let balance = Balance::new(LeastBusy, [(Deployment::new("region"), in_order(&fakes).0)]);
    let response = send(RetryPolicy::new().attempts(2), balance, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed()), (200, secs(0)));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_gets_the_head_as_it_came() {
    let fake = Fake::new([Answer::status(500), Answer::status(500), Answer::status(200)]);
    let sign = MapRequestLayer::new(|mut request: Request<ReplayBody>| {
        let index = Attempt::of(&request).unwrap().index();
        request.headers_mut().append("x-signed", index.into());
        request.extensions_mut().insert(index);
        request
    });
    let upstream = |id: &str| {
        let url = format!("http://{id}.example/{id}");
        (Deployment::new(id), Upstream::new(&url).unwrap().header("x-key", id).unwrap())
    };
    let balance = BalanceLayer::new(LeastBusy, ["eu", "us", "uk"].map(upstream));
    let service = ServiceBuilder::new().layer(balance).layer(sign).service(fake.clone());
    let mut request = get();
    *request.uri_mut() = "/chat?x=1".parse().unwrap();
    request.headers_mut().insert("x-key", "the caller's".parse().unwrap());
    request.extensions_mut().insert("kept");
    let response = send(RetryPolicy::new(), service, request).await.unwrap();
    assert_eq!(response.status(), 200);

    for (index, call) in fake.calls().iter().enumerate() {
        let head = &call.head;
        let host = head.uri.host().unwrap();
        let id = host.strip_suffix(".example").unwrap();
        assert_eq!(head.uri.to_string(), format!("http://{host}/{id}/chat?x=1"));
        let signed: Vec<_> = head.headers.get_all("x-signed").iter().collect();
        assert_eq!(signed, [&index.to_string()]);
        let keys: Vec<_> = head.headers.get_all("x-key").iter().collect();
        assert_eq!(keys, [id]);
        assert_eq!(head.extensions.get(), Some(&"kept"));
        assert_eq!(head.extensions.get(), Some(&index));
    }
    assert_eq!(fake.count(), 3);
}
