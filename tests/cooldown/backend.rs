//! A deployment whose answers the test decides.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Service, ServiceExt};
use tower_fleet::{BoxError, Error, error::Refused};

/// How a backend answers.
pub(crate) struct Reply {
    after: Duration,
    result: io::Result<Response<Frames>>,
}

/// A response body of the frames given, of a length nobody knows beforehand.
#[derive(Debug, Default)]
pub(crate) struct Frames(VecDeque<io::Result<Frame<Bytes>>>);

/// Answers as its closure says, which is told how many requests came before.
#[derive(Clone)]
pub(crate) struct Backend {
    answer: Arc<dyn Fn(usize) -> Reply + Send + Sync>,
    calls: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn new(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), calls: Arc::default() }
    }

    /// Always answers with `status`.
    pub(crate) fn status(status: u16) -> Self {
        Self::new(move |_| Reply::status(status))
    }

    /// How many requests came so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            after: Duration::ZERO,
            result: Ok(Response::builder().status(status).body(Frames::default()).unwrap()),
        }
    }

    pub(crate) fn error() -> Self {
        Self { after: Duration::ZERO, result: Err(io::ErrorKind::ConnectionReset.into()) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        if let Ok(response) = &mut self.result {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        self
    }

    /// Answers after this many seconds.
    pub(crate) fn after(mut self, seconds: f64) -> Self {
        self.after = Duration::from_secs_f64(seconds);
        self
    }

    pub(crate) fn chunk(self) -> Self {
        self.frame(Ok(Frame::data(Bytes::from_static(b"chunk"))))
    }

    pub(crate) fn breaks_off(self) -> Self {
        self.frame(Err(io::ErrorKind::UnexpectedEof.into()))
    }

    pub(crate) fn trailer(self, name: &'static str, value: &'static str) -> Self {
        let trailers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        self.frame(Ok(Frame::trailers(trailers)))
    }

    fn frame(mut self, frame: io::Result<Frame<Bytes>>) -> Self {
        if let Ok(response) = &mut self.result {
            response.body_mut().0.push_back(frame);
        }
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.pop_front())
    }
}

impl Service<Request<()>> for Backend {
    type Response = Response<Frames>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Response<Frames>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let Reply { after, result } = (self.answer)(self.calls.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            result
        })
    }
}

/// Sends one request and reads the response to its end; the status, or what went wrong.
pub(crate) async fn send<S, B>(service: &S) -> Result<u16, Error>
where
    S: Service<Request<()>, Response = Response<B>, Error = Error> + Clone,
    B: Body<Error = BoxError>,
{
    let response = service.clone().oneshot(Request::new(())).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await.map_err(Error::Service)?;
    Ok(status)
}

/// Why the service would not send a request, and did not.
pub(crate) async fn refused<S, B>(service: &S) -> Refused
where
    S: Service<Request<()>, Response = Response<B>, Error = Error> + Clone,
    B: Body<Error = BoxError>,
{
    match send(service).await {
        Err(Error::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) async fn advance(seconds: f64) {
    tokio::time::advance(Duration::from_secs_f64(seconds)).await;
}
