use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::{NotReplayable, ReplayBody};
use crate::Error;

/// How long a failed attempt may take to let go of the request body. Nearly always it takes one turn of the runtime.
const PATIENCE: Duration = Duration::from_millis(100);

/// Waits until an attempt that failed amid the request body has let go of it, so that the next one can finish it.
///
/// A client may send the body in a task of its own (hyper does), which learns only later that nobody waits for the
/// answer any more.
pub(crate) struct HandOver {
    /// How the attempt failed; none once that was told.
    error: Option<Error>,
    patience: Pin<Box<Sleep>>,
}

impl HandOver {
    /// Whether an attempt that failed still holds `body`. A response tells that the attempt goes on.
    pub(crate) fn is_due(body: &ReplayBody) -> bool {
        body.replayable() == Err(NotReplayable::StillSending)
    }

    /// Waits for an attempt that failed so.
    pub(crate) fn begin(error: Error) -> Self {
        Self { error: Some(error), patience: Box::pin(sleep(PATIENCE)) }
    }

    /// How the attempt failed, once it has let go of `body` or has taken too long.
    pub(crate) fn poll(&mut self, body: &ReplayBody, cx: &mut Context<'_>) -> Poll<Error> {
        if body.poll_released(cx).is_pending() {
            ready!(self.patience.as_mut().poll(cx));
        }
        // Polled after its end; that never ends.
        self.error.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOver")
    }
}
