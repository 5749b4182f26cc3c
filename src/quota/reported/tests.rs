use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{Left, Reported, reported};

/// 2023-11-14T22:13:20Z.
const NOW: Duration = Duration::from_secs(1_700_000_000);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW
}

/// Reads a head as it comes over the wire.
fn read(head: &str) -> Option<Reported> {
    let lines = head.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value.trim()).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.map(pair) {
        headers.append(name, value);
    }
    reported(&headers, now)
}

#[expect(clippy::unnecessary_wraps, reason = "as it is reported")]
fn left(remaining: u64, seconds: f64) -> Option<Left> {
    let reset = Duration::from_secs_f64(seconds);
    Some(Left { remaining, limit: None, reset, refills_to: None })
}

fn left_of(limit: u64, remaining: u64, seconds: f64) -> Option<Left> {
    Some(Left { limit: Some(limit), ..left(remaining, seconds)? })
}

/// What comes back evenly.
fn evenly(remaining: u64, seconds: f64, refills_to: u64) -> Option<Left> {
    Some(Left { refills_to: Some(refills_to), ..left_of(refills_to, remaining, seconds)? })
}

#[test]
fn what_openai_says() {
    let head = "
        content-type: application/json
        x-ratelimit-limit-requests: 5000
        x-ratelimit-limit-tokens: 800000
        x-ratelimit-remaining-requests: 4999
        x-ratelimit-remaining-tokens: 799984
        x-ratelimit-reset-requests: 12ms
        x-ratelimit-reset-tokens: 6m0s";
    let expected = Reported {
        requests: evenly(4999, 0.012, 5000),
        tokens: evenly(799_984, 360.0, 800_000),
        ..Reported::default()
    };
    assert_eq!(read(head), Some(expected));
}

#[test]
fn what_groq_says() {
    let head = "
        retry-after: 2
        x-ratelimit-limit-requests: 14400
        x-ratelimit-limit-tokens: 18000
        x-ratelimit-remaining-requests: 14370
        x-ratelimit-remaining-tokens: 17997
        x-ratelimit-reset-requests: 2m59.56s
        x-ratelimit-reset-tokens: 7.66s";
    let expected = Reported {
        requests: evenly(14_370, 179.56, 14_400),
        tokens: evenly(17_997, 7.66, 18_000),
        ..Reported::default()
    };
    assert_eq!(read(head), Some(expected));
}

#[test]
fn what_anthropic_says() {
    let head = "
        anthropic-ratelimit-requests-limit: 50
        anthropic-ratelimit-requests-remaining: 49
        anthropic-ratelimit-requests-reset: 2023-11-14T22:13:22Z
        anthropic-ratelimit-tokens-limit: 48000
        anthropic-ratelimit-tokens-remaining: 0
        anthropic-ratelimit-tokens-reset: 2023-11-14T22:14:20Z
        anthropic-ratelimit-input-tokens-limit: 40000
        anthropic-ratelimit-input-tokens-remaining: 39000
        anthropic-ratelimit-input-tokens-reset: 2023-11-14T22:13:21Z
        anthropic-ratelimit-output-tokens-limit: 8000
        anthropic-ratelimit-output-tokens-remaining: 8000
        anthropic-ratelimit-output-tokens-reset: 2023-11-14T22:13:20Z
        anthropic-ratelimit-unified-status: allowed
        anthropic-priority-input-tokens-remaining: 1";
    let expected = Reported {
        requests: evenly(49, 2.0, 50),
        tokens: evenly(0, 60.0, 48_000),
        input_tokens: evenly(39_000, 1.0, 40_000),
        output_tokens: evenly(8000, 0.0, 8000),
    };
    assert_eq!(read(head), Some(expected));
}

#[test]
fn what_azure_says_holds_for_ten_seconds_as_it_tells_no_reset() {
    let head = "
        x-ratelimit-limit-requests: -1
        x-ratelimit-remaining-requests: 119
        x-ratelimit-remaining-tokens: 119984";
    let expected =
        Reported { requests: left(119, 10.0), tokens: left(119_984, 10.0), ..Reported::default() };
    assert_eq!(read(head), Some(expected));
}

#[test]
fn what_cerebras_and_mistral_say_of_named_windows() {
    let cerebras = "
        x-ratelimit-limit-requests-day: 14400
        x-ratelimit-remaining-requests-day: 14380
        x-ratelimit-reset-requests-day: 33011.382867
        x-ratelimit-remaining-tokens-minute: 53000
        x-ratelimit-reset-tokens-minute: 11.38";
    let expected = Reported {
        requests: left_of(14_400, 14_380, 33_011.382_867),
        tokens: left(53_000, 11.38),
        ..Reported::default()
    };
    assert_eq!(read(cerebras), Some(expected));

    let mistral = "
        x-ratelimit-limit-req-minute: 60
        x-ratelimit-remaining-req-minute: 3
        x-ratelimit-remaining-requests-day: 1000
        x-ratelimit-remaining-tokens-minute: 499000";
    let expected = Reported {
        requests: left_of(60, 3, 60.0),
        tokens: left(499_000, 60.0),
        ..Reported::default()
    };
    assert_eq!(read(mistral), Some(expected), "the window with the least left, for its length");
}

#[test]
fn what_has_no_unit_counts_requests() {
    let openrouter = "
        X-RateLimit-Limit: 20
        X-RateLimit-Remaining: 0
        X-RateLimit-Reset: 1700000040500";
    let requests = |requests| Some(Reported { requests, ..Reported::default() });
    assert_eq!(read(openrouter), requests(left_of(20, 0, 40.5)));
    let drafts = "ratelimit-limit: 100\nratelimit-remaining: 7\nratelimit-reset: 8";
    assert_eq!(read(drafts), requests(left_of(100, 7, 8.0)));
    for (head, remaining, seconds) in [
        ("x-ratelimit-remaining: 5\nx-ratelimit-reset: 1700000030", 5, 30.0),
        ("ratelimit: limit=100, remaining=50, reset=30", 50, 30.0),
        ("ratelimit: \"default\";r=50;t=30", 50, 30.0),
        ("ratelimit: \"burst\";r=9;t=1, \"daily\";r=4;t=3600, \"hourly\";r=8", 4, 3600.0),
        ("ratelimit: \"default\"; r=50", 50, 10.0),
        (
            "ratelimit-policy: \"bytes\";q=9;qu=\"content-bytes\", \"calls\";q=5;w=1\n\
             ratelimit: \"bytes\";r=0;t=60, \"calls\";r=3;t=1",
            3,
            1.0,
        ),
    ] {
        assert_eq!(read(head), requests(left(remaining, seconds)), "{head}");
    }
}

#[test]
fn nonsense_is_as_good_as_absent() {
    for head in [
        "",
        "content-type: application/json",
        "x-ratelimit-limit-requests: 5",
        "x-ratelimit-reset-requests: 5s",
        "x-ratelimit-remaining-requests: many\nx-ratelimit-reset-requests: 5s",
        "x-ratelimit-remaining-requests: -1",
        "x-ratelimit-remaining-requests:",
        "x-ratelimit-remaining-tokens_usage_based: 5",
        "x-ratelimit-remaining-images: 5",
        "x-ratelimit-remainings: 5",
        "ratelimits: r=5",
        "ratelimit: \"default\"",
        "ratelimit: r=;t=;;=,,",
    ] {
        assert_eq!(read(head), None, "{head}");
    }
    let unread = "x-ratelimit-remaining-requests: 7.0\nx-ratelimit-reset-requests: soon";
    assert_eq!(read(unread).unwrap().requests, left(7, 10.0), "a reset without sense is none");
    let many = format!("x-ratelimit-remaining: {}", "9".repeat(40));
    assert_eq!(read(&many).unwrap().requests, left(u64::MAX, 10.0));
}

proptest! {
    #[test]
    fn no_head_makes_it_panic(
        lines in proptest::collection::vec(
            (
                "(x-ratelimit|anthropic-ratelimit|ratelimit)(-remaining|-reset|-policy|-tokens|-minute|-){0,4}",
                "[0-9a-zTZ:.,;=\"+\\- ]{0,30}",
            ),
            0..20,
        ),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let _ = reported(&headers, now);
    }

    #[test]
    fn a_number_comes_out_as_it_went_in(remaining: u64, millis in 0..1_000_000_u32) {
        let head = format!(
            "x-ratelimit-remaining-tokens: {remaining}\nx-ratelimit-reset-tokens: {millis}ms"
        );
        let tokens = read(&head).unwrap().tokens.unwrap();
        prop_assert_eq!(tokens.remaining, remaining);
        prop_assert_eq!(tokens.reset.as_micros().div_ceil(1000), u128::from(millis));
    }
}
