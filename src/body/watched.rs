//! A response body that reports how it ended, exactly once.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::BoxError;

/// How a response body ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End<'a> {
    /// The last byte arrived, without trailers.
    Complete,
    /// The last byte arrived, then trailers.
    Trailers(&'a HeaderMap),
    /// Reading failed: the peer broke off, or a limit below ran out.
    Error(&'a (dyn Error + 'static)),
    /// The reader dropped the body before its end.
    Dropped,
}

/// What is done at the end of a [`WatchedBody`].
pub trait OnEnd {
    /// Takes that bytes have come. Called for each frame that has some, before it is handed on.
    fn on_data(&mut self) {}

    /// Takes the end. Called once at most; from a drop too, so it must not panic.
    fn on_end(self, end: &End<'_>);
}

pin_project! {
    /// A body that tells its [`OnEnd`] how it ended: at the frame that is known to be the last one, at trailers, at an
    /// error, at the end of the stream, or when it is dropped, whichever comes first.
    ///
    /// A reader that drops the body once every byte announced by an exact size hint has come saw it complete.
    #[project = Projected]
    pub struct WatchedBody<B, H>
    where
        H: OnEnd,
    {
        #[pin]
        inner: B,
        watch: Watch<H>,
    }
}

/// The part that must act on drop; apart, because the pinned body's own drop is not ours to write.
struct Watch<H: OnEnd> {
    on_end: Option<H>,
    /// Bytes still to come, or [`UNKNOWN`].
    remaining: u64,
}

/// The body did not say how many bytes it has. No `Option`: every response is moved often, with two or three of these.
const UNKNOWN: u64 = u64::MAX;

impl<H: OnEnd> Watch<H> {
    fn end(&mut self, end: &End<'_>) {
        if let Some(on_end) = self.on_end.take() {
            on_end.on_end(end);
        }
    }
}

impl<H: OnEnd> Drop for Watch<H> {
    fn drop(&mut self) {
        let end = if self.remaining == 0 { End::Complete } else { End::Dropped };
        self.end(&end);
    }
}

impl<B: Body, H: OnEnd> WatchedBody<B, H> {
    /// Watches `inner`; a body that is at its end already is reported complete at once.
    pub fn new(inner: B, on_end: H) -> Self {
        let mut watch =
            Watch { on_end: Some(on_end), remaining: inner.size_hint().exact().unwrap_or(UNKNOWN) };
        if inner.is_end_stream() {
            watch.end(&End::Complete);
        }
        Self { inner, watch }
    }

    /// Watches the body of the response to a request of `method`: one that has no body by HTTP's rules (to a HEAD, a
    /// 204, a 304) is complete at its head.
    pub fn of_response(method: &Method, status: StatusCode, inner: B, on_end: H) -> Self {
        let mut body = Self::new(inner, on_end);
        if method == Method::HEAD
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            body.watch.end(&End::Complete);
        }
        body
    }

    /// A body whose end needs no report any more.
    pub fn unwatched(inner: B) -> Self {
        Self { inner, watch: Watch { on_end: None, remaining: UNKNOWN } }
    }
}

impl<B, H> Body for WatchedBody<B, H>
where
    B: Body,
    B::Error: Into<BoxError>,
    H: OnEnd,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Projected { mut inner, watch } = self.project();
        Poll::Ready(match ready!(inner.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    watch.end(&End::Trailers(trailers));
                } else {
                    let read = frame.data_ref().map_or(0, Buf::remaining) as u64;
                    if let Some(on_end) = watch.on_end.as_mut().filter(|_| read > 0) {
                        on_end.on_data();
                    }
                    if watch.remaining != UNKNOWN {
                        watch.remaining = watch.remaining.saturating_sub(read);
                    }
                    // HTTP stacks may never poll again once this holds.
                    if inner.is_end_stream() {
                        watch.end(&End::Complete);
                    }
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let error = error.into();
                watch.end(&End::Error(&*error));
                Some(Err(error))
            }
            None => {
                watch.end(&End::Complete);
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: fmt::Debug, H: OnEnd> fmt::Debug for WatchedBody<B, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedBody")
            .field("inner", &self.inner)
            .field("ended", &self.watch.on_end.is_none())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
