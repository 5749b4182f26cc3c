//! A failed attempt: its kind, and what the kind means to the layers.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// A failed attempt: what went wrong, how long to wait, and whether the request may have been processed.
///
/// ```
/// use tower_fleet::outcome::{Cools, Failure, FailureKind, Sent};
///
/// let failure = Failure::new(FailureKind::Connect).not_sent();
/// assert_eq!(failure.sent(), Sent::No);
/// assert_eq!(failure.cools(), Cools::Counts);
/// assert!(failure.retry_elsewhere());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    kind: FailureKind,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    sent: Sent,
    retry: bool,
    blame: Blame,
}

/// How sure it is that a failure is the deployment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Blame {
    /// As the kind says.
    Kind,
    Doubtful,
    None,
}

impl Failure {
    /// A failure of `kind` without status or delay, whose request may have been sent.
    #[must_use]
    pub const fn new(kind: FailureKind) -> Self {
        Self {
            kind,
            status: None,
            retry_after: None,
            sent: Sent::Maybe,
            retry: true,
            blame: Blame::Kind,
        }
    }

    /// Sets the HTTP status that decided (default: none).
    #[must_use]
    pub const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets how long the server asked to be left alone (default: not at all).
    #[must_use]
    pub fn with_retry_after(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.retry_after = delay.into();
        self
    }

    /// The same failure, of another kind.
    #[cfg(feature = "llm")]
    pub(crate) const fn with_kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }

    /// Marks the request as surely not processed (default: [`Sent::Maybe`], the safe guess).
    #[must_use]
    pub const fn not_sent(mut self) -> Self {
        self.sent = Sent::No;
        self
    }

    /// Forbids a retry that the kind would allow, because the server said so (default: the kind decides).
    #[must_use]
    pub const fn never_retry(mut self) -> Self {
        self.retry = false;
        self
    }

    /// Says that the deployment did nothing wrong (default: the kind decides): for its health the caller went away.
    #[must_use]
    pub const fn blameless(mut self) -> Self {
        self.blame = Blame::None;
        self
    }

    /// Says that the request may be at fault as well as the deployment (default: the kind decides): one alone sets no
    /// deployment aside, several [count](Cools::Counts).
    #[must_use]
    pub const fn doubtful(mut self) -> Self {
        self.blame = Blame::Doubtful;
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The HTTP status that decided; none when something else did, such as an error or a gRPC code.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// How long the server asked to be left alone, as it said it: pass it through [`RetryAfterLimits`] before use.
    ///
    /// [`RetryAfterLimits`]: super::RetryAfterLimits
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the request may have been processed.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// What this failure does to the health of its deployment, by its kind; nothing where it is
    /// [blameless](Self::blameless), and no more than count where it is [doubtful](Self::doubtful).
    ///
    /// [`Overloaded`](FailureKind::Overloaded) counts, and cools at once when the server said for how long.
    #[must_use]
    pub const fn cools(&self) -> Cools {
        use FailureKind as K;
        match self.kind {
            _ if matches!(self.blame, Blame::None) => Cools::Never,
            K::RateLimited | K::QuotaExhausted | K::Unauthorized | K::NotFound | K::Overloaded
                if matches!(self.blame, Blame::Doubtful) =>
            {
                Cools::Counts
            }
            K::RateLimited | K::QuotaExhausted | K::Unauthorized | K::NotFound => Cools::AtOnce,
            K::Overloaded if self.retry_after.is_some() => Cools::AtOnce,
            K::Connect | K::Timeout | K::Overloaded | K::Server | K::Malformed | K::Truncated => {
                Cools::Counts
            }
            K::BadRequest | K::ContextWindow | K::ContentPolicy | K::Cancelled | K::Refused => {
                Cools::Never
            }
        }
    }

    /// Whether this is a soft reason: one for which a group must not be emptied of deployments.
    ///
    /// Soft is what [counts](Cools::Counts). What cools at once is hard: no request can succeed until it is over.
    #[must_use]
    pub const fn is_soft(&self) -> bool {
        matches!(self.cools(), Cools::Counts)
    }

    /// Whether the caller would wait no longer, which says nothing of the deployment.
    pub(crate) const fn is_callers(&self) -> bool {
        matches!(self.blame, Blame::None) && self.status.is_none()
            || matches!(self.kind, FailureKind::Cancelled)
    }

    /// Whether the deployment did answer, and is not to blame for what it had to say.
    pub(crate) const fn is_fair_answer(&self) -> bool {
        matches!(self.blame, Blame::None) && self.status.is_some()
    }

    /// Whether the server said that there must be no retry.
    pub(crate) const fn forbids_retry(&self) -> bool {
        !self.retry
    }

    /// Whether another deployment is worth trying, by the [kind](FailureKind::retry_elsewhere) and the server's word.
    ///
    /// Whether the request may be sent twice is another question: see [`sent`](Self::sent).
    #[must_use]
    pub const fn retry_elsewhere(&self) -> bool {
        self.retry && self.kind.retry_elsewhere()
    }
}

/// Whether the request of a failed attempt may have been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Surely not: sending it again cannot do anything twice.
    No,
    /// It may have been, so that only what is idempotent is safe to send again.
    Maybe,
}

/// What a failure does to the health of its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cools {
    /// Nothing: it says something about the request or the caller.
    Never,
    /// It is one of several that together cool the deployment.
    Counts,
    /// It cools the deployment by itself.
    AtOnce,
}

/// Declares the kinds with their names and [`FailureKind::ALL`], so that none of the three can miss one.
macro_rules! failure_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What went wrong with an attempt.
        ///
        /// The [module page](super) has the table of what each kind means to the layers.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FailureKind {
            $($(#[$doc])* $kind,)*
        }

        impl FailureKind {
            /// Every kind, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name in `snake_case`, for logs, metrics and configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

failure_kinds! {
    /// No connection, or it broke before the response head: refused, reset, DNS, TLS.
    Connect = "connect",
    /// Too slow: a timeout of ours, or the server's word that one of its own elapsed.
    Timeout = "timeout",
    /// Too many requests or tokens for now.
    RateLimited = "rate_limited",
    /// The account has nothing left to spend: waiting a little does not help.
    QuotaExhausted = "quota_exhausted",
    /// The server has more work than it can do.
    Overloaded = "overloaded",
    /// The server failed.
    Server = "server",
    /// The deployment's credentials were not accepted.
    Unauthorized = "unauthorized",
    /// The deployment does not have what it was set up for, such as its model.
    NotFound = "not_found",
    /// The server answered with success, but not with what was asked for.
    Malformed = "malformed",
    /// The request is at fault, and would be anywhere.
    BadRequest = "bad_request",
    /// The request is too long for the model.
    ContextWindow = "context_window",
    /// The content was refused by the provider's policy.
    ContentPolicy = "content_policy",
    /// The response body broke or stalled after the head.
    Truncated = "truncated",
    /// The caller went away, or its request body broke.
    Cancelled = "cancelled",
    /// A layer of this crate would not send the request.
    Refused = "refused",
}

impl FailureKind {
    /// Whether another deployment is worth trying by default.
    ///
    /// True for what the deployment or the way to it did, false for what the request or the caller did and for our own
    /// refusals, which retrying would only feed. [`Malformed`](Self::Malformed) and [`Truncated`](Self::Truncated) are
    /// true as far as nothing has reached the caller yet.
    #[must_use]
    pub const fn retry_elsewhere(self) -> bool {
        match self {
            Self::Connect
            | Self::Timeout
            | Self::RateLimited
            | Self::QuotaExhausted
            | Self::Overloaded
            | Self::Server
            | Self::Unauthorized
            | Self::NotFound
            | Self::Malformed
            | Self::Truncated => true,
            Self::BadRequest
            | Self::ContextWindow
            | Self::ContentPolicy
            | Self::Cancelled
            | Self::Refused => false,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind as K;

    #[test]
    fn every_kind_behaves_as_the_table_says() {
        let table = [
            (K::Connect, Cools::Counts, true),
            (K::Timeout, Cools::Counts, true),
            (K::RateLimited, Cools::AtOnce, true),
            (K::QuotaExhausted, Cools::AtOnce, true),
            (K::Overloaded, Cools::Counts, true),
            (K::Server, Cools::Counts, true),
            (K::Unauthorized, Cools::AtOnce, true),
            (K::NotFound, Cools::AtOnce, true),
            (K::Malformed, Cools::Counts, true),
            (K::BadRequest, Cools::Never, false),
            (K::ContextWindow, Cools::Never, false),
            (K::ContentPolicy, Cools::Never, false),
            (K::Truncated, Cools::Counts, true),
            (K::Cancelled, Cools::Never, false),
            (K::Refused, Cools::Never, false),
        ];
        assert_eq!(table.map(|(kind, ..)| kind), K::ALL);
        for (kind, cools, retry) in table {
            let failure = Failure::new(kind);
            assert_eq!((failure.cools(), failure.retry_elsewhere()), (cools, retry), "{kind}");
            assert_eq!(failure.is_soft(), cools == Cools::Counts, "{kind}");
            assert!(!failure.never_retry().retry_elsewhere(), "{kind}");
        }
    }

    #[test]
    fn only_overload_cools_at_once_because_of_a_delay() {
        for &kind in K::ALL {
            let (bare, delayed) =
                (Failure::new(kind), Failure::new(kind).with_retry_after(Duration::ZERO));
            assert_eq!(bare.cools() != delayed.cools(), kind == K::Overloaded, "{kind}");
        }
        let overloaded = Failure::new(K::Overloaded).with_retry_after(Duration::ZERO);
        assert_eq!((overloaded.cools(), overloaded.is_soft()), (Cools::AtOnce, false));
    }

    #[test]
    fn what_nobody_is_to_blame_for_never_cools_and_is_still_retried() {
        for &kind in K::ALL {
            let failure = Failure::new(kind).blameless().with_retry_after(Duration::ZERO);
            assert_eq!(failure.cools(), Cools::Never, "{kind}");
            assert_eq!(failure.retry_elsewhere(), kind.retry_elsewhere(), "{kind}");
        }
    }

    #[test]
    fn what_is_doubtful_counts_at_most() {
        for &kind in K::ALL {
            let plain = Failure::new(kind).with_retry_after(Duration::ZERO);
            let expected = match plain.cools() {
                Cools::AtOnce => Cools::Counts,
                other => other,
            };
            assert_eq!(plain.doubtful().cools(), expected, "{kind}");
            assert_eq!(plain.doubtful().retry_elsewhere(), kind.retry_elsewhere(), "{kind}");
        }
    }

    #[test]
    fn kinds_index_all_and_have_distinct_names() {
        let names: std::collections::HashSet<_> = K::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), K::ALL.len());
        assert!(K::ALL.iter().enumerate().all(|(index, &kind)| kind as usize == index));
        assert_eq!(format!("[{:>13}]", K::RateLimited), "[ rate_limited]");
    }

    #[test]
    fn an_outcome_is_small() {
        assert!(size_of::<crate::outcome::Outcome>() <= 24);
    }
}
