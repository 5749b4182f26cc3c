//! One layer alone: a circuit breaker over hyper's client.
//!
//! `cargo run --example breaker`

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt};
use tower_fleet::{
    BoxError, Error,
    cooldown::{Cooldown, CooldownLayer, CooldownPolicy, ResponseBody},
    deployment::Status,
    error::Refused,
};

type Breaker = Cooldown<Client<HttpConnector, Empty<Bytes>>>;

/// The clock stands still and jumps over the sleeps. Without `start_paused` the same takes three seconds.
#[tokio::main(flavor = "current_thread", start_paused = true)]
pub(crate) async fn main() -> Result<(), BoxError> {
    let healed = Arc::new(AtomicBool::new(false));
    let url = support::serve({
        let healed = Arc::clone(&healed);
        move || support::status(if healed.load(Ordering::Relaxed) { 200 } else { 500 })
    });
    let url = url.await?.parse()?;

    let policy = CooldownPolicy::default()
        .consecutive_failures(2)
        .cooldown_time(Duration::from_secs(1))
        .ramp(Duration::ZERO);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let breaker = CooldownLayer::new(policy).layer(client);

    for _ in 0..2 {
        println!("closed:    the server answers {}", ask(&breaker, &url).await?.status());
    }
    tokio::time::sleep(refused(&breaker, &url).await).await;

    println!("half-open: the server answers {}", ask(&breaker, &url).await?.status());
    // The trial failed, so this time it takes twice as long.
    tokio::time::sleep(refused(&breaker, &url).await).await;

    healed.store(true, Ordering::Relaxed);
    let trial = ask(&breaker, &url).await?;
    assert_eq!(breaker.health().status(), Status::Probing, "its body is still on its way");
    println!("half-open: the server answers {}", trial.status());
    refused(&breaker, &url).await;
    trial.into_body().collect().await?;

    assert_eq!(breaker.health().status(), Status::Ready);
    println!("closed:    the server answers {}", ask(&breaker, &url).await?.status());
    Ok(())
}

async fn ask(breaker: &Breaker, url: &Uri) -> Result<Response<ResponseBody<Incoming>>, Error> {
    let request = Request::get(url).body(Empty::new()).map_err(Error::from_service)?;
    breaker.clone().oneshot(request).await
}

/// Asks in vain, and returns how long to wait.
async fn refused(breaker: &Breaker, url: &Uri) -> Duration {
    let answer = ask(breaker, url).await;
    let refused = answer.as_ref().err().and_then(Error::as_refused);
    println!("open:      {}", refused.map(ToString::to_string).unwrap_or_default());
    assert!(refused.is_some(), "it asked the server again: {answer:?}");
    refused.and_then(Refused::wait).unwrap_or_default()
}
