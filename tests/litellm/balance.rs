//! Which deployment is asked.

use std::sync::Arc;

use tokio::sync::Barrier;
use tower_fleet::error::RefusedReason;

use super::*;

#[tokio::test]
async fn one_after_the_other_spreads_over_idle_deployments() {
    // LiteLLM's least-busy sends all to the first: 12/0/0.
    let servers = servers([200, 200, 200]).await;
    let fleet = File::new("routing_strategy: least-busy").group("chat", &servers).start();
    assert_eq!(fleet.failures("chat", 60).await, 0);
    assert!(servers.iter().all(|server| server.asked() > 0));
}

#[tokio::test]
async fn a_burst_is_spread_exactly() {
    // LiteLLM's least-busy sends thirty calls of one tick to one deployment: 30/0/0.
    let barrier = Arc::new(Barrier::new(30));
    let servers = join_all([(); 3].map(|()| Upstream::together(&barrier))).await;
    let fleet = File::new("routing_strategy: least-busy").group("chat", &servers).start();
    assert_eq!(fleet.at_once("chat", 30).await, [Some(200); 30]);
    assert_eq!(servers.iter().map(Upstream::most_at_a_time).collect::<Vec<_>>(), [10; 3]);
}

#[tokio::test]
async fn dropped_streams_are_no_longer_in_flight() {
    // LiteLLM counts three streams dropped half-way for up to an hour.
    let server = Upstream::answering(Answer::status(200).stalls()).await;
    let fleet = File::new("routing_strategy: least-busy").group("chat", [&server]).start();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut response = fleet.open("chat").await;
        assert!(response.body_mut().frame().await.is_some());
        streams.push(response);
    }
    assert_eq!(fleet.deployment(0).in_flight(), 3);
    drop(streams);
    assert_eq!(fleet.deployment(0).in_flight(), 0);
}

#[tokio::test]
async fn a_full_deployment_is_passed_over_for_one_with_room() {
    // LiteLLM picks before it looks at the limit, and rejects one of six.
    let barrier = Arc::new(Barrier::new(6));
    let servers = join_all([(); 2].map(|()| Upstream::together(&barrier))).await;
    let fleet = File::new("num_retries: 0")
        .add("chat", &servers[0].base(), "max_parallel_requests: 1")
        .add("chat", &servers[1].base(), "max_parallel_requests: 5")
        .start();
    assert_eq!(fleet.at_once("chat", 6).await, [Some(200); 6]);
    assert_eq!((servers[0].asked(), servers[1].asked()), (1, 5));
}

#[tokio::test]
async fn a_place_is_free_again_after_a_cancelled_call_and_after_a_dropped_stream() {
    // LiteLLM frees its places too.
    let silent = Upstream::silent().await;
    let fleet = File::new("").add("chat", &silent.base(), "max_parallel_requests: 1").start();
    let mut call = Box::pin(fleet.ask("chat"));
    let arrived = async {
        while silent.asked() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        reply = &mut call => panic!("{reply:?}"),
        () = arrived => {}
    }
    let refused = fleet.ask("chat").await.result.unwrap_err();
    assert_eq!(refused.as_refused().unwrap().reason(), RefusedReason::Full);
    drop(call);
    assert_eq!(fleet.deployment(0).in_flight(), 0);

    let streams = Upstream::answering(Answer::status(200).stalls()).await;
    let fleet = File::new("").add("chat", &streams.base(), "max_parallel_requests: 1").start();
    for _ in 0..3 {
        assert_eq!(fleet.open("chat").await.status(), 200);
    }
}

#[tokio::test]
async fn a_higher_order_answers_when_the_lower_one_is_limited_and_then_directly() {
    // As in LiteLLM.
    let servers = servers([429, 200]).await;
    let fleet = File::new("")
        .add("chat", &servers[0].base(), "order: 1")
        .add("chat", &servers[1].base(), "order: 2")
        .start();
    assert_eq!(fleet.ask("chat").await.asked(), ["0", "1"]);
    assert_eq!(fleet.ask("chat").await.asked(), ["1"]);
}

#[tokio::test]
async fn a_deployment_without_an_order_comes_last() {
    // In LiteLLM it gets nothing at all.
    let servers = servers([200, 429]).await;
    let fleet = File::new("num_retries: 0")
        .add("chat", &servers[0].base(), "")
        .add("chat", &servers[1].base(), "order: 7")
        .start();
    assert_eq!(fleet.ask("chat").await.asked(), ["1"]);
    assert_eq!(fleet.ask("chat").await.asked(), ["0"]);
}

#[tokio::test]
async fn a_deployment_without_a_weight_weighs_one() {
    // In LiteLLM it gets nothing.
    let servers = servers([200, 200]).await;
    let fleet = File::new("")
        .add("chat", &servers[0].base(), "weight: 1")
        .add("chat", &servers[1].base(), "")
        .start();
    assert_eq!(fleet.failures("chat", 100).await, 0);
    assert!(servers.iter().all(|server| server.asked() > 20));
}

#[tokio::test]
async fn cancelled_calls_are_no_longer_in_flight() {
    // LiteLLM counts six cancelled calls for up to an hour.
    let silent = Upstream::silent().await;
    let fleet = File::new("routing_strategy: least-busy").group("chat", [&silent]).start();
    {
        let calls = join_all([(); 6].map(|()| fleet.ask("chat")));
        let arrived = async {
            while silent.asked() < 6 {
                tokio::task::yield_now().await;
            }
            assert_eq!(fleet.deployment(0).in_flight(), 6);
        };
        tokio::select! {
            replies = calls => panic!("{replies:?}"),
            () = arrived => {}
        }
        // The calls went with the select, and with them their places.
    }
    assert_eq!(fleet.deployment(0).in_flight(), 0);
}

#[tokio::test]
async fn calls_that_finish_or_time_out_and_refusals_are_not_counted() {
    // LiteLLM does not count them either.
    let server = Upstream::status(200).await;
    let fleet = File::new("").add("chat", &server.base(), "max_parallel_requests: 1").start();
    let held = fleet.open("chat").await;
    assert_eq!(fleet.deployment(0).in_flight(), 1);
    let refused = fleet.ask("chat").await.result.unwrap_err();
    assert_eq!(refused.as_refused().unwrap().reason(), RefusedReason::Full);
    assert_eq!(fleet.deployment(0).in_flight(), 1, "a refusal takes no place");
    held.into_body().collect().await.ok().unwrap();
    assert_eq!(fleet.deployment(0).in_flight(), 0);

    let silent = Upstream::silent().await;
    let fleet = File::new("num_retries: 0").add("chat", &silent.base(), "timeout: 0.05").start();
    assert!(fleet.ask("chat").await.result.unwrap_err().is_timeout());
    assert_eq!(fleet.deployment(0).in_flight(), 0);
}

#[tokio::test]
async fn arrivals_some_time_apart_spread_over_deployments() {
    // LiteLLM spreads such arrivals too, about 20/20/20.
    let servers = servers([200, 200, 200]).await;
    let fleet = File::new("routing_strategy: least-busy").group("chat", &servers).start();
    for _ in 0..60 {
        assert_eq!(fleet.failures("chat", 1).await, 0);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(servers.iter().all(|server| server.asked() > 5));
}
