//! A deployment that works on a few requests at a time and queues the rest.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};
use tower::Service;
use tower_fleet::BoxError;

use super::{Arrival, MEAN};
use crate::Nothing;

/// How many requests a deployment works on at a time.
pub(super) const AT_A_TIME: usize = 4;
/// When the first byte of a stream comes, once it is worked on, in means.
const FIRST_BYTE: f64 = 0.2;

/// What is special about a deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Nature {
    Usual,
    /// So many times as slow, from a time after the start on, in means.
    Slow {
        times: f64,
        from: f64,
    },
    /// It answers 500 after a millisecond.
    Fails,
}

/// A client of one simulated deployment.
#[derive(Clone, Debug)]
pub(super) struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nature: Nature,
    places: Arc<Semaphore>,
    received: AtomicU32,
    under_way: AtomicU32,
    worst: AtomicU32,
}

/// A request from its arrival to its end.
struct UnderWay(Server);

impl Server {
    pub(super) fn new(nature: Nature) -> Self {
        Self(Arc::new(Inner {
            nature,
            places: Arc::new(Semaphore::new(AT_A_TIME)),
            received: AtomicU32::new(0),
            under_way: AtomicU32::new(0),
            worst: AtomicU32::new(0),
        }))
    }

    pub(super) fn received(&self) -> u32 {
        self.0.received.load(Relaxed)
    }

    /// The most requests it had at any time.
    pub(super) fn worst(&self) -> u32 {
        self.0.worst.load(Relaxed)
    }

    fn enter(&self) -> UnderWay {
        let Inner { received, under_way, worst, .. } = &*self.0;
        received.fetch_add(1, Relaxed);
        worst.fetch_max(under_way.fetch_add(1, Relaxed) + 1, Relaxed);
        UnderWay(self.clone())
    }

    fn time(&self, work: f64, since: Duration) -> Duration {
        let slow = match self.0.nature {
            Nature::Slow { times, from } if since >= MEAN.mul_f64(from) => times,
            _ => 1.0,
        };
        MEAN.mul_f64(work * slow)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Relaxed);
    }
}

impl<B> Service<Request<B>> for Server {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (this, under_way) = (self.clone(), self.enter());
        let arrival = request.extensions().get::<Arrival>().copied();
        Box::pin(async move {
            let (Some(Arrival { at, work, stream }), false) =
                (arrival, this.0.nature == Nature::Fails)
            else {
                sleep(Duration::from_millis(1)).await;
                let mut failed = Response::new(Reply::of(Nothing::new()));
                *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                return Ok(failed);
            };
            let arrived = Instant::now();
            let place = Arc::clone(&this.0.places).acquire_owned().await;
            let time = this.time(work, MEAN.mul_f64(at) + arrived.elapsed());
            let head = if stream { MEAN.mul_f64(FIRST_BYTE).min(time) } else { time };
            sleep(head).await;
            let rest = Rest {
                sleep: Box::pin(sleep(time.saturating_sub(head))),
                begun: false,
                _held: (place.ok(), under_way),
            };
            Ok(Response::new(Reply::of(rest)))
        })
    }
}

/// The first byte at once, the end later: till then the place is held.
struct Rest {
    sleep: Pin<Box<Sleep>>,
    begun: bool,
    _held: (Option<OwnedSemaphorePermit>, UnderWay),
}

impl Body for Rest {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !std::mem::replace(&mut self.begun, true) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"word")))));
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(None)
    }
}

/// The body of an answer, through whichever layers.
pub(super) struct Reply(UnsyncBoxBody<Bytes, BoxError>);

impl Reply {
    pub(super) fn of<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(body.map_err(Into::into).boxed_unsync())
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}
