//! A client's request: a byte for the size of its chunks, then its body.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use serde_json::{Map, Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Demand, Deployment, Error, GroupName,
    balance::{Balance, RoundRobin},
    body::ReplayBody,
    llm::{InspectError, InspectLayer, MeterLayer, RewriteModelLayer, RewrittenBody},
};

use super::support::{chunked, now, read};

/// The name a deployment knows its model by.
const MODEL: &str = "the \"model\" of\\a\ndeployment";

/// Members that a deployment does not get.
const OURS: [&str; 8] = [
    "allowed_model_region",
    "disable_fallbacks",
    "fallbacks",
    "num_retries",
    "priority",
    "stream_timeout",
    "tags",
    "timeout",
];

/// Members that are for LiteLLM's proxy; as are all that begin with `mock_testing_`.
const FOR_PROXY: [&str; 41] = [
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "user_api_key",
    "extra_headers",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "model_group_retry_policy",
    "retry_policy",
    "cooldown_time",
    "routing_strategy",
    "specific_deployment",
    "mock_response",
    "mock_timeout",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "azure_ad_token",
    "client_secret",
    "custom_llm_provider",
    "litellm_credential_name",
    "litellm_params",
    "model_list",
    "request_timeout",
    "secret_fields",
    "user_config",
    "vertex_credentials",
    "include_fallback_errors",
    "enable_tag_filtering",
    "litellm_metadata",
    "litellm_session_id",
    "litellm_trace_id",
    "litellm_call_id",
    "litellm_logging_obj",
    "cache",
    "caching",
    "guardrails",
    "max_retries",
    "no-log",
    "proxy_server_request",
];

/// What a deployment got: the name of the group, and the body.
#[derive(Clone, Debug, PartialEq)]
struct Sent(String, Vec<u8>);

/// A body is taken where it is JSON, however it is cut; a deployment gets what it says, but for the model's name, what is
/// not for a deployment, and the usage that is asked for where the caller did not.
pub fn run(data: &[u8]) {
    let Some((&size, body)) = data.split_first() else { return };
    let include_usage = size & 1 == 1;
    let sent = send(body, 0, include_usage);
    assert_eq!(sent, send(body, (size >> 1).into(), include_usage));

    match (sent, serde_json::from_slice::<Value>(body)) {
        (Ok(Sent(group, sent)), Ok(Value::Object(asked))) => {
            assert_eq!(asked["model"], group);
            let sent: Value = serde_json::from_slice(&sent).expect("JSON");
            assert_eq!(sent, Value::Object(expected(asked, include_usage)));
        }
        // What is skipped need not make a value: a number may be too large, a character half of one.
        (Ok(Sent(_, sent)), Err(_)) => assert!(is_json(body) && is_json(&sent)),
        (Ok(sent), Ok(_)) => panic!("no object, and yet {sent:?}"),
        (Err(reason), Ok(Value::Object(_))) => {
            assert!(!reason.contains("not valid JSON"), "{reason}");
        }
        (Err(_), _) => {}
    }
}

fn expected(mut asked: Map<String, Value>, include_usage: bool) -> Map<String, Value> {
    asked.retain(|name, _| {
        let name = &**name;
        !OURS.contains(&name) && !FOR_PROXY.contains(&name) && !name.starts_with("mock_testing_")
    });
    asked["model"] = MODEL.into();
    if let Some(Value::Object(metadata)) = asked.get_mut("metadata") {
        let tags = metadata.get("tags").is_some_and(|tags| !tags.is_string());
        if tags {
            metadata.remove("tags");
            if metadata.is_empty() {
                asked.remove("metadata");
            }
        }
    }
    if include_usage && asked.get("stream") == Some(&json!(true)) {
        let options = asked.entry("stream_options").or_insert(Value::Null);
        if options.is_null() {
            *options = json!({});
        }
        options["include_usage"] = true.into();
    }
    asked
}

fn is_json(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).ok();
    text.is_some_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// What a deployment got, or why none got anything.
fn send(body: &[u8], chunk: usize, include_usage: bool) -> Result<Sent, String> {
    let deployment = service_fn(|request: Request<RewrittenBody<ReplayBody>>| async move {
        let group = GroupName::of(&request).expect("a group").as_str().to_owned();
        let announced = http_body::Body::size_hint(request.body()).exact();
        let (sent, whole) = read(request.into_body()).await;
        assert!(whole, "the body came to its end");
        assert_eq!(announced, Some(sent.len() as u64));
        let mut response = Response::new(Empty::<Bytes>::new());
        response.extensions_mut().insert(Sent(group, sent));
        Ok::<_, BoxError>(response)
    });
    let meter = MeterLayer::new().include_usage(include_usage);
    let member = (
        Deployment::new("a").model(MODEL),
        meter.layer(RewriteModelLayer::new().layer(deployment)),
    );
    // The deployment takes whatever is asked of it, a region too.
    let balance = Balance::new(RoundRobin, [member]).map_request(|mut request| {
        Demand::default().set(&mut request);
        request
    });
    let stack = InspectLayer::new().layer(balance);
    let request =
        Request::post("/v1/chat/completions").body(chunked(body, chunk, false)).expect("a request");
    let refused = |error: Error| InspectError::of(&error).expect("an inspection").to_string();
    now(stack.oneshot(request))
        .map(|mut response| response.extensions_mut().remove().expect("what was sent"))
        .map_err(refused)
}
