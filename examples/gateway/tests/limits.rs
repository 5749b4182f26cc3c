//! Limits, budgets and the queue, as clients see them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::*;
use tokio::time::timeout;

const OK: &str = r#"{"usage": {"prompt_tokens": 1000, "completion_tokens": 1000}}"#;
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const ENFORCED: &str = "router_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}";

async fn up() -> Upstream {
    Upstream::fixed(200, JSON, OK).await
}

/// The status, the error's type and its code.
fn error(answer: &Answer) -> (u16, Value, Value) {
    let error = answer.json()["error"].clone();
    (answer.status.as_u16(), error["type"].clone(), error["code"].clone())
}

/// Seconds and milliseconds a refused client is to wait.
fn waits(answer: &Answer) -> [u64; 2] {
    ["retry-after", "retry-after-ms"].map(|name| answer.header(name).unwrap().parse().unwrap())
}

/// The group `m` in the state of the fleet.
async fn group(url: &str) -> Value {
    let fleet = get(format!("{url}/fleet")).await.json();
    fleet["groups"].as_array().unwrap().iter().find(|one| one["group"] == "m").unwrap().clone()
}

#[tokio::test]
async fn a_deployment_takes_its_limit_and_its_sibling_the_rest() {
    let [a, b] = [up().await, up().await];
    let entries = [
        entry("m", "a", &a.base, ", order: 1, rpm: 5, tags: [fast]"),
        entry("m", "b", &b.base, ", order: 2"),
    ];
    let url = gateway(&entries, ENFORCED).await;
    for _ in 0..8 {
        assert_eq!(send(ask(&url, "m")).await.status, 200);
    }
    assert_eq!((a.got().len(), b.got().len()), (5, 3));
    let state = state(&url, "a").await;
    let limit = &state["limits"][0];
    assert_eq!(limit["limit"], "5 requests in 60 s");
    assert_eq!([&limit["most"], &limit["used"]], [5.0, 5.0]);
    let room_in = limit["room_in"].as_f64().unwrap();
    assert!(room_in > 10.0 && room_in <= 60.0, "{room_in}");
    assert_eq!((&state["headroom"], &state["tags"]), (&json!(0.0), &json!(["fast"])));
}

#[tokio::test]
async fn where_all_are_at_their_limit_a_client_is_told_until_when() {
    let upstream = up().await;
    let entries = ["a", "b"].map(|id| entry("m", id, &upstream.base, ", rpm: 1"));
    let url = gateway(&entries, ENFORCED).await;
    for _ in 0..2 {
        assert_eq!(send(ask(&url, "m")).await.status, 200);
    }
    let before = state(&url, "a").await["limits"][0]["room_in"].as_f64().unwrap();
    let refused = send(ask(&url, "m")).await;
    let expected = (429, json!("rate_limit_error"), json!("rate_limit_exceeded"));
    assert_eq!(error(&refused), expected);
    let [seconds, millis] = waits(&refused);
    assert_eq!(seconds, millis.div_ceil(1000));
    // As long as the first of them says, less the time the question took.
    let told = Duration::from_millis(millis);
    let most = Duration::from_secs_f64(before) + Duration::from_millis(1);
    assert!(told > most / 2 && told <= most, "{told:?} {most:?}");
    assert!(refused.body.contains("1 requests in 60 s"), "{}", refused.body);

    let refused = send(post(&url, "/v1/messages", r#"{"model": "m"}"#)).await;
    assert_eq!(anthropic_error(&refused, 429)[0], "rate_limit_error");
    assert!(waits(&refused)[0] > 30);
    assert_eq!(upstream.got().len(), 2);
}

#[tokio::test]
async fn a_request_that_never_fits_is_told_its_numbers() {
    let upstream = up().await;
    let url = gateway(&[entry("m", "a", &upstream.base, ", otpm: 100")], "").await;
    let ask = |path| post(&url, path, r#"{"model": "m", "max_tokens": 500}"#);
    let refused = send(ask("/v1/chat/completions")).await;
    assert_eq!(error(&refused), (413, json!("invalid_request_error"), json!("request_too_large")));
    for part in ["500 tokens of output", "100 tokens of output in 60 s at most"] {
        assert!(refused.body.contains(part), "{}", refused.body);
    }
    assert_eq!(refused.header("retry-after"), None);
    let refused = send(ask("/v1/messages")).await;
    assert_eq!(anthropic_error(&refused, 413)[0], "request_too_large");
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn a_budget_that_is_spent_refuses() {
    let upstream = up().await;
    let costs = ", input_cost_per_token: 1e-6, output_cost_per_token: 1e-6, max_budget: 0.0025, budget_duration: 1d";
    let url = gateway(&[entry("m", "a", &upstream.base, costs)], "").await;
    assert_eq!(send(ask(&url, "m")).await.status, 200);
    let spent = state(&url, "a").await["budgets"][0].clone();
    assert_eq!([&spent["unit"], &spent["limit"]], ["dollars", "0.0025 dollars in 86400 s"]);
    assert_eq!([&spent["most"], &spent["used"]], [0.0025, 0.002]);

    let refused = send(ask(&url, "m")).await;
    let quota = json!("insufficient_quota");
    assert_eq!(error(&refused), (429, quota.clone(), quota));
    assert!(waits(&refused)[0] > 86_000);
    let refused = send(post(&url, "/v1/messages", r#"{"model": "m"}"#)).await;
    assert_eq!(anthropic_error(&refused, 429)[0], "rate_limit_error");
    assert_eq!(upstream.got().len(), 1);
}

#[tokio::test]
async fn what_deployments_share_is_told_once() {
    let upstream = up().await;
    let entries = ["a", "b"].map(|id| {
        let entry = entry("m", id, &upstream.base, "");
        entry.replace(&format!("id: {id}"), &format!("id: {id}, quota_group: team"))
    });
    let rest = "router_settings: {routing_strategy: least-busy, quota_groups: {team: {rpm: 3}}}";
    let url = gateway(&entries, rest).await;
    for status in [200, 200, 200, 429] {
        assert_eq!(send(ask(&url, "m")).await.status, status);
    }
    let quotas = get(format!("{url}/fleet")).await.json()["quotas"].clone();
    assert_eq!(quotas.as_array().unwrap().len(), 1);
    assert_eq!(
        (&quotas[0]["name"], &quotas[0]["limits"][0]["used"]),
        (&json!("team"), &json!(3.0))
    );
    assert_eq!(state(&url, "b").await["quotas"], json!(["team"]));
    assert_eq!(group(&url).await["strategy"], "least-busy");
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_left_is_passed_over_before_it_refuses() {
    let said = &[
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "50s"),
    ];
    let [a, b] = [Upstream::fixed(200, said, OK).await, up().await];
    let entries = [entry("m", "a", &a.base, ", order: 1"), entry("m", "b", &b.base, ", order: 2")];
    let url = gateway(&entries, "").await;
    let ids: Vec<_> = {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(send(ask(&url, "m")).await.fleet()[0].unwrap().to_owned());
        }
        ids
    };
    assert_eq!(ids, ["a", "b", "b"]);
    assert_eq!((a.got().len(), &state(&url, "a").await["status"]), (1, &json!("ready")));
}

/// A deployment whose answers are streams that end when told, and the ends.
async fn streaming() -> (tokio::sync::mpsc::UnboundedReceiver<Chunks>, Upstream) {
    let (hand_out, streams) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Upstream::start(move |_| {
        let (chunks, body) = channel();
        chunks.send("data: {}\n\n").unwrap();
        hand_out.send(chunks).unwrap();
        async move { events(body) }
    });
    (streams, upstream.await)
}

type Chunks = tokio::sync::mpsc::UnboundedSender<&'static str>;

#[tokio::test]
async fn a_request_waits_and_is_served_when_a_stream_ends() {
    let (mut streams, upstream) = streaming().await;
    let entries = [entry("m", "a", &upstream.base, ", max_parallel_requests: 1")];
    let url = gateway(&entries, "router_settings: {queue: {max_waiting: 1}}").await;
    let mut first = open(ask_for_a_stream(&url, "m")).await;
    let chunks = streams.recv().await.unwrap();
    first.body_mut().frame().await.unwrap().unwrap();

    let waiting = tokio::spawn(open(ask_for_a_stream(&url, "m")));
    let waits = async { while group(&url).await["waiting"] != 1 {} };
    timeout(PATIENCE, waits).await.expect("a request that waits");
    assert_eq!(upstream.got().len(), 1);

    let refused = send(ask(&url, "m")).await;
    let expected = (429, json!("rate_limit_error"), json!("rate_limit_exceeded"));
    assert_eq!(error(&refused), expected, "the line is full");

    drop(chunks);
    let served = timeout(PATIENCE, waiting).await.expect("an answer").unwrap();
    assert_eq!(served.headers()["x-fleet-attempts"], "1");
    assert_eq!(group(&url).await["waiting"], 0);
}

#[tokio::test]
async fn a_request_that_waited_in_vain_is_told_so() {
    let (_streams, upstream) = streaming().await;
    let entries = [entry("m", "a", &upstream.base, ", max_parallel_requests: 1")];
    let rest = "router_settings: {queue: {max_waiting: 1, max_wait: 0.01}}";
    let url = gateway(&entries, rest).await;
    let _first = open(ask_for_a_stream(&url, "m")).await;
    let refused = send(ask(&url, "m")).await;
    assert_eq!(error(&refused).0, 429);
    assert!(refused.body.contains("in the time the request may wait"), "{}", refused.body);
}

#[tokio::test]
async fn the_requests_of_a_session_stay_together() {
    let upstream = up().await;
    let entries = ["a", "b", "c", "d"].map(|id| entry("m", id, &upstream.base, ""));
    let rest = "router_settings: {optional_pre_call_checks: [session_affinity]}";
    let url = gateway(&entries, rest).await;
    let mut homes = std::collections::HashSet::new();
    for session in 0..16 {
        let mut home = None;
        for _ in 0..4 {
            let mut request = ask(&url, "m");
            let session = format!("session-{session}").parse().unwrap();
            request.headers_mut().insert("x-litellm-session-id", session);
            let served = send(request).await.fleet()[0].unwrap().to_owned();
            assert_eq!(*home.get_or_insert_with(|| served.clone()), served);
        }
        homes.extend(home);
    }
    assert!(homes.len() > 1, "all sessions are in one place: {homes:?}");
    assert!(upstream.got().iter().all(|got| !got.headers.contains_key("x-litellm-session-id")));
}

const EXPLANATION: &str = "x-fleet-explanation";

fn explained(mut request: Request<String>) -> Request<String> {
    request.headers_mut().insert("x-fleet-explain", "true".parse().unwrap());
    request
}

#[tokio::test]
async fn a_client_that_asks_is_told_why() {
    let [a, b] = [up().await, up().await];
    let entries = [
        entry("m", "a", &a.base, ", order: 1, rpm: 1"),
        entry("m", "b", &b.base, ", order: 2, rpm: 2"),
    ];
    let url = gateway(&entries, ENFORCED).await;
    assert_eq!(send(ask(&url, "m")).await.header(EXPLANATION), None);

    let told = send(explained(ask(&url, "m"))).await;
    let why = told.header(EXPLANATION).unwrap();
    let expected = "picked b by PerRequest, WeightedShuffle; a has too little left of 1 requests in 60 s, for ";
    assert!(why.starts_with(expected) && why.ends_with("b can be picked: picked"), "{why}");
    let by_query = post(&url, "/v1/chat/completions?explain", r#"{"model": "m"}"#);
    assert!(send(by_query).await.header(EXPLANATION).unwrap().starts_with("picked b by "));

    let refused = send(explained(ask(&url, "m"))).await;
    assert_eq!(refused.status, 429);
    assert!(refused.header(EXPLANATION).unwrap().starts_with("refused: every deployment"));
    for got in [a.got(), b.got()].concat() {
        assert!(!got.headers.contains_key("x-fleet-explain") && !got.path.contains("explain"));
    }
    assert!(!format!("{told:?}{refused:?}").contains("key-of-"));
}

#[tokio::test]
async fn each_attempt_is_explained() {
    let [a, b] = [Upstream::fixed(500, &[], "no").await, up().await];
    let entries = [entry("m", "a", &a.base, ", order: 1"), entry("m", "b", &b.base, ", order: 2")];
    let url = gateway(&entries, "").await;
    let told = send(explained(ask(&url, "m"))).await;
    let why = told.header(EXPLANATION).unwrap();
    assert_eq!(
        why,
        "picked a by PerRequest, WeightedShuffle; a can be picked: picked; b is of another order -> \
         picked b by PerRequest, WeightedShuffle; a was tried before; b can be picked: picked"
    );
}

#[tokio::test]
async fn who_has_no_key_is_told_nothing() {
    let rest = "general_settings: {master_key: sk-1}";
    let url = gateway(&[entry("m", "a", &up().await.base, "")], rest).await;
    let told = send(explained(ask(&url, "m"))).await;
    assert_eq!((told.status.as_u16(), told.header(EXPLANATION)), (401, None));
}

#[tokio::test]
async fn times_are_told_where_the_strategy_goes_by_them() {
    let upstream = up().await;
    let rest = "router_settings: {routing_strategy: latency-based-routing}";
    let url = gateway(&[entry("m", "a", &upstream.base, "")], rest).await;
    assert_eq!(state(&url, "a").await["latency"]["first_byte"], Value::Null);
    send(ask(&url, "m")).await;
    let state = state(&url, "a").await;
    let time = Duration::from_secs_f64(state["latency"]["first_byte"].as_f64().unwrap());
    assert!(time < PATIENCE && !time.is_zero());
    assert_eq!(state["failed_share"], 0.0);
}

#[tokio::test]
async fn a_request_names_its_strategy_among_those_there_are() {
    let [a, b] = [up().await, up().await];
    let entries = [entry("m", "a", &a.base, ""), entry("m", "b", &b.base, "")];
    let url = gateway(&entries, "").await;
    let by = |strategy: &str| {
        let mut request = ask(&url, "m");
        request.headers_mut().insert("x-routing-strategy", strategy.parse().unwrap());
        request
    };
    for _ in 0..4 {
        assert_eq!(send(by("round-robin")).await.status, 200);
    }
    assert_eq!((a.got().len(), b.got().len()), (2, 2));
    let unknown = send(by("at-random")).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.body.contains("x-routing-strategy"), "{}", unknown.body);
}
