use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{Method, Request, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Endpoint, Inspected, peek::peek};
use crate::{
    BoxError, Error,
    body::ReplayBody,
    trail::{Carried, Demand, GroupName},
};

/// Applies [`Inspect`].
#[derive(Clone, Copy, Debug)]
pub struct InspectLayer {
    limit: usize,
}

impl InspectLayer {
    /// Reads bodies of up to 32 MiB.
    #[must_use]
    pub const fn new() -> Self {
        Self { limit: 32 * 1024 * 1024 }
    }

    /// The longest body that is read, in bytes; a longer one is refused. Default 32 MiB, room for some images.
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

impl Default for InspectLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for InspectLayer {
    type Service = Inspect<S>;

    fn layer(&self, inner: S) -> Inspect<S> {
        Inspect { inner, limit: self.limit }
    }
}

/// Reads what a request asks for, see the [module](super). Only a `POST` is read; other requests pass as they are.
///
/// The body is read whole before the request goes on, and can then be sent again without being recorded. A
/// [`GroupName`] that the request has already stays.
#[derive(Clone, Debug)]
pub struct Inspect<S> {
    inner: S,
    limit: usize,
}

impl<S, B> Service<Request<B>> for Inspect<S>
where
    S: Service<Request<ReplayBody>> + Clone,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::from_service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut service = std::mem::replace(&mut self.inner, clone);
        let (head, body) = request.into_parts();
        let state = if head.method == Method::POST {
            let reading = Reading { service, head, read: Collected::default(), limit: self.limit };
            State::Reading { body, reading: Some(reading) }
        } else {
            let body = ReplayBody::new(body, ReplayBody::DEFAULT_LIMIT);
            State::Calling { future: service.call(Request::from_parts(head, body)) }
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The response of an [`Inspect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the body or the call.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<ReplayBody>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, F> {
        Reading { #[pin] body: B, reading: Option<Reading<S>> },
        Calling { #[pin] future: F },
        Done,
    }
}

struct Reading<S> {
    service: S,
    head: Parts,
    read: Collected,
    limit: usize,
}

/// Bytes as they came: one chunk is kept as it is, several are copied together.
#[derive(Default)]
struct Collected {
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn push(&mut self, mut data: impl Buf) {
        if self.len() == 0 {
            self.first = data.copy_to_bytes(data.remaining());
            return;
        }
        self.all.put(std::mem::take(&mut self.first));
        self.all.put(data);
    }

    fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

impl<S> Reading<S> {
    /// Reads to the end of `body`.
    fn poll_read<B>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut B>,
    ) -> Poll<Result<(), InspectError>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let over = |len: usize, limit| {
            if len > limit { Err(InspectError::TooLarge { limit }) } else { Ok(()) }
        };
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        over(self.read.len().saturating_add(announced), self.limit)?;
        while let Some(frame) = ready!(body.as_mut().poll_frame(cx)) {
            let frame = frame.map_err(|error| InspectError::Body(error.into()))?;
            if let Ok(data) = frame.into_data() {
                over(self.read.len().saturating_add(data.remaining()), self.limit)?;
                self.read.push(data);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The request with what its body says, and the service to send it to.
    fn finish(self) -> Result<(S, Request<ReplayBody>), InspectError> {
        let Self { service, mut head, read, .. } = self;
        let body = read.finish();
        let peeked = peek(&body)?;
        let carried = Carried::entry(&mut head.extensions);
        carried.group.get_or_insert_with(|| GroupName::new(peeked.model));
        carried.inspected = Some(Arc::new(Inspected {
            endpoint: Endpoint::of_path(head.uri.path()),
            stream: peeked.stream,
            usage_wanted: false,
            model_at: peeked.model_at,
        }));
        if carried.demand.is_none() {
            carried.demand = Some(Demand { stream: peeked.stream, ..Demand::default() }.into());
        }
        Ok((service, Request::from_parts(head, ReplayBody::from(body))))
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<Request<ReplayBody>>,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projected::Reading { body, reading: Some(reading) } => {
                    ready!(reading.poll_read(cx, body))
                }
                Projected::Calling { future } => {
                    return future.poll(cx).map_err(Error::from_service);
                }
                // Polled after its end; that never ends.
                Projected::Reading { .. } | Projected::Done => return Poll::Pending,
            };
            let reading = match state.as_mut().project() {
                Projected::Reading { reading, .. } => reading.take(),
                _ => None,
            };
            let Some(reading) = reading else { return Poll::Pending };
            match next.and_then(|()| reading.finish()) {
                Ok((mut service, request)) => {
                    state.set(State::Calling { future: service.call(request) });
                }
                Err(error) => {
                    state.set(State::Done);
                    return Poll::Ready(Err(Error::from_service(error)));
                }
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<ReplayBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// A request that says not what it asks for. Comes inside [`Error::Service`].
#[derive(Debug)]
#[non_exhaustive]
pub enum InspectError {
    /// The body is not a JSON object, or a member has a wrong type.
    NotJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// The body names no model.
    NoModel,
    /// The body is longer than is read.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body broke off.
    Body(BoxError),
}

impl InspectError {
    /// The inspection's error inside `error`, if that is what failed.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::Service(inner) => inner.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { reason } => write!(f, "the request body is not valid JSON: {reason}"),
            Self::NoModel => f.write_str("`model` is missing: it must be a string"),
            Self::TooLarge { limit } => write!(f, "the request body is longer than {limit} bytes"),
            Self::Body(_) => f.write_str("the request body broke off"),
        }
    }
}

impl std::error::Error for InspectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Body(error) => Some(&**error),
            Self::NotJson { .. } | Self::NoModel | Self::TooLarge { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
