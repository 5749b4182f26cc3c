use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, de::Error as _};
use serde_json::{Error, value::RawValue};

use super::InspectError;

/// What a request body says that routing needs.
#[derive(Debug, PartialEq)]
pub(super) struct Peeked {
    pub(super) model: String,
    /// Where the JSON string of the model's name stands, quotes included.
    pub(super) model_at: Range<usize>,
    pub(super) stream: bool,
}

/// The members of interest; all else is skipped without being built.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
}

/// Reads the model's name and whether a stream is wanted, in one pass.
pub(super) fn peek(body: &[u8]) -> Result<Peeked, InspectError> {
    // Of an array the derived code would take the members by their order.
    if body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(InspectError::NotJson(Error::custom("expected an object")));
    }
    let members: Members<'_> = serde_json::from_slice(body).map_err(InspectError::NotJson)?;
    let raw = members.model.map(RawValue::get).ok_or(InspectError::NoModel)?;
    let model: Cow<'_, str> = serde_json::from_str(raw).map_err(|_| InspectError::NoModel)?;
    // The text is borrowed from the body, so the distance of the two is where it stands.
    let start = raw.as_ptr().addr() - body.as_ptr().addr();
    Ok(Peeked {
        model: model.into_owned(),
        model_at: start..start + raw.len(),
        stream: members.stream.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_model_is_found_wherever_it_stands() {
        let body = br#" { "messages": [{"model": "no", "x": [1, "}"]}], "model" : "gpt-4o","stream":true} "#;
        let peeked = peek(body).unwrap();
        assert_eq!(peeked.model, "gpt-4o");
        assert_eq!(&body[peeked.model_at], br#""gpt-4o""#);
        assert!(peeked.stream);
    }

    #[test]
    fn escapes_in_the_name_are_read() {
        let body = r#"{"model":"a\"\u00e9\/b"}"#.as_bytes();
        let peeked = peek(body).unwrap();
        assert_eq!(peeked.model, "a\"é/b");
        assert_eq!(&body[peeked.model_at], r#""a\"\u00e9\/b""#.as_bytes());
    }

    #[test]
    fn a_body_without_a_model_is_told_from_one_that_is_not_json() {
        let refused = |body: &str| peek(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused("{}"), "`model` is missing: it must be a string");
        assert_eq!(refused(r#"{"model": null}"#), "`model` is missing: it must be a string");
        assert_eq!(refused(r#"{"model": 4}"#), "`model` is missing: it must be a string");
        assert!(refused(r#"{"model": "a", "#).starts_with("the request body is not valid JSON: "));
        assert!(refused(r#"["model"]"#).starts_with("the request body is not valid JSON: "));
        assert!(refused(r#"["a", true]"#).starts_with("the request body is not valid JSON: "));
        assert!(refused("").starts_with("the request body is not valid JSON: "));
    }
}
