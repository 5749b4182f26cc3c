//! What reaches the upstream, and what does not.

use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use tower_fleet::llm::InspectError;

use super::*;

#[tokio::test]
async fn the_upstream_gets_its_own_model_and_key_and_the_rest_byte_for_byte() {
    let server = Upstream::status(200).await;
    let file = File::new("").model("chat", "hosted_vllm/meta/llama", &server.base(), "");
    let body = r#"{ "messages": [{"model": "chat"}],"model" :"chat", "n":1e0 }"#;
    let request = Request::post("/chat/completions?x=1")
        .header(AUTHORIZATION, "Bearer caller")
        .header(CONTENT_LENGTH, body.len())
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    assert_eq!(file.start().service.oneshot(request).await.unwrap().status(), 200);

    let (head, received) = server.latest();
    let expected = r#"{ "messages": [{"model": "chat"}],"model" :"meta/llama", "n":1e0 }"#;
    assert_eq!(received, expected);
    assert_eq!(head.headers[CONTENT_LENGTH], expected.len().to_string());
    assert_eq!(head.headers[AUTHORIZATION], "Bearer sk-test");
    assert_eq!(head.uri, "/v1/chat/completions?x=1");
}

#[tokio::test]
async fn every_attempt_sends_the_name_its_own_deployment_knows() {
    let servers = servers([500, 500, 200]).await;
    let fleet = File::new("num_retries: 1, fallbacks: [{chat: [spare]}]")
        .model("chat", "openai/first", &servers[0].base(), "")
        .model("chat", "openai/second", &servers[1].base(), "")
        .model("spare", "openai/a-much-longer-name", &servers[2].base(), "")
        .start();
    assert_eq!(fleet.ask("chat").await.status(), Some(200));
    for (server, model) in servers.iter().zip(["first", "second", "a-much-longer-name"]) {
        let expected = format!(r#"{{"model": "{model}", "messages": []}}"#);
        assert_eq!(server.latest().1, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_reaches_nobody() {
    let server = Upstream::status(200).await;
    let fleet = File::new("fallbacks: [{chat: [chat2]}]")
        .group("chat", [&server])
        .group("chat2", [&server])
        .start();
    let post = |body: &'static str| Request::post("/").body(Full::new(Bytes::from(body))).unwrap();
    let refused = async |limit, body| {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let layer = InspectLayer::new().limit(limit);
        let error = layer.layer(fleet.layer.layer(client)).oneshot(post(body)).await.unwrap_err();
        InspectError::of(&error).expect("an error of the inspection").to_string()
    };
    assert!(refused(100, "model=chat").await.starts_with("the request body is not valid JSON"));
    assert_eq!(refused(100, "{}").await, "`model` is missing: it must be a string");
    let long = refused(15, r#"{"model": "chat"}"#).await;
    assert_eq!(long, "the request body is longer than 15 bytes");
    assert_eq!(server.asked(), 0);
}
