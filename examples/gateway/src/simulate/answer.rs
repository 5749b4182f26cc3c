//! Answers in `OpenAI`'s shape.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

pub(super) struct Answer {
    pub(super) from: &'static str,
    /// Between the words of a stream.
    pub(super) pace: Duration,
    pub(super) request: Value,
}

impl Answer {
    pub(super) fn is_stream(&self) -> bool {
        self.request["stream"] == true
    }

    fn words(&self) -> [&'static str; 5] {
        ["Hello", " from", " ", self.from, "."]
    }

    pub(super) fn chat(&self) -> Response {
        let message = json!({"role": "assistant", "content": self.words().concat()});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        self.object("chat.completion", &choice)
    }

    pub(super) fn completion(&self) -> Response {
        let choice = json!({"index": 0, "text": self.words().concat(), "finish_reason": "stop"});
        self.object("text_completion", &choice)
    }

    pub(super) fn embeddings(&self) -> Response {
        Json(json!({
            "object": "list",
            "model": self.request["model"],
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.75]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }))
        .into_response()
    }

    /// One event a word, with a pause before each but the first, then the end.
    pub(super) fn stream(self) -> Response {
        let event = |delta: Value, finish_reason: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
            let object = self.head("chat.completion.chunk", &choice);
            format!("data: {object}\n\n")
        };
        let mut events = vec![event(json!({"role": "assistant", "content": ""}), None)];
        events.extend(self.words().iter().map(|word| event(json!({"content": word}), None)));
        events.push(event(json!({}), Some("stop")) + "data: [DONE]\n\n");

        let pace = self.pace;
        let paced = stream::unfold(events.into_iter().enumerate(), move |mut events| async move {
            let (index, event) = events.next()?;
            if index > 0 {
                tokio::time::sleep(pace).await;
            }
            Some((Ok::<_, Infallible>(Bytes::from(event)), events))
        });
        ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(paced)).into_response()
    }

    fn object(&self, object: &str, choice: &Value) -> Response {
        let mut answer = self.head(object, choice);
        answer["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6});
        Json(answer).into_response()
    }

    fn head(&self, object: &str, choice: &Value) -> Value {
        json!({
            "id": "simulated",
            "object": object,
            "created": 0,
            "model": self.request["model"],
            "choices": [choice],
        })
    }
}

pub(super) fn error(status: StatusCode, message: &str) -> Response {
    let error = json!({"message": message, "type": "simulated", "param": null, "code": null});
    (status, Json(json!({"error": error}))).into_response()
}
