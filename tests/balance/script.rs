//! A response body that does what its script says.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Data,
    Trailers,
    Error,
    /// Never goes on.
    Stall,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    parts: VecDeque<Part>,
    /// Says with the last frame that it is the last.
    says_end: bool,
    /// Says how many bytes there are.
    says_length: bool,
}

impl Script {
    pub(crate) fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self { parts: parts.into_iter().collect(), says_end: false, says_length: false }
    }

    pub(crate) fn saying_end(mut self) -> Self {
        self.says_end = true;
        self
    }

    pub(crate) fn saying_length(mut self) -> Self {
        self.says_length = true;
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.parts.front() == Some(&Part::Stall) {
            return Poll::Pending;
        }
        Poll::Ready(self.parts.pop_front().map(|part| match part {
            Part::Data => Ok(Frame::data(Bytes::from_static(b"data"))),
            Part::Trailers => Ok(Frame::trailers(HeaderMap::new())),
            Part::Error | Part::Stall => Err(io::ErrorKind::ConnectionReset.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.says_end && self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.parts.iter().filter(|part| **part == Part::Data).count() as u64 * 4;
        if self.says_length { SizeHint::with_exact(left) } else { SizeHint::default() }
    }
}
