use std::convert::Infallible;

use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use proptest::prelude::*;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::{
    BoxError, Deployment,
    body::ReplayBody,
    deployment::Admission,
    llm::{
        InspectLayer,
        peek::{FOR_PROXY, MOCK_TESTING},
    },
    trail::{Attempt, Captured, GroupName},
};

/// The request as an inspection hands it on; its group was set above.
async fn inspected(path: &str, body: impl Into<Bytes>) -> Request<ReplayBody> {
    let below = service_fn(async |request: Request<ReplayBody>| Ok::<_, BoxError>(request));
    let request = Request::post(path).header(CONTENT_LENGTH, 1);
    let mut request = request.body(Full::new(body.into())).unwrap();
    GroupName::new("chat").set(&mut request);
    InspectLayer::new().layer(below).oneshot(request).await.unwrap()
}

/// Makes a deployment that calls the model `model` the one `request` goes to.
fn attempt<B>(request: &mut Request<B>, model: &str) {
    Carried::entry(request.extensions_mut()).attempt = Some(Attempt {
        deployment: Deployment::new("eu").model(model),
        index: 0,
        started: Instant::now(),
        admission: Admission { epoch: 0, probe: false },
        hold: None,
    });
}

/// `request` as a meter hands it on that asks for the usage where it can.
fn with_usage<B>(mut request: Request<B>) -> Request<B> {
    let carried = Carried::entry(request.extensions_mut());
    carried.adds_usage = carried.inspected.as_ref().unwrap().can_add_usage();
    request
}

/// The head and the chunks that reach the deployment.
async fn sent<B>(request: Request<B>) -> (http::request::Parts, Vec<Bytes>)
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let client = service_fn(async |request: Request<RewrittenBody<B>>| {
        let (head, body) = request.into_parts();
        let expected = body.size_hint().exact();
        let mut body = Box::pin(body);
        let mut chunks = Vec::new();
        while let Some(frame) = body.frame().await {
            chunks.extend(frame.map_err(Into::into)?.into_data());
        }
        let len: u64 = chunks.iter().map(|chunk: &Bytes| chunk.len() as u64).sum();
        assert!(expected.is_none_or(|expected| expected == len));
        Ok::<_, BoxError>((head, chunks))
    });
    RewriteModelLayer::new().layer(client).oneshot(request).await.unwrap()
}

async fn sent_text(adds_usage: bool, path: &str, model: Option<&str>, body: &str) -> String {
    let mut request = inspected(path, body.to_owned()).await;
    if let Some(model) = model {
        attempt(&mut request, model);
    }
    if adds_usage {
        request = with_usage(request);
    }
    String::from_utf8(sent(request).await.1.concat()).unwrap()
}

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = r#"{"stream":true,"model":"chat"}"#;

#[tokio::test]
async fn the_model_is_called_by_the_deployments_name() {
    let plain = false;
    let body = r#"{"model": "chat", "x": "chat"}"#;
    assert_eq!(
        sent_text(plain, CHAT, Some("gpt\"4"), body).await,
        r#"{"model": "gpt\"4", "x": "chat"}"#
    );
    assert_eq!(sent_text(plain, CHAT, None, body).await, body);
}

#[tokio::test]
async fn where_the_body_names_no_model_the_deployments_name_is_put_in() {
    for (body, named, unnamed) in [
        ("{}", r#"{"model":"gpt"}"#, "{}"),
        (" { }", r#" {"model":"gpt" }"#, " { }"),
        (r#"{"tags":[]}"#, r#"{"model":"gpt"}"#, "{}"),
        (r#"{"metadata":{"tags":[]}, "n":1}"#, r#"{"model":"gpt","n":1}"#, r#"{"n":1}"#),
        (r#"{"n":1,"tags":[]}"#, r#"{"model":"gpt","n":1}"#, r#"{"n":1}"#),
        (r#"{"model": null, "n":1}"#, r#"{"model": "gpt", "n":1}"#, r#"{"model": null, "n":1}"#),
        (
            r#"{"tags":[],"stream":true}"#,
            r#"{"model":"gpt","stream_options":{"include_usage":true},"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
    ] {
        assert_eq!(sent_text(true, CHAT, Some("gpt"), body).await, named);
        assert_eq!(sent_text(true, CHAT, None, body).await, unnamed);
    }
}

#[tokio::test]
async fn a_wildcard_stands_for_what_the_groups_did() {
    let mut request = inspected(CHAT, r#"{"model": "eu/mini"}"#).await;
    attempt(&mut request, "gpt-*");
    let captured = Captured::new(["mini".into()]);
    Carried::entry(request.extensions_mut()).captured = Some(captured);
    let (_, chunks) = sent(request).await;
    assert_eq!(chunks.concat(), br#"{"model": "gpt-mini"}"#);
}

#[tokio::test]
async fn what_is_for_a_router_is_taken_out_even_where_no_deployment_was_picked() {
    let body =
        r#"{"timeout": 3, "model": "chat", "metadata": {"tags": ["a"], "x": 1}, "fallbacks": []}"#;
    let left = r#"{"model": "chat", "metadata": {"x": 1}}"#;
    assert_eq!(sent_text(false, CHAT, None, body).await, left);
}

#[tokio::test]
async fn what_only_litellms_proxy_knows_reaches_no_deployment() {
    for name in FOR_PROXY.iter().copied().chain([MOCK_TESTING, "mock_testing_fallbacks"]) {
        // Of whatever type, and as often as it stands.
        let body = format!(r#"{{"{name}": {{"x": 1}}, "model": "chat", "{name}": "sk-caller"}}"#);
        assert_eq!(sent_text(false, CHAT, None, &body).await, r#"{"model": "chat"}"#, "{name}");
    }
    let others =
        r#"{"model": "chat", "api_keys": 1, "mock_testing": 1, "extra_body": {"api_key": 1}}"#;
    assert_eq!(sent_text(false, CHAT, None, others).await, others);
}

#[tokio::test]
async fn a_length_that_changes_is_not_announced() {
    let request = inspected(CHAT, r#"{"model": "chat"}"#).await;
    assert!(sent(request).await.0.headers.contains_key(CONTENT_LENGTH));
    let request = inspected(CHAT, r#"{"model": "chat", "tags": []}"#).await;
    assert!(!sent(request).await.0.headers.contains_key(CONTENT_LENGTH));
}

#[tokio::test]
async fn an_answer_that_could_not_be_read_is_not_asked_for() {
    let with_encoding = async |body| {
        let mut request = inspected(CHAT, body).await;
        request.headers_mut().insert(ACCEPT_ENCODING, "gzip".parse().unwrap());
        request
    };
    // Even where nothing else changes.
    let request = with_encoding(r#"{"model": "chat"}"#).await;
    let (head, _) = sent(request).await;
    assert!(!head.headers.contains_key(ACCEPT_ENCODING));
    let mut request = with_encoding(r#"{"model": "chat"}"#).await;
    request.extensions_mut().clear();
    let (head, _) = sent(request).await;
    assert_eq!(head.headers[ACCEPT_ENCODING], "gzip", "nobody above reads it");
}

#[tokio::test]
async fn the_usage_of_a_stream_is_asked_for_where_that_is_wanted() {
    let (with, plain) = (true, false);
    let asked = r#"{"stream":true,"model":"gpt","stream_options":{"include_usage":true}}"#;
    assert_eq!(sent_text(with, CHAT, Some("gpt"), STREAM).await, asked);
    assert_eq!(sent_text(with, "/completions", Some("gpt"), STREAM).await, asked);
    // With a cut that begins at the same place.
    let tags = r#"{"stream":true,"model":"chat","tags":[]}"#;
    assert_eq!(sent_text(with, CHAT, Some("gpt"), tags).await, asked);
    for unasked in [
        sent_text(with, "/v1/responses", None, STREAM).await,
        sent_text(with, "/v1/messages", None, STREAM).await,
        sent_text(plain, CHAT, None, STREAM).await,
    ] {
        assert_eq!(unasked, STREAM);
    }
    let whole = r#"{"model":"chat"}"#;
    assert_eq!(sent_text(with, CHAT, None, whole).await, whole);
}

#[tokio::test]
async fn a_caller_is_not_to_see_a_usage_it_did_not_ask_for() {
    let added = async |path, body: &'static str| {
        crate::llm::Inspected::of(&inspected(path, body).await).unwrap().can_add_usage()
    };
    assert!(added(CHAT, STREAM).await);
    assert!(added("/completions", STREAM).await);
    assert!(!added("/responses", STREAM).await);
    assert!(!added("/elsewhere", STREAM).await);
    assert!(!added(CHAT, r#"{"model":"chat"}"#).await);
    let wanted = r#"{"model":"chat","stream":true,"stream_options":{"include_usage":true}}"#;
    assert!(!added(CHAT, wanted).await);
}

#[tokio::test]
async fn ten_megabytes_go_out_as_slices_of_the_memory_they_came_in() {
    let image = "A".repeat(10 << 20);
    let body = format!(
        r#"{{"timeout":1,"model":"chat","messages":[{{"content":"data:image/png;base64,{image}"}}],"stream":true}}"#
    );
    let body = Bytes::from(body);
    let mut request = inspected(CHAT, body.clone()).await;
    attempt(&mut request, "gpt");
    let (_, chunks) = sent(with_usage(request)).await;
    let memory = body.as_ptr_range();
    let (ours, copied): (Vec<_>, Vec<_>) =
        chunks.iter().partition(|chunk| memory.contains(&chunk.as_ptr()));
    assert!(ours.iter().map(|chunk| chunk.len()).sum::<usize>() > 10 << 20);
    assert!(copied.iter().map(|chunk| chunk.len()).sum::<usize>() < 100);
}

/// A body as it comes, and what is to reach a deployment that knows the model as `gpt`.
fn bodies() -> impl Strategy<Value = (String, Value)> {
    let text = || any::<String>().prop_map(Value::from);
    let texts = || prop::collection::vec(any::<String>(), 0..3).prop_map(Value::from);
    let ours = prop_oneof![
        (0..9).prop_map(|n| ("num_retries", Value::from(n))),
        (1..9).prop_map(|n| ("timeout", Value::from(n))),
        (1..9).prop_map(|n| ("stream_timeout", Value::from(n))),
        (-9..9).prop_map(|n| ("priority", Value::from(n))),
        texts().prop_map(|tags| ("tags", tags)),
        texts().prop_map(|names| ("fallbacks", names)),
        texts().prop_map(|names| ("fallbacks", serde_json::json!([{"chat": names}, {"*": []}]))),
        text().prop_map(|region| ("allowed_model_region", region)),
        any::<bool>().prop_map(|off| ("disable_fallbacks", Value::from(off))),
        (prop::sample::select(FOR_PROXY), text()),
    ];
    let metadata =
        (prop::option::of(texts()), prop::option::of(text())).prop_map(|(tags, other)| {
            let members = [("tags", tags), ("other", other)];
            let members =
                members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            ("metadata", Value::Object(members.collect()))
        });
    let options = prop_oneof![
        Just(Value::Null),
        Just(serde_json::json!({})),
        any::<bool>().prop_map(|wanted| serde_json::json!({"include_usage": wanted})),
        any::<bool>().prop_map(|x| serde_json::json!({"x": x, "include_usage": null})),
        any::<bool>().prop_map(|x| serde_json::json!({"x": [x]})),
    ];
    let theirs = prop_oneof![
        options.prop_map(|options| ("stream_options", options)),
        any::<bool>().prop_map(|stream| ("stream", Value::from(stream))),
        texts().prop_map(|texts| ("messages", texts)),
        text().prop_map(|text| ("other", text)),
        text().prop_map(|text| ("more", text)),
    ];
    let members = prop::collection::vec(prop_oneof![4 => ours, 2 => metadata, 4 => theirs], 0..10);
    let spaces = prop::collection::vec("[ \\n\\t]{0,2}", 4);
    let models = prop_oneof![
        2 => Just(Some(Value::from("chat"))),
        1 => Just(Some(Value::Null)),
        1 => Just(None),
    ];
    let model = (models, any::<prop::sample::Index>());
    (members, model, spaces, any::<bool>()).prop_map(
        |(mut members, (model, model_at), spaces, escape)| {
            let mut seen = Vec::new();
            members.retain(|(name, _)| {
                !seen.contains(name) && {
                    seen.push(*name);
                    true
                }
            });
            if let Some(model) = model {
                members.insert(model_at.index(members.len() + 1), ("model", model));
            }
            let written = |name: &str| match name.chars().next() {
                Some(first) if escape => format!("\"\\u{:04x}{}\"", u32::from(first), &name[1..]),
                _ => format!("\"{name}\""),
            };
            let [a, b, c, d] = &spaces[..] else { panic!("four spaces") };
            let text: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{a}{}{b}:{c}{value}{d}", written(name)))
                .collect();
            let text = format!("{{{}}}", text.join(","));
            (
                text,
                expected(
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                ),
            )
        },
    )
}

fn expected(mut body: Map<String, Value>) -> Value {
    for ours in [
        "num_retries",
        "timeout",
        "stream_timeout",
        "priority",
        "allowed_model_region",
        "tags",
        "fallbacks",
        "disable_fallbacks",
    ] {
        body.remove(ours);
    }
    body.retain(|name, _| !FOR_PROXY.contains(&&**name));
    if let Some(Value::Object(metadata)) = body.get_mut("metadata")
        && metadata.remove("tags").is_some()
        && metadata.is_empty()
    {
        body.remove("metadata");
    }
    body.insert("model".to_owned(), "gpt".into());
    if body.get("stream") == Some(&Value::Bool(true)) {
        if !body.get("stream_options").is_some_and(Value::is_object) {
            body.insert("stream_options".to_owned(), serde_json::json!({}));
        }
        body["stream_options"]["include_usage"] = true.into();
    }
    Value::Object(body)
}

proptest! {
    #[test]
    fn the_body_that_is_sent_reads_as_the_one_that_came_with_the_changes(
        (body, expected) in bodies(),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let sent = tokio_test::block_on(async {
            let request = inspected(CHAT, body.clone()).await;
            let body = Bytes::from(body.clone());
            let mut ends: Vec<_> =
                ends.iter().map(|end| end.index(body.len() + 1)).chain([0, body.len()]).collect();
            ends.sort_unstable();
            let chunks: Vec<_> =
                ends.windows(2).map(|w| Ok::<_, Infallible>(Frame::data(body.slice(w[0]..w[1])))).collect();
            let mut request = request.map(|_| StreamBody::new(stream::iter(chunks)));
            attempt(&mut request, "gpt");
            sent(with_usage(request)).await.1.concat()
        });
        let sent: Value = serde_json::from_slice(&sent).map_err(|error| {
            TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&sent)))
        })?;
        prop_assert_eq!(sent, expected);
    }
}
