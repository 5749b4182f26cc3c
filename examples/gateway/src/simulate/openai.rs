//! Chat completions, completions and embeddings.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::answer::{Answer, Tokens};

pub(super) fn chat(answer: &Answer) -> Response {
    if answer.is_stream() {
        return stream(answer, "chat.completion.chunk", |word| json!({"delta": {"content": word}}));
    }
    let message = json!({"role": "assistant", "content": answer.text()});
    whole(answer, "chat.completion", json!({"message": message}))
}

pub(super) fn completion(answer: &Answer) -> Response {
    if answer.is_stream() {
        return stream(answer, "text_completion", |word| json!({"text": word}));
    }
    whole(answer, "text_completion", json!({"text": answer.text()}))
}

pub(super) fn embeddings(answer: &Answer) -> Response {
    let Tokens { input, .. } = answer.tokens();
    Json(json!({
        "object": "list",
        "model": answer.model(),
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.75]}],
        "usage": {"prompt_tokens": input, "total_tokens": input},
    }))
    .into_response()
}

fn whole(answer: &Answer, object: &str, choice: Value) -> Response {
    let mut whole = head(answer, object);
    whole["choices"] = json!([finished(choice, Some("stop"))]);
    whole["usage"] = usage(&answer.tokens());
    Json(whole).into_response()
}

/// One event a word, then the usage where it is asked for, then the end.
fn stream(answer: &Answer, object: &str, choice: impl Fn(&str) -> Value) -> Response {
    let event = |choices: Value, usage: Option<Value>| {
        let mut event = head(answer, object);
        event["choices"] = choices;
        if let Some(usage) = usage {
            event["usage"] = usage;
        }
        format!("data: {event}\n\n")
    };
    let with_usage = answer.request["stream_options"]["include_usage"] == true;
    let none = with_usage.then_some(Value::Null);
    let one = |word: &str, reason: Option<&str>| {
        event(json!([finished(choice(word), reason)]), none.clone())
    };
    let mut events: Vec<_> = answer.words().iter().map(|word| one(word, None)).collect();
    let mut last = one("", Some("stop"));
    if with_usage {
        last += &event(json!([]), Some(usage(&answer.tokens())));
    }
    events.push(last + "data: [DONE]\n\n");
    answer.paced(events)
}

fn head(answer: &Answer, object: &str) -> Value {
    json!({"id": "simulated", "object": object, "created": 0, "model": answer.model()})
}

fn finished(mut choice: Value, reason: Option<&str>) -> Value {
    choice["index"] = 0.into();
    choice["finish_reason"] = reason.into();
    choice
}

fn usage(tokens: &Tokens) -> Value {
    let Tokens { input, cached, output } = tokens;
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached},
    })
}
