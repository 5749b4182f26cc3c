//! A deployment's server on loopback, which answers by a script and remembers what it was asked.

#![allow(dead_code, reason = "no test uses all of it")]

use std::{
    convert::Infallible,
    fmt::Debug,
    future::{Future, pending},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use http::{HeaderName, HeaderValue, Request, Response, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Barrier,
    task::AbortHandle,
};

type Body = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;
type Script = dyn Fn(usize) -> BoxFuture<'static, Answer> + Send + Sync;

/// The server; it stops when this is dropped.
pub(crate) struct Upstream {
    address: String,
    log: Arc<Log>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<(Parts, Bytes)>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    pieces: Vec<Bytes>,
    /// The body never ends.
    stalls: bool,
}

impl Answer {
    /// A response with this status and a small JSON body that says it.
    pub(crate) fn status(status: u16) -> Self {
        let body = format!(r#"{{"answered": {status}}}"#);
        Self { status, headers: Vec::new(), pieces: vec![body.into()], stalls: false }
    }

    pub(crate) fn header<V>(mut self, name: &'static str, value: V) -> Self
    where
        V: TryInto<HeaderValue, Error: Debug>,
    {
        self.headers.push((HeaderName::from_static(name), value.try_into().unwrap()));
        self
    }

    /// The body instead, and its type.
    pub(crate) fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.pieces = vec![body.into()];
        self.header("content-type", content_type)
    }

    /// A stream that begins and then neither goes on nor ends.
    pub(crate) fn stalls(mut self) -> Self {
        self.stalls = true;
        self
    }

    fn response(self) -> Response<Body> {
        let pieces = stream::iter(self.pieces.into_iter().map(|piece| Ok(Frame::data(piece))));
        let body =
            if self.stalls { pieces.chain(stream::pending()).boxed() } else { pieces.boxed() };
        let mut response = Response::new(StreamBody::new(body));
        *response.status_mut() = self.status.try_into().unwrap();
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl Upstream {
    /// Answers the request of each number, from 0, by `script`.
    pub(crate) async fn start<F>(script: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let script: Arc<Script> = Arc::new(move |number| Box::pin(script(number)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Arc::<Log>::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&log), script)).abort_handle();
        Self { address, log, accepting }
    }

    /// Always answers so.
    pub(crate) async fn answering(answer: Answer) -> Self {
        Self::start(move |_| std::future::ready(answer.clone())).await
    }

    /// Always answers with this status.
    pub(crate) async fn status(status: u16) -> Self {
        Self::answering(Answer::status(status)).await
    }

    /// Answers 200 once as many requests as `barrier` counts are there, on all the servers that share it.
    pub(crate) async fn together(barrier: &Arc<Barrier>) -> Self {
        let barrier = Arc::clone(barrier);
        Self::start(move |_| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                Answer::status(200)
            }
        })
        .await
    }

    /// Takes requests and never answers.
    pub(crate) async fn silent() -> Self {
        Self::start(|_| pending()).await
    }

    /// Where to reach it.
    pub(crate) fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.log.requests.lock().unwrap().len()
    }

    /// The most requests there were at a time.
    pub(crate) fn most_at_a_time(&self) -> usize {
        self.log.most.load(Ordering::Relaxed)
    }

    /// The head and the body of the latest request.
    pub(crate) fn latest(&self) -> (Parts, Bytes) {
        self.log.requests.lock().unwrap().last().cloned().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An address where nothing listens; nothing else gets the port as long as the socket lives.
pub(crate) fn dead() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let base = format!("http://{}/v1", socket.local_addr().unwrap());
    (socket, base)
}

async fn accept(listener: TcpListener, log: Arc<Log>, script: Arc<Script>) {
    while let Ok((connection, _)) = listener.accept().await {
        let (log, script) = (Arc::clone(&log), Arc::clone(&script));
        let service = service_fn(move |request: Request<Incoming>| {
            let (log, script) = (Arc::clone(&log), Arc::clone(&script));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let number = {
                    let mut requests = log.requests.lock().unwrap();
                    requests.push((head, body));
                    requests.len() - 1
                };
                let now = log.now.fetch_add(1, Ordering::Relaxed) + 1;
                log.most.fetch_max(now, Ordering::Relaxed);
                let answer = script(number).await;
                log.now.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, hyper::Error>(answer.response())
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}
