//! Connections that bring nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

const LIMIT: Duration = Duration::from_secs(120);

/// What a connection over which `sent` comes, and then nothing, gets until it is closed.
async fn silent_after(sent: &str) -> String {
    let url = gateway(&[entry("m", "a", &nowhere(), "")], "").await;
    let begun = Instant::now();
    let mut socket = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    socket.write_all(sent.as_bytes()).await.unwrap();
    let mut got = String::new();
    let end = timeout(10 * LIMIT, socket.read_to_string(&mut got)).await;
    end.expect("an end").unwrap();
    assert!(begun.elapsed() >= LIMIT, "{:?}", begun.elapsed());
    got
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_not_awaited_for_ever() {
    // The last two may yet become HTTP/2.
    for sent in ["GET /fleet HTTP/1.1\r\nhost: a\r\n", "G", "", "PRI * HTTP"] {
        assert_eq!(silent_after(sent).await, "", "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_served_is_kept_for_a_while() {
    let got = silent_after("GET /health/liveness HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 200 OK"), "{got}");
}
