//! A response body that can be read ahead: so that a failed response can be kept without holding what it came from, and
//! so that what a body begins with can be judged before it is handed on.

#[cfg(feature = "llm")]
use std::borrow::Cow;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
#[cfg(feature = "llm")]
use bytes::Bytes;
use http::{Response, response::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response that may have been read ahead: kept while another attempt was made, or judged by what it
    /// says.
    ///
    /// A kept body is read ahead into memory, up to 64 KiB, so that the connection and the place on the deployment are
    /// free again; what is longer waits to be read. Nothing is lost or changed.
    pub struct KeptBody<B>
    where
        B: Body,
    {
        #[pin]
        inner: Inner<B>,
    }
}

pin_project! {
    #[project = Projected]
    enum Inner<B>
    where
        B: Body,
    {
        Live { #[pin] body: B },
        Kept { kept: Kept<B> },
    }
}

/// What a poll of a body yields.
type Item<B> = Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>;

struct Kept<B: Body> {
    /// None once it has ended.
    rest: Option<Pin<Box<B>>>,
    frames: VecDeque<Frame<B::Data>>,
    /// How much was read ahead. A frame counts as a byte at least, so that a run of empty ones has an end.
    size: usize,
    error: Option<B::Error>,
}

/// As much of a response is read ahead; error bodies are rarely longer.
const LIMIT: usize = 64 * 1024;

impl<B: Body> KeptBody<B> {
    /// A response that was not kept.
    pub(crate) fn live((head, body): (Parts, B)) -> Response<Self> {
        Response::from_parts(head, Self { inner: Inner::Live { body } })
    }

    /// A response to keep: its body is boxed, so that it can be read ahead and still be moved.
    pub(crate) fn keep((head, body): (Parts, B)) -> Box<Response<Self>> {
        Box::new(Response::from_parts(head, Self::to_read_ahead(body)))
    }

    /// A body to read ahead: it is boxed, so that it can still be moved afterwards.
    pub(crate) fn to_read_ahead(body: B) -> Self {
        let rest = Some(Box::pin(body));
        let kept = Kept { rest, frames: VecDeque::new(), size: 0, error: None };
        Self { inner: Inner::Kept { kept } }
    }

    /// Reads ahead what has come of a kept body. Never ready before its end, its error or the limit.
    pub(crate) fn poll_keep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.inner {
            Inner::Kept { kept } => kept.poll_ahead(cx),
            Inner::Live { .. } => Poll::Ready(()),
        }
    }
}

#[cfg(feature = "llm")]
impl<B: Body<Data = Bytes>> KeptBody<B> {
    /// Reads one more frame ahead, or finds the end or an error; once that has come it changes nothing.
    pub(crate) fn poll_one_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.inner {
            Inner::Kept { kept } => kept.poll_one(cx),
            Inner::Live { .. } => Poll::Ready(()),
        }
    }

    /// How much was read ahead, in bytes; a frame without data counts as one.
    pub(crate) fn size_ahead(&self) -> usize {
        match &self.inner {
            Inner::Kept { kept } => kept.size,
            Inner::Live { .. } => 0,
        }
    }

    /// Whether all there is was read ahead.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(&self.inner, Inner::Kept { kept } if kept.rest.is_none() && kept.error.is_none())
    }

    /// Whether an error was met while reading ahead.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(&self.inner, Inner::Kept { kept } if kept.error.is_some())
    }

    /// The error that was met while reading ahead; it no longer comes when the body is read.
    pub(crate) fn take_error(&mut self) -> Option<B::Error> {
        match &mut self.inner {
            Inner::Kept { kept } => kept.error.take(),
            Inner::Live { .. } => None,
        }
    }

    /// The chunks that were read ahead, without the first `from` frames; a frame that has no data is none.
    pub(crate) fn chunks_ahead(&self, from: usize) -> impl Iterator<Item = Option<&Bytes>> {
        let frames = match &self.inner {
            Inner::Kept { kept } => Some(kept.frames.range(from.min(kept.frames.len())..)),
            Inner::Live { .. } => None,
        };
        frames.into_iter().flatten().map(Frame::data_ref)
    }

    /// What was read ahead: without a copy where it came as one chunk.
    pub(crate) fn read_ahead(&self) -> Cow<'_, [u8]> {
        let Inner::Kept { kept } = &self.inner else { return Cow::default() };
        let mut chunks = kept.frames.iter().filter_map(Frame::data_ref);
        let first = chunks.next().map_or(Cow::default(), |first| Cow::Borrowed(&first[..]));
        chunks.fold(first, |mut all, chunk| {
            all.to_mut().extend_from_slice(chunk);
            all
        })
    }
}

impl<B: Body> Kept<B> {
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.rest.is_some() && self.size < LIMIT {
            ready!(self.poll_one(cx));
        }
        Poll::Ready(())
    }

    fn poll_one(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(()) };
        match ready!(rest.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, Buf::remaining);
                self.size = self.size.saturating_add(size.max(1));
                self.frames.push_back(frame);
                self.rest.take_if(|rest| rest.is_end_stream());
            }
            Some(Err(error)) => {
                self.error = Some(error);
                self.rest = None;
            }
            None => self.rest = None,
        }
        Poll::Ready(())
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Item<B>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let item = ready!(rest.as_mut().poll_frame(cx));
        if !matches!(item, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> SizeHint {
        let kept: usize = self.frames.iter().filter_map(Frame::data_ref).map(Buf::remaining).sum();
        let kept = kept as u64;
        let rest = match &self.rest {
            // What is missing before an error has no size.
            _ if self.error.is_some() => SizeHint::default(),
            Some(rest) => rest.size_hint(),
            None => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(kept));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint
    }
}

impl<B: Body> Body for KeptBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().inner.project() {
            Projected::Live { body } => body.poll_frame(cx),
            Projected::Kept { kept } => kept.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Live { body } => body.is_end_stream(),
            Inner::Kept { kept } => {
                let ended = kept.rest.as_ref().is_none_or(Body::is_end_stream);
                ended && kept.frames.is_empty() && kept.error.is_none()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Live { body } => body.size_hint(),
            Inner::Kept { kept } => kept.size_hint(),
        }
    }
}

impl<B: Body> fmt::Debug for KeptBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptBody")
            .field("kept", &matches!(self.inner, Inner::Kept { .. }))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
