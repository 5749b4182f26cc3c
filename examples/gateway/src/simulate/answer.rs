//! What every answer has, whichever API it is of.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// A token is so many bytes of text.
const BYTES_OF_A_TOKEN: usize = 4;

pub(super) struct Answer {
    pub(super) from: &'static str,
    /// Between the words of a stream.
    pub(super) pace: Duration,
    /// Whether half of the input is in a cache.
    pub(super) cached: bool,
    pub(super) request: Value,
}

/// The tokens of an answer, as they are told.
pub(super) struct Tokens {
    /// Those from a cache included.
    pub(super) input: usize,
    pub(super) cached: usize,
    pub(super) output: usize,
}

impl Answer {
    pub(super) fn is_stream(&self) -> bool {
        self.request["stream"] == true
    }

    pub(super) fn model(&self) -> &Value {
        &self.request["model"]
    }

    pub(super) fn words(&self) -> [&'static str; 5] {
        ["Hello", " from", " ", self.from, "."]
    }

    pub(super) fn text(&self) -> String {
        self.words().concat()
    }

    /// Each word is a token.
    pub(super) fn tokens(&self) -> Tokens {
        let input = input_tokens(&self.request);
        let cached = if self.cached { input / 2 } else { 0 };
        Tokens { input, cached, output: self.words().len() }
    }

    /// Sends the events one by one, with a pause before each but the first.
    pub(super) fn paced(&self, events: Vec<String>) -> Response {
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
}

/// An event with a name, which its data repeats: as the newer APIs have them.
pub(super) fn named(name: &str, mut data: Value) -> String {
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}

/// The tokens of a request's input, wherever the APIs put it.
pub(super) fn input_tokens(request: &Value) -> usize {
    let members = ["messages", "prompt", "input", "instructions", "system"];
    let bytes: usize = members.iter().map(|name| bytes_of_text(&request[*name])).sum();
    bytes.div_ceil(BYTES_OF_A_TOKEN)
}

fn bytes_of_text(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes_of_text).sum(),
        Value::Object(members) => members.values().map(bytes_of_text).sum(),
        _ => 0,
    }
}

/// An error in `OpenAI`'s shape.
pub(super) fn error(status: StatusCode, message: &str, code: Option<&str>) -> Response {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    (status, Json(json!({"error": error}))).into_response()
}
