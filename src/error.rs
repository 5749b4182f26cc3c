//! The one error type of every layer, flat however many layers stand on each other.

use std::{borrow::Cow, error, fmt, time::Duration};

mod refused;

pub use self::refused::{Lack, Refused, RefusedReason};

/// A boxed error, as Tower's own middleware uses it.
pub type BoxError = Box<dyn error::Error + Send + Sync>;

/// Why a request got no response.
///
/// Every layer of this crate returns this type. A layer that finds it in the error of the service below hands it on
/// unchanged, so a stack never nests it; any other error is kept whole inside [`Error::Service`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The service that was called failed.
    Service(BoxError),
    /// No service was ready to be called, so nothing was sent: the last one's reason.
    NotReady(BoxError),
    /// A layer of this crate would not send the request.
    Refused(Refused),
    /// A time limit of this crate ran out.
    TimedOut(TimedOut),
    /// The response was a success, but not what was asked for; none of it has reached the caller.
    Malformed(Malformed),
    /// The body of the response broke off before any of it had reached the caller.
    Truncated(BoxError),
}

impl Error {
    /// Takes the error of any service; an `Error` among them (boxed or not) comes out as it was.
    pub fn from_service(error: impl Into<BoxError>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(ours) => *ours,
            Err(other) => Self::Service(other),
        }
    }

    /// Like [`from_service`](Self::from_service), for a service that was not ready.
    pub(crate) fn not_ready(error: impl Into<BoxError>) -> Self {
        match Self::from_service(error) {
            Self::Service(inner) => Self::NotReady(inner),
            ours => ours,
        }
    }

    /// The refusal, if a layer of this crate would not send the request.
    #[must_use]
    pub fn as_refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// Whether a time limit of this crate ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(inner) => match inspection(inner) {
                Some(reason) => write!(f, "{reason}"),
                None => f.write_str("the deployment's service failed"),
            },
            Self::NotReady(_) => f.write_str("no deployment's service was ready"),
            Self::Refused(refused) => refused.fmt(f),
            Self::TimedOut(elapsed) => elapsed.fmt(f),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Truncated(_) => f.write_str("the response broke off before its first bytes"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            // What it says itself is not said again.
            Self::Service(inner) => inspection(inner).map_or(Some(&**inner), error::Error::source),
            Self::NotReady(inner) | Self::Truncated(inner) => Some(&**inner),
            Self::Refused(_) | Self::TimedOut(_) | Self::Malformed(_) => None,
        }
    }
}

/// What was wrong with the request itself, where no deployment was asked for that.
#[cfg(feature = "llm")]
fn inspection(inner: &BoxError) -> Option<&(dyn error::Error + 'static)> {
    let error: &crate::llm::InspectError = inner.downcast_ref()?;
    Some(error)
}

#[cfg(not(feature = "llm"))]
const fn inspection(_: &BoxError) -> Option<&(dyn error::Error + 'static)> {
    None
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<TimedOut> for Error {
    fn from(elapsed: TimedOut) -> Self {
        Self::TimedOut(elapsed)
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// A successful response that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    reason: Cow<'static, str>,
}

impl Malformed {
    /// Such a response; `reason` says what was found and what was expected, and quotes no body.
    #[must_use]
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response is not what was asked for: {}", self.reason)
    }
}

impl error::Error for Malformed {}

/// A time limit that ran out before the response head arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    after: Duration,
    whose: Whose,
}

/// Whose limit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The deployment's or the layer's.
    Attempt,
    Caller,
    Deadline,
}

impl TimedOut {
    pub(crate) const fn new(after: Duration) -> Self {
        Self { after, whose: Whose::Attempt }
    }

    /// The limit was what the request asked for each of its attempts.
    pub(crate) const fn at_callers(after: Duration) -> Self {
        Self { after, whose: Whose::Caller }
    }

    /// The limit was what the request as a whole had left.
    pub(crate) const fn at_deadline(after: Duration) -> Self {
        Self { after, whose: Whose::Deadline }
    }

    /// Whether it was the deadline of the request as a whole: that says nothing of the deployment, which may have had
    /// little time.
    #[must_use]
    pub const fn is_deadline(&self) -> bool {
        matches!(self.whose, Whose::Deadline)
    }

    /// Whether it was a limit that the request asked for ([`Overrides`](crate::Overrides)), shorter than it would have
    /// had otherwise: that says nothing of the deployment either, but another one may be quicker.
    #[must_use]
    pub const fn is_callers(&self) -> bool {
        matches!(self.whose, Whose::Caller)
    }

    /// How long was waited.
    #[must_use]
    pub const fn after(&self) -> Duration {
        self.after
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no response within {:?}", self.after)
    }
}

impl error::Error for TimedOut {}
