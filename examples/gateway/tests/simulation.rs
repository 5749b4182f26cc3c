//! The gateway with the deployments it simulates.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use serde_json::{Value, json};
use support::*;
use tower_fleet_gateway::simulate;

async fn simulated() -> String {
    started(&simulate::start().await.unwrap()).await
}

/// The data of each event of a stream.
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{}", answer.body);
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn text_of(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[tokio::test]
async fn openais_endpoints_answer_whole() {
    let url = simulated().await;
    for (path, text, usage) in [
        ("chat/completions", "/choices/0/message/content", "prompt_tokens"),
        ("completions", "/choices/0/text", "prompt_tokens"),
        ("responses", "/output/0/content/0/text", "input_tokens"),
    ] {
        let body = r#"{"model": "chat", "messages": ["12345678"], "input": "", "prompt": ""}"#;
        let answer = send(post(&url, &format!("/v1/{path}"), body)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let from = answer.fleet()[0].unwrap();
        let json = answer.json();
        assert_eq!(json["model"], format!("{from}-1"));
        assert_eq!(json.pointer(text).unwrap(), &format!("Hello from {from}."));
        assert_eq!(json["usage"][usage], 2, "{json}");
    }
    let body = r#"{"model": "chat", "input": "12345678"}"#;
    let embeddings = send(post(&url, "/v1/embeddings", body)).await.json();
    assert_eq!(embeddings["usage"], json!({"prompt_tokens": 2, "total_tokens": 2}));
}

#[tokio::test]
async fn a_chat_streams_and_tells_its_usage_where_asked() {
    let url = simulated().await;
    let plain = r#"{"model": "capped", "messages": ["12345678"], "stream": true}"#;
    let stream = send(post(&url, "/v1/chat/completions", plain)).await;
    assert!(stream.body.ends_with("data: [DONE]\n\n"));
    let told = events(&stream);
    assert_eq!(text_of(&told, "/choices/0/delta/content"), "Hello from limited.");
    assert!(told.iter().all(|event| event["usage"].is_null()));
    assert!(told.iter().all(|event| event["choices"] != json!([])));

    let asking = plain.replace("true", r#"true, "stream_options": {"include_usage": true}"#);
    let told = events(&send(post(&url, "/v1/chat/completions", &asking)).await);
    let last = told.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    let usage = ["prompt_tokens", "completion_tokens"].map(|key| &last["usage"][key]);
    assert_eq!(usage, [2, 5]);
}

#[tokio::test]
async fn responses_stream_to_their_completion() {
    let url = simulated().await;
    let body = r#"{"model": "capped", "input": "12345678", "stream": true}"#;
    let told = events(&send(post(&url, "/v1/responses", body)).await);
    assert_eq!(text_of(&told, "/delta"), "Hello from limited.");
    let numbers = told.iter().map(|event| event["sequence_number"].as_u64().unwrap());
    assert!(numbers.eq(0..told.len() as u64));
    let last = told.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"]["input_tokens"], 2);
}

#[tokio::test]
async fn anthropics_messages_answer_whole_and_as_streams() {
    let url = simulated().await;
    let body = r#"{"model": "claude", "max_tokens": 9, "messages": ["12345678"]}"#;
    let whole = send(post(&url, "/v1/messages", body)).await.json();
    assert_eq!(whole["content"], json!([{"type": "text", "text": "Hello from haiku."}]));
    let usage = ["input_tokens", "output_tokens"].map(|key| &whole["usage"][key]);
    assert_eq!(usage, [2, 5]);

    let stream = send(post(&url, "/v1/messages", &body.replace('}', r#", "stream": true}"#))).await;
    let told = events(&stream);
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let named: Vec<_> =
        stream.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds, named);
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[8..], ["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(text_of(&told, "/delta/text"), "Hello from haiku.");
    assert_eq!(told[0]["message"]["usage"]["input_tokens"], 2);
    assert_eq!(told[9]["usage"]["output_tokens"], 5);
}

#[tokio::test]
async fn some_input_comes_from_a_cache_now_and_then() {
    let url = simulated().await;
    let mut cached = Vec::new();
    for _ in 0..4 {
        let body = r#"{"model": "claude", "messages": ["12345678"]}"#;
        let usage = send(post(&url, "/v1/messages", body)).await.json()["usage"].clone();
        cached.push([&usage["input_tokens"], &usage["cache_read_input_tokens"]].map(Value::as_u64));
    }
    let [none, half] = [[Some(2), Some(0)], [Some(1), Some(1)]];
    assert_eq!(cached, [none, none, none, half]);
}

#[tokio::test]
async fn a_model_at_its_limit_falls_back() {
    let url = simulated().await;
    for _ in 0..3 {
        assert_eq!(send(ask(&url, "capped")).await.fleet()[0], Some("limited"));
    }
    let fell_back = send(ask(&url, "capped")).await;
    assert_eq!((fell_back.status.as_u16(), fell_back.fleet()[2]), (200, Some("1")));
    assert_eq!(state(&url, "limited").await["status"], "cooling");
}

#[tokio::test]
async fn what_is_over_a_limit_of_the_configuration_goes_to_the_sibling() {
    let url = simulated().await;
    for _ in 0..3 {
        assert_eq!(send(ask(&url, "rated")).await.fleet(), ["three", "1", "0"].map(Some));
    }
    let mut fourth = ask(&url, "rated");
    fourth.headers_mut().insert("x-fleet-explain", "true".parse().unwrap());
    let fourth = send(fourth).await;
    assert_eq!(fourth.fleet(), ["more", "1", "0"].map(Some));
    let why = fourth.header("x-fleet-explanation").unwrap();
    assert!(
        why.starts_with("picked more by ")
            && why.contains("; three has too little left of 3 requests in 60 s"),
        "{why}"
    );
}

#[tokio::test]
async fn too_long_an_input_goes_where_it_fits() {
    let url = simulated().await;
    let ask = |text: &str| {
        let messages = format!(r#"[{{"role": "user", "content": "{text}"}}]"#);
        post(
            &url,
            "/v1/chat/completions",
            &format!(r#"{{"model": "brief", "messages": {messages}}}"#),
        )
    };
    assert_eq!(send(ask("Hello")).await.fleet(), ["small", "1", "0"].map(Some));
    let long = send(ask(&"long ".repeat(20))).await;
    assert_eq!((long.status.as_u16(), long.fleet()[2]), (200, Some("1")), "{}", long.body);
    assert_ne!(long.fleet()[0], Some("small"));
    assert_eq!(state(&url, "small").await["status"], "ready");
}

#[tokio::test]
async fn what_a_group_does_not_speak_is_refused_and_cools_nothing() {
    let url = simulated().await;
    let refused = send(post(&url, "/v1/messages", r#"{"model": "chat", "messages": []}"#)).await;
    assert_eq!(anthropic_error(&refused, 400)[0], "invalid_request_error");
    let refused = send(post(&url, "/v1/embeddings", r#"{"model": "claude", "input": ""}"#)).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["code"], "unsupported_by_model");
    for id in ["quick", "slow", "flaky", "haiku"] {
        let state = state(&url, id).await;
        assert_eq!((&state["status"], &state["picked"]), (&json!("ready"), &json!(0)));
    }
}

#[tokio::test]
async fn tokens_and_cost_add_up() {
    let url = simulated().await;
    for _ in 0..4 {
        send(post(&url, "/v1/messages", r#"{"model": "claude", "messages": ["12345678"]}"#)).await;
    }
    let usage = &state(&url, "haiku").await["usage"];
    let counts = ["answers", "input", "cached", "output", "unpriced"].map(|key| &usage[key]);
    assert_eq!(counts, [4, 8, 1, 20, 0]);
    // 7 at a dollar a million, one from the cache at a tenth of it, 20 at five.
    let cost = usage["cost"].as_f64().unwrap();
    assert!((cost - 0.000_107_1).abs() < 1e-12, "{cost}");
}

#[tokio::test]
async fn tokens_are_counted_for_nothing() {
    let url = simulated().await;
    let body = r#"{"model": "claude", "messages": ["12345678"]}"#;
    let counted = send(post(&url, "/v1/messages/count_tokens", body)).await;
    assert_eq!(counted.json(), json!({"input_tokens": 2}));
    assert_eq!(state(&url, "haiku").await["usage"]["answers"], 0);
}

#[tokio::test]
async fn the_simulation_is_configured_without_a_warning() {
    let config = simulate::start().await.unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}
