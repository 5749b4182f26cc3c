use std::slice;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::*;

fn refused(body: &str) -> String {
    peek(body.as_bytes(), false).unwrap_err().to_string()
}

/// What is read of a body with these members beside `model`.
fn with(members: &str) -> Peeked {
    peek(format!(r#"{{"model": "m", {members}}}"#).as_bytes(), false).unwrap()
}

/// Why a body with these members beside `model` is refused.
fn refused_with(members: &str) -> String {
    refused(&format!(r#"{{"model": "m", {members}}}"#))
}

fn edited(body: &str, edits: &[Edit]) -> String {
    let mut out = String::new();
    let mut from = 0;
    for edit in edits {
        out.push_str(&body[from..edit.at.start]);
        out.push_str(std::str::from_utf8(&edit.with).unwrap());
        from = edit.at.end;
    }
    out + &body[from..]
}

#[test]
fn the_place_of_the_model_is_found_wherever_it_stands() {
    let body =
        br#" { "messages": [{"model": "no", "x": [1, "}"]}], "model" : "gpt-4o","stream":true} "#;
    let peeked = peek(body, false).unwrap();
    assert_eq!(peeked.model.as_deref(), Some("gpt-4o"));
    assert_eq!(&body[peeked.model_slot.at], br#""gpt-4o""#);
    assert!(peeked.stream);
}

#[test]
fn escapes_in_names_and_values_are_read() {
    let body = r#"{"mod\u0065l":"a\"\u00e9\/b"}"#.as_bytes();
    let peeked = peek(body, false).unwrap();
    assert_eq!(peeked.model.as_deref(), Some("a\"é/b"));
    assert_eq!(&body[peeked.model_slot.at], r#""a\"\u00e9\/b""#.as_bytes());
}

#[test]
fn a_body_without_a_model_is_told_from_one_that_is_not_json() {
    for body in ["{}", r#"{"model": null}"#] {
        assert_eq!(peek(body.as_bytes(), false).unwrap().model, None);
    }
    assert_eq!(refused(r#"{"model": 4}"#), "`model` is missing: it must be a string");
    let invalid = "the request body is not valid JSON: expected ";
    for (body, expected) in [
        ("", "an object at line 1 column 1"),
        (r#"["model"]"#, "an object at line 1 column 1"),
        (r#"{"model": "a", "#, "the name of a member at line 1 column 16"),
        ("{\"model\":\n\"a\" 1}", "`,` or `}` at line 2 column 5"),
        (r#"{"model": "a"} {}"#, "the end at line 1 column 16"),
        (r#"{"model": "a", "tags": [1 2]}"#, "`,` or `]` at line 1 column 27"),
        ("{\"model\": \"\n\"}", "an escape of the control character at line 1 column 12"),
    ] {
        assert_eq!(refused(body), format!("{invalid}{expected}"));
    }
    let not_utf8 = peek(b"{\"model\": \"\xff\"}", false).unwrap_err().to_string();
    assert_eq!(not_utf8, "the request body is not valid JSON: not UTF-8 at byte 11");
}

#[test]
fn what_is_asked_of_a_router_is_read() {
    let peeked = with(
        r#""num_retries": 3, "timeout": 2.5, "stream_timeout": 10, "priority": -1, "tags": ["a"],
           "allowed_model_region": "eu", "metadata": {"tags": ["b"], "x": 1}, "fallbacks": ["x", {"model": "y"}], "user": "u""#,
    );
    let expected = Overrides {
        retries: Some(3),
        timeout: Some(Duration::from_millis(2500)),
        stream_timeout: Some(Duration::from_secs(10)),
    };
    assert_eq!(peeked.overrides, expected);
    assert_eq!(peeked.priority, Some(-1));
    assert_eq!(peeked.region.as_deref(), Some("eu"));
    assert_eq!(peeked.tags, Some(vec!["a".into()]));
    assert_eq!(peeked.metadata_tags, ["b".into()]);
    assert_eq!(peeked.fallbacks, Some(NamedFallbacks::Own(vec!["x".into(), "y".into()])));
    assert_eq!(peeked.user.as_deref(), Some("u"));
    assert!(with(r#""disable_fallbacks": true"#).disable_fallbacks);
    assert_eq!(with(r#""metadata": {"user_id": "u"}"#).user.as_deref(), Some("u"));
}

#[test]
fn a_null_is_the_same_as_nothing() {
    let peeked = with(
        r#""num_retries": null, "timeout": null, "tags": null, "metadata": null, "fallbacks": null,
           "disable_fallbacks": null, "stream": null, "stream_options": null, "max_tokens": null, "user": null,
           "allowed_model_region": null"#,
    );
    assert_eq!(peeked.overrides, Overrides::default());
    assert_eq!((peeked.tags, peeked.fallbacks), (None, None));
    assert_eq!((peeked.user, peeked.region), (None, None));
    assert!(!peeked.stream && !peeked.usage_wanted);
}

#[test]
fn the_newest_name_of_the_output_limit_counts() {
    let limit = |members| with(members).output_tokens;
    assert_eq!(limit(r#""max_tokens": 5"#), Some(5));
    assert_eq!(limit(r#""max_completion_tokens": 7, "max_tokens": 5"#), Some(7));
    assert_eq!(limit(r#""max_tokens": 5, "max_output_tokens": 6"#), Some(6));
    assert_eq!(limit(r#""max_tokens": -1"#), None);
}

#[test]
fn a_wrong_type_is_refused_by_the_members_name() {
    for (members, expected) in [
        (r#""num_retries": "3""#, "num_retries: expected a whole number"),
        (r#""num_retries": -3"#, "num_retries: expected a whole number"),
        (r#""num_retries": 1.5"#, "num_retries: expected a whole number"),
        (r#""max_tokens": "3""#, "max_tokens: expected a whole number"),
        (r#""priority": []"#, "priority: expected a whole number"),
        (r#""timeout": 0"#, "timeout: expected a positive number of seconds"),
        (r#""timeout": 1e999"#, "timeout: expected a positive number of seconds"),
        (r#""stream": 1"#, "stream: expected true or false"),
        (r#""stream_options": []"#, "stream_options: expected an object"),
        (
            r#""stream_options": {"include_usage": 1}"#,
            "stream_options.include_usage: expected true or false",
        ),
        (r#""tags": "a""#, "tags: expected a list of strings"),
        (r#""metadata": {"tags": [1]}"#, "metadata.tags: expected a list of strings"),
        (r#""allowed_model_region": ["eu"]"#, "allowed_model_region: expected a string"),
        (r#""user": 7"#, "user: expected a string"),
        (r#""disable_fallbacks": "no""#, "disable_fallbacks: expected true or false"),
    ] {
        assert_eq!(refused_with(members), expected);
    }
}

#[test]
fn fallbacks_by_model_are_those_of_the_model_or_else_of_the_wildcard() {
    let named = |fallbacks: &str, model: &str| {
        let fallbacks = with(&format!(r#""fallbacks": {fallbacks}"#)).fallbacks.unwrap();
        fallbacks.of(model).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let both = r#"[{"*": ["w"]}, {"g": ["x", "y"], "h": []}]"#;
    assert_eq!(named(both, "g"), ["x", "y"]);
    assert_eq!(named(both, "h"), [""; 0]);
    assert_eq!(named(both, "other"), ["w"]);
    assert_eq!(named(r#"[{"\u0067": ["x"]}]"#, "g"), ["x"]);
    assert_eq!(named(r#"[{"g": ["x"]}]"#, "other"), [""; 0]);
    // A model may have that name.
    assert_eq!(named(r#"[{"model": ["x"]}]"#, "model"), ["x"]);
    assert_eq!(named(r#"[{"model": "x"}, "y"]"#, "any"), ["x", "y"]);
}

#[test]
fn fallbacks_of_no_form_or_of_both_are_refused_with_the_forms_there_are() {
    for (fallbacks, place) in [
        (r#""x""#, "fallbacks"),
        (r#"{"g": ["x"]}"#, "fallbacks"),
        (r#"["x", 4]"#, "fallbacks[1]"),
        ("[null]", "fallbacks[0]"),
        ("[[]]", "fallbacks[0]"),
        ("[{}]", "fallbacks[0]"),
        (r#"[{"g": "x"}]"#, "fallbacks[0]"),
        (r#"[{"g": [1]}]"#, "fallbacks[0]"),
        (r#"[{"g": [{"model": "x"}]}]"#, "fallbacks[0]"),
        (r#"["x", {"g": ["y"]}]"#, "fallbacks[1]"),
        (r#"[{"g": ["y"]}, {"h": []}, "x"]"#, "fallbacks[2]"),
        (r#"[{"g": ["y"]}, {"model": "x"}]"#, "fallbacks[1]"),
        (r#"[{"model": "x", "messages": []}]"#, "fallbacks[0]"),
        (r#"[{"messages": [], "model": "x"}]"#, "fallbacks[0]"),
        (r#"[{"model": "x", "timeout": 1}]"#, "fallbacks[0]"),
        (r#"[{"model": "a", "model": "b"}]"#, "fallbacks[0]"),
    ] {
        assert_eq!(
            refused_with(&format!(r#""fallbacks": {fallbacks}"#)),
            format!(
                "{place}: expected a list of model names, each a string or {{\"model\": name}} without other members, \
                 or a list of {{name of the failing model: [names]}}, not a mix of the two"
            ),
            "{fallbacks}"
        );
    }
    assert_eq!(
        refused_with(r#""fallbacks": [{"g": [1 2]}]"#),
        "the request body is not valid JSON: expected `,` or `]` at line 1 column 39"
    );
}

#[test]
fn a_time_longer_than_a_year_is_a_year() {
    let year = Duration::from_secs(365 * 24 * 3600);
    assert_eq!(with(r#""timeout": 1e300"#).overrides.timeout, Some(year));
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    assert_eq!(refused_with(r#""model": "m""#), "model: stands twice");
    assert_eq!(refused_with(r#""mod\u0065l": "n""#), "model: stands twice");
    assert_eq!(refused_with(r#""messages": [], "messages": []"#), "messages: stands twice");
    assert_eq!(
        refused_with(r#""metadata": {"tags": [], "ta\u0067s": []}"#),
        "metadata.tags: stands twice"
    );
    let twice = r#""stream_options": {"include_usage": true, "include_usage": false}"#;
    assert_eq!(refused_with(twice), "stream_options.include_usage: stands twice");
    for (fallbacks, place) in [
        (r#"[{"g": [], "\u0067": []}]"#, "fallbacks[0].g"),
        (r#"[{"g": ["a"]}, {"h": []}, {"g": ["a"]}]"#, "fallbacks[2].g"),
    ] {
        let refused = refused_with(&format!(r#""fallbacks": {fallbacks}"#));
        assert_eq!(refused, format!("{place}: stands twice"));
    }
    // What is not read is not ours to judge.
    with(r#""other": 1, "other": 2"#);
}

#[test]
fn what_is_not_for_the_deployment_is_cut_with_its_comma() {
    for (body, left) in [
        (r#"{"model": "m"}"#, r#"{"model": "m"}"#),
        (r#"{"tags": [], "model": "m"}"#, r#"{"model": "m"}"#),
        (r#"{"model": "m" , "tags": [] }"#, r#"{"model": "m" }"#),
        (r#"{"a": 1, "tags": [], "timeout": 1, "model": "m"}"#, r#"{"a": 1, "model": "m"}"#),
        (
            r#"{"tags": [], "model": "m", "timeout": 1, "b": 2, "priority": 1}"#,
            r#"{"model": "m", "b": 2}"#,
        ),
        (r#"{"model": "m", "metadata": {"tags": []}}"#, r#"{"model": "m"}"#),
        (r#"{"metadata": {"tags": []}, "tags": [], "model": "m"}"#, r#"{"model": "m"}"#),
        (
            r#"{"metadata": {"tags": [], "x": 1}, "model": "m"}"#,
            r#"{"metadata": {"x": 1}, "model": "m"}"#,
        ),
        (
            r#"{"num_retries": 1, "metadata": {"x": 1, "tags": []}, "model": "m"}"#,
            r#"{"metadata": {"x": 1}, "model": "m"}"#,
        ),
        (r#"{"metadata": {}, "model": "m"}"#, r#"{"metadata": {}, "model": "m"}"#),
        (
            r#"{"metadata": {"tags": "x"}, "model": "m"}"#,
            r#"{"metadata": {"tags": "x"}, "model": "m"}"#,
        ),
        (r#"{"model": "m", "\u0074ags": ["x"]}"#, r#"{"model": "m"}"#),
    ] {
        assert_eq!(edited(body, &peek(body.as_bytes(), false).unwrap().cuts), left);
    }
}

#[test]
fn the_usage_is_asked_for_where_it_is_not() {
    for (body, asked) in [
        (r#"{"model":"m"}"#, r#"{"model":"m","stream_options":{"include_usage":true}}"#),
        (
            r#"{"model":"m","stream_options":null}"#,
            r#"{"model":"m","stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"model":"m","stream_options":{}}"#,
            r#"{"model":"m","stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"x":1},"model":"m"}"#,
            r#"{"stream_options":{"include_usage":true,"x":1},"model":"m"}"#,
        ),
        (
            r#"{"stream_options":{"include_usage": false},"model":"m"}"#,
            r#"{"stream_options":{"include_usage": true},"model":"m"}"#,
        ),
    ] {
        let peeked = peek(body.as_bytes(), false).unwrap();
        assert!(!peeked.usage_wanted);
        assert_eq!(edited(body, &[peeked.want_usage]), asked);
    }
    assert!(with(r#""stream_options": {"include_usage": true}"#).usage_wanted);
}

#[test]
fn text_is_counted_and_data_are_not() {
    let data = "iVBORw0KGgo".to_owned() + &"A".repeat(1000);
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "12345678"},
            {"role": "user", "content": [
                {"type": "text", "text": "a\n\"é"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
                {"type": "input_image", "image_url": "https://x.example"},
                {"type": "file", "file": {"file_data": format!("data:application/pdf;base64,{data}")}},
                {"type": "document", "source": {"type": "text", "data": "plain text, and a long one. ".repeat(4)}},
            ]},
        ],
    });
    let media_type = "image/png".len();
    let totals = peek(body.to_string().as_bytes(), false).unwrap().totals;
    let bytes = 8 + 5 + media_type + "https://x.example".len() + 28 * 4;
    assert_eq!(totals.bytes, bytes as u64);
    assert_eq!((totals.messages, totals.images(), totals.files), (2, 3, 1));
    assert_eq!(with(r#""prompt": [[1, 2], [3]]"#).totals.ids, 3);
    let slashes = r#""input": [{"image": "data:image\/png;base64,AAAA"}]"#;
    assert_eq!(with(slashes).totals.images(), 1);
}

#[test]
fn nesting_ends_where_serde_json_ends_it() {
    for depth in [1, 64, 126, 127, 128, 129, 200] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let taken = Scanner::new(&nested).value(&mut ()).is_ok();
        assert_eq!(taken, serde_json::from_str::<Value>(&nested).is_ok(), "{depth}");
        let members = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let taken = Scanner::new(&members).value(&mut ()).is_ok();
        assert_eq!(taken, serde_json::from_str::<Value>(&members).is_ok(), "{depth}");
    }
}

/// Whether `text` is one value.
fn scans(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value(&mut ()).is_ok() && scanner.end().is_ok()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~\\n\\t]{0,200}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_json_takes_is_taken_and_nothing_else(
        value in value(),
        pretty in any::<bool>(),
        at in any::<prop::sample::Index>(),
        put in prop::option::of("[\\x00-\\x7f]|[{}\\[\\]\",:0-9eE.+\\-\\\\utfn]"),
        cut in 0..3_usize,
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert!(scans(&text));
        let chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let mut changed: String = chars[..at].iter().collect();
        changed.push_str(put.as_deref().unwrap_or_default());
        changed.extend(&chars[(at + cut).min(chars.len())..]);
        prop_assert_eq!(scans(&changed), serde_json::from_str::<IgnoredAny>(&changed).is_ok(), "{}", changed);
    }

    #[test]
    fn short_runs_of_tokens_are_judged_as_serde_json_does(
        tokens in prop::collection::vec(
            prop::sample::select(&["{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u12", "\\", "\"", "1", "-", "0", ".", "e", "+", "true", "nul", " ", "\n", "é", "\u{1}"][..]),
            0..10,
        ),
    ) {
        let text = tokens.concat();
        prop_assert_eq!(scans(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = peek(&bytes, false);
        let text = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(scans(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok());
    }

    #[test]
    fn the_same_members_are_found(members in prop::collection::btree_map(any::<String>(), value(), 0..8)) {
        let text = serde_json::to_string_pretty(&members).unwrap();
        let mut found = std::collections::BTreeMap::new();
        Scanner::new(&text).members(|scanner, name, start| {
            assert!(text[start..].starts_with('"'));
            let at = scanner.value(&mut ())?;
            let value: Value = serde_json::from_str(&text[at]).unwrap();
            assert!(found.insert(name.text().unwrap().into_owned(), value).is_none());
            Ok::<_, Problem>(())
        }).unwrap();
        // Numbers are read twice on the way here.
        let members: std::collections::BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(found, members);
    }

    #[test]
    fn a_string_ends_where_it_does_whatever_its_length(plain in "[ -!#-\\[\\]-~é\u{7f}]{0,300}", special in "[\"\\\\\\x00-\\x1f]") {
        let text = format!("{plain}{special}rest");
        prop_assert_eq!(super::scan::plain(text.as_bytes()), plain.len());
    }
}

#[test]
fn a_list_without_end_is_not_read() {
    let many = |name: &str, text: &str| {
        let list = vec![text; 20_000].join(",");
        refused_with(&format!(r#""{name}": [{list}]"#))
    };
    assert_eq!(many("tags", r#""a""#), "tags: longer than 64 KiB");
    assert_eq!(many("fallbacks", r#""a""#), "fallbacks: longer than 64 KiB");
}

/// The hash of how the prompt of a body with these members begins.
fn opening(members: &Value) -> Option<u64> {
    peek(members.to_string().as_bytes(), true).unwrap().opening
}

#[test]
fn the_opening_stays_the_same_while_a_conversation_grows() {
    let system = "s".repeat(1000);
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let chat = |messages: &[Value]| opening(&json!({"messages": messages}));
    let first = [said("system", &system), said("user", "How many are there in all?")];
    let begun = chat(&first);
    assert!(begun.is_some());
    let grown = [&first[..], &[said("assistant", "4"), said("user", "Why?")]].concat();
    assert_eq!(chat(&grown), begun);
    let other = [first[0].clone(), said("user", "How many are there at all?")];
    assert_ne!(chat(&other), begun);
    // In parts, and as other endpoints take it.
    let parts =
        json!({"role": "user", "content": [{"type": "input_text", "text": "a"}, {"text": "b"}]});
    let response = |more: &[Value]| {
        let input = [slice::from_ref(&parts), more].concat();
        opening(&json!({"instructions": system, "input": input, "system": "c".repeat(100)}))
    };
    assert!(response(&[]).is_some());
    assert_eq!(response(&[]), response(&[said("user", "more")]));
}

#[test]
fn the_opening_has_a_least_length_and_a_most() {
    let prompt = |text: &str| opening(&json!({"prompt": text}));
    assert_eq!(prompt(&"a".repeat(1023)), None);
    assert!(prompt(&"a".repeat(1024)).is_some());
    let long = "a".repeat(4096);
    assert_eq!(prompt(&format!("{long}b")), prompt(&format!("{long}c")));
    assert_ne!(prompt(&format!("{}b", &long[1..])), prompt(&long));
    assert_eq!(with(&format!(r#""prompt": "{long}""#)).opening, None, "nobody asked for it");
}

#[test]
fn what_requests_are_kept_by_is_read_and_stays_and_the_strategy_goes() {
    let members =
        r#""previous_response_id": "resp_1", "prompt_cache_key": "k", "routing_strategy": "cost""#;
    let peeked = with(members);
    assert_eq!(peeked.previous_response.as_deref(), Some("resp_1"));
    assert_eq!(peeked.prompt_cache_key.as_deref(), Some("k"));
    assert_eq!(peeked.strategy.as_deref(), Some("cost"));
    let body = format!(r#"{{"model": "m", {members}}}"#);
    let left = r#"{"model": "m", "previous_response_id": "resp_1", "prompt_cache_key": "k"}"#;
    assert_eq!(edited(&body, &peeked.cuts), left);
    for name in ["previous_response_id", "prompt_cache_key", "routing_strategy"] {
        assert_eq!(refused_with(&format!(r#""{name}": 1"#)), format!("{name}: expected a string"));
    }
}
