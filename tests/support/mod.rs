//! A deployment that plays a part: it answers as it is told to, and remembers what it was asked.

#![allow(dead_code, reason = "no test uses all of it")]

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, request::Parts};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep};
use tower::Service;
use tower_fleet::BoxError;

/// A service that keeps Tower's contract and panics when it is not kept towards it. Clones share script and log.
pub(crate) struct Fake<E = BoxError> {
    shared: Arc<Mutex<Shared>>,
    error: fn() -> E,
    readying: Option<Pin<Box<Sleep>>>,
    ready: bool,
}

struct Shared {
    /// The last one is given for ever.
    answers: VecDeque<Answer>,
    ready_after: Duration,
    unready: bool,
    ready_polls: usize,
    calls: Vec<Call>,
    /// Held by every call and response body that lives.
    live: Arc<()>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) at: Instant,
    pub(crate) head: Parts,
    /// None as long as it has not all come.
    pub(crate) body: Option<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
}

#[derive(Clone)]
pub(crate) struct Answer {
    after: Duration,
    /// None for an error.
    response: Option<(u16, HeaderMap)>,
    pieces: VecDeque<Piece>,
    pause: Duration,
}

#[derive(Clone, Debug)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    Broken,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            after: Duration::ZERO,
            response: Some((status, HeaderMap::new())),
            pieces: VecDeque::new(),
            pause: Duration::ZERO,
        }
    }

    pub(crate) fn error() -> Self {
        Self { response: None, ..Self::status(200) }
    }

    pub(crate) fn never() -> Self {
        Self::status(200).after(Duration::from_secs(1_000_000_000))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Some((_, headers)) = &mut self.response {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        self
    }

    pub(crate) fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.pieces.push_back(Piece::Data(data.into()));
        self
    }

    pub(crate) fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        let trailers =
            [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter();
        self.pieces.push_back(Piece::Trailers(trailers.collect()));
        self
    }

    pub(crate) fn broken(mut self) -> Self {
        self.pieces.push_back(Piece::Broken);
        self
    }

    /// The time between the request and the head.
    pub(crate) fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// The time before each piece of the body.
    pub(crate) fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

impl Fake {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::failing_with(|| "it broke".into(), answers)
    }
}

impl<E> Fake<E> {
    pub(crate) fn failing_with(
        error: fn() -> E,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let shared = Shared {
            answers: answers.into_iter().collect(),
            ready_after: Duration::ZERO,
            unready: false,
            ready_polls: 0,
            calls: Vec::new(),
            live: Arc::default(),
        };
        Self { shared: Arc::new(Mutex::new(shared)), error, readying: None, ready: false }
    }

    /// Each clone is ready that long after it was first asked.
    pub(crate) fn ready_after(self, wait: Duration) -> Self {
        self.shared.lock().unwrap().ready_after = wait;
        self
    }

    /// Its readiness is an error from now on.
    pub(crate) fn unready(self) -> Self {
        self.shared.lock().unwrap().unready = true;
        self
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.lock().unwrap().calls.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.lock().unwrap().calls.len()
    }

    pub(crate) fn ready_polls(&self) -> usize {
        self.shared.lock().unwrap().ready_polls
    }

    /// Calls and response bodies that live.
    pub(crate) fn live(&self) -> usize {
        Arc::strong_count(&self.shared.lock().unwrap().live) - 1
    }
}

impl<E> Clone for Fake<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), error: self.error, readying: None, ready: false }
    }
}

impl<B, E> Service<Request<B>> for Fake<E>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E: Send + 'static,
{
    type Response = Response<FakeBody>;
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<Response<FakeBody>, E>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let (wait, unready) = {
            let mut shared = self.shared.lock().unwrap();
            shared.ready_polls += 1;
            (shared.ready_after, shared.unready)
        };
        if !self.ready && !wait.is_zero() {
            let readying = self.readying.get_or_insert_with(|| Box::pin(sleep(wait)));
            ready!(readying.as_mut().poll(cx));
            self.readying = None;
        }
        if unready {
            return Poll::Ready(Err((self.error)()));
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(mem::take(&mut self.ready), "called without being ready");
        let (head, body) = request.into_parts();
        let mut shared = self.shared.lock().unwrap();
        let index = shared.calls.len();
        shared.calls.push(Call { at: Instant::now(), head, body: None, trailers: None });
        let answer = match shared.answers.len() {
            1 => shared.answers[0].clone(),
            _ => shared.answers.pop_front().unwrap(),
        };
        let live = Arc::clone(&shared.live);
        let (shared, error) = (Arc::clone(&self.shared), self.error);
        Box::pin(async move {
            let read: Result<_, BoxError> = body.collect().await.map_err(Into::into);
            if let Ok(read) = read {
                let call = &mut shared.lock().unwrap().calls[index];
                call.trailers = read.trailers().cloned();
                call.body = Some(read.to_bytes());
            }
            if !answer.after.is_zero() {
                sleep(answer.after).await;
            }
            let (status, headers) = answer.response.ok_or_else(error)?;
            let Answer { pieces, pause, .. } = answer;
            let mut response = Response::new(FakeBody { pieces, pause, sleep: None, _live: live });
            *response.status_mut() = status.try_into().unwrap();
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}

/// The body of a fake's response. Says neither its size nor, ahead of time, its end.
#[derive(Debug)]
pub(crate) struct FakeBody {
    pieces: VecDeque<Piece>,
    pause: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    _live: Arc<()>,
}

impl Body for FakeBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.pause.is_zero() && !self.pieces.is_empty() {
            let pause = self.pause;
            ready!(self.sleep.get_or_insert_with(|| Box::pin(sleep(pause))).as_mut().poll(cx));
            self.sleep = None;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| match piece {
            Piece::Data(data) => Ok(Frame::data(data)),
            Piece::Trailers(trailers) => Ok(Frame::trailers(trailers)),
            Piece::Broken => Err("the body broke".into()),
        }))
    }
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The body as text.
pub(crate) async fn text<B>(response: Response<B>) -> String
where
    B: Body<Error: Into<BoxError>>,
{
    let read = response.into_body().collect().await.map_err(Into::into);
    String::from_utf8(read.unwrap().to_bytes().into()).unwrap()
}
