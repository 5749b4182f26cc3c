use proptest::prelude::*;

use super::*;

const DELTA: &str = "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";
const USAGE: &str = "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// What comes out at once for each chunk.
fn passed(stream: &mut Stream, chunk: &str) -> Vec<String> {
    let mut due = VecDeque::new();
    stream.read(chunk.to_owned().into(), &mut due);
    due.iter().map(|part| str::from_utf8(part).unwrap().to_owned()).collect()
}

fn ended(stream: &mut Stream, whole: bool) -> Vec<String> {
    let mut due = VecDeque::new();
    stream.finish(whole, &mut due);
    due.iter().map(|part| str::from_utf8(part).unwrap().to_owned()).collect()
}

#[test]
fn chunks_of_other_events_pass_at_once_and_as_they_are() {
    let mut stream = Stream::new(true, Errors::default());
    let two = format!("{DELTA}{DELTA}");
    let azure = "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n";
    for chunk in [DELTA, &two, ": ping\n\n", azure, "data: {\"error\":{\"code\":500}}\n\n", DONE] {
        assert_eq!(passed(&mut stream, chunk), [chunk]);
    }
}

#[test]
fn the_added_usage_is_taken_out_of_its_chunk_and_nothing_else() {
    for (before, after) in [("", ""), (DELTA, ""), ("", DONE), (DELTA, DONE)] {
        let mut stream = Stream::new(true, Errors::default());
        let out = passed(&mut stream, &format!("{before}{USAGE}{after}")).concat();
        assert_eq!(out, format!("{before}{after}"));
        assert_eq!(stream.tally().usage(None).unwrap().output, 2);
    }
}

#[test]
fn members_that_say_nothing_or_are_of_openais_chunk_do_not_keep_it() {
    let own = r#""object":"x","service_tier":"a","obfuscation":"b","system_fingerprint":null,"created":1,"model":"m","#;
    for members in [own, "\"error\":null,", "\"citations\":null,"] {
        let event = USAGE.replacen('{', &format!("{{{members}"), 1);
        assert_eq!(passed(&mut Stream::new(true, Errors::default()), &event), [""; 0]);
    }
}

#[test]
fn an_event_is_held_no_longer_than_it_may_be_the_added_usage() {
    let mut stream = Stream::new(true, Errors::default());
    assert_eq!(passed(&mut stream, "data: {\"id\":\"1\","), [""; 0]);
    assert!(stream.holds());
    assert_eq!(passed(&mut stream, "\"choices\":["), [""; 0]);
    let rest = "{\"delta\":";
    assert_eq!(passed(&mut stream, rest), ["data: {\"id\":\"1\",", "\"choices\":[", rest]);
    assert_eq!(passed(&mut stream, "{\"content\":\"a\""), ["{\"content\":\"a\""]);
    // What is begun in the same chunk is held apart.
    let out = passed(&mut stream, "}}]}\n\ndata: {\"usage\":");
    assert_eq!(out, ["}}]}\n\n"]);
    assert_eq!(passed(&mut stream, "n"), ["data: {\"usage\":", "n"]);
}

#[test]
fn an_event_too_long_for_a_usage_passes_whole_however_it_comes() {
    let begin = format!("data: {{\"id\":\"{}", "x".repeat(HELD - 20));
    let end = format!("{}\",{}", "x".repeat(30), USAGE.trim_start_matches("data: {"));

    let mut stream = Stream::new(true, Errors::default());
    assert_eq!(passed(&mut stream, &begin), [""; 0]);
    assert_eq!(passed(&mut stream, &"x".repeat(30)).len(), 2);
    assert_eq!(passed(&mut stream, &end), [&*end]);
    let whole = format!("{begin}{end}");
    assert_eq!(passed(&mut Stream::new(true, Errors::default()), &whole), [whole]);
}

#[test]
fn an_event_that_says_two_things_passes_whole_however_it_comes() {
    let members = [
        "\"usage\":null,",
        "\"choices\":[{}],",
        "\"citations\":[],",
        "\"error\":{},",
        "\"x_groq\":{},",
    ];
    for member in members {
        let event = USAGE.replacen('{', &format!("{{{member}"), 1);
        assert_eq!(passed(&mut Stream::new(true, Errors::default()), &event), [&*event]);
        let mut stream = Stream::new(true, Errors::default());
        let (begin, end) = event.split_at(event.find(member).unwrap() + member.len());
        assert_eq!(passed(&mut stream, begin), [begin]);
        assert_eq!(passed(&mut stream, end), [end]);
    }
}

#[test]
fn what_is_held_at_the_end_is_passed_on_unless_it_is_the_usage() {
    for whole in [true, false] {
        let mut stream = Stream::new(true, Errors::default());
        passed(&mut stream, "data: {\"id\":");
        assert_eq!(ended(&mut stream, whole), ["data: {\"id\":"]);
        assert!(!stream.holds());
    }
    let mut stream = Stream::new(true, Errors::default());
    passed(&mut stream, USAGE.trim_end());
    assert_eq!(ended(&mut stream, true), [""; 0]);
    assert!(stream.tally().usage(None).is_some_and(|usage| !usage.estimated));
}

#[test]
fn a_usage_that_was_asked_for_stays() {
    let mut stream = Stream::new(false, Errors::default());
    assert_eq!(passed(&mut stream, USAGE), [USAGE]);
    let text_too = USAGE.replace("[]", "[{\"delta\":{\"content\":\"a\"}}]");
    assert_eq!(passed(&mut Stream::new(true, Errors::default()), &text_too), [text_too]);
}

/// Pieces of streams, well formed and not.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        DELTA,
        USAGE,
        DONE,
        "data: ",
        "\r\n",
        "\n",
        "\r",
        "\u{feff}",
        "{",
        "[",
        "]",
        "}",
        "\"",
        "\\",
        "\"usage\":",
        "\"choices\":",
        "\"delta\":",
        "\"message\":",
        "\"text\":",
        "\"prompt_tokens\":",
        "\"usage\":null,",
        "\"choices\":[],",
        "\"usage\":{\"input_tokens\":1}",
        "99999999999999999999999",
        "-1e999",
        "1.5",
        ",",
        ":",
        "\\u12",
        "null",
    ]);
    let piece = prop_oneof![
        4 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// The tokens, and all that comes out.
fn through(chunks: &[&[u8]], hides: bool) -> (String, Vec<u8>) {
    let mut stream = Stream::new(hides, Errors::default());
    let mut due = VecDeque::new();
    for chunk in chunks {
        stream.read(Bytes::copy_from_slice(chunk), &mut due);
    }
    stream.finish(true, &mut due);
    assert!(!stream.holds());
    (format!("{:?}", stream.tally().usage(None)), due.into_iter().flatten().collect())
}

proptest! {
    #[test]
    fn whatever_comes_is_passed_on_and_read_alike_however_it_is_cut(
        bytes in pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        ends.sort_unstable();
        let chunks: Vec<_> = ends.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        for hides in [false, true] {
            let whole = through(&[&bytes], hides);
            prop_assert_eq!(&whole, &through(&chunks, hides));
            prop_assert_eq!(&whole, &through(&bytes.chunks(1).collect::<Vec<_>>(), hides));
            if !hides {
                prop_assert_eq!(&whole.1, &bytes);
            }
        }
    }
}
