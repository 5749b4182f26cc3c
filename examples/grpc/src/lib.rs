//! A tonic client over a fleet of gRPC servers: balanced, retried, and set aside by their gRPC status.

use http::Request;
use tokio::net::TcpListener;
use tonic::{
    Code,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, health_client::HealthClient, health_server::HealthServer,
};
use tower::{Layer, util::MapRequest};
use tower_fleet::{
    BoxError, Deployment,
    balance::{Balance, RoundRobin},
    body::ReplayBody,
    cooldown::{Cooldown, CooldownLayer, CooldownPolicy},
    outcome::GrpcClassify,
    retry::{Retry, RetryPolicy},
};

mod backend;

use backend::Backend;

/// A channel that takes the body a retry can send again.
pub type ReplayChannel = MapRequest<Channel, fn(Request<ReplayBody>) -> Request<tonic::body::Body>>;

/// What stands under the generated client, in the stead of a [`Channel`].
pub type Fleet = Retry<Balance<Cooldown<ReplayChannel>, RoundRobin>>;

/// Balances over channels.
pub fn fleet(members: impl IntoIterator<Item = (Deployment, Channel)>) -> Fleet {
    let policy = CooldownPolicy::new(GrpcClassify::new()).consecutive_failures(1);
    let cooldown = CooldownLayer::new(policy);
    let members = members.into_iter().map(|(deployment, channel)| {
        let channel = ReplayChannel::new(channel, |request| request.map(tonic::body::Body::new));
        (deployment, cooldown.layer(channel))
    });
    // gRPC calls are POST requests: only you know that yours may be sent twice.
    Retry::new(Balance::new(RoundRobin, members), RetryPolicy::any_method())
}

/// Calls three servers, of which one is well.
///
/// # Panics
///
/// When what it shows is not so.
pub async fn run() -> Result<(), BoxError> {
    let mut members = Vec::new();
    for backend in [Backend::Down, Backend::Exhausted, Backend::Well] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
        let server = Server::builder().add_service(HealthServer::new(backend));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        members.push((Deployment::new(backend.name()), endpoint.connect_lazy()));
    }
    let deployments = members.iter().map(|(deployment, _)| deployment.clone()).collect::<Vec<_>>();
    let mut client = HealthClient::new(fleet(members));
    let request = HealthCheckRequest::default;

    // The first server answers UNAVAILABLE, and nothing else: the caller hears of the second.
    let answer = client.check(request()).await?.into_inner();
    println!("a call answered {:?}", answer.status());
    report(&deployments, ["cooling", "ready", "ready"]);

    // A stream that has begun is not sent again. The status that sets its server aside comes last, in the trailers.
    let mut codes = Vec::new();
    for _ in 0..2 {
        let mut updates = client.watch(request()).await?.into_inner();
        assert!(updates.message().await?.is_some());
        codes.push(updates.message().await.err().map_or(Code::Ok, |status| status.code()));
    }
    println!("two streams ended with {codes:?}");
    assert!(codes.contains(&Code::ResourceExhausted));
    report(&deployments, ["cooling", "cooling", "ready"]);

    for _ in 0..5 {
        client.check(request()).await?;
    }
    println!("five calls answered");
    report(&deployments, ["cooling", "cooling", "ready"]);
    Ok(())
}

fn report(deployments: &[Deployment], expected: [&str; 3]) {
    let statuses = deployments.iter().map(|one| one.health().status().as_str()).collect::<Vec<_>>();
    for (one, status) in deployments.iter().zip(&statuses) {
        println!("  {:<9} {status:<7} called {} times", one.id(), one.picked());
    }
    assert_eq!(statuses, expected);
}
