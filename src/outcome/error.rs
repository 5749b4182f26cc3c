//! Judging an error that came in place of a response.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};

use super::{Failure, FailureKind};
use crate::{Error, error::RefusedReason};

#[cfg(test)]
mod tests;

impl Failure {
    /// Judges an error that came in place of a response, by the first in its chain of sources that is known.
    ///
    /// | error | kind | [sent](super::Sent) |
    /// |---|---|---|
    /// | [`Error::Refused`](crate::Error::Refused) | [`Refused`](FailureKind::Refused) | no |
    /// | the same because the [input is too long](RefusedReason::ContextWindow) | [`ContextWindow`](FailureKind::ContextWindow) | no |
    /// | [`Error::Malformed`](crate::Error::Malformed) | [`Malformed`](FailureKind::Malformed) | maybe |
    /// | [`Error::Truncated`](crate::Error::Truncated) | [`Truncated`](FailureKind::Truncated) | maybe |
    /// | [`Error::NotReady`](crate::Error::NotReady) | [`Connect`](FailureKind::Connect) | no |
    /// | [`Error::TimedOut`](crate::Error::TimedOut) at the request's deadline | [`Cancelled`](FailureKind::Cancelled) | maybe |
    /// | the same after a [limit of the caller's](crate::error::TimedOut::is_callers) | [`Timeout`](FailureKind::Timeout), [blameless](Self::blameless) | maybe |
    /// | any other [`Error::TimedOut`](crate::Error::TimedOut), [`TimedOut`](ErrorKind::TimedOut) | [`Timeout`](FailureKind::Timeout) | maybe |
    /// | [`ConnectionRefused`](ErrorKind::ConnectionRefused), [`AddrNotAvailable`](ErrorKind::AddrNotAvailable), [`AddrInUse`](ErrorKind::AddrInUse) | [`Connect`](FailureKind::Connect) | no |
    /// | anything else | [`Connect`](FailureKind::Connect) | maybe |
    ///
    /// With the feature `hyper` also:
    ///
    /// | error | kind | sent |
    /// |---|---|---|
    /// | a connection that hyper-util's client could not make | [`Connect`](FailureKind::Connect) | no |
    /// | a request that hyper did not begin to write | [`Connect`](FailureKind::Connect) | no |
    /// | `REFUSED_STREAM`, or a `GOAWAY` that leaves the request out ([RFC 9113]) | [`Connect`](FailureKind::Connect) | no |
    /// | a timeout of hyper's | [`Timeout`](FailureKind::Timeout) | maybe |
    /// | the request body broke | [`Cancelled`](FailureKind::Cancelled) | maybe |
    ///
    /// An unreachable host is *maybe*: the system reports it of a connection in use, too.
    ///
    /// [RFC 9113]: https://www.rfc-editor.org/rfc/rfc9113#section-8.7
    #[must_use]
    pub fn from_error(error: &(dyn StdError + 'static)) -> Self {
        std::iter::successors(Some(error), |error| source(*error))
            .find_map(judge)
            .unwrap_or(Self::new(FailureKind::Connect))
    }
}

/// The next error of the chain. An [`io::Error`] skips the error it wraps and names that one's source instead.
fn source<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The verdict on `error` alone, if it is one that is known.
fn judge(error: &(dyn StdError + 'static)) -> Option<Failure> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return match error {
            Error::Refused(refused) => {
                let too_long = refused.reason() == RefusedReason::ContextWindow;
                let kind = if too_long { FailureKind::ContextWindow } else { FailureKind::Refused };
                Some(Failure::new(kind).not_sent())
            }
            Error::Malformed(_) => Some(Failure::new(FailureKind::Malformed)),
            Error::Truncated(_) => Some(Failure::new(FailureKind::Truncated)),
            Error::NotReady(_) => Some(Failure::new(FailureKind::Connect).not_sent()),
            Error::TimedOut(elapsed) if elapsed.is_deadline() => {
                Some(Failure::new(FailureKind::Cancelled))
            }
            Error::TimedOut(elapsed) => {
                let timeout = Failure::new(FailureKind::Timeout);
                Some(if elapsed.is_callers() { timeout.blameless() } else { timeout })
            }
            Error::Service(_) => None,
        };
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return match error.kind() {
            // Only what cannot happen to a connection in use.
            ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => {
                Some(Failure::new(FailureKind::Connect).not_sent())
            }
            ErrorKind::TimedOut => Some(Failure::new(FailureKind::Timeout)),
            _ => None,
        };
    }
    #[cfg(feature = "hyper")]
    return judge_hyper(error);
    #[cfg(not(feature = "hyper"))]
    None
}

/// The verdict on an error of hyper-util's client, hyper or h2.
#[cfg(feature = "hyper")]
fn judge_hyper(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let not_sent = Failure::new(FailureKind::Connect).not_sent();
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect().then_some(not_sent);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // Our side failed, not the server: the request body broke, or the runtime is going down. Asked first, for that
        // body may come from another connection of hyper's and tell of a timeout there.
        if error.is_user() {
            return Some(Failure::new(FailureKind::Cancelled));
        }
        if error.is_timeout() {
            return Some(Failure::new(FailureKind::Timeout));
        }
        // Before it is written, hyper cancels a request, or finds its channel to the connection closed.
        return (error.is_canceled() || error.is_closed()).then_some(not_sent);
    }
    let error = error.downcast_ref::<h2::Error>()?;
    if error.is_remote() {
        // h2 gives the error of a `GOAWAY`, whatever its code, only to streams that the server says it did not take up.
        let left_out = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
        return left_out.then_some(not_sent);
    }
    // What neither the server nor h2 reset, our side did: so does hyper when the request body breaks.
    (error.is_reset() && !error.is_library()).then(|| Failure::new(FailureKind::Cancelled))
}
