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
fn the_data_of_events_is_found_in_any_line_ends() {
    for text in ["data: 1\n\ndata:2\n\n", "\u{feff}: x\r\nid: 3\r\ndata: 1\r\n\r\ndata: 2"] {
        assert_eq!(first_data(text.as_bytes(), false), Some(&b"1"[..]));
        assert_eq!(all_data(text.as_bytes()).collect::<Vec<_>>(), [b"1", b"2"]);
    }
    assert_eq!(first_data(b"event: x\ndata: 1", false), None);
    assert_eq!(first_data(b"event: x\ndata: 1", true), Some(&b"1"[..]));
}
