//! What a body begins with.

use memchr::{memchr2, memmem};
use serde::Deserialize;
use serde_json::Value;

/// What the beginning of a body shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Not enough.
    Unclear,
    /// What was asked for.
    Good,
    /// An error object, or an error event.
    Error,
    /// Something else.
    Strange,
    /// There is nothing.
    Empty,
}

/// Judges the beginning of a JSON body; `whole` says that nothing follows.
pub(super) fn json(text: &[u8], whole: bool) -> Opening {
    match without_mark(text).unwrap_or_default().trim_ascii_start() {
        [] if whole => Opening::Empty,
        [] => Opening::Unclear,
        // Gemini wraps its errors in a list.
        [b'[', list @ ..] => match list.trim_ascii_start() {
            [b'{', members @ ..] => first_member(members, whole),
            [] if !whole => Opening::Unclear,
            _ => Opening::Good,
        },
        [b'{', members @ ..] => first_member(members, whole),
        _ => Opening::Strange,
    }
}

/// An error object names itself first: `{"error": …`, `{"type": "error"`, `{"object": "error"`.
fn first_member(members: &[u8], whole: bool) -> Opening {
    let unclear = if whole { Opening::Good } else { Opening::Unclear };
    let name = match members.trim_ascii_start() {
        [] => return unclear,
        [b'"', name @ ..] => name,
        _ => return Opening::Good,
    };
    let Some(end) = name.iter().position(|byte| *byte == b'"') else { return unclear };
    let (name, rest) = (&name[..end], name[end + 1..].trim_ascii_start());
    let value = rest.strip_prefix(b":").unwrap_or(rest).trim_ascii_start();
    match (name, value) {
        (b"error" | b"type" | b"object", []) => unclear,
        (b"error", [b'{' | b'"', ..]) => Opening::Error,
        (b"type" | b"object", value) if value.starts_with(b"\"error\"") => Opening::Error,
        (b"type" | b"object", value) if b"\"error\"".starts_with(value) => unclear,
        _ => Opening::Good,
    }
}

/// Judges the beginning of an event stream, up to the data of its first event; `whole` says that nothing follows.
///
/// What stands before that event are blank lines and comments, which some servers send to keep a connection alive. A
/// comment that has come alone is good: it is to reach the client now.
pub(super) fn stream(text: &[u8], whole: bool) -> Opening {
    let Some(text) = without_mark(text) else {
        return if whole { Opening::Strange } else { Opening::Unclear };
    };
    let (mut commented, mut begun) = (false, false);
    let (mut data, mut begun_data) = (Vec::new(), false);
    for Line { name, value, complete } in lines(text) {
        let complete = complete || whole;
        match name {
            b"" if value.is_some() => commented = true,
            b"" if begun => return Opening::Good,
            b"" => {}
            b"event" if complete && value.map(<[u8]>::trim_ascii) == Some(b"error") => {
                return Opening::Error;
            }
            b"data" => {
                if begun_data {
                    data.push(b'\n');
                }
                (begun, begun_data) = (true, true);
                data.extend_from_slice(value.unwrap_or_default());
                match json(&data, false) {
                    // The event is yet to come whole.
                    Opening::Unclear => {}
                    Opening::Error => return Opening::Error,
                    _ if complete && is_error_object(&data) => return Opening::Error,
                    _ => return Opening::Good,
                }
            }
            b"event" | b"id" | b"retry" => begun = true,
            _ if begun || commented => {}
            // The beginning of a name, perhaps.
            _ if value.is_none() && !complete && FIELDS.iter().any(|it| it.starts_with(name)) => {
                begun = true;
            }
            _ => return Opening::Strange,
        }
    }
    match (begun, whole) {
        (true, true) => Opening::Good,
        (false, _) if commented => Opening::Good,
        (false, true) => Opening::Empty,
        (_, false) => Opening::Unclear,
    }
}

const FIELDS: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];

struct Line<'a> {
    name: &'a [u8],
    /// None without a colon.
    value: Option<&'a [u8]>,
    /// Its end has come.
    complete: bool,
}

fn lines(mut text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', text);
        let (line, rest) = text.split_at(end.unwrap_or(text.len()));
        text = rest.strip_prefix(b"\r\n").unwrap_or(rest.get(1..).unwrap_or_default());
        let colon = line.iter().position(|byte| *byte == b':');
        let value = colon.map(|at| line[at + 1..].trim_ascii_start());
        Some(Line { name: &line[..colon.unwrap_or(line.len())], value, complete: end.is_some() })
    })
}

/// The text after a byte order mark; none while that is still coming.
fn without_mark(text: &[u8]) -> Option<&[u8]> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if text.len() < MARK.len() && !text.is_empty() && MARK.starts_with(text) {
        return None;
    }
    Some(text.strip_prefix(MARK).unwrap_or(text))
}

/// Whether the data of an event is an error object, wherever in it that says so.
pub(super) fn is_error_object(data: &[u8]) -> bool {
    const NAME: &[u8] = b"\"error\"";
    #[derive(Deserialize)]
    struct Members {
        error: Option<Value>,
    }
    if json(data, true) == Opening::Error {
        return true;
    }
    if !data.windows(NAME.len()).any(|window| window == NAME) {
        return false;
    }
    let members = serde_json::from_slice::<Members>(data);
    members.is_ok_and(|it| it.error.is_some_and(|error| error.is_object() || error.is_string()))
}

/// Whether `text` is a JSON object that is whole and has an error object among its members.
pub(super) fn has_error_object(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Members {
        error: Option<serde_json::Map<String, Value>>,
    }
    const NAME: &[u8] = b"\"error\"";
    let is_object = |at: usize| {
        let rest = text[at + NAME.len()..].trim_ascii_start().strip_prefix(b":");
        rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"))
    };
    // Most answers have none; only one that may is parsed.
    text.trim_ascii_end().ends_with(b"}")
        && memmem::find_iter(text, NAME).any(is_object)
        && serde_json::from_slice::<Members>(text)
            .is_ok_and(|it| it.error.is_some_and(|error| !error.is_empty()))
}

/// Whether an answer says that the provider's filter has withheld all of it.
pub(super) fn is_filtered(answer: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default)]
        choices: Vec<Choice<'a>>,
        stop_reason: Option<&'a str>,
        #[serde(borrow)]
        incomplete_details: Option<Details<'a>>,
    }
    #[derive(Deserialize)]
    struct Choice<'a> {
        finish_reason: Option<&'a str>,
    }
    #[derive(Deserialize)]
    struct Details<'a> {
        reason: Option<&'a str>,
    }
    const FILTER: Option<&str> = Some("content_filter");
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(answer) else { return false };
    let choices = &answer.choices;
    !choices.is_empty() && choices.iter().all(|choice| choice.finish_reason == FILTER)
        || answer.stop_reason == Some("refusal")
        || answer.incomplete_details.is_some_and(|details| details.reason == FILTER)
}

#[cfg(test)]
mod tests;
