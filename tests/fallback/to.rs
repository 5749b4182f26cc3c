//! Falling back to a service.

use futures_util::FutureExt;
use tower::{limit::ConcurrencyLimit, service_fn};
use tower_fleet::{Error, Trail, body::NotReplayable, fallback::FallbackToLayer};

use super::*;

/// A group of its own name, as a service.
fn alone(
    name: &'static str,
    status: u16,
) -> (
    Groups,
    impl Service<Request<ReplayBody>, Response = Answer, Error = BoxError, Future: Send> + Clone,
) {
    let groups = Groups::new([(name, status)]);
    let named = groups.clone().map_request(move |mut request: Request<ReplayBody>| {
        GroupName::new(name).set(&mut request);
        request
    });
    (groups, named)
}

#[tokio::test]
async fn a_failure_goes_to_the_second_service_with_the_whole_request() {
    let ((first, to_first), (second, to_second)) = (alone("first", 503), alone("second", 200));
    let service = FallbackToLayer::new(to_second).layer(to_first);
    let response = service.oneshot(request("any")).await.unwrap();
    assert_eq!(read(response).await, (200, "second".into()));
    assert_eq!((first.asked(), second.asked()), ("first".into(), "second".into()));
}

#[tokio::test]
async fn a_success_and_what_the_request_did_wrong_stay_with_the_first() {
    for status in [200, 400] {
        let ((_, to_first), (second, to_second)) = (alone("first", status), alone("second", 200));
        let service = FallbackToLayer::new(to_second).layer(to_first);
        let response = service.oneshot(request("any")).await.unwrap();
        assert_eq!(read(response).await, (status, "first".into()));
        assert_eq!(second.asked(), "");
    }
}

#[tokio::test]
async fn when_both_fail_the_caller_sees_the_first_answer() {
    let ((_, to_first), (second, to_second)) = (alone("first", 500), alone("second", 502));
    let service = FallbackToLayer::new(to_second).layer(to_first);
    let response = service.oneshot(request("any")).await.unwrap();
    assert_eq!(read(response).await, (500, "first".into()));
    assert_eq!(second.asked(), "second");
}

#[tokio::test]
async fn the_second_service_is_called_only_once_it_is_ready() {
    let ((_, to_first), (second, to_second)) = (alone("first", 500), alone("second", 200));
    let mut limited = ConcurrencyLimit::new(to_second, 1);
    let elsewhere = limited.clone();
    limited.ready().await.unwrap();
    let mut call =
        Box::pin(FallbackToLayer::new(elsewhere).layer(to_first).oneshot(request("any")));
    assert!((&mut call).now_or_never().is_none());
    assert_eq!(second.asked(), "", "its one place is taken");
    drop(limited);
    assert_eq!(read(call.await.unwrap()).await, (200, "second".into()));
}

#[tokio::test]
async fn a_second_service_that_is_broken_leaves_the_first_answer() {
    #[derive(Clone)]
    struct Broken;
    impl Service<Request<ReplayBody>> for Broken {
        type Response = Answer;
        type Error = BoxError;
        type Future = std::future::Pending<Result<Answer, BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("broken".into()))
        }
        fn call(&mut self, _: Request<ReplayBody>) -> Self::Future {
            unreachable!("it was never ready")
        }
    }
    let (_, to_first) = alone("first", 500);
    let response = FallbackToLayer::new(Broken).layer(to_first).oneshot(request("any")).await;
    assert_eq!(read(response.unwrap()).await, (500, "first".into()));
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_stays_with_the_first_visibly() {
    let ((_, to_first), (second, to_second)) = (alone("first", 500), alone("second", 200));
    let plan = FallbackPlan::new().replay_limit(10);
    let body = in_pieces(2, || Bytes::from("six by"));
    let mut request = Request::post("/").body(body).unwrap();
    let trail = Trail::start(&mut request);
    let service = FallbackToLayer::with_plan(to_second, plan).layer(to_first);
    assert_eq!(read(service.oneshot(request).await.unwrap()).await, (500, "first".into()));
    assert_eq!(trail.not_replayed(), Some(NotReplayable::TooLarge { limit: 10 }));
    assert_eq!(second.asked(), "");
}

#[tokio::test]
async fn an_error_of_the_first_service_is_a_failure_as_well() {
    let down = service_fn(|_: Request<ReplayBody>| async { Err(BoxError::from("down")) });
    let ((_, to_second), (_, to_broken)) = (alone("second", 200), alone("second", 500));
    let response = FallbackToLayer::new(to_second).layer(down).oneshot(request("any")).await;
    assert_eq!(read(response.unwrap()).await, (200, "second".into()));
    let error = FallbackToLayer::new(to_broken).layer(down).oneshot(request("any")).await;
    assert!(matches!(error.unwrap_err(), Error::Service(inner) if inner.to_string() == "down"));
}
