//! Which deployments are set aside, and for how long.

use tokio::time::Instant;
use tower_fleet::error::RefusedReason;

use super::*;

const MINUTE: &str = "num_retries: 0, cooldown_time: 60";

#[tokio::test]
async fn three_failures_in_a_row_set_a_deployment_aside() {
    // LiteLLM takes five.
    let servers = servers([500, 200]).await;
    let fleet = File::new(MINUTE).group("chat", &servers).start();
    assert!(fleet.failures("chat", 60).await <= 3);
    assert!(servers[0].asked() <= 3 && fleet.aside(0).is_some());
}

#[tokio::test]
async fn a_rate_limit_sets_aside_in_a_wildcard_group_as_in_any_other() {
    // LiteLLM never sets wildcard deployments aside: 24 of 60 fail, one in a named group.
    for (group, asked) in [("any-*", "any-model"), ("named", "named")] {
        let servers = servers([429, 200]).await;
        let fleet = File::new(MINUTE).group(group, &servers).start();
        assert!(fleet.failures(asked, 60).await <= 1);
        assert_eq!(servers[0].asked(), 1);
    }
}

#[tokio::test]
async fn a_dead_host_costs_one_request_at_most() {
    // LiteLLM lets five of forty fail.
    let (_port, dead) = upstream::dead();
    let server = Upstream::status(200).await;
    let fleet = File::new(MINUTE).add("chat", &dead, "").add("chat", &server.base(), "").start();
    assert!(fleet.failures("chat", 40).await <= 1);
    assert!(fleet.aside(0).is_some());
}

/// For how long a deployment is set aside that answers 429 with this header, and what to allow for the asking.
async fn sentence(name: &'static str, value: &str) -> (Duration, Duration) {
    let server = Upstream::answering(Answer::status(429).header(name, value)).await;
    let fleet = File::new(MINUTE).group("chat", [&server]).start();
    let begun = Instant::now();
    assert_eq!(fleet.ask("chat").await.status(), Some(429));
    (fleet.aside(0).unwrap(), begun.elapsed())
}

#[tokio::test]
async fn an_endless_retry_after_is_capped() {
    // LiteLLM sets the deployment aside for a day.
    assert!(sentence("retry-after", "86400").await.0 <= Duration::from_secs(300));
}

#[tokio::test]
async fn fractions_and_milliseconds_are_honoured() {
    // LiteLLM ignores both.
    for (name, value) in [("retry-after", "42.5"), ("retry-after-ms", "42500")] {
        let (aside, spent) = sentence(name, value).await;
        let asked = Duration::from_millis(42_500);
        assert!(aside <= asked && aside + spent >= asked, "{name}: {aside:?}");
    }
}

#[tokio::test]
async fn a_retry_after_of_zero_sets_aside_all_the_same() {
    // LiteLLM does not: 20 of 40 requests go on failing.
    let limited = Upstream::answering(Answer::status(429).header("retry-after", 0)).await;
    let server = Upstream::status(200).await;
    let fleet = File::new(MINUTE).group("chat", [&limited, &server]).start();
    while limited.asked() == 0 {
        fleet.ask("chat").await;
    }
    assert_eq!(fleet.deployment(0).health().totals().ejections, 1);
}

#[tokio::test]
async fn of_two_sentences_the_later_end_holds() {
    // LiteLLM keeps the first one.
    let (first, second) = (Answer::status(429).header("retry-after", 20), Answer::status(429));
    let answers = [first, second.header("retry-after", 200)];
    let both = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let server = Upstream::start(move |number| {
        let (both, answer) = (both.clone(), answers[number].clone());
        async move {
            both.wait().await;
            answer
        }
    })
    .await;
    let fleet = File::new(MINUTE).group("chat", [&server]).start();
    assert_eq!(fleet.at_once("chat", 2).await, [Some(429); 2]);
    assert!(fleet.aside(0).unwrap() > Duration::from_secs(100));
}

#[tokio::test]
async fn a_refusal_says_the_time_that_is_left() {
    // LiteLLM says the whole time, however much of it has passed.
    let limited = Answer::status(429).header("retry-after", 40);
    let servers = join_all([limited.clone(), limited].map(Upstream::answering)).await;
    let fleet = File::new(MINUTE).group("chat", &servers).start();
    assert_eq!(fleet.failures("chat", 2).await, 2);
    tokio::time::sleep(Duration::from_millis(50)).await;

    let before = fleet.aside(0).min(fleet.aside(1)).unwrap();
    let error = fleet.ask("chat").await.result.unwrap_err();
    let after = fleet.aside(0).min(fleet.aside(1)).unwrap();
    let refused = error.as_refused().unwrap();
    assert_eq!(refused.reason(), RefusedReason::Cooling);
    let wait = refused.wait().unwrap();
    assert!(before < Duration::from_secs(40) && after <= wait && wait <= before, "{wait:?}");
    assert_eq!((servers[0].asked(), servers[1].asked()), (1, 1));
}

#[tokio::test]
async fn a_lone_deployment_keeps_showing_its_real_error() {
    // In LiteLLM one 401 or 404 turns every following request into a 429 of its own.
    for status in [401, 404] {
        let server = Upstream::status(status).await;
        let fleet = File::new(MINUTE).group("chat", [&server]).start();
        for _ in 0..4 {
            assert_eq!(fleet.ask("chat").await.status(), Some(status));
        }
        assert_eq!(server.asked(), 4);
    }
}
