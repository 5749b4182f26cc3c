//! A request body that was half sent when its attempt timed out, with a real client, which sends it in a task of its own.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, time::sleep};
use tower::{Layer, ServiceExt};
use tower_fleet::{
    Deployment, GroupName, Trail,
    balance::{BalanceLayer, LeastBusy},
    body::ReplayBody,
    fallback::{FallbackLayer, FallbackPlan, FallbackToLayer},
    retry::{RetryLayer, RetryPolicy},
    timeout::TimeoutLayer,
    upstream::Upstream,
};

/// Accepts connections and never reads.
async fn silent() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    Upstream::new(&url).unwrap()
}

/// Answers with the body it got.
async fn echo() -> Upstream {
    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::new(Full::new(request.into_body().collect().await.unwrap().to_bytes())))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(connection);
        }
    });
    Upstream::new(&url).unwrap()
}

fn client() -> Client<HttpConnector, ReplayBody> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Its second half comes when the first attempt has long timed out.
fn upload() -> Request<impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static> {
    let halves = stream::unfold(0, |half| async move {
        match half {
            0 => Some("first "),
            1 => {
                sleep(Duration::from_millis(400)).await;
                Some("second")
            }
            _ => None,
        }
        .map(|text| (Ok(Frame::data(Bytes::from(text))), half + 1))
    });
    Request::post("/").body(StreamBody::new(Box::pin(halves))).unwrap()
}

fn attempt() -> TimeoutLayer {
    TimeoutLayer::new(Duration::from_millis(100))
}

async fn text<B: http_body::Body>(response: Response<B>) -> Bytes
where
    B::Error: std::fmt::Debug,
{
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_retry_finishes_it_at_another_deployment() {
    let members = [
        (Deployment::new("silent").order(1).timeout(Duration::from_millis(100)), silent().await),
        (Deployment::new("echo").order(2), echo().await),
    ];
    let balance =
        BalanceLayer::new(LeastBusy, members).layer(TimeoutLayer::unlimited().layer(client()));
    let service = RetryLayer::new(RetryPolicy::any_method()).layer(balance);
    let mut request = upload();
    let trail = Trail::start(&mut request);
    assert_eq!(text(service.oneshot(request).await.unwrap()).await, "first second");
    assert_eq!((trail.attempt_count(), trail.not_replayed()), (2, None));
}

#[tokio::test]
async fn a_fallback_finishes_it_at_another_service() {
    let first = attempt().layer(silent().await.layer(client()));
    let second = echo().await.layer(client());
    // Both have the same response body, as both are one client.
    let service = FallbackToLayer::new(second).layer(first);
    assert_eq!(text(service.oneshot(upload()).await.unwrap()).await, "first second");
}

#[tokio::test]
async fn a_fallback_finishes_it_at_another_group() {
    let group = |to: Upstream, limit| {
        let deployment = Deployment::new("one").timeout(limit);
        BalanceLayer::new(LeastBusy, [(deployment, to)])
            .layer(TimeoutLayer::unlimited().layer(client()))
    };
    let groups = [
        (GroupName::new("a"), group(silent().await, Duration::from_millis(100))),
        (GroupName::new("b"), group(echo().await, Duration::from_secs(20))),
    ];
    let plan = FallbackPlan::new().group("a", ["b"]);
    let service = FallbackLayer::new(plan).layer(tower_fleet::fleet::Fleet::new(groups, []));
    let mut request = upload();
    GroupName::new("a").set(&mut request);
    assert_eq!(text(service.oneshot(request).await.unwrap()).await, "first second");
}
