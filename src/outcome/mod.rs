//! How an attempt ended, judged once and read by every layer.
//!
//! A [`Classify`] sees the response head, the end of its body, the error in its place, or the caller leaving, and gives
//! an [`Outcome`]. Cooldown, retry, fallback and metrics all go by that outcome, so they never disagree about what
//! counts as a failure.
//!
//! ```
//! use std::time::Duration;
//! use http::{Response, StatusCode, header::RETRY_AFTER};
//! use tower_fleet::outcome::{Classify, Cools, FailureKind, HttpClassify};
//!
//! let classify = HttpClassify::inference().status(StatusCode::CONFLICT, FailureKind::BadRequest);
//!
//! let (head, ()) = Response::builder().status(429).header(RETRY_AFTER, "2.5").body(())?.into_parts();
//! let failure = classify.head(&head).and_then(|outcome| outcome.failure()).expect("a 429 is a failure");
//! assert_eq!(failure.kind(), FailureKind::RateLimited);
//! assert_eq!(failure.retry_after(), Some(Duration::from_millis(2500)));
//! assert_eq!(failure.cools(), Cools::AtOnce);
//! # Ok::<_, http::Error>(())
//! ```
//!
//! # What each kind means to the layers
//!
//! | kind | from | cools | retried elsewhere |
//! |---|---|---|---|
//! | [`Connect`](FailureKind::Connect) | no connection, or it broke before the head | counts | yes |
//! | [`Timeout`](FailureKind::Timeout) | a timeout of ours, 408, 504 | counts | yes |
//! | [`RateLimited`](FailureKind::RateLimited) | 429 | at once | yes |
//! | [`QuotaExhausted`](FailureKind::QuotaExhausted) | 402 | at once | yes |
//! | [`Overloaded`](FailureKind::Overloaded) | 503, 529 | at once with a Retry-After, else counts | yes |
//! | [`Server`](FailureKind::Server) | any other status from 500 up | counts | yes |
//! | [`Unauthorized`](FailureKind::Unauthorized) | 401, 403, 407 | at once | yes |
//! | [`NotFound`](FailureKind::NotFound) | 404 and 410 of an inference API | at once | yes |
//! | [`Malformed`](FailureKind::Malformed) | a success that is not what was asked for | counts | yes |
//! | [`BadRequest`](FailureKind::BadRequest) | any other 4xx | never | no |
//! | [`ContextWindow`](FailureKind::ContextWindow), [`ContentPolicy`](FailureKind::ContentPolicy) | the error body of a 400 | never | no |
//! | [`Truncated`](FailureKind::Truncated) | the body broke or stalled after the head | counts | yes, while nothing has reached the caller |
//! | [`Cancelled`](FailureKind::Cancelled) | the caller went away | never | no |
//! | [`Refused`](FailureKind::Refused) | a layer of this crate would not send | never | no |
//!
//! What *counts* is a soft reason: it cools a deployment only once a window holds too many, and never the whole group.
//!
//! # Choosing a classifier
//!
//! [`HttpClassify::new`] fits any HTTP backend, [`HttpClassify::inference`] LLM APIs, [`GrpcClassify`] gRPC; a closure
//! over the response head does for a special case. All read an error that came instead of a response with
//! [`Failure::from_error`].

mod classify;
pub(crate) mod delay;
mod error;
mod failure;
mod grpc;
mod http;
mod kinds;
mod retry_after;

pub use self::classify::Classify;
pub use self::failure::{Cools, Failure, FailureKind, Sent};
pub use self::grpc::GrpcClassify;
pub use self::http::HttpClassify;
pub(crate) use self::kinds::Kinds;
pub use self::retry_after::{RetryAfterLimits, retry_after};

/// How an attempt ended.
///
/// These three are all there will be, so a `match` needs no wildcard; what may grow is [`FailureKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The deployment did its job, whatever the caller makes of the answer.
    Success,
    /// The deployment, the way to it, or the request itself failed.
    Failure(Failure),
    /// Says nothing about the deployment: neither for it nor against it.
    Ignored,
}

impl Outcome {
    /// The failure, if this is one.
    #[must_use]
    pub const fn failure(self) -> Option<Failure> {
        match self {
            Self::Failure(failure) => Some(failure),
            Self::Success | Self::Ignored => None,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}
