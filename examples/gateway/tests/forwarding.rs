//! What goes to the deployments, and what comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use support::*;

const OK: &str = r#"{"ok": true}"#;

#[tokio::test]
async fn each_deployment_is_called_at_its_address_with_its_key_by_its_model() {
    let [a, b] = [Upstream::fixed(500, &[], "no").await, Upstream::fixed(200, &[], OK).await];
    let entries = [entry("m", "a", &a.base, ", order: 1"), entry("m", "b", &b.base, ", order: 2")];
    let url = gateway(&entries, "").await;
    let answer = send(ask(&url, "m")).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, OK));
    assert_eq!(answer.fleet(), [Some("b"), Some("2"), Some("0")]);
    for (id, upstream) in [("a", a), ("b", b)] {
        let got = &upstream.got()[0];
        assert_eq!(got.path, "/v1/chat/completions");
        assert_eq!(got.headers["authorization"], format!("Bearer key-of-{id}"));
        let body = format!(r#"{{"messages": [], "model": "{id}-model", "temperature": 0.10}}"#);
        assert_eq!(got.body, body);
        assert_eq!(got.headers["content-length"], body.len().to_string());
        assert_eq!(got.headers["host"], upstream.base.trim_start_matches("http://"));
    }
}

#[tokio::test]
async fn every_endpoint_is_there_with_and_without_v1_and_loses_its_query() {
    let upstream = Upstream::fixed(200, &[], OK).await;
    let url = gateway(&[entry("m", "a", &upstream.base, "")], "").await;
    let paths = [
        "chat/completions",
        "completions",
        "embeddings",
        "responses",
        "messages",
        "messages/count_tokens",
    ];
    for path in paths {
        for prefix in ["", "v1/"] {
            let request = Request::post(format!("{url}/{prefix}{path}?key=secret"));
            let answer = send(request.body(r#"{"model": "m"}"#.into()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(upstream.got().last().unwrap().path, format!("/v1/{path}"));
        }
    }
}

#[tokio::test]
async fn only_end_to_end_headers_travel_and_no_credentials() {
    let back = &[
        ("keep-alive", "timeout=5"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("set-cookie", "a=b"),
        ("x-request-id", "r1"),
        ("x-fleet-attempts", "99"),
        ("content-type", "application/json"),
    ];
    let upstream = Upstream::fixed(200, back, OK).await;
    let url = gateway(&[entry("m", "a", &upstream.base, "")], "").await;
    let mut request = ask(&url, "m");
    let sent = [
        ("authorization", "Bearer client-secret"),
        ("api-key", "client-secret"),
        ("x-api-key", "client-secret"),
        ("cookie", "session=client-secret"),
        ("proxy-authorization", "client-secret"),
        ("connection", "x-client-hop"),
        ("x-client-hop", "1"),
        ("te", "trailers"),
        ("accept", "application/json"),
        ("x-custom", "kept"),
    ];
    for (name, value) in sent {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let answer = send(request).await;

    let got = upstream.got().remove(0);
    assert!(!format!("{got:?}").contains("client-secret"));
    for name in ["connection", "x-client-hop", "te", "cookie"] {
        assert!(!got.headers.contains_key(name), "{name}");
    }
    assert_eq!(got.headers["accept"], "application/json");
    assert_eq!(got.headers["x-custom"], "kept");
    assert_eq!(got.headers["content-type"], "application/json");

    for name in ["keep-alive", "connection", "x-hop", "set-cookie"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-request-id"), Some("r1"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.fleet(), [Some("a"), Some("1"), Some("0")]);
}

#[tokio::test]
async fn what_anthropics_clients_say_of_the_api_travels() {
    let upstream = Upstream::fixed(200, &[("request-id", "r1")], OK).await;
    let url = gateway(&[entry("m", "a", &upstream.base, "")], "").await;
    let mut request = post(&url, "/v1/messages", r#"{"model": "m", "max_tokens": 1}"#);
    let headers = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "one,two")];
    for (name, value) in headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.headers_mut().insert("x-api-key", "client-secret".parse().unwrap());
    let answer = send(request).await;
    assert_eq!((answer.status, answer.header("request-id")), (StatusCode::OK, Some("r1")));
    let got = upstream.got().remove(0);
    assert_eq!(got.path, "/v1/messages");
    for (name, value) in headers {
        assert_eq!(got.headers[name], value);
    }
    assert!(!format!("{got:?}").contains("client-secret"));
}

#[tokio::test]
async fn azures_clients_name_the_model_in_the_path() {
    let upstream = Upstream::fixed(200, &[], OK).await;
    let url = gateway(&[entry("vendor/m", "a", &upstream.base, "")], "").await;
    for path in ["chat/completions", "completions", "embeddings"] {
        let path_of_azure = format!("/openai/deployments/vendor%2Fm/{path}?api-version=2024-10-21");
        for (body, expected) in [
            (r#"{"messages": []}"#, r#"{"model":"a-model","messages": []}"#),
            (r#"{"model": "other"}"#, r#"{"model": "a-model"}"#),
        ] {
            let answer = send(post(&url, &path_of_azure, body)).await;
            assert_eq!((answer.status, answer.fleet()[0]), (StatusCode::OK, Some("a")));
            let got = upstream.got().pop().unwrap();
            assert_eq!((got.path, &*got.body), (format!("/v1/{path}"), expected));
        }
    }
}

#[tokio::test]
async fn the_body_goes_on_as_json_whatever_the_client_called_it() {
    let upstream = Upstream::fixed(200, &[], OK).await;
    let url = gateway(&[entry("m", "a", &upstream.base, "")], "").await;
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = ask(&url, "m");
        request.headers_mut().remove("content-type");
        if let Some(content_type) = content_type {
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
        }
        assert_eq!(send(request).await.status, StatusCode::OK);
        let got = upstream.got().pop().unwrap();
        let types: Vec<_> = got.headers.get_all("content-type").iter().collect();
        assert_eq!(types, ["application/json"]);
    }
}

#[tokio::test]
async fn the_second_target_of_a_fallback_counts_as_two() {
    let broken = Upstream::fixed(500, &[], "no").await;
    let fine = Upstream::fixed(200, &[], OK).await;
    let entries = [
        entry("m", "a", &broken.base, ""),
        entry("m2", "b", &broken.base, ""),
        entry("m3", "c", &fine.base, ""),
    ];
    let rest = "router_settings: {num_retries: 0, fallbacks: [{m: [m2, m3]}]}";
    let answer = send(ask(&gateway(&entries, rest).await, "m")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.fleet(), [Some("c"), Some("3"), Some("2")]);
}

#[tokio::test]
async fn the_deployments_own_error_comes_back_as_it_is() {
    let body = r#"{"error": {"message": "broken, sorry"}}"#;
    let upstream = Upstream::fixed(500, &[("x-request-id", "r7")], body).await;
    let url =
        gateway(&[entry("m", "a", &upstream.base, "")], "router_settings: {num_retries: 1}").await;
    let answer = send(ask(&url, "m")).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (500, body));
    assert_eq!(answer.header("x-request-id"), Some("r7"));
    assert_eq!(answer.fleet(), [Some("a"), Some("2"), Some("0")]);
}

async fn chunk(body: &mut Incoming) -> Option<String> {
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("a chunk in time")?;
    let data = frame.unwrap().into_data().unwrap();
    Some(String::from_utf8(data.into()).unwrap())
}

/// A deployment whose response body comes chunk by chunk from the sender.
async fn streaming() -> (tokio::sync::mpsc::UnboundedSender<&'static str>, Upstream) {
    let (chunks, body) = channel();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let upstream = Upstream::start(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move { events(body) }
    });
    (chunks, upstream.await)
}

#[tokio::test]
async fn a_stream_passes_chunk_by_chunk_and_holds_its_place_to_the_end() {
    let (chunks, upstream) = streaming().await;
    let url = gateway(&[entry("m", "a", &upstream.base, "")], "").await;
    let texts = ["data: one\n\n", "data: two\n\n"];
    chunks.send(texts[0]).unwrap();
    let (head, mut body) = open(ask_for_a_stream(&url, "m")).await.into_parts();
    assert_eq!(head.headers["x-fleet-deployment"], "a");
    for (index, text) in texts.into_iter().enumerate() {
        if index > 0 {
            chunks.send(text).unwrap();
        }
        assert_eq!(chunk(&mut body).await.unwrap(), text);
        assert_eq!(state(&url, "a").await["in_flight"], 1);
    }
    drop(chunks);
    assert_eq!(chunk(&mut body).await, None);
    let after = state(&url, "a").await;
    assert_eq!((&after["in_flight"], &after["succeeded"]), (&0.into(), &1.into()));
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_place() {
    let (chunks, upstream) = streaming().await;
    let url = gateway(&[entry("m", "a", &upstream.base, "")], "").await;
    chunks.send("data: one\n\n").unwrap();
    let mut response = open(ask_for_a_stream(&url, "m")).await;
    chunk(response.body_mut()).await.unwrap();
    assert_eq!(state(&url, "a").await["in_flight"], 1);
    drop(response);
    let freed = async { while state(&url, "a").await["in_flight"] != 0 {} };
    tokio::time::timeout(PATIENCE, freed).await.expect("a free place in time");
    // The deployment learns of it too.
    tokio::time::timeout(PATIENCE, chunks.closed()).await.expect("a closed connection in time");
}
