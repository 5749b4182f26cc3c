//! What was read of a body, and the rest of it: a state machine that knows of readers, but of no lock.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::NotReplayable;
use crate::BoxError;

/// A body without its type.
///
/// [`Body`] itself can be made an object only of known data and error types; this way needs no adapter around the body,
/// and so no pin projection.
trait AnyBody: Send {
    fn poll_bytes(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;
    fn has_ended(&self) -> bool;
    fn remaining(&self) -> SizeHint;
}

impl<B> AnyBody for B
where
    B: Body + Send,
    B::Error: Into<BoxError>,
{
    fn poll_bytes(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.poll_frame(cx)
            .map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
            .map_err(Into::into)
    }

    fn has_ended(&self) -> bool {
        self.is_end_stream()
    }

    fn remaining(&self) -> SizeHint {
        self.size_hint()
    }
}

/// How far one reader has come.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Index in `Capture::chunks` of the chunk to send next.
    next: usize,
    /// How many bytes of the record lie before `next`.
    sent: usize,
    phase: Phase,
}

impl Cursor {
    /// Whether the reader must give the rest back with [`Capture::release`].
    pub(super) fn holds_rest(&self) -> bool {
        self.phase == Phase::Holding
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    /// Has needed nothing but the record.
    #[default]
    Replaying,
    /// Reads the rest; the one reader for which `Capture::held` is set.
    Holding,
    /// Has yielded its last frame or error.
    Ended,
}

pub(super) struct Capture {
    /// Every non-empty chunk read so far, in order; none once `lost` is set.
    chunks: Vec<Bytes>,
    /// The length of all `chunks`, never above `limit`.
    bytes: usize,
    /// How many bytes `chunks` may hold.
    limit: usize,
    trailers: Option<HeaderMap>,
    /// The unread rest; dropped as soon as it has ended, so that it is never polled again.
    rest: Option<Pin<Box<dyn AnyBody>>>,
    /// Whether a living reader reads the rest. Means nothing once there is no rest.
    held: bool,
    /// Whether the body has yielded nothing yet. While it hasn't, `rest` is the whole body and needs no record.
    untouched: bool,
    /// Why the record was given up.
    lost: Option<NotReplayable>,
    /// Who waits for the rest to be let go of.
    waiting: Option<Waker>,
}

impl Capture {
    pub(super) fn new<B>(body: B, limit: usize) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut capture = Self {
            chunks: Vec::new(),
            bytes: 0,
            limit: 0,
            trailers: None,
            rest: Some(Box::pin(body)),
            held: false,
            untouched: true,
            lost: None,
            waiting: None,
        };
        capture.allow(limit);
        capture
    }

    /// Raises the limit, unless that comes too late.
    pub(super) fn allow(&mut self, limit: usize) {
        self.limit = self.limit.max(limit);
        if self.untouched {
            let limit = self.limit;
            let announced = self.rest.as_ref().map_or(0, |rest| rest.remaining().lower());
            self.lost = (announced > limit as u64).then_some(NotReplayable::TooLarge { limit });
        }
    }

    /// Lets go of a rest that has ended since it was last polled. To be called before anything else is asked.
    pub(super) fn settle(&mut self) {
        self.rest.take_if(|rest| rest.has_ended());
    }

    pub(super) fn replayable(&self) -> Result<(), NotReplayable> {
        match self.lost {
            Some(reason) if !self.untouched => Err(reason),
            _ if self.held && self.rest.is_some() => Err(NotReplayable::StillSending),
            _ => Ok(()),
        }
    }

    /// Why this reader cannot go on from where it is.
    fn refusal(&self, reader: &Cursor) -> Option<NotReplayable> {
        if reader.phase == Phase::Holding {
            return None;
        }
        let needs_rest = self.rest.is_some() && reader.next == self.chunks.len();
        match self.lost {
            Some(reason) if !self.untouched => Some(reason),
            _ => (needs_rest && self.held).then_some(NotReplayable::StillSending),
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        reader: &mut Cursor,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if reader.phase == Phase::Ended {
            return Poll::Ready(None);
        }
        if let Some(reason) = self.refusal(reader) {
            reader.phase = Phase::Ended;
            return Poll::Ready(Some(Err(reason.into())));
        }
        if let Some(chunk) = self.chunks.get(reader.next) {
            reader.next += 1;
            reader.sent += chunk.len();
            return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
        }
        let Some(rest) = &mut self.rest else {
            reader.phase = Phase::Ended;
            return Poll::Ready(
                self.trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))),
            );
        };

        self.held = true;
        reader.phase = Phase::Holding;
        let item = ready!(rest.as_mut().poll_bytes(cx));
        self.untouched = false;
        match &item {
            Some(Ok(frame)) => self.record(frame),
            Some(Err(_)) => {
                self.lose(NotReplayable::Failed);
                self.rest = None;
            }
            None => self.rest = None,
        }
        (reader.next, reader.sent) = (self.chunks.len(), self.bytes);
        if self.rest.is_none() {
            reader.phase = Phase::Ended;
        }
        Poll::Ready(item)
    }

    fn record(&mut self, frame: &Frame<Bytes>) {
        if let Some(chunk) = frame.data_ref() {
            // Empty chunks count nothing towards the limit: recorded, an endless run of them would fill the memory.
            if chunk.is_empty() || self.lost.is_some() {
                return;
            }
            if chunk.len() > self.limit - self.bytes {
                return self.lose(NotReplayable::TooLarge { limit: self.limit });
            }
            self.bytes += chunk.len();
            self.chunks.push(chunk.clone());
        } else if let Some(trailers) = frame.trailers_ref() {
            // Nothing may follow trailers, and many readers do not poll again to hear so.
            self.rest = None;
            if self.lost.is_none() {
                self.trailers = Some(trailers.clone());
            }
        } else {
            // `http-body` 1.0 has no third kind, but its `Frame` leaves room for one.
            self.lose(NotReplayable::UnknownFrame);
        }
    }

    fn lose(&mut self, reason: NotReplayable) {
        self.chunks = Vec::new();
        self.bytes = 0;
        self.lost = Some(reason);
    }

    /// Ready once no reader holds the rest.
    pub(super) fn poll_released(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.held && self.rest.is_some() {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Frees the rest for the next reader, or drops it when no reader can use it any more. The waker is for who waits
    /// for that.
    #[must_use]
    pub(super) fn release(&mut self) -> Option<Waker> {
        self.held = false;
        if self.lost.is_some() && !self.untouched {
            self.rest = None;
        }
        self.waiting.take()
    }

    pub(super) fn size_hint(&self, reader: &Cursor) -> SizeHint {
        if reader.phase == Phase::Ended {
            return SizeHint::with_exact(0);
        }
        // An exact zero would let a client send an empty body without a poll, where an error is due.
        if self.refusal(reader).is_some() {
            return SizeHint::default();
        }
        let unsent = self.bytes.saturating_sub(reader.sent) as u64;
        let Some(rest) = self.rest.as_ref().map(|rest| rest.remaining()) else {
            return SizeHint::with_exact(unsent);
        };
        let mut hint = SizeHint::new();
        hint.set_lower(unsent.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(unsent.saturating_add(upper));
        }
        hint
    }

    pub(super) fn is_end_stream(&self, reader: &Cursor) -> bool {
        let all_sent =
            self.rest.is_none() && self.trailers.is_none() && reader.next >= self.chunks.len();
        reader.phase == Phase::Ended || (all_sent && self.refusal(reader).is_none())
    }
}
