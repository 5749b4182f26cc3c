//! Several layers, stacked with Tower's own, over one client and three servers of which one fails.
//!
//! `cargo run --example stack`

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, timeout::TimeoutLayer};
use tower_fleet::{
    BoxError, Deployment, Served, Trail,
    balance::{BalanceLayer, LeastBusy},
    cooldown::CooldownLayer,
    retry::{RetryLayer, RetryPolicy},
    upstream::Upstream,
};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), BoxError> {
    let (eu, us, asia) = (Deployment::new("eu"), Deployment::new("us"), Deployment::new("asia"));
    let mut members = Vec::new();
    for (deployment, status) in [(&eu, 200), (&us, 500), (&asia, 200)] {
        let url = support::serve(move || support::status(status)).await?;
        members.push((deployment.clone(), Upstream::new(&url)?));
    }

    let client = Client::builder(TokioExecutor::new()).build_http();
    let service = ServiceBuilder::new()
        // A request as a whole, its retries included.
        .layer(TimeoutLayer::new(Duration::from_secs(30)))
        .layer(RetryLayer::new(RetryPolicy::any_method()))
        // Attempts to all servers together, retries too.
        .layer(ConcurrencyLimitLayer::new(100))
        .layer(BalanceLayer::new(LeastBusy, members))
        .layer(CooldownLayer::default())
        .service(client);

    for burst in ["nine requests at once", "nine more"] {
        let mut calls = JoinSet::new();
        for _ in 0..9 {
            let service = service.clone();
            calls.spawn(async move {
                let mut request = Request::post("/").body(Full::<Bytes>::from("hello"))?;
                let trail = Trail::start(&mut request);
                let response = service.oneshot(request).await?;
                let by = Served::of(&response).map(|served| served.deployment().id().to_owned());
                assert_eq!(response.status(), 200);
                response.into_body().collect().await?;
                Ok::<_, BoxError>((by, trail.attempt_count()))
            });
        }
        println!("{burst}:");
        for answer in calls.join_all().await {
            let (by, attempts) = answer?;
            println!("  served by {} in {attempts} attempt(s)", by.as_deref().unwrap_or("nobody"));
        }
        for one in [&eu, &us, &asia] {
            println!(
                "  {:<4} is {}, was asked {} times",
                one.id(),
                one.health().status().as_str(),
                one.picked()
            );
        }
    }
    // A third of the first burst, which was enough to set it aside.
    assert_eq!(us.picked(), 3);
    assert_eq!(eu.picked() + asia.picked(), 18);
    Ok(())
}
