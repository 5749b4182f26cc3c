//! `OpenAI`'s responses.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::answer::{Answer, Tokens, named};

const ITEM: &str = "msg_simulated";

pub(super) fn respond(answer: &Answer) -> Response {
    let done = item("completed", &json!([part(&answer.text())]));
    let whole = response(answer, "completed", &json!([done]));
    if answer.is_stream() { stream(answer, &done, &whole) } else { Json(whole).into_response() }
}

fn stream(answer: &Answer, done: &Value, whole: &Value) -> Response {
    let text = answer.text();
    let of_text = |more: Value| {
        let mut data = json!({"item_id": ITEM, "output_index": 0, "content_index": 0});
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        data
    };
    let begun = response(answer, "in_progress", &json!([]));
    let added = json!({"output_index": 0, "item": item("in_progress", &json!([]))});
    let delta = |word: &&str| ("response.output_text.delta", of_text(json!({"delta": word})));
    let mut events = vec![
        ("response.created", json!({"response": begun})),
        ("response.in_progress", json!({"response": begun})),
        ("response.output_item.added", added),
        ("response.content_part.added", of_text(json!({"part": part("")}))),
    ];
    events.extend(answer.words().iter().map(delta));
    events.extend([
        ("response.output_text.done", of_text(json!({"text": text}))),
        ("response.content_part.done", of_text(json!({"part": part(&text)}))),
        ("response.output_item.done", json!({"output_index": 0, "item": done})),
        ("response.completed", json!({"response": whole})),
    ]);
    let numbered = events.into_iter().enumerate().map(|(number, (name, mut data))| {
        data["sequence_number"] = number.into();
        named(name, data)
    });
    answer.paced(numbered.collect())
}

fn response(answer: &Answer, status: &str, output: &Value) -> Value {
    let mut response = json!({
        "id": "resp_simulated",
        "object": "response",
        "created_at": 0,
        "status": status,
        "model": answer.model(),
        "output": output,
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "tools": [],
        "usage": null,
    });
    if status == "completed" {
        let Tokens { input, cached, output } = answer.tokens();
        response["usage"] = json!({
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input + output,
        });
    }
    response
}

fn item(status: &str, content: &Value) -> Value {
    json!({"id": ITEM, "type": "message", "role": "assistant", "status": status, "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}
