//! A request body that can be sent again.
//!
//! [`ReplayBody`] promises that each attempt which sends its body to the end sends the very bytes and trailers of the
//! original, however much the attempts before it sent; an attempt that cannot gets an error, never a shorter body. It
//! costs the first attempt no wait: nothing is read ahead, and chunks are recorded as they pass, without a copy where
//! they are [`Bytes`] already.

mod capture;
#[cfg(test)]
mod tests;

use std::{
    any::Any,
    error::Error,
    fmt, mem,
    pin::Pin,
    sync::{Arc, MutexGuard},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use self::capture::{Capture, Cursor};
use crate::{BoxError, sync::Lock};

/// A reader of a request body that further readers, made with [`share`](Self::share), can send again.
///
/// Each reader yields the body from its first byte. What is read of the body is recorded, up to a limit in bytes; a
/// reader first sends the record, then goes on to the unread rest. So a body that was sent in part is handed over: drop
/// the reader that got stuck, and the next one finishes.
///
/// The rest has one reader at a time: the first one that polled it, until that reader is dropped. Once the body was
/// read to its end, any number of readers can send it at the same time.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt, Full};
/// use tower_fleet::body::ReplayBody;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_fleet::BoxError> {
/// let first = ReplayBody::new(Full::new(Bytes::from("hello")), ReplayBody::DEFAULT_LIMIT);
/// let second = first.share();
///
/// assert_eq!(first.collect().await?.to_bytes(), "hello");
/// assert_eq!(second.replayable(), Ok(()));
/// assert_eq!(second.collect().await?.to_bytes(), "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A reader that cannot go on yields [`NotReplayable`] once, boxed, and then ends. An error of the inner body goes to
/// the reader that met it, once; the readers after it get [`NotReplayable::Failed`].
///
/// # Panics
///
/// Never, unless the inner body does.
///
/// # Cancel safety
///
/// A reader can be dropped at any point: no frame is lost or doubled for the next one.
pub struct ReplayBody {
    reader: Reader,
}

enum Reader {
    /// A body that was whole from the start, and needs no record.
    Whole { body: Bytes, sent: bool },
    /// The lock also makes the reader `Sync` over a body that isn't.
    Captured { capture: Arc<Lock<Capture>>, cursor: Cursor },
}

impl ReplayBody {
    /// The limit to take when nothing speaks for another one: 64 KiB, as in Pingora and Linkerd.
    pub const DEFAULT_LIMIT: usize = 64 * 1024;

    /// Wraps `body`, to record at most `limit` bytes of it.
    ///
    /// A body of exactly `limit` bytes can be sent again. With the first byte over it the record is dropped, and the
    /// reader at work goes on unharmed. A body whose [size hint](Body::size_hint) is over the limit from the start is
    /// not recorded at all.
    ///
    /// A `ReplayBody` is returned as it is, so that layers can each wrap their request without a record of a record; of
    /// their limits the highest holds, as long as the record is whole. An empty body costs neither lock nor allocation.
    #[must_use]
    pub fn new<B>(mut body: B, limit: usize) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if let Some(same) = (&mut body as &mut dyn Any).downcast_mut::<Self>() {
            if let Reader::Captured { capture, .. } = &same.reader {
                lock(capture).allow(limit);
            }
            return mem::take(same);
        }
        // A size hint of zero would not do: trailers may follow.
        if body.is_end_stream() {
            return Self::empty();
        }
        Self::captured(Arc::new(Lock::new(Capture::new(body, limit))))
    }

    /// Returns a body of no bytes and no trailers.
    #[must_use]
    pub const fn empty() -> Self {
        Self { reader: Reader::Whole { body: Bytes::new(), sent: false } }
    }

    fn captured(capture: Arc<Lock<Capture>>) -> Self {
        Self { reader: Reader::Captured { capture, cursor: Cursor::default() } }
    }

    /// Returns another reader of the same body, from its first byte.
    ///
    /// That takes a reference count, whatever the size of the body.
    #[must_use]
    pub fn share(&self) -> Self {
        match &self.reader {
            Reader::Whole { body, .. } => body.clone().into(),
            Reader::Captured { capture, .. } => Self::captured(Arc::clone(capture)),
        }
    }

    /// Tells whether a new reader could send the whole body now.
    ///
    /// A reader that was not polled yet stands in nobody's way, and a body of any size can be sent as long as nothing
    /// of it was read: after a connection that was refused, say.
    ///
    /// # Errors
    ///
    /// The reason why not. All but [`NotReplayable::StillSending`] are final.
    pub fn replayable(&self) -> Result<(), NotReplayable> {
        match &self.reader {
            Reader::Whole { .. } => Ok(()),
            Reader::Captured { capture, .. } => lock(capture).replayable(),
        }
    }
}

impl ReplayBody {
    /// Ready once no living reader holds the unread rest.
    pub(crate) fn poll_released(&self, cx: &Context<'_>) -> Poll<()> {
        match &self.reader {
            Reader::Whole { .. } => Poll::Ready(()),
            Reader::Captured { capture, .. } => lock(capture).poll_released(cx),
        }
    }
}

/// The inner body is polled and dropped under this lock. Poison means that it panicked; the record is as
/// whole as before.
fn lock(capture: &Lock<Capture>) -> MutexGuard<'_, Capture> {
    let mut capture = capture.lock();
    capture.settle();
    capture
}

impl Body for ReplayBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().reader {
            Reader::Whole { body, sent } => {
                let first = !mem::replace(sent, true) && !body.is_empty();
                Poll::Ready(first.then(|| Ok(Frame::data(body.clone()))))
            }
            Reader::Captured { capture, cursor } => lock(capture).poll_frame(cursor, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.reader {
            Reader::Whole { body, sent } => *sent || body.is_empty(),
            Reader::Captured { capture, cursor } => lock(capture).is_end_stream(cursor),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.reader {
            Reader::Whole { sent: true, .. } => SizeHint::with_exact(0),
            Reader::Whole { body, .. } => SizeHint::with_exact(body.len() as u64),
            Reader::Captured { capture, cursor } => lock(capture).size_hint(cursor),
        }
    }
}

impl Drop for ReplayBody {
    fn drop(&mut self) {
        if let Reader::Captured { capture, cursor } = &self.reader
            && cursor.holds_rest()
        {
            let waiting = lock(capture).release();
            // Woken with the lock free again.
            if let Some(waker) = waiting {
                waker.wake();
            }
        }
    }
}

impl Default for ReplayBody {
    fn default() -> Self {
        Self::empty()
    }
}

/// A body that is whole from the start: it takes no lock, and any number of readers can send it at the same time.
impl From<Bytes> for ReplayBody {
    fn from(body: Bytes) -> Self {
        Self { reader: Reader::Whole { body, sent: false } }
    }
}

impl fmt::Debug for ReplayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: a body may hold secrets.
        f.debug_struct("ReplayBody").field("replayable", &self.replayable()).finish_non_exhaustive()
    }
}

/// Why a body cannot be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReplayable {
    /// The body is longer than its record may be.
    TooLarge {
        /// The limit of the record, in bytes.
        limit: usize,
    },
    /// A living reader is amid the unread rest of the body: the response came before all of the request was sent.
    StillSending,
    /// The inner body failed.
    Failed,
    /// The body has a frame that is neither data nor trailers, and such frames cannot be recorded.
    UnknownFrame,
}

impl fmt::Display for NotReplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body cannot be sent again: ")?;
        match self {
            Self::TooLarge { limit } => {
                write!(
                    f,
                    "it is over the replay limit of {limit} bytes; raise the limit to retry such requests"
                )
            }
            Self::StillSending => {
                f.write_str("an earlier attempt is still sending it; drop that attempt first")
            }
            Self::Failed => f.write_str("reading it failed in an earlier attempt"),
            Self::UnknownFrame => f.write_str("it has a frame that is neither data nor trailers"),
        }
    }
}

impl Error for NotReplayable {}
