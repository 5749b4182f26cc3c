//! What each strategy promises of a balance, under paused time.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "these are tests, and their numbers are small"
)]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};
use tower_fleet::{
    Demand, Deployment, Error, Served,
    balance::{Balance, ResponseBody, Strategy},
};

use self::support::{Answer, Fake, FakeBody};

mod cost;
mod latency;
mod loads;
#[path = "../support/mod.rs"]
mod support;
mod usage;

type Pool<P> = Balance<Fake, P>;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn get() -> Request<Full<Bytes>> {
    Request::new(Full::default())
}

/// A request that `change` has told what to ask for.
fn asking(change: impl FnOnce(&mut Demand)) -> Request<Full<Bytes>> {
    let (mut request, mut demand) = (get(), Demand::default());
    change(&mut demand);
    demand.set(&mut request);
    request
}

fn pool<P: Strategy, const N: usize>(strategy: P, members: [(Deployment, Fake); N]) -> Pool<P> {
    Balance::new(strategy, members).seed(5)
}

/// One that takes so long until its head, for ever.
fn answering(after: u64) -> Fake {
    Fake::new([Answer::status(200).data("{}").after(ms(after))])
}

/// Sends `request` and reads the answer to its end, whatever it is.
async fn send<P: Strategy>(pool: &Pool<P>, request: Request<Full<Bytes>>) {
    if let Ok(response) = pool.clone().oneshot(request).await {
        let _ = response.into_body().collect().await;
    }
}

fn served(response: &Result<Response<ResponseBody<FakeBody>>, Error>) -> String {
    Served::of(response.as_ref().unwrap()).unwrap().deployment().id().to_owned()
}

/// Sends so many requests that stay in flight as long as the futures live.
fn hold<P: Strategy>(pool: &Pool<P>, count: usize) -> Vec<impl Sized + use<P>> {
    let mut pool = pool.clone();
    (0..count).map(|_| pool.call(get())).collect()
}

fn chi_square(counts: &[u64]) -> f64 {
    let want = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts.iter().map(|count| (*count as f64 - want).powi(2) / want).sum()
}

/// The 99.9 % limits of chi-square for 2 and 3 counts.
const LIMIT_OF_2: f64 = 10.83;
const LIMIT_OF_3: f64 = 13.82;
