//! What is tried again, where, and after what wait.

use tokio::time::Instant;

use super::*;

/// The longest time that a retry waits for; whoever waits once more after the last attempt takes this long.
const LONG: u64 = 59;

#[tokio::test]
async fn nothing_is_waited_for_after_the_last_attempt() {
    // LiteLLM sleeps once more before it returns the error: 2.67 s for three attempts.
    let server = Upstream::start(|number| async move {
        let wait = if number < 2 { "0.01".into() } else { LONG.to_string() };
        Answer::status(500).header("retry-after", wait)
    })
    .await;
    let fleet = File::new("").group("chat", [&server]).start();
    let reply = fleet.ask("chat").await;
    assert_eq!((reply.status(), server.asked()), (Some(500), 3));
}

#[tokio::test]
async fn a_retry_after_is_waited_for_once() {
    // LiteLLM takes 4.7 s for a Retry-After of 2 and one retry.
    let server = Upstream::start(|number| async move {
        let wait = if number == 0 { "0.3".into() } else { LONG.to_string() };
        Answer::status(500).header("retry-after", wait)
    })
    .await;
    let fleet = File::new("num_retries: 1").group("chat", [&server]).start();
    let begun = Instant::now();
    let reply = fleet.ask("chat").await;
    assert_eq!((reply.status(), server.asked()), (Some(500), 2));
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn retry_after_of_the_file_is_the_least_wait() {
    // Longer than any wait before a first retry would be without it.
    let server = Upstream::status(500).await;
    let fleet = File::new("num_retries: 1, retry_after: 0.6").group("chat", [&server]).start();
    let begun = Instant::now();
    assert_eq!(fleet.ask("chat").await.status(), Some(500));
    assert_eq!(server.asked(), 2);
    assert!(begun.elapsed() >= Duration::from_millis(600));
}

#[tokio::test]
async fn there_are_as_many_retries_as_requests_beside_ten_a_second() {
    // LiteLLM makes every retry there could be: 180.
    let servers = servers([500; 4]).await;
    let fleet =
        File::new("num_retries: 3, disable_cooldowns: true").group("chat", &servers).start();
    assert_eq!(fleet.failures("chat", 60).await, 60);
    let asked: usize = servers.iter().map(Upstream::asked).sum();
    // The ten a second are those of a window of ten seconds.
    assert_eq!(asked - 60, 60 + 100);
}

#[tokio::test]
async fn a_retry_goes_to_another_deployment() {
    // LiteLLM may ask the same one again: of sixty requests 14 fail after a 500, and 33 after a 404.
    for status in [500, 404] {
        let servers = servers([status, 200]).await;
        let fleet =
            File::new("num_retries: 1, disable_cooldowns: true").group("chat", &servers).start();
        assert_eq!(fleet.failures("chat", 60).await, 0);
        assert!(servers[0].asked() > 0, "every request began at the good one");
    }
}

#[tokio::test]
async fn what_the_request_did_wrong_is_not_tried_again() {
    // As in LiteLLM.
    let servers = servers([400, 400]).await;
    let fleet = File::new("").group("chat", &servers).start();
    let reply = fleet.ask("chat").await;
    assert_eq!((reply.status(), reply.asked().len()), (Some(400), 1));
    assert!(fleet.aside(0).is_none() && fleet.aside(1).is_none());
}

#[tokio::test]
async fn a_failure_before_the_stream_is_tried_elsewhere_then_in_another_group() {
    // As in LiteLLM.
    let servers = servers([500, 500, 200]).await;
    let fleet = File::new("num_retries: 1, fallbacks: [{chat: [spare]}]")
        .group("chat", &servers[..2])
        .group("spare", &servers[2..])
        .start();
    let reply = fleet.ask("chat").await;
    assert_eq!(reply.status(), Some(200));
    assert!(servers.iter().all(|server| server.asked() == 1));
}
