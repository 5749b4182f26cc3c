//! What `Retry` promises, under paused time: when it sends again, where, after what wait, and what the caller gets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, Error,
    balance::{Balance, LeastBusy},
    body::{KeptBody, ReplayBody},
    retry::{Backoff, RetryLayer, RetryPolicy},
};

#[path = "../support/mod.rs"]
mod support;

mod allowed;
mod body;
mod choice;
mod fleet;
mod kept;
mod trail;
mod wait;

use self::support::{Fake, FakeBody};

fn request(method: Method) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri("/").body(Full::default()).unwrap()
}

fn get() -> Request<Full<Bytes>> {
    request(Method::GET)
}

fn post() -> Request<Full<Bytes>> {
    request(Method::POST)
}

/// A backoff without chance in it.
fn every(wait: Duration) -> Backoff {
    Backoff::new(Duration::ZERO, Duration::ZERO).floor(wait)
}

/// Sends `request` to `service` under `policy`.
async fn send<S, R, E>(
    policy: RetryPolicy,
    service: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<KeptBody<R>>, Error>
where
    S: tower::Service<Request<ReplayBody>, Response = Response<R>, Error = E> + Clone,
    E: Into<BoxError>,
    R: http_body::Body,
{
    RetryLayer::new(policy).layer(service).oneshot(request).await
}

/// The status of the answer to a `GET` under `policy`, and how often `fake` was asked.
async fn status_and_calls(policy: RetryPolicy, fake: &Fake) -> (u16, usize) {
    let response = send(policy, fake.clone(), get()).await.unwrap();
    (response.status().as_u16(), fake.count())
}

/// A balance that tries `fakes` in this order, by deployments named `0`, `1`, …
fn in_order<const N: usize>(fakes: &[Fake; N]) -> (Balance<Fake, LeastBusy>, [Deployment; N]) {
    let deployments = std::array::from_fn(|index| {
        Deployment::new(index.to_string()).order(i32::try_from(index).unwrap())
    });
    let members = deployments.iter().cloned().zip(fakes.iter().cloned());
    (Balance::new(LeastBusy, members), deployments)
}

type Answered = Response<KeptBody<tower_fleet::balance::ResponseBody<FakeBody>>>;
