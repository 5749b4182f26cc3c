//! The events of a stream that is read ahead, each looked at once.

use memchr::{memchr2, memmem};
use serde_json::Value;

use super::opening::is_error_object;
use crate::llm::sse::EventReader;

/// What the events show that have come, up to the first content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Something that a caller would see, or that ends the answer.
    Content,
    /// The provider's filter has withheld all of it.
    Filtered,
    /// It has failed; the error object.
    Error(Vec<u8>),
}

/// So many events come before content at most.
const EVENTS: usize = 48;

/// Reads events, and what they show.
#[derive(Debug, Default)]
pub(super) struct Held {
    reader: EventReader,
    /// The text so far of the event under way.
    event: Vec<u8>,
    count: usize,
    /// The choices that have come, and those of them that were withheld, as bits.
    choices: u64,
    withheld: u64,
}

impl Held {
    /// Reads on: what shows first, if something does.
    pub(super) fn read(&mut self, chunk: &[u8]) -> Option<Shown> {
        let mut at = 0;
        while let Some((used, data)) = self.reader.next(&chunk[at..]) {
            let data = data.map(<[u8]>::to_vec);
            self.event.extend_from_slice(&chunk[at..at + used]);
            let shown = data.and_then(|data| self.look_at(data));
            self.event.clear();
            if shown.is_some() {
                return shown;
            }
            at += used;
        }
        self.event.extend_from_slice(&chunk[at..]);
        None
    }

    /// Reads on: the data of the first event that has some.
    pub(super) fn read_first(&mut self, chunk: &[u8]) -> Option<Vec<u8>> {
        let mut at = 0;
        while let Some((used, data)) = self.reader.next(&chunk[at..]) {
            if let Some(data) = data {
                return Some(data.to_vec());
            }
            at += used;
        }
        None
    }

    /// The data of the event under way, of which no more comes.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        self.reader.pending().map(<[u8]>::to_vec)
    }

    /// What the event under way shows, of which no more comes.
    pub(super) fn finish(&mut self) -> Option<Shown> {
        let data = self.rest()?;
        self.look_at(data)
    }

    fn look_at(&mut self, data: Vec<u8>) -> Option<Shown> {
        self.count += 1;
        if is_named_error(&self.event) || is_error_object(&data) {
            return Some(Shown::Error(data));
        }
        let Ok(event) = serde_json::from_slice::<Value>(&data) else {
            return Some(Shown::Content);
        };
        if event["type"] == "response.failed" {
            return Some(Shown::Error(event["response"].to_string().into_bytes()));
        }
        for choice in event["choices"].as_array().into_iter().flatten() {
            let bit = 1 << choice["index"].as_u64().unwrap_or_default().min(63);
            self.choices |= bit;
            if choice["finish_reason"] == "content_filter" {
                self.withheld |= bit;
            }
        }
        if has_content(&event) || self.count >= EVENTS {
            return Some(Shown::Content);
        }
        let all_withheld = self.choices != 0 && self.choices == self.withheld;
        (all_withheld || is_withheld(&event)).then_some(Shown::Filtered)
    }
}

/// Whether the event says of the whole answer that the filter has withheld it: Anthropic's and the Responses' word.
fn is_withheld(event: &Value) -> bool {
    let of = [event, &event["delta"], &event["response"]];
    of.iter().any(|of| {
        of["stop_reason"] == "refusal" || of["incomplete_details"]["reason"] == "content_filter"
    })
}

/// Whether a caller would see something of the event, or nothing more is to come. What is not known is taken as such.
fn has_content(event: &Value) -> bool {
    let Some(kind) = event["type"].as_str() else {
        let choices = event["choices"].as_array();
        return choices.is_none_or(|choices| choices.iter().any(choice_has_content));
    };
    match kind {
        "ping"
        | "message_start"
        | "content_block_stop"
        | "response.created"
        | "response.queued"
        | "response.in_progress"
        | "response.output_item.added"
        | "response.content_part.added" => false,
        "content_block_start" => {
            let block = &event["content_block"];
            let begins_empty = block["type"] == "text" || block["type"] == "thinking";
            !begins_empty || has_more_than(block, &["type"])
        }
        "content_block_delta" => has_more_than(&event["delta"], &["type"]),
        "message_delta" => {
            let reason = &event["delta"]["stop_reason"];
            !reason.is_null() && reason != "refusal"
        }
        "response.incomplete" => !is_withheld(event),
        _ => true,
    }
}

fn choice_has_content(choice: &Value) -> bool {
    let reason = &choice["finish_reason"];
    (!reason.is_null() && reason != "content_filter")
        || !is_blank(&choice["text"])
        || has_more_than(&choice["delta"], &["role"])
}

/// Whether an object has members that say something, besides those `known`.
fn has_more_than(object: &Value, known: &[&str]) -> bool {
    let members = object.as_object().into_iter().flatten();
    members.into_iter().any(|(name, value)| !known.contains(&&**name) && !is_blank(value))
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether the `event` field of an event is `error`.
fn is_named_error(mut event: &[u8]) -> bool {
    if memmem::find(event, b"error").is_none() {
        return false;
    }
    while !event.is_empty() {
        let length = memchr2(b'\n', b'\r', event).unwrap_or(event.len());
        let name = event[..length].strip_prefix(b"event:");
        if name.is_some_and(|name| name.trim_ascii() == b"error") {
            return true;
        }
        event = event.get(length + 1..).unwrap_or_default();
    }
    false
}
