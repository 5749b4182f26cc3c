//! What `Upstream` sends, as a real server on loopback sees it, and what it never shows.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_fleet::upstream::Upstream;

/// What came in: method and target as the request line had them, then the headers.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let mut response = Response::new(Full::from(line));
    *response.headers_mut() = request.headers().clone();
    Ok(response)
}

/// Serves until the test's runtime ends.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let connection = auto::Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
            });
        }
    });
    address
}

async fn sent(upstream: &Upstream, request: Request<Full<Bytes>>) -> (String, HeaderMap) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = upstream.layer(client).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let line = body.collect().await.unwrap().to_bytes();
    (String::from_utf8(line.into()).unwrap(), head.headers)
}

fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).unwrap()
}

#[tokio::test]
async fn the_server_sees_the_joined_path() {
    let address = server().await;
    for (base, asked, seen) in [
        ("", "/models?limit=3", "/models?limit=3"),
        ("", "/", "/"),
        ("/", "/models", "/models"),
        ("/v1", "/models", "/v1/models"),
        ("/v1/", "/models/", "/v1/models/"),
        ("/v1", "/", "/v1"),
        ("/v1", "/?limit=3", "/v1?limit=3"),
        ("/v1", "http://other.example?limit=3", "/v1?limit=3"),
        ("/a/b", "//c", "/a/b//c"),
        ("/v1", "/a%2Fb", "/v1/a%2Fb"),
    ] {
        let upstream = Upstream::new(&format!("http://{address}{base}")).unwrap();
        let (line, _) = sent(&upstream, get(asked)).await;
        assert_eq!(line, format!("GET {seen}"), "{base:?} and {asked:?}");
    }
}

#[tokio::test]
async fn options_for_the_whole_server_stay_so() {
    let address = server().await;
    let upstream = Upstream::new(&format!("http://{address}/v1")).unwrap();
    let request = Request::options("*").body(Full::default()).unwrap();
    assert_eq!(sent(&upstream, request).await.0, "OPTIONS *");
}

#[tokio::test]
async fn the_host_is_the_upstream_s_own() {
    let address = server().await;
    let upstream = Upstream::new(&format!("http://{address}")).unwrap();
    let mut request = get("http://gateway.example/models");
    request.headers_mut().insert("host", "gateway.example".parse().unwrap());
    let (_, headers) = sent(&upstream, request).await;
    let hosts: Vec<_> = headers.get_all("host").iter().collect();
    assert_eq!(hosts, [&address.to_string()]);
}

#[tokio::test]
async fn its_headers_replace_all_of_that_name_and_leave_the_others() {
    let address = server().await;
    let upstream = Upstream::new(&format!("http://{address}")).unwrap();
    let upstream = upstream.header(AUTHORIZATION, "Bearer first").unwrap();
    let upstream = upstream.header("Authorization", "Bearer ours").unwrap();
    let mut request = get("/");
    request.headers_mut().append(AUTHORIZATION, "Bearer caller".parse().unwrap());
    request.headers_mut().append(AUTHORIZATION, "Bearer caller too".parse().unwrap());
    request.headers_mut().append("x-caller", "stays".parse().unwrap());
    let (_, headers) = sent(&upstream, request).await;
    let keys: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
    assert_eq!(keys, ["Bearer ours"]);
    assert_eq!(headers["x-caller"], "stays");
}

#[tokio::test]
async fn a_key_is_in_no_debug_output_and_no_error() {
    let upstream = Upstream::new("http://127.0.0.1:1/v1").unwrap();
    let upstream = upstream.header("api-key", "hunter2").unwrap();
    let shown = tower::service_fn(|request: Request<()>| async move {
        Ok::<_, Infallible>(Response::new(format!("{request:?} {:?}", request.headers())))
    });
    let shown = upstream.layer(shown).oneshot(Request::new(())).await.unwrap().into_body();
    assert!(shown.contains("api-key") && !shown.contains("hunter2"), "{shown}");

    let send_to = upstream.layer("the service below");
    let shown = format!("{upstream:?} {send_to:?} {:?}", send_to.upstream());
    assert!(shown.contains("api-key") && !shown.contains("hunter2"), "{shown}");

    let error = upstream.header("api-key", "hunter2\n").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_request_that_came_by_another_http_version_is_sent_all_the_same() {
    let upstream = Upstream::new(&format!("http://{}", server().await)).unwrap();
    for version in [Version::HTTP_10, Version::HTTP_2, Version::HTTP_3] {
        let mut request = get("/models");
        *request.version_mut() = version;
        assert_eq!(sent(&upstream, request).await.0, "GET /models");
    }
}

#[tokio::test]
async fn a_client_s_headers_go_on_unless_it_is_to_be_hidden() {
    let address = server().await;
    let upstream = Upstream::new(&format!("http://{address}")).unwrap();
    let from_a_client = || {
        let mut request = get("/chat?beta=true&key=hunter2");
        for (name, value) in [
            ("authorization", "Bearer theirs"),
            ("connection", "x-mine"),
            ("x-mine", "1"),
            ("cookie", "theirs"),
            ("anthropic-beta", "stays"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    };
    let (line, headers) = sent(&upstream, from_a_client()).await;
    assert_eq!(line, "GET /chat?beta=true&key=hunter2");
    assert_eq!(headers["authorization"], "Bearer theirs");
    assert_eq!(headers["x-mine"], "1");

    let upstream = upstream.hide_client(true);
    let (line, headers) = sent(&upstream, from_a_client()).await;
    assert_eq!(line, "GET /chat?beta=true");
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["anthropic-beta", "content-length", "date", "host"],
        "the date is the server's"
    );

    let upstream = upstream.header("cookie", "ours").unwrap();
    assert_eq!(sent(&upstream, from_a_client()).await.1["cookie"], "ours");
}

#[tokio::test]
async fn a_default_header_gives_way_to_the_request_s_own() {
    let upstream = Upstream::new(&format!("http://{}", server().await)).unwrap();
    let upstream = upstream.default_header("anthropic-version", "2023-06-01").unwrap();
    assert_eq!(sent(&upstream, get("/")).await.1["anthropic-version"], "2023-06-01");
    let mut request = get("/");
    request.headers_mut().insert("anthropic-version", "2031-01-01".parse().unwrap());
    let (_, headers) = sent(&upstream, request).await;
    assert_eq!(headers.get_all("anthropic-version").iter().count(), 1);
    assert_eq!(headers["anthropic-version"], "2031-01-01");
}

#[cfg(feature = "llm")]
#[tokio::test]
async fn a_wildcard_group_reaches_the_azure_deployment_that_was_asked_for() {
    use tower_fleet::{Deployment, GroupName, fleet::FleetLayer};

    let base = format!("http://{}", server().await);
    let azure = Upstream::azure(&base, "eu-*", Some("2024-10-21"), None).unwrap();
    let fleet = FleetLayer::builder().group("azure/*", [(Deployment::new("eu"), azure)]);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = get("/v1/chat/completions");
    GroupName::new("azure/gpt-4o/../mini").set(&mut request);
    let answer = fleet.build().unwrap().layer(client).oneshot(request).await.unwrap();
    let line = answer.into_body().collect().await.unwrap().to_bytes();
    let path = "/openai/deployments/eu-gpt-4o%2F..%2Fmini/chat/completions";
    assert_eq!(line, format!("GET {path}?api-version=2024-10-21"));
}
