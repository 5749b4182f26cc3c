//! Connections that bring nothing, and those that are there when the server stops.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tower_fleet::config::Config;
use tower_fleet_gateway::{Ending, Gateway, serve};

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

/// A client of HTTP/2 that reads, and acknowledges anything, only while it waits for an answer.
struct Idler(TcpStream);

impl Idler {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const WINDOW_UPDATE: u8 = 8;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    async fn connect(address: std::net::SocketAddr) -> Self {
        let mut this = Self(TcpStream::connect(address).await.unwrap());
        this.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        this.send(Self::SETTINGS, 0, 0, b"").await;
        this
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
        self.0.write_all(&[&head, payload].concat()).await.unwrap();
    }

    /// Asks for an answer of `model`, as the first request.
    async fn ask(&mut self, model: &str) {
        // By HPACK's static table: POST, http, a literal :path.
        let path = "/v1/embeddings";
        let head = [&[0x83, 0x86, 0x04, u8::try_from(path.len()).unwrap()], path.as_bytes()];
        self.send(Self::HEADERS, Self::END_HEADERS, 1, &head.concat()).await;
        let body = format!(r#"{{"model": "{model}"}}"#);
        self.send(Self::DATA, Self::END_STREAM, 1, body.as_bytes()).await;
    }

    /// The bytes of the answer, until they are so many or it has ended; and whether it has.
    async fn read(&mut self, enough: usize) -> (usize, bool) {
        let mut got = 0;
        while got < enough {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.unwrap();
            if head[3] == Self::DATA {
                got += payload.len();
                if head[4] & Self::END_STREAM != 0 {
                    return (got, true);
                }
            }
        }
        (got, false)
    }
}

/// A gateway before `entries`, its address, and what stops it, after which there is no hurry.
async fn stoppable(
    entries: &[String],
) -> (JoinHandle<Ending>, std::net::SocketAddr, oneshot::Sender<()>) {
    let yaml = format!("model_list:\n{}", entries.concat());
    let gateway = Gateway::new(&Config::from_yaml_with(&yaml, |_| None).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { stopped.await.unwrap() };
    let serving = tokio::spawn(serve(listener, gateway, stopped, std::future::pending()));
    (serving, address, stop)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_no_request_running_is_not_waited_for() {
    let fine = Upstream::fixed(200, &[("content-type", "application/json")], "{}").await;
    let (serving, address, stop) = stoppable(&[entry("m", "a", &fine.base, "")]).await;
    let mut client = Idler::connect(address).await;
    client.ask("m").await;
    assert_eq!(client.read(usize::MAX).await, (2, true));
    let mut unfinished = TcpStream::connect(address).await.unwrap();
    unfinished.write_all(b"GET /fleet HTTP/1.1\r\nhost: a\r\n").await.unwrap();

    let begun = Instant::now();
    stop.send(()).unwrap();
    assert_eq!(serving.await.unwrap(), Ending::Drained);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_until_it_is_written() {
    const WINDOW: usize = 65_535;
    let long = format!(r#"{{"text": "{}"}}"#, "a".repeat(100_000)).leak();
    let upstream = Upstream::fixed(200, &[("content-type", "application/json")], long).await;
    let (mut serving, address, stop) = stoppable(&[entry("m", "a", &upstream.base, "")]).await;
    let mut client = Idler::connect(address).await;
    client.ask("m").await;
    assert_eq!(client.read(WINDOW).await, (WINDOW, false));

    stop.send(()).unwrap();
    let waiting = timeout(Duration::from_secs(60), &mut serving).await;
    assert!(waiting.is_err(), "ended before the answer was written");

    for stream in [0, 1] {
        client.send(Idler::WINDOW_UPDATE, 0, stream, &100_000_u32.to_be_bytes()).await;
    }
    assert_eq!(client.read(usize::MAX).await, (long.len() - WINDOW, true));
    assert_eq!(serving.await.unwrap(), Ending::Drained);
}
