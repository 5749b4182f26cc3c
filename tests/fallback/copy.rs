//! The copies that sending a request again takes: of its head, and of its body.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use http::HeaderValue;
use tower::{service_fn, util::MapRequestLayer};
use tower_fleet::{
    fallback::Fallback,
    retry::{Backoff, RetryLayer, RetryPolicy},
};

use super::*;

/// An extension that counts how often it was copied, and so the head that it is part of.
#[derive(Default)]
struct Copies(Arc<AtomicUsize>);

impl Clone for Copies {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

fn retry(attempts: u32) -> RetryPolicy {
    let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
    RetryPolicy::any_method().attempts(attempts).backoff(at_once)
}

/// How many copies of the head are made of a request to a group that answers so.
async fn copies(status: u16, policy: RetryPolicy) -> usize {
    let groups = Groups::new([("a", status), ("b", 200)]);
    let plan = FallbackPlan::new().group("a", ["b"]);
    let stack = FallbackLayer::new(plan).layer(RetryLayer::new(policy).layer(groups));
    let (mut request, copies) = (request("a"), Copies::default());
    let count = Arc::clone(&copies.0);
    request.extensions_mut().insert(copies);
    assert_eq!(stack.oneshot(request).await.unwrap().status(), 200);
    count.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_fallback_directly_over_a_retry_copies_the_head_once() {
    assert_eq!(copies(200, retry(3).shares_copy(true)).await, 1);
    assert_eq!(copies(200, retry(3)).await, 2, "each its own, when they may stand apart");
    assert_eq!(copies(500, retry(3).shares_copy(true)).await, 2, "one more to send it again");
}

/// The values of `x-hops` that each attempt came with: one for each layer that adds one to the head.
#[derive(Clone, Default)]
struct Hops(Arc<Mutex<Vec<Vec<HeaderValue>>>>);

impl Hops {
    /// Fails, until it was asked `times` times.
    fn service(
        &self,
        times: usize,
    ) -> impl Service<Request<ReplayBody>, Response = Answer, Error = Infallible, Future: Send> + Clone
    {
        let seen = Arc::clone(&self.0);
        service_fn(move |request: Request<ReplayBody>| {
            let mut seen = seen.lock().unwrap();
            seen.push(request.headers().get_all("x-hops").iter().cloned().collect());
            let response = answer(if seen.len() < times { 500 } else { 200 }, "");
            async { Ok(response) }
        })
    }

    fn seen(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(Vec::len).collect()
    }
}

fn hop<B>(mut request: Request<B>) -> Request<B> {
    request.headers_mut().append("x-hops", HeaderValue::from_static("hop"));
    request
}

#[tokio::test]
async fn what_a_layer_between_adds_is_sent_with_every_attempt_and_once() {
    let hops = Hops::default();
    let retry = RetryLayer::new(retry(2)).layer(hops.service(3));
    let between = MapRequestLayer::new(hop).layer(retry);
    let stack = FallbackLayer::new(FallbackPlan::new().group("a", ["b"])).layer(between);
    assert_eq!(stack.oneshot(request("a")).await.unwrap().status(), 200);
    assert_eq!(hops.seen(), [1, 1, 1]);
}

#[tokio::test]
async fn a_copy_made_above_another_fallback_is_not_shared() {
    let hops = Hops::default();
    let retry = RetryLayer::new(retry(2).shares_copy(true)).layer(hops.service(2));
    let idle: Fallback<_> = FallbackLayer::new(FallbackPlan::new()).layer(retry);
    let between = MapRequestLayer::new(hop).layer(idle);
    let stack = FallbackLayer::new(FallbackPlan::new().otherwise(["a"])).layer(between);
    assert_eq!(stack.oneshot(request("a")).await.unwrap().status(), 200);
    assert_eq!(hops.seen(), [1, 1]);
}

#[tokio::test]
async fn a_retry_of_a_shared_copy_asks_the_group_it_is_in() {
    let groups = Groups::new([]);
    let retry = RetryLayer::new(retry(2).shares_copy(true)).layer(groups.clone());
    let stack = FallbackLayer::new(FallbackPlan::new().group("a", ["b"])).layer(retry);
    assert_eq!(stack.oneshot(request("a")).await.unwrap().status(), 503);
    assert_eq!(groups.asked(), "a b b");
}

#[tokio::test]
async fn of_two_replay_limits_the_higher_one_holds() {
    let groups = Groups::new([("a", 500)]);
    for (of_fallback, of_retry, attempts) in [(100, 2000, 2), (2000, 100, 2), (100, 100, 1)] {
        let retry = RetryLayer::new(retry(2).replay_limit(of_retry)).layer(groups.clone());
        let plan = FallbackPlan::new().replay_limit(of_fallback);
        let body = in_pieces(2, || Bytes::from(vec![b'x'; 1000]));
        let stack = FallbackLayer::new(plan).layer(retry);
        assert_eq!(stack.oneshot(request("a").map(|_| body)).await.unwrap().status(), 500);
        let asked = std::mem::take(&mut *groups.asked.lock().unwrap());
        assert_eq!(asked.len(), attempts, "{of_fallback} and {of_retry} bytes");
    }
}

#[tokio::test]
async fn retry_and_fallback_record_a_body_once_and_both_send_all_of_it() {
    let size = ReplayBody::DEFAULT_LIMIT;
    let (produced, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let counter = Arc::clone(&produced);
    let body = in_pieces(64, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Bytes::from(vec![b'x'; size / 64])
    });
    let log = Arc::clone(&received);
    let service = service_fn(move |request: Request<ReplayBody>| {
        let log = Arc::clone(&log);
        async move {
            let len = request.into_body().collect().await?.to_bytes().len();
            log.lock().unwrap().push(len);
            Ok::<_, BoxError>(answer(500, ""))
        }
    });
    let plan = FallbackPlan::new().group("a", ["b"]);
    let stack = FallbackLayer::new(plan).layer(RetryLayer::new(retry(2)).layer(service));
    let asked = request("a").map(|_| body);
    assert_eq!(stack.oneshot(asked).await.unwrap().status(), 500);
    assert_eq!(*received.lock().unwrap(), [size; 3]);
    assert_eq!(produced.load(Ordering::Relaxed), 64);
}
