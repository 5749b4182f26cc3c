//! What the gateway says itself: errors, models, health, the state of the fleet.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use http::{Method, Request};
use serde_json::{Value, json};
use support::*;

/// Checks the shape, and returns type, param and code.
fn error(answer: &Answer, status: u16) -> [Value; 3] {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    let error = json["error"].as_object().unwrap();
    assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "message", "param", "type"]);
    assert!(!error["message"].as_str().unwrap().is_empty());
    ["type", "param", "code"].map(|key| error[key].clone())
}

#[tokio::test]
async fn a_request_that_is_wrong_is_told_why() {
    let url = gateway(&[entry("m", "a", &nowhere(), "")], "").await;
    let post =
        |body: &str| send(Request::post(format!("{url}/v1/embeddings")).body(body.into()).unwrap());
    let wrong = "invalid_request_error";
    assert_eq!(error(&post("{").await, 400), [json!(wrong), Value::Null, Value::Null]);
    let missing = [wrong, "model", "missing_required_parameter"].map(Value::from);
    assert_eq!(error(&post("{}").await, 400), missing);
    let unknown = post(r#"{"model": "other"}"#).await;
    assert_eq!(error(&unknown, 404), [wrong, "model", "model_not_found"].map(Value::from));
    assert_eq!(unknown.fleet(), [None, Some("0"), Some("0")]);
    let long = Request::post(format!("{url}/v1/embeddings")).body("x".repeat((32 << 20) + 1));
    let [_, _, code] = error(&send(long.unwrap()).await, 413);
    assert_eq!(code, "request_too_large");
}

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_have_the_same_shape() {
    let url = gateway(&[entry("m", "a", &nowhere(), "")], "").await;
    let [_, _, code] = error(&get(format!("{url}/v1/nothing")).await, 404);
    assert_eq!(code, "unknown_url");
    for (method, path) in [(Method::GET, "v1/chat/completions"), (Method::POST, "fleet")] {
        let request = Request::builder().method(method).uri(format!("{url}/{path}"));
        let answer = send(request.body(String::new()).unwrap()).await;
        assert_eq!(error(&answer, 405)[2], "method_not_allowed");
        assert!(answer.header("allow").is_some());
    }
}

#[tokio::test]
async fn errors_on_messages_have_anthropics_shape() {
    let cooling = Upstream::fixed(503, &[("retry-after", "200")], "").await;
    let hanging = Upstream::start(|_| std::future::pending()).await;
    let base = nowhere();
    let entries = [
        entry("m", "a", &base, ""),
        entry("cool", "b", &cooling.base, ""),
        entry("cool", "c", &cooling.base, ""),
        entry("slow", "d", &hanging.base, ", timeout: 0.05"),
    ];
    let url = gateway(&entries, "router_settings: {num_retries: 0}").await;
    let ask = async |path: &str, body: &str| send(post(&url, path, body)).await;
    let kind = |answer: &Answer, status| anthropic_error(answer, status)[0].clone();
    for prefix in ["", "/v1"] {
        let messages = format!("{prefix}/messages");
        let unreachable = ask(&messages, r#"{"model": "m"}"#).await;
        assert_eq!(kind(&unreachable, 502), "api_error");
        assert_eq!(unreachable.fleet()[0], Some("a"));
        let unknown = ask(&messages, r#"{"model": "other"}"#).await;
        assert_eq!(kind(&unknown, 404), "not_found_error");
        assert_eq!(kind(&ask(&messages, "{}").await, 400), "invalid_request_error");
        assert_eq!(
            kind(&ask(&messages, &"x".repeat((32 << 20) + 1)).await, 413),
            "request_too_large"
        );
        assert_eq!(kind(&ask(&format!("{messages}/batches"), "{}").await, 404), "not_found_error");
        let got = get(format!("{url}{messages}")).await;
        assert_eq!(kind(&got, 405), "invalid_request_error");
    }
    assert_eq!(kind(&ask("/v1/messages", r#"{"model": "slow"}"#).await, 504), "timeout_error");
    for _ in 0..2 {
        ask("/v1/messages", r#"{"model": "cool"}"#).await;
    }
    let refused = ask("/v1/messages", r#"{"model": "cool"}"#).await;
    assert_eq!(kind(&refused, 503), "overloaded_error");
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn a_deployment_that_cannot_be_reached_is_a_502_without_its_address() {
    let nowhere = nowhere();
    let url = gateway(&[entry("m", "a", &nowhere, "")], "router_settings: {num_retries: 1}").await;
    let answer = send(ask(&url, "m")).await;
    assert_eq!(error(&answer, 502)[2], "connection_failed");
    assert_eq!(answer.fleet()[0], Some("a"));
    assert!(!answer.body.contains("127.0.0.1"));
}

#[tokio::test]
async fn a_deployment_that_is_too_slow_is_a_504() {
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let entries = [entry("m", "a", &upstream.base, ", timeout: 0.05")];
    let url = gateway(&entries, "router_settings: {num_retries: 0}").await;
    let answer = send(ask(&url, "m")).await;
    assert_eq!(error(&answer, 504)[2], "timeout");
    assert_eq!(answer.fleet(), [Some("a"), Some("1"), Some("0")]);
}

/// Two deployments at one place: a lone one is never refused.
fn twice(upstream: &Upstream) -> [String; 2] {
    ["a", "b"].map(|id| entry("m", id, &upstream.base, ""))
}

/// Seconds and milliseconds a refused client is to wait.
fn waits(answer: &Answer) -> [u64; 2] {
    ["retry-after", "retry-after-ms"].map(|name| answer.header(name).unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_group_that_cools_after_a_429_answers_429_and_says_until_when() {
    let upstream = Upstream::fixed(429, &[("retry-after", "200")], "slow down").await;
    let url = gateway(&twice(&upstream), "").await;
    let real = send(ask(&url, "m")).await;
    assert_eq!((real.status.as_u16(), &*real.body), (429, "slow down"));

    let refused = send(ask(&url, "m")).await;
    assert_eq!(
        error(&refused, 429),
        [json!("rate_limit_error"), Value::Null, json!("rate_limit_exceeded")]
    );
    let [seconds, millis] = waits(&refused);
    assert!(millis > 100_000 && millis <= 200_000, "{millis}");
    assert_eq!(seconds, millis.div_ceil(1000));
    assert_eq!(refused.fleet(), [None, Some("0"), Some("0")]);
    assert_eq!(upstream.got().len(), 2);

    let state = state(&url, "a").await;
    assert_eq!((&state["status"], &state["cause"]), (&json!("cooling"), &json!("rate_limited")));
    let left = state["cooling_for"].as_f64().unwrap();
    assert!(left > 100.0 && left <= 200.0);
    assert_eq!((&state["failed"], &state["ejections"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_group_that_cools_for_another_reason_answers_503() {
    let upstream = Upstream::fixed(503, &[("retry-after", "200")], "").await;
    let url = gateway(&twice(&upstream), "").await;
    assert_eq!(send(ask(&url, "m")).await.status, 503);
    let refused = send(ask(&url, "m")).await;
    let expected = [json!("server_error"), Value::Null, json!("no_deployment_available")];
    assert_eq!(error(&refused, 503), expected);
    let [seconds, millis] = waits(&refused);
    assert_eq!(seconds, millis.div_ceil(1000));
}

#[tokio::test]
async fn a_group_that_is_full_answers_429() {
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let entries = ["a", "b"].map(|id| entry("m", id, &upstream.base, ", max_parallel_requests: 1"));
    let url = gateway(&entries, "router_settings: {num_retries: 0}").await;
    let running = [(); 2].map(|()| tokio::spawn(open(ask(&url, "m"))));
    let taken = async {
        while upstream.got().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("two requests in time");
    let refused = send(ask(&url, "m")).await;
    let expected = [json!("rate_limit_error"), Value::Null, json!("no_capacity")];
    assert_eq!(error(&refused, 429), expected);
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_body_that_is_encoded_is_not_read() {
    let upstream = Upstream::fixed(200, &[], "{}").await;
    let url = gateway(&[entry("m", "a", &upstream.base, "")], "").await;
    let encoded = |encoding: &str| {
        let mut request = ask(&url, "m");
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        request
    };
    let answer = send(encoded("gzip")).await;
    assert_eq!(error(&answer, 415)[2], "unsupported_content_encoding");
    assert!(answer.body.contains("gzip"), "{}", answer.body);
    assert!(upstream.got().is_empty());
    assert_eq!(send(encoded("identity")).await.status, 200);
}

#[tokio::test]
async fn a_model_can_be_asked_for_by_its_name() {
    let base = nowhere();
    let entries = [entry("m", "a", &base, ""), entry("vendor/large", "b", &base, "")];
    let rest = "router_settings: {model_group_alias: {unseen: {model: m, hidden: true}}}";
    let url = gateway(&entries, rest).await;
    let listed = get(format!("{url}/v1/models")).await.json();
    for (path, index) in [("m", 0), ("vendor/large", 1), ("vendor%2Flarge", 1)] {
        for prefix in ["", "/v1"] {
            let answer = get(format!("{url}{prefix}/models/{path}")).await;
            assert_eq!(
                (answer.status.as_u16(), answer.json()),
                (200, listed["data"][index].clone())
            );
        }
    }
    let unknown = ["invalid_request_error", "model", "model_not_found"].map(Value::from);
    for name in ["other", "unseen", "vendor"] {
        assert_eq!(error(&get(format!("{url}/v1/models/{name}")).await, 404), unknown);
    }
}

#[tokio::test]
async fn models_are_the_groups_and_the_aliases_that_are_not_hidden() {
    let base = nowhere();
    let entries =
        [entry("m", "a", &base, ""), entry("m", "b", &base, ""), entry("other", "c", &base, "")];
    let rest = "router_settings:\n  model_group_alias: {seen: m, unseen: {model: m, hidden: true}}\n  \
                fallbacks: [{m: [c]}]";
    let url = gateway(&entries, rest).await;
    for path in ["models", "v1/models"] {
        let list = get(format!("{url}/{path}")).await.json();
        assert_eq!(list["object"], "list");
        let models = list["data"].as_array().unwrap();
        let ids: Vec<_> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["m", "other", "seen"]);
        assert!(models.iter().all(|model| model["object"] == "model" && model["created"].is_u64()));
    }
    // Nor is a deployment listed twice because a fallback names it.
    let fleet = get(format!("{url}/fleet")).await.json();
    assert_eq!(fleet["deployments"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_state_of_the_fleet_holds_no_secret_and_no_address() {
    let upstream = Upstream::fixed(200, &[], "{}").await;
    let url = gateway(&[entry("m", "a", &upstream.base, ", order: 3")], "").await;
    send(ask(&url, "m")).await;
    let answer = get(format!("{url}/fleet")).await;
    assert!(!answer.body.contains("key-of") && !answer.body.contains("127.0.0.1"));
    let groups = json!([{"group": "m", "strategy": "simple-shuffle", "waiting": 0}]);
    let expected = json!({"groups": groups, "quotas": [], "deployments": [{
        "group": "m", "id": "a", "order": 3, "weight": 1, "tags": [], "in_flight": 0, "picked": 1, "status": "ready",
        "max_parallel_requests": null, "concurrency_limit": null,
        "limits": [], "budgets": [], "quotas": [], "headroom": 1.0,
        "latency": {"first_byte": 0.0, "first_chunk": null, "per_token": null},
        "failed_share": 0.0, "cached_share": null,
        "succeeded": 1, "failed": 0, "cancelled": 0, "ejections": 0,
        "usage": {
            "answers": 0, "input": 0, "cached": 0, "cache_written": 0, "output": 0, "reasoning": 0,
            "estimated": false, "cost": 0.0, "unpriced": 0,
        },
    }]});
    let mut told = answer.json();
    let time = &mut told["deployments"][0]["latency"]["first_byte"];
    assert!(time.as_f64().unwrap() > 0.0);
    *time = json!(0.0);
    assert_eq!(told, expected);
}

#[tokio::test]
async fn health_is_told() {
    let url = gateway(&[entry("m", "a", &nowhere(), "")], "").await;
    for path in ["liveliness", "liveness"] {
        assert_eq!(get(format!("{url}/health/{path}")).await.status, 200);
    }
    let ready = get(format!("{url}/health/readiness")).await.json();
    assert_eq!(ready, json!({"status": "ready", "deployments": 1, "available": 1}));
}
