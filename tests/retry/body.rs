//! The request body arrives whole at each attempt, or the request is sent once and says why.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::pending,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};
use tower::{service_fn, timeout::TimeoutLayer as TowerTimeoutLayer};
use tower_fleet::{Trail, body::NotReplayable, timeout::TimeoutLayer};

use super::*;
use crate::support::{Answer, secs};

fn eager() -> RetryPolicy {
    RetryPolicy::any_method().backoff(every(Duration::ZERO))
}

struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// A body that needs a second for each chunk.
struct Slow {
    chunks: Vec<&'static str>,
    sleep: Pin<Box<Sleep>>,
}

impl Slow {
    fn new(chunks: impl Into<Vec<&'static str>>) -> Self {
        let mut chunks = chunks.into();
        chunks.reverse();
        Self { chunks, sleep: Box::pin(sleep(secs(1))) }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.sleep.as_mut().poll(cx));
        self.sleep = Box::pin(sleep(secs(1)));
        Poll::Ready(self.chunks.pop().map(|chunk| Ok(Frame::data(chunk.into()))))
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_gets_all_of_it() {
    let trailers: HeaderMap =
        [("x-sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect();
    let frames =
        [Frame::data("first ".into()), Frame::data("second".into()), Frame::trailers(trailers)];
    let body = Frames(frames.into());
    let request = Request::post("/").body(body).unwrap();
    let fake = Fake::new([Answer::status(500), Answer::status(502), Answer::status(200)]);
    let response = RetryLayer::new(eager()).layer(fake.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    for call in fake.calls() {
        assert_eq!(call.body.as_deref(), Some(&b"first second"[..]));
        assert_eq!(call.trailers.unwrap()["x-sum"], "7");
    }
    assert_eq!(fake.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_too_large_is_sent_once_and_the_trail_says_so() {
    for (size, calls) in [(8, 2), (9, 1)] {
        let fake = Fake::new([Answer::status(500), Answer::status(200)]);
        let mut request = post().map(|_| Full::new(Bytes::from("x".repeat(size))));
        let trail = Trail::start(&mut request);
        let _ = send(eager().replay_limit(8), fake.clone(), request).await.unwrap();
        let reason = (calls == 1).then_some(NotReplayable::TooLarge { limit: 8 });
        assert_eq!((fake.count(), trail.not_replayed()), (calls, reason));
        assert_eq!(fake.calls()[0].body.as_ref().map(Bytes::len), Some(size));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_too_large_is_still_retried_as_long_as_nothing_of_it_was_read() {
    let fake = Fake::new([Answer::status(200)]);
    let inner = fake.clone();
    let refuses_once = service_fn(move |request: Request<ReplayBody>| {
        let second = Trail::of(&request).is_some_and(|trail| trail.attempt_count() == 1);
        let inner = inner.clone();
        async move { if second { inner.oneshot(request).await } else { Err("no connection".into()) } }
    });
    let request = post().map(|_| Full::new(Bytes::from("x".repeat(100))));
    let _ = send(eager().replay_limit(8), refuses_once, request).await.unwrap();
    assert_eq!(fake.calls()[0].body.as_ref().map(Bytes::len), Some(100));
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_all_of_it_was_sent_is_not_retried_while_it_is_being_sent() {
    let early = service_fn(|request: Request<ReplayBody>| async {
        let mut body = request.into_body();
        let _ = body.frame().await;
        // As a connection does that goes on sending after the response.
        tokio::spawn(body.collect());
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::post("/").body(Slow::new(["first ", "second"])).unwrap();
    let trail = Trail::start(&mut request);
    let response = RetryLayer::new(eager()).layer(early).oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), trail.attempt_count()), (503, 1));
    assert_eq!(trail.not_replayed(), Some(NotReplayable::StillSending));
}

/// Hangs amid the request body, then answers the next request.
fn hangs_once(
    fake: &Fake,
) -> impl tower::Service<Request<ReplayBody>, Response = Response<FakeBody>, Error = BoxError> + Clone
{
    let fake = fake.clone();
    service_fn(move |request: Request<ReplayBody>| {
        let fake = fake.clone();
        let first = Trail::of(&request).is_some_and(|trail| trail.attempt_count() == 0);
        async move {
            if first {
                let mut body = request.into_body();
                let _ = body.frame().await;
                return pending().await;
            }
            fake.oneshot(request).await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_amid_it_hands_it_over() {
    let fake = Fake::new([Answer::status(200)]);
    let request = || Request::post("/").body(Slow::new(["first ", "second"])).unwrap();

    let service = TimeoutLayer::new(secs(5)).layer(hangs_once(&fake));
    let response = RetryLayer::new(eager()).layer(service).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);

    let service = TowerTimeoutLayer::new(secs(5)).layer(hangs_once(&fake));
    let response = RetryLayer::new(eager()).layer(service).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);
    for call in fake.calls() {
        assert_eq!(call.body.as_deref(), Some(&b"first second"[..]));
    }
}
