use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    answerer::Answerer, document::Document, errors::Errors, report::Report, stream::Stream,
};
use crate::llm::content_type;

pin_project! {
    /// The response body of a [`Meter`](super::Meter): its tokens are counted as it passes.
    #[derive(Debug)]
    pub struct MeteredBody<B>
    where
        B: Body,
    {
        #[pin]
        inner: B,
        reading: Option<Box<Reading>>,
        // What comes after the bytes that are due.
        then: Option<Result<Frame<Bytes>, B::Error>>,
    }
}

/// The part that must act on drop; apart, because the pinned body's own drop is not ours to write.
#[derive(Debug)]
pub(super) struct Reading {
    format: Format,
    /// Bytes still to come, where the body said how many there are.
    remaining: Option<u64>,
    /// Bytes to pass on before anything else.
    due: VecDeque<Bytes>,
    /// Sent at the end.
    report: Option<Report>,
    errors: Errors,
}

#[derive(Debug)]
pub(super) enum Format {
    Json(Document),
    Events(Stream),
    /// Encoded, or something else: its tokens are not known.
    Unread,
}

impl Format {
    /// The format of an answer with these headers to a request that `asked` so; `hides` the added usage of a stream.
    pub(super) fn of(
        headers: &HeaderMap,
        asked: Option<content_type::Format>,
        hides: bool,
        errors: &Errors,
    ) -> Self {
        if content_type::is_encoded(headers) {
            return Self::Unread;
        }
        match content_type::Format::of(headers, asked) {
            Some(content_type::Format::Events) => Self::Events(Stream::new(hides, errors.clone())),
            Some(content_type::Format::Json) => Self::Json(Document::new(errors.clone())),
            None => Self::Unread,
        }
    }

    /// Tells `answerer` the id of the answer too.
    pub(super) fn telling(self, answerer: Answerer) -> Self {
        match self {
            Self::Json(document) => Self::Json(document.telling(answerer)),
            Self::Events(stream) => Self::Events(stream.telling(answerer)),
            Self::Unread => Self::Unread,
        }
    }
}

impl Reading {
    fn read(&mut self, chunk: Bytes) {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(chunk.len() as u64);
        }
        match &mut self.format {
            Format::Events(stream) => return stream.read(chunk, &mut self.due),
            Format::Json(document) => document.read(&chunk),
            Format::Unread => {}
        }
        self.due.push_back(chunk);
    }

    /// Whether what has come is passed on.
    fn all_passed(&self) -> bool {
        let holds = matches!(&self.format, Format::Events(stream) if stream.holds());
        self.due.is_empty() && !holds
    }

    fn end(&mut self, whole: bool) {
        let Some(report) = self.report.take() else { return };
        let (mut whole, mut cut) = (whole, !whole);
        let tally = match &mut self.format {
            Format::Json(document) => Some(document.tally()),
            Format::Events(stream) => {
                stream.finish(whole, &mut self.due);
                whole |= stream.is_over();
                cut = !whole;
                whole &= stream.has_said_its_end() || !report.stream_says_its_end();
                Some(stream.tally())
            }
            Format::Unread => None,
        };
        let failed = self.errors.any();
        let usage = tally.and_then(|mut tally| {
            // What was cut off before anything came of it has taken its input all the same.
            tally.recognized |= cut && !failed;
            tally.usage(report.input())
        });
        report.send(usage, whole && !failed);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.end(self.remaining == Some(0));
    }
}

impl<B: Body> MeteredBody<B> {
    pub(super) fn new(inner: B, format: Format, report: Report, errors: Errors) -> Self {
        let remaining = inner.size_hint().exact();
        let mut reading =
            Reading { format, remaining, due: VecDeque::new(), report: Some(report), errors };
        if inner.is_end_stream() {
            reading.end(true);
        }
        Self { inner, reading: Some(Box::new(reading)), then: None }
    }

    pub(super) const fn unmetered(inner: B) -> Self {
        Self { inner, reading: None, then: None }
    }
}

impl<B: Body> Body for MeteredBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let to_bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
        loop {
            if let Some(due) = this.reading.as_mut().and_then(|reading| reading.due.pop_front()) {
                return Poll::Ready(Some(Ok(Frame::data(due))));
            }
            if let Some(then) = this.then.take() {
                return Poll::Ready(Some(then));
            }
            let frame = ready!(this.inner.as_mut().poll_frame(cx));
            let frame = frame.map(|frame| frame.map(|frame| frame.map_data(to_bytes)));
            let Some(reading) = this.reading else { return Poll::Ready(frame) };
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => {
                        reading.read(chunk);
                        // HTTP stacks may never poll again once this holds.
                        if this.inner.is_end_stream() {
                            reading.end(true);
                        }
                    }
                    Err(trailers) => {
                        reading.end(true);
                        *this.then = Some(Ok(trailers));
                    }
                },
                Some(Err(error)) => {
                    reading.end(false);
                    *this.then = Some(Err(error));
                }
                None => {
                    reading.end(true);
                    if reading.due.is_empty() {
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let all_passed = self.reading.as_ref().is_none_or(|reading| reading.all_passed());
        self.inner.is_end_stream() && all_passed && self.then.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.reading.as_deref() {
            Some(Reading { format: Format::Events(stream), .. }) if stream.hides() => {
                SizeHint::new()
            }
            _ => self.inner.size_hint(),
        }
    }
}
