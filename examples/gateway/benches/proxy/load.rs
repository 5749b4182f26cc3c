//! The clients.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use http::{
    Request, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tower_fleet::BoxError;

/// Connections to one server, each with one request at a time.
pub(crate) struct Clients(Vec<http1::SendRequest<Full<Bytes>>>);

impl Clients {
    pub(crate) async fn connect(to: SocketAddr, count: usize) -> Result<Self, BoxError> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let socket = tokio::net::TcpStream::connect(to).await?;
            socket.set_nodelay(true)?;
            let (client, connection) = http1::handshake(TokioIo::new(socket)).await?;
            tokio::spawn(connection);
            clients.push(client);
        }
        Ok(Self(clients))
    }

    /// Asks over and over, over so many of the connections for so long; gives the number of answers.
    pub(crate) async fn ask(
        &mut self,
        template: &Request<Full<Bytes>>,
        count: usize,
        time: Duration,
    ) -> Result<u32, BoxError> {
        let end = Instant::now() + time;
        let each = self.0.iter_mut().take(count).map(|client| async move {
            let mut answers = 0;
            while Instant::now() < end {
                client.ready().await?;
                let response = client.send_request(template.clone()).await?;
                if response.status() != StatusCode::OK {
                    return Err(format!("answered {}", response.status()).into());
                }
                let mut body = response.into_body();
                while let Some(frame) = body.frame().await {
                    frame?;
                }
                answers += 1;
            }
            Ok::<u32, BoxError>(answers)
        });
        Ok(futures_util::future::try_join_all(each).await?.into_iter().sum())
    }
}

/// A chat completion of 1 KiB for the group `model`.
pub(crate) fn request(to: SocketAddr, path: &str, model: &str) -> Request<Full<Bytes>> {
    let words = "some words of a prompt ".repeat(40);
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"{words}"}}],"temperature":0.5,"model":"{model}"}}"#
    );
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if let Ok(host) = to.to_string().try_into() {
        headers.insert(HOST, host);
    }
    request
}

/// How one stream came.
pub(crate) struct Arrival {
    /// Reads that gave something: writes that came together count as one, so there were at least as many.
    pub(crate) reads: u32,
    /// From the request to the first event.
    pub(crate) first: Duration,
    /// From the first event to the end.
    pub(crate) rest: Duration,
}

/// Asks for a stream over a socket of its own, without a client that would hide how it comes.
pub(crate) fn stream(to: SocketAddr, path: &str, model: &str) -> Result<Arrival, BoxError> {
    let mut socket = TcpStream::connect(to)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let body = format!(r#"{{"messages":[],"stream":true,"model":"{model}"}}"#);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let asked = Instant::now();
    socket.write_all((head + &body).as_bytes())?;
    let (mut text, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let (mut reads, mut first) = (0, None);
    while !text.ends_with(b"0\r\n\r\n") {
        let count = socket.read(&mut buffer)?;
        if count == 0 {
            return Err(format!("the stream was cut: {}", String::from_utf8_lossy(&text)).into());
        }
        text.extend_from_slice(&buffer[..count]);
        reads += 1;
        if first.is_none() && text.windows(6).any(|window| window == b"data: ") {
            first = Some(Instant::now());
        }
    }
    let first = first.ok_or("no event")?;
    Ok(Arrival { reads, first: first - asked, rest: first.elapsed() })
}
