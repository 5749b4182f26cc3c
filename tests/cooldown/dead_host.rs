//! A host that refuses connections, seen by hyper's real client.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::{TcpListener, TcpSocket};
use tower::{ServiceBuilder, ServiceExt};
use tower_fleet::{
    Deployment,
    balance::{BalanceLayer, LeastBusy},
    cooldown::{CooldownLayer, CooldownPolicy},
    upstream::Upstream,
};

/// Starts a server that answers everything with 200.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(async |_| {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

#[tokio::test]
async fn a_dead_host_costs_one_request_of_forty() {
    // Bound but not listening, so that nothing else can take the port meanwhile.
    let dead = TcpSocket::new_v4().unwrap();
    dead.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let to = |address: SocketAddr| Upstream::new(&format!("http://{address}")).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let fleet = ServiceBuilder::new()
        .layer(BalanceLayer::new(
            LeastBusy,
            [
                (Deployment::new("dead"), to(dead.local_addr().unwrap())),
                (Deployment::new("alive"), to(server().await)),
            ],
        ))
        // Longer than the test takes on the slowest machine.
        .layer(CooldownLayer::new(
            CooldownPolicy::default().cooldown_time(Duration::from_secs(3600)),
        ))
        .service(client);

    let mut failed = 0;
    for _ in 0..40 {
        match fleet.clone().oneshot(Request::new(Empty::new())).await {
            Ok(response) => {
                assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
            }
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 1);
}
