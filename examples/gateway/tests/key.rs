//! Who may ask.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use http::{Method, Request};
use support::*;

const KEY: &str = "sk-master-1234";

async fn locked(upstream: &Upstream) -> String {
    let rest = format!("general_settings: {{master_key: {KEY}}}");
    gateway(&[entry("m", "a", &upstream.base, "")], &rest).await
}

fn with(mut request: Request<String>, name: &'static str, value: &str) -> Request<String> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn without_the_key_nothing_is_told_but_that_it_is_needed() {
    let upstream = Upstream::fixed(200, &[], "{}").await;
    let url = locked(&upstream).await;
    let paths = [
        (Method::GET, "/fleet"),
        (Method::GET, "/v1/models"),
        (Method::GET, "/v1/models/m"),
        (Method::GET, "/v1/nothing"),
        (Method::GET, "/v1/chat/completions"),
        (Method::GET, "/health/"),
        (Method::GET, "/health/readiness/more"),
        (Method::POST, "/v1/chat/completions"),
        (Method::POST, "/openai/deployments/m/chat/completions"),
        (Method::POST, "/v1/messages"),
    ];
    for (method, path) in paths {
        let request = || {
            let request = Request::builder().method(&method).uri(format!("{url}{path}"));
            request.body(r#"{"model": "m"}"#.to_owned()).unwrap()
        };
        let without = send(request()).await;
        assert_eq!(without.header("www-authenticate"), Some("Bearer"));
        if path == "/v1/messages" {
            assert_eq!(anthropic_error(&without, 401)[0], "authentication_error");
        } else {
            assert_eq!(without.status, 401, "{path}");
            assert_eq!(without.json()["error"]["code"], "invalid_api_key");
        }
        for key in ["Bearer sk-master-123", "Bearer sk-master-12345", "Basic sk-master-1234", ""] {
            let wrong = send(with(request(), "authorization", key)).await;
            assert_eq!((wrong.status, &wrong.body), (without.status, &without.body));
        }
    }
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn the_key_opens_wherever_clients_put_it_and_goes_no_further() {
    let upstream = Upstream::fixed(200, &[], "{}").await;
    let url = locked(&upstream).await;
    for name in ["authorization", "x-api-key", "api-key", "x-litellm-api-key"] {
        for value in [format!("Bearer {KEY}"), KEY.to_owned()] {
            assert_eq!(send(with(ask(&url, "m"), name, &value)).await.status, 200, "{name}");
            let models = Request::get(format!("{url}/v1/models")).body(String::new()).unwrap();
            assert_eq!(send(with(models, name, &value)).await.status, 200, "{name}");
        }
    }
    assert_eq!(upstream.got().len(), 8);
    assert!(!format!("{:?}", upstream.got()).contains(KEY));
}

#[tokio::test]
async fn health_is_open() {
    let url = locked(&Upstream::fixed(200, &[], "{}").await).await;
    for path in ["liveliness", "liveness", "readiness"] {
        assert_eq!(get(format!("{url}/health/{path}")).await.status, 200);
    }
}
