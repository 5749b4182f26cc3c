use proptest::prelude::*;

use super::*;

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Document {
    let mut document = Document::default();
    chunks.into_iter().for_each(|chunk| document.read(chunk));
    document
}

fn told(json: &str) -> Option<(u64, u64)> {
    let usage = read([json.as_bytes()]).tally().usage(None)?;
    (!usage.estimated).then_some((usage.input, usage.output))
}

#[test]
fn only_the_usage_of_the_object_itself_counts() {
    const USAGE: &str = r#"{"prompt_tokens": 3, "completion_tokens": 2}"#;
    for json in [
        format!(r#"{{"usage": {USAGE}}}"#),
        format!(r#" {{"a": {{"usage": {{"prompt_tokens": 9}}}}, "usage" :{USAGE} , "b": 1}} "#),
        format!(r#"{{"a": "\"usage\": {{", "b": ["}}", "\\"], "usage":{USAGE}}}"#),
        r#"{"usage": {"x": {"y": ["}"]}, "prompt_tokens": 3,"completion_tokens":2}}"#.to_owned(),
        format!(r#"{{"usage": null, "usage": {USAGE}}}"#),
        r#"{"usage": {"prompt_tokens": 3.0, "completion_tokens": 2e0}}"#.to_owned(),
        r#"{"usage": {"prompt_tokens": 0.3e1, "completion_tokens": 2.00}}"#.to_owned(),
    ] {
        assert_eq!(told(&json), Some((3, 2)), "{json}");
    }
    for json in [
        format!(r#"{{"a": {{"usage": {USAGE}}}}}"#),
        format!(r#"[{{"usage": {USAGE}}}]"#),
        format!(r#"{{"usage_of": {USAGE}, "usagex": {USAGE}, "a": "usage", "b": {USAGE}}}"#),
        r#"{"usage": {"seconds": 3}}"#.to_owned(),
        r#"{"usage": {"prompt_tokens": -3, "completion_tokens": 1e99}}"#.to_owned(),
        r#"{"usage": {"prompt_tokens": 99999999999999999999999}}"#.to_owned(),
        r#"{"usage": {"prompt_tokens": 3.5, "completion_tokens": inf, "total_tokens": 6}}"#
            .to_owned(),
        r#"{"usage": {"prompt_tokens": 3"#.to_owned(),
    ] {
        assert_eq!(told(&json), None, "{json}");
    }
}

#[test]
fn reasoning_that_the_output_leaves_out_is_output() {
    for (more, output, reasoning) in [
        ("", 20, 0),
        (r#", "total_tokens": 120"#, 20, 0),
        (r#", "total_tokens": 90"#, 20, 0),
        (r#", "total_tokens": 150"#, 50, 30),
        (r#", "total_tokens": 150, "completion_tokens_details": {"reasoning_tokens": 30}"#, 50, 30),
        (r#", "total_tokens": 120, "completion_tokens_details": {"reasoning_tokens": 15}"#, 20, 15),
        (r#", "total_tokens": 150, "completion_tokens_details": {"reasoning_tokens": 15}"#, 20, 15),
    ] {
        let json =
            format!(r#"{{"usage": {{"prompt_tokens": 100, "completion_tokens": 20{more}}}}}"#);
        let usage = read([json.as_bytes()]).tally().usage(None).unwrap();
        assert_eq!((usage.output, usage.reasoning), (output, reasoning), "{json}");
    }
}

#[test]
fn an_endless_usage_and_endless_depth_take_no_memory() {
    let mut document = read([&b"{\"usage\":{\"a\":\""[..]]);
    for _ in 0..1000 {
        document.read(&[b'x'; 1024]);
    }
    assert!(document.value.capacity() <= 2 * LONGEST);
    let mut document = Document::default();
    for _ in 0..1000 {
        document.read(&[b'['; 1024]);
    }
    assert!(document.tally().usage(None).is_none());
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\"usage\"",
        "\"usage\":{\"prompt_tokens\":3}",
        "\"choices\":",
        "\"content\"",
        "\"text\"",
        " ",
        "1",
        "null",
        "\\u00e9",
    ]);
    let piece = prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_comes_is_read_alike_however_it_is_cut(
        tail in pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let json = [b"{", &tail[..]].concat();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(json.len() + 1)).chain([0, json.len()]).collect();
        ends.sort_unstable();
        let whole = read([&json[..]]).tally().usage(Some(1));
        prop_assert_eq!(whole, read(ends.windows(2).map(|ends| &json[ends[0]..ends[1]])).tally().usage(Some(1)));
        prop_assert_eq!(whole, read(json.chunks(1)).tally().usage(Some(1)));
    }
}
