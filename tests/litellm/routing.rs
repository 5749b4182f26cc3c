//! Strategies, affinity, tags, orders and waiting of a file by where requests go.

use std::time::Duration;

use futures_util::future::join_all;
use http::request::Builder;
use tokio::time::advance;
use tower_fleet::error::RefusedReason as Reason;

use super::script::{Answer, OK, Scripted, chat, file};

const PAIR: [(&str, &str, &str); 2] = [("chat", "a", ""), ("chat", "b", "")];

fn by(strategy: &str, entries: &[(&str, &str, &str)]) -> String {
    let settings = format!("num_retries: 0, disable_cooldowns: true, routing_strategy: {strategy}");
    file(&format!("router_settings: {{{settings}}}"), entries)
}

#[tokio::test(start_paused = true)]
async fn by_latency_a_new_deployment_is_tried_and_not_taken_for_the_fastest() {
    // LiteLLM counts a time of 0 for it, which stays among its ten samples.
    let times = |host: &str| Answer {
        after: Duration::from_millis(if host == "a" { 20 } else { 200 }),
        ..OK
    };
    let fleet = Scripted::start(&by("latency-based-routing", &PAIR), times);
    for _ in 0..200 {
        assert_eq!(fleet.ask("chat").await, Ok(200));
    }
    let [fast, slow] = fleet.asked(["a", "b"]);
    assert!((1..=20).contains(&slow), "{fast} {slow}");
}

#[tokio::test(start_paused = true)]
async fn by_latency_one_that_fails_fast_is_not_the_fastest() {
    // LiteLLM sends it eight of twenty.
    let failing = |host: &str| match host {
        "a" => Answer { status: 500, after: Duration::from_millis(1), ..OK },
        _ => Answer { after: Duration::from_millis(100), ..OK },
    };
    for strategy in ["latency-based-routing", "hot-cold"] {
        let fleet = Scripted::start(&by(strategy, &PAIR), failing);
        for _ in 0..100 {
            fleet.ask("chat").await.unwrap();
        }
        let [failing, _] = fleet.asked(["a", "b"]);
        assert!(failing <= 15, "{strategy}: {failing}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_cost_what_is_free_goes_first_and_equals_share() {
    // LiteLLM takes a price of 0 for none, and gives all to the first of equals.
    let price = |cost: &str| format!("input_cost_per_token: {cost}, output_cost_per_token: {cost}");
    let (free, paid) = (price("0"), price("1e-6"));
    let entries = [("chat", "a", &*paid), ("chat", "b", &*free), ("chat", "c", &*free)];
    let fleet = Scripted::start(&by("cost-based-routing", &entries), |_| OK);
    assert_eq!(fleet.at_once("chat", 100).await.0, 100);
    assert_eq!(fleet.asked(["a", "b", "c"]), [0, 50, 50]);
}

#[tokio::test(start_paused = true)]
async fn by_usage_the_one_with_the_most_left_goes_first() {
    for strategy in ["usage-based-routing", "usage-based-routing-v2"] {
        let entries = [("chat", "a", "rpm: 10"), ("chat", "b", "rpm: 40")];
        let fleet = Scripted::start(&by(strategy, &entries), |_| OK);
        assert_eq!(fleet.at_once("chat", 25).await.0, 25);
        assert_eq!(fleet.asked(["a", "b"]), [5, 20], "{strategy}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_strategies_spread() {
    for strategy in
        ["round-robin", "power-of-two", "hot-cold", "prefer-idle", "provider-budget-routing"]
    {
        let fleet = Scripted::start(&by(strategy, &PAIR), |_| OK);
        assert_eq!(fleet.at_once("chat", 40).await.0, 40);
        let [a, b] = fleet.asked(["a", "b"]);
        assert!(a >= 8 && b >= 8, "{strategy}: {a} {b}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_name_its_strategy_and_an_unknown_one_is_refused() {
    let entries =
        [("chat", "a", "output_cost_per_token: 1"), ("chat", "b", "output_cost_per_token: 0")];
    let fleet = Scripted::start(&by("simple-shuffle", &entries), |_| OK);
    let named =
        |name: &str| chat("chat", &format!(r#", "routing_strategy": "{name}""#), |head| head);
    for _ in 0..30 {
        assert_eq!(fleet.send(named("cost-based-routing")).await, Ok(200));
    }
    assert_eq!(fleet.asked(["a", "b"]), [0, 30]);
    assert!(fleet.open(named("best")).await.unwrap_err().as_refused().is_none());
}

fn session(head: Builder) -> Builder {
    head.header("x-litellm-session-id", "s-1")
}

#[tokio::test(start_paused = true)]
async fn a_session_stays_with_a_deployment_where_the_file_asks_for_it() {
    type Headers = fn(Builder) -> Builder;
    let caller = |head: Builder| head.header("authorization", "Bearer sk-1");
    let cases: [(&str, Headers, bool); 4] = [
        ("[session_affinity]", session, true),
        ("[deployment_affinity]", caller, true),
        ("[prompt_caching]", session, false),
        ("[]", session, false),
    ];
    for (checks, headers, stays) in cases {
        let settings = format!("router_settings: {{optional_pre_call_checks: {checks}}}");
        let fleet = Scripted::start(&file(&settings, &PAIR), |_| OK);
        for _ in 0..30 {
            assert_eq!(fleet.send(chat("chat", "", headers)).await, Ok(200));
        }
        let [a, b] = fleet.asked(["a", "b"]);
        assert_eq!(a == 0 || b == 0, stays, "{checks}: {a} {b}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_where_the_strategy_says() {
    let price = |cost: u32| format!("input_cost_per_token: {cost}, output_cost_per_token: {cost}");
    let prices = [1, 2, 3].map(price);
    let entries =
        [("chat", "a", &*prices[0]), ("chat", "b", &*prices[1]), ("chat", "c", &*prices[2])];
    let settings = "router_settings: {routing_strategy: cost-based-routing, optional_pre_call_checks: [session_affinity]}";
    let fleet = Scripted::start(&file(settings, &entries), |_| OK);
    for session in 0..60 {
        let headers = move |head: Builder| head.header("x-litellm-session-id", session);
        assert_eq!(fleet.send(chat("chat", "", headers)).await, Ok(200));
    }
    assert_eq!(fleet.asked(["a", "b", "c"]), [60, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn where_a_session_is_after_its_deployment_failed_is_for_the_file_to_say() {
    for (repins, returns) in [("true", false), ("false", true)] {
        let settings = format!(
            "router_settings: {{optional_pre_call_checks: [session_affinity], cooldown_time: 5, \
             session_affinity_repin_on_failover: {repins}}}"
        );
        let failing = std::sync::Arc::new(std::sync::Mutex::new(None::<String>));
        let fails = std::sync::Arc::clone(&failing);
        let fleet = Scripted::start(&file(&settings, &PAIR), move |host| {
            let status = if fails.lock().unwrap().as_deref() == Some(host) { 429 } else { 200 };
            Answer { status, ..OK }
        });
        let of_session = || fleet.send(chat("chat", "", session));
        of_session().await.unwrap();
        let home = if fleet.asked(["a"]) == [1] { "a" } else { "b" };
        *failing.lock().unwrap() = Some(home.to_owned());
        assert_eq!(of_session().await, Ok(200));
        *failing.lock().unwrap() = None;
        advance(Duration::from_secs(60)).await;
        let [before] = fleet.asked([home]);
        for _ in 0..5 {
            assert_eq!(of_session().await, Ok(200));
        }
        assert_eq!(fleet.asked([home]) != [before], returns, "{repins}");
    }
}

#[tokio::test(start_paused = true)]
async fn tags_choose_where_the_file_says_so() {
    let entries = [
        ("chat", "a", "tags: [free]"),
        ("chat", "b", "tags: [paid, eu]"),
        ("chat", "c", "tags: [default]"),
    ];
    let ask =
        |tags: &'static str| chat("chat", "", move |head| head.header("x-litellm-tags", tags));
    for (settings, tags, expected) in [
        ("enable_tag_filtering: true", "free", [20, 0, 0]),
        ("enable_tag_filtering: true", "paid", [0, 20, 0]),
        ("enable_tag_filtering: true", "gone", [0, 0, 20]),
        ("enable_tag_filtering: true, tag_filtering_match_any: false", "eu,paid", [0, 20, 0]),
    ] {
        let text = file(&format!("router_settings: {{{settings}}}"), &entries);
        let fleet = Scripted::start(&text, |_| OK);
        for _ in 0..20 {
            assert_eq!(fleet.send(ask(tags)).await, Ok(200));
        }
        assert_eq!(fleet.asked(["a", "b", "c"]), expected, "{settings} {tags}");
    }
    let all = file(
        "router_settings: {enable_tag_filtering: true, tag_filtering_match_any: false}",
        &entries,
    );
    let refused = Scripted::start(&all, |_| OK).send(ask("eu,free")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Unsupported);

    let off = Scripted::start(&file("", &entries), |_| OK);
    for _ in 0..60 {
        assert_eq!(off.send(ask("free")).await, Ok(200));
    }
    assert!(off.asked(["a", "b", "c"]).iter().all(|asked| *asked > 5));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_half_gone_sheds_requests_where_the_file_says_so() {
    let entries = [
        ("chat", "a", "order: 1"),
        ("chat", "b", "order: 1|blocked: true"),
        ("chat", "c", "order: 2"),
    ];
    for (settings, sheds) in [("overprovisioning_factor: 1.4", true), ("", false)] {
        let fleet =
            Scripted::start(&file(&format!("router_settings: {{{settings}}}"), &entries), |_| OK);
        for _ in 0..200 {
            assert_eq!(fleet.ask("chat").await, Ok(200));
        }
        let [first, _, second] = fleet.asked(["a", "b", "c"]);
        if sheds {
            // 1.4 times a half is for the first.
            assert!((110..=170).contains(&first), "{first} {second}");
        } else {
            assert_eq!((first, second), (200, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_wait_where_the_file_has_a_queue() {
    let slow = |_: &str| Answer { after: Duration::from_secs(2), ..OK };
    let file = |settings: &str| file(settings, &[("chat", "a", "max_parallel_requests: 1")]);
    let refused = Scripted::start(&file(""), slow);
    assert_eq!(refused.at_once("chat", 4).await, (1, vec![Reason::Full; 3]));
    let queue = "router_settings: {queue: {max_waiting: 3, max_wait: 5}}";
    let fleet = Scripted::start(&file(queue), slow);
    // At once, after two and after four seconds; the fourth would be after six.
    let (answered, mut refused) = fleet.at_once("chat", 5).await;
    refused.sort_by_key(|reason| format!("{reason:?}"));
    assert_eq!((answered, refused), (3, vec![Reason::QueueFull, Reason::QueueTimeout]));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_priority_has_the_files() {
    let settings = "router_settings: {default_priority: 5, queue: {max_waiting: 9, max_wait: 60, \
                    classes: [{up_to: 0, share: 1}]}}";
    let text = file(settings, &[("chat", "a", "max_parallel_requests: 1")]);
    let fleet = Scripted::start(&text, |_| Answer { after: Duration::from_secs(1), ..OK });
    let begun = tokio::time::Instant::now();
    let ask = async |priority: &'static str| {
        fleet.send(chat("chat", priority, |head| head)).await.unwrap();
        begun.elapsed().as_secs()
    };
    let urgent = r#", "priority": 0"#;
    let all = join_all(["", "", urgent, urgent].map(ask)).await;
    assert_eq!(all, [1, 4, 2, 3]);
}
