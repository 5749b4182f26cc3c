use proptest::prelude::*;

use super::*;

/// Texts of the pieces that the judging knows, and others.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 30] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b" ",
        b"\n",
        b"\r",
        b"\n\n",
        b"\r\n\r\n",
        b"data:",
        b"data: ",
        b"event: ",
        b"id: 1\n",
        b"retry: 1\n",
        b": ok\n",
        b"error",
        b"\"error\"",
        b"\"type\":",
        b"\"object\":",
        b"{\"error\":{}}",
        b"{\"id\":1,\"error\":\"x\"}",
        b"\xef",
        b"\xbb\xbf",
        b"\xef\xbb\xbf",
        b"<html>",
        b"dat",
        b"null",
    ];
    let piece = proptest::sample::select(&PIECES[..]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_whole_body_is_never_unclear(text in texts()) {
        prop_assert_ne!(json(&text, true), Opening::Unclear);
        prop_assert_ne!(stream(&text, true), Opening::Unclear);
    }

    #[test]
    fn a_beginning_is_never_refused_that_could_still_become_good(text in texts(), at: proptest::sample::Index) {
        let beginning = &text[..at.index(text.len() + 1)];
        let settled = |opening| matches!(opening, Opening::Strange | Opening::Empty);
        if settled(json(beginning, false)) {
            prop_assert_eq!(json(&text, true), json(beginning, false));
        }
        if settled(stream(beginning, false)) {
            prop_assert_eq!(stream(&text, true), stream(beginning, false));
        }
    }

    #[test]
    fn an_error_stays_one_however_it_goes_on(text in texts(), at: proptest::sample::Index) {
        let beginning = &text[..at.index(text.len() + 1)];
        if json(beginning, false) == Opening::Error {
            prop_assert_eq!(json(&text, true), Opening::Error);
        }
        if stream(beginning, false) == Opening::Error {
            prop_assert_eq!(stream(&text, true), Opening::Error);
        }
    }
}

#[test]
fn an_error_event_is_one_in_any_line_ends_and_over_any_lines() {
    for ends in ["\n", "\r", "\r\n"] {
        for event in [
            "event: error|data: x||",
            ": x||data: {\"error\":|data: {}}||",
            "id: 1|data: {|data: \"error\": \"x\"|data: }||",
            "data:|data: {\"error\": {}}||",
        ] {
            let text = event.replace('|', ends);
            assert_eq!(stream(text.as_bytes(), false), Opening::Error, "{text:?}");
        }
    }
    assert_eq!(stream(b"data: {\rdata: \"id\": 1,\r", false), Opening::Good);
    assert_eq!(stream(b"data: {\rdata:", false), Opening::Unclear);
}

#[test]
fn an_error_object_is_found_among_the_members_of_a_whole_object() {
    assert!(has_error_object(br#"{"id": 1, "error" : {"code": 500}, "x": []} "#));
    for text in [
        r#"{"id": 1, "error": {"code": 500}, "x":"#,
        r#"{"id": 1, "error": null}"#,
        r#"{"id": 1, "error": {}}"#,
        r#"{"id": 1, "error": "no"}"#,
        r#"{"id": 1, "x": {"error": {"code": 500}}}"#,
        r#"{"id": "\"error\": {\"code\": 500}"}"#,
    ] {
        assert!(!has_error_object(text.as_bytes()), "{text}");
    }
}
