use std::{
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A request body in which one stretch of bytes is replaced as it passes; the others are not copied.
    #[derive(Debug)]
    pub struct RewrittenBody<B> {
        #[pin]
        inner: B,
        splice: Option<Splice>,
    }
}

#[derive(Debug)]
struct Splice {
    /// Bytes of the inner body that have passed.
    passed: u64,
    /// The stretch to replace.
    cut: Range<u64>,
    /// Taken when it is sent.
    replacement: Bytes,
    /// What is left of the latest chunk after the replacement began.
    rest: Bytes,
}

impl<B> RewrittenBody<B> {
    /// The body as it is.
    pub(super) const fn unchanged(inner: B) -> Self {
        Self { inner, splice: None }
    }

    /// The body with `replacement` in the place of the bytes `cut`.
    pub(super) fn new(inner: B, cut: Range<usize>, replacement: Bytes) -> Self {
        let cut = cut.start as u64..cut.end as u64;
        Self { inner, splice: Some(Splice { passed: 0, cut, replacement, rest: Bytes::new() }) }
    }
}

impl Splice {
    /// What to send of `chunk`; the rest of it is kept.
    fn pass(&mut self, mut chunk: Bytes) -> Bytes {
        let begin = self.passed;
        self.passed += chunk.len() as u64;
        let within = |at: u64| {
            usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX).min(chunk.len())
        };
        let (from, to) = (within(self.cut.start), within(self.cut.end));
        let begins_here = self.cut.start >= begin && self.cut.start < self.passed;
        self.rest = chunk.split_off(to);
        chunk.truncate(from);
        match (chunk.is_empty(), begins_here) {
            (false, _) => chunk,
            (true, true) => std::mem::take(&mut self.replacement),
            (true, false) => std::mem::take(&mut self.rest),
        }
    }

    /// What is due before the next chunk.
    fn due(&mut self) -> Option<Bytes> {
        let replaced = self.passed > self.cut.start;
        let due = if replaced && !self.replacement.is_empty() {
            &mut self.replacement
        } else {
            &mut self.rest
        };
        Some(std::mem::take(due)).filter(|due| !due.is_empty())
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
        let Some(splice) = this.splice else { return this.inner.poll_frame(cx) };
        loop {
            if let Some(due) = splice.due() {
                return Poll::Ready(Some(Ok(Frame::data(due))));
            }
            let Some(frame) = ready!(this.inner.as_mut().poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            let chunk = match frame.into_data() {
                Ok(chunk) => splice.pass(chunk),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            };
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let due = |splice: &Splice| {
            !splice.rest.is_empty()
                || (splice.passed > splice.cut.start && !splice.replacement.is_empty())
        };
        self.inner.is_end_stream() && !self.splice.as_ref().is_some_and(due)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let Some(splice) = &self.splice else { return inner };
        let to_cut = splice.cut.end.saturating_sub(splice.passed.max(splice.cut.start));
        let due = (splice.replacement.len() + splice.rest.len()) as u64;
        let changed = |size: u64| size.saturating_sub(to_cut) + due;
        let mut hint = SizeHint::new();
        hint.set_lower(changed(inner.lower()));
        if let Some(upper) = inner.upper() {
            hint.set_upper(changed(upper));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_cut_is_replaced_whatever_the_chunks(
            text in "[a-z]{1,40}",
            at in any::<(prop::sample::Index, prop::sample::Index)>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            replacement in "[A-Z]{1,8}",
        ) {
            let (a, b) = (at.0.index(text.len()), at.1.index(text.len()));
            let cut = a.min(b)..a.max(b) + 1;
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(text.len())).chain([0, text.len()]).collect();
            ends.sort_unstable();
            let chunks: Vec<_> = ends.windows(2).map(|w| Bytes::copy_from_slice(&text.as_bytes()[w[0]..w[1]])).collect();
            let expected = format!("{}{replacement}{}", &text[..cut.start], &text[cut.end..]);

            let frames = chunks.into_iter().map(|chunk| Ok::<_, std::convert::Infallible>(Frame::data(chunk)));
            let body = RewrittenBody::new(StreamBody::new(stream::iter(frames)), cut.clone(), replacement.clone().into());
            let sent = tokio_test::block_on(body.collect()).unwrap().to_bytes();
            prop_assert_eq!(&sent[..], expected.as_bytes());

            let whole = http_body_util::Full::new(Bytes::from(text));
            let mut whole = RewrittenBody::new(whole, cut, replacement.into());
            let mut left = expected.len() as u64;
            prop_assert_eq!(whole.size_hint().exact(), Some(left));
            while let Some(frame) = tokio_test::block_on(whole.frame()) {
                left -= frame.unwrap().into_data().unwrap().len() as u64;
                prop_assert_eq!(whole.size_hint().exact(), Some(left));
                prop_assert_eq!(whole.is_end_stream(), left == 0);
            }
            prop_assert_eq!(left, 0);
        }
    }
}
