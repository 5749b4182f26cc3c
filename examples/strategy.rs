//! A strategy of one's own: the cheapest deployment, as long as it is not busy.
//!
//! `cargo run --example strategy`

mod support;

use std::collections::HashMap;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, Served,
    balance::{BalanceLayer, Candidate, Candidates, Choice, Strategy},
    upstream::Upstream,
};

/// Fills the cheapest deployment up to `at_a_time` requests, then the next; when all are full, the least busy.
#[derive(Clone)]
struct Cheapest {
    prices: HashMap<&'static str, f64>,
    at_a_time: u32,
}

impl Strategy for Cheapest {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let price = |one: &Candidate<'_>| {
            self.prices.get(one.deployment().id()).copied().unwrap_or(f64::MAX)
        };
        let free = candidates.iter().filter(|one| one.in_flight() < self.at_a_time);
        let cheapest = free.min_by(|one, other| price(one).total_cmp(&price(other)));
        cheapest.map(|one| one.choose()).or_else(|| candidates.least_busy())
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), BoxError> {
    let prices = HashMap::from([("spot", 0.2), ("reserved", 0.5), ("on-demand", 1.0)]);
    let mut members = Vec::new();
    for id in prices.keys().copied() {
        let url = support::serve(|| support::status(200)).await?;
        members.push((Deployment::new(id), Upstream::new(&url)?));
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let pool = BalanceLayer::new(Cheapest { prices, at_a_time: 2 }, members).layer(client);

    // A response whose body was not read yet is still in flight.
    let (mut held, mut served) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let response = pool.clone().oneshot(Request::new(Empty::new())).await?;
        served.extend(Served::of(&response).map(|served| served.deployment().id().to_owned()));
        held.push(response);
    }
    println!("six at a time: {}", served.join(", "));
    assert_eq!(served, ["spot", "spot", "reserved", "reserved", "on-demand", "on-demand"]);

    held.clear();
    let response = pool.oneshot(Request::new(Empty::new())).await?;
    let served = Served::of(&response).map(|served| served.deployment().id());
    println!("alone: {}", served.unwrap_or("nobody"));
    assert_eq!(served, Some("spot"));
    Ok(())
}
