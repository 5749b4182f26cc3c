use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    vec,
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Edit;

pin_project! {
    /// A request body in which some stretches of bytes are replaced as it passes; the others are not copied.
    #[derive(Debug)]
    pub struct RewrittenBody<B> {
        #[pin]
        inner: B,
        splice: Splice,
    }
}

#[derive(Debug)]
struct Splice {
    /// In the order of the body, none overlapping another. Of the first one the text is taken when it is sent.
    edits: vec::IntoIter<Edit>,
    first: Option<Edit>,
    /// Bytes of the inner body that were sent or cut.
    passed: usize,
    /// What is left of the latest chunk.
    chunk: Bytes,
}

impl<B> RewrittenBody<B> {
    /// The body with `edits` made, which are in order and do not overlap.
    pub(super) fn new(inner: B, edits: Vec<Edit>) -> Self {
        let mut edits = edits.into_iter();
        let first = edits.next();
        Self { inner, splice: Splice { edits, first, passed: 0, chunk: Bytes::new() } }
    }
}

impl Splice {
    /// The next bytes to send; none where the next chunk is needed.
    fn next(&mut self) -> Option<Bytes> {
        while let Some(edit) = &mut self.first {
            let before = edit.at.start.saturating_sub(self.passed);
            if before > 0 {
                return self.pass(before);
            }
            if !edit.with.is_empty() {
                return Some(std::mem::take(&mut edit.with));
            }
            let cut = edit.at.end.saturating_sub(self.passed).min(self.chunk.len());
            self.chunk.advance(cut);
            self.passed += cut;
            if self.passed < edit.at.end {
                return None;
            }
            self.first = self.edits.next();
        }
        self.pass(usize::MAX)
    }

    /// Up to `limit` bytes of the chunk.
    fn pass(&mut self, limit: usize) -> Option<Bytes> {
        let sent = self.chunk.split_to(limit.min(self.chunk.len()));
        self.passed = self.passed.saturating_add(sent.len());
        Some(sent).filter(|sent| !sent.is_empty())
    }

    /// Whether there is something to send before the next chunk.
    fn is_due(&self) -> bool {
        let text_is_due = |edit: &Edit| edit.at.start <= self.passed && !edit.with.is_empty();
        !self.chunk.is_empty() || self.first.as_ref().is_some_and(text_is_due)
    }

    /// How many bytes there will be of `left` that are still to come from the inner body.
    fn changed(&self, left: u64) -> u64 {
        let edits = || self.first.iter().chain(self.edits.as_slice());
        let put: usize = edits().map(|edit| edit.with.len()).sum();
        let cut: usize =
            edits().map(|edit| edit.at.end.saturating_sub(edit.at.start.max(self.passed))).sum();
        let with_chunk = left.saturating_add((self.chunk.len() + put) as u64);
        with_chunk.saturating_sub(cut as u64)
    }
}

impl<B> Body for RewrittenBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        loop {
            if let Some(due) = this.splice.next() {
                return Poll::Ready(Some(Ok(Frame::data(due))));
            }
            let Some(frame) = ready!(this.inner.as_mut().poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(chunk) => this.splice.chunk = chunk,
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && !self.splice.is_due()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(self.splice.changed(inner.lower()));
        if let Some(upper) = inner.upper() {
            hint.set_upper(self.splice.changed(upper));
        }
        hint
    }
}

#[cfg(test)]
mod tests;
