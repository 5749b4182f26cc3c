//! Anthropic's messages.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::answer::{Answer, Tokens, named};

pub(super) fn message(answer: &Answer) -> Response {
    if answer.is_stream() {
        return stream(answer);
    }
    let mut message = head(answer, answer.tokens().output);
    message["content"] = json!([{"type": "text", "text": answer.text()}]);
    message["stop_reason"] = "end_turn".into();
    Json(message).into_response()
}

pub(super) fn count_tokens(answer: &Answer) -> Response {
    Json(json!({"input_tokens": answer.tokens().input})).into_response()
}

fn stream(answer: &Answer) -> Response {
    let delta = |word: &&str| {
        let delta = json!({"type": "text_delta", "text": word});
        named("content_block_delta", json!({"index": 0, "delta": delta}))
    };
    let block = json!({"type": "text", "text": ""});
    let stop = json!({"stop_reason": "end_turn", "stop_sequence": null});
    let usage = json!({"output_tokens": answer.tokens().output});
    let begin = named("message_start", json!({"message": head(answer, 1)}))
        + &named("content_block_start", json!({"index": 0, "content_block": block}))
        + &named("ping", json!({}));
    let end = named("content_block_stop", json!({"index": 0}))
        + &named("message_delta", json!({"delta": stop, "usage": usage}))
        + &named("message_stop", json!({}));
    let mut events = vec![begin];
    events.extend(answer.words().iter().map(delta));
    events.push(end);
    answer.paced(events)
}

/// A message without content yet. Tokens from the cache are not among those of the input here.
fn head(answer: &Answer, output: usize) -> Value {
    let Tokens { input, cached, .. } = answer.tokens();
    json!({
        "id": "msg_simulated",
        "type": "message",
        "role": "assistant",
        "model": answer.model(),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": input - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": output,
        },
    })
}

/// An error in Anthropic's shape.
pub(super) fn error(status: http::StatusCode, message: &str) -> Response {
    let error = json!({"type": "invalid_request_error", "message": message});
    (status, Json(json!({"type": "error", "error": error}))).into_response()
}
