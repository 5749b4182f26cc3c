//! What the body of a response is, by its headers or else by what was asked for.

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::{Endpoint, Inspected};

/// What the body of a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Events,
}

impl Format {
    /// What the headers say; none where they name something else. Without a `Content-Type` it is taken as what was
    /// `asked` for.
    pub(super) fn of(headers: &HeaderMap, asked: Option<Self>) -> Option<Self> {
        let Some(named) = named(headers) else { return asked };
        if named.eq_ignore_ascii_case(b"text/event-stream") {
            return Some(Self::Events);
        }
        // `application/json`, and any `…+json`.
        let (_, subtype) = named.split_at(named.iter().position(|byte| *byte == b'/')? + 1);
        let suffix = subtype.rsplit(|byte| *byte == b'+').next()?;
        suffix.eq_ignore_ascii_case(b"json").then_some(Self::Json)
    }

    /// What a request asks for; none where its path is none that is known.
    pub(super) fn asked(inspected: &Inspected) -> Option<Self> {
        let streams = inspected.endpoint? != Endpoint::Embeddings && inspected.stream;
        Some(if streams { Self::Events } else { Self::Json })
    }
}

/// The content type that the headers name, without its parameters.
pub(super) fn named(headers: &HeaderMap) -> Option<&[u8]> {
    let named = headers.get(CONTENT_TYPE)?.as_bytes().split(|byte| *byte == b';').next()?;
    Some(named.trim_ascii()).filter(|named| !named.is_empty())
}

/// Whether the body is compressed or the like, so that it cannot be read.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_what_its_type_says_or_else_what_was_asked_for() {
        use Format::{Events, Json};
        for (named, asked, found) in [
            ("application/json", Some(Events), Some(Json)),
            ("Application/JSON; charset=utf-8", None, Some(Json)),
            ("application/problem+json", None, Some(Json)),
            ("text/event-stream;charset=utf-8", Some(Json), Some(Events)),
            ("", Some(Events), Some(Events)),
            (" ; charset=utf-8", Some(Json), Some(Json)),
            ("", None, None),
            ("json", Some(Json), None),
            ("text/html", Some(Json), None),
            ("application/jsonl", Some(Json), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, named.parse().unwrap());
            assert_eq!(Format::of(&headers, asked), found, "{named}");
        }
        assert_eq!(Format::of(&HeaderMap::new(), Some(Json)), Some(Json));
    }
}
