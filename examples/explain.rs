//! Why did this request go there? A balance says what it saw at each pick.
//!
//! `cargo run --example explain`

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_fleet::{
    BoxError, Demand, Deployment, Trail,
    balance::{BalanceLayer, LeastBusy},
    cooldown::CooldownLayer,
    retry::RetryLayer,
    trail::{Considered, Removed},
    upstream::Upstream,
};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), BoxError> {
    let well = support::serve(|| support::status(200)).await?;
    let limited = support::serve(|| support::status(429)).await?;
    let cooling = Deployment::new("eu-cooling").order(1).tags(["eu"]);
    cooling.health().cool_for(Duration::from_secs(60));
    let members = [
        (cooling, Upstream::new(&well)?),
        (Deployment::new("eu-limited").order(1).tags(["eu"]), Upstream::new(&limited)?),
        (Deployment::new("eu-reserve").order(2).tags(["eu"]), Upstream::new(&well)?),
        (Deployment::new("us").order(1).tags(["us"]), Upstream::new(&well)?),
    ];
    let client = Client::builder(TokioExecutor::new()).build_http();
    let pool = ServiceBuilder::new()
        .layer(RetryLayer::default())
        .layer(BalanceLayer::new(LeastBusy, members))
        .layer(CooldownLayer::default())
        .service(client);

    let mut request = Request::new(Empty::<Bytes>::new());
    let mut demand = Demand::default();
    demand.tags = vec!["eu".into()];
    demand.set(&mut request);
    let trail = Trail::explain(&mut request);
    pool.oneshot(request).await?;

    // Two picks: the first one was answered with a 429, and the second one passes it over.
    let explanations = trail.explanations();
    for explanation in &explanations {
        println!("{explanation}\n");
    }
    let picked =
        explanations.iter().filter_map(|one| one.picked()).map(|one| one.deployment().id());
    assert_eq!(picked.collect::<Vec<_>>(), ["eu-limited", "eu-reserve"]);
    let us = explanations[0].considered().iter().find(|one| one.deployment().id() == "us");
    assert_eq!(us.and_then(Considered::removed), Some(Removed::Tags));
    Ok(())
}
