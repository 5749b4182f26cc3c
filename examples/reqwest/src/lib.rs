//! A fleet reached through reqwest, which has requests and responses of its own.

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Deployment, Served, Trail,
    balance::{BalanceLayer, RoundRobin},
    body::ReplayBody,
    cooldown::CooldownLayer,
    retry::{RetryLayer, RetryPolicy},
    upstream::Upstream,
};

#[path = "../../support/mod.rs"]
mod support;

/// Makes reqwest's client a service over the types of the `http` crate.
#[must_use]
pub fn over_http(
    client: reqwest::Client,
) -> impl Service<
    Request<ReplayBody>,
    Response = http::Response<reqwest::Body>,
    Error = reqwest::Error,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |request: Request<ReplayBody>| {
        let client = client.clone();
        async move {
            let request = request.map(reqwest::Body::wrap).try_into()?;
            client.execute(request).await.map(Into::into)
        }
    })
}

/// Asks three servers, of which one is gone and one has no more to give.
///
/// # Panics
///
/// When what it shows is not so.
pub async fn run() -> Result<(), BoxError> {
    let spent = support::serve(|| support::status(429)).await?;
    let well = support::serve(|| support::status(200)).await?;
    // The listener is dropped at once, so connections to it are refused.
    let gone = format!("http://{}", TcpListener::bind("127.0.0.1:0").await?.local_addr()?);

    // The servers are on this machine, so whatever proxy it has is not for them.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::any_method()))
        .layer(BalanceLayer::new(
            RoundRobin,
            [
                (Deployment::new("gone"), Upstream::new(&gone)?),
                (Deployment::new("spent"), Upstream::new(&spent)?),
                (Deployment::new("well"), Upstream::new(&well)?),
            ],
        ))
        .layer(CooldownLayer::default())
        .service(over_http(client));

    for expected in [&["gone", "spent", "well"][..], &["well"], &["well"]] {
        let request = Request::post("/").body(Full::<Bytes>::from("a question"))?;
        let response = service.clone().oneshot(request).await?;
        let trail = Served::of(&response).and_then(Served::trail).map(Trail::attempts);
        let attempts = trail.unwrap_or_default();
        let asked: Vec<_> =
            attempts.iter().filter_map(|one| Some(one.deployment()?.id())).collect();
        println!("asked {}", asked.join(", then "));
        assert_eq!(asked, expected);
        assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
    }
    Ok(())
}
