//! Judging by HTTP status.

use std::time::SystemTime;

use http::StatusCode;
use http::response::Parts;

use super::{Classify, Failure, FailureKind, Outcome, retry_after};
use crate::quota::reported;

/// Judges by the HTTP status.
///
/// [`new`](Self::new) fits any backend and [`inference`](Self::inference) LLM APIs; [`status`](Self::status) changes
/// either. Redirects and below are left to the end of the body, as successes are. A [`retry_after`] is read from every
/// failure: a server that says when to come back is believed whatever its status. Where a 429 has none, it is the reset of
/// what it says is used up, in headers such as `x-ratelimit-reset-requests`.
#[derive(Clone, Debug, Default)]
pub struct HttpClassify {
    /// The last one for a status holds.
    overrides: Vec<(StatusCode, Option<FailureKind>)>,
}

impl HttpClassify {
    /// Judges any HTTP backend, for which a 404 or 410 is a server that does its job.
    ///
    /// | status | kind |
    /// |---|---|
    /// | 401, 403, 407 | [`Unauthorized`](FailureKind::Unauthorized) |
    /// | 402 | [`QuotaExhausted`](FailureKind::QuotaExhausted) |
    /// | 408, 504 | [`Timeout`](FailureKind::Timeout) |
    /// | 429 | [`RateLimited`](FailureKind::RateLimited) |
    /// | other 4xx | [`BadRequest`](FailureKind::BadRequest) |
    /// | 503, 529 | [`Overloaded`](FailureKind::Overloaded) |
    /// | other 5xx, and 600 up, which RFC 9110 has treated as 5xx | [`Server`](FailureKind::Server) |
    #[must_use]
    pub const fn new() -> Self {
        Self { overrides: Vec::new() }
    }

    /// Judges an inference API: [`new`](Self::new), where 404 and 410 are [`NotFound`](FailureKind::NotFound) and 409 is
    /// [`Overloaded`](FailureKind::Overloaded), and a redirection is [`Malformed`](FailureKind::Malformed).
    ///
    /// There a 404 means that the model is not deployed and a 410 that it was retired, which another deployment may
    /// well have; a 409 is a lock conflict, worth another try (the OpenAI and Anthropic clients and LiteLLM retry it);
    /// and no such API redirects, but what stands before it may: a login page, or a wrong scheme in the address.
    #[must_use]
    pub fn inference() -> Self {
        let redirections = [301, 302, 303, 307, 308].into_iter().flat_map(StatusCode::from_u16);
        redirections
            .fold(Self::new(), |classify, status| classify.status(status, FailureKind::Malformed))
            .status(StatusCode::NOT_FOUND, FailureKind::NotFound)
            .status(StatusCode::GONE, FailureKind::NotFound)
            .status(StatusCode::CONFLICT, FailureKind::Overloaded)
    }

    /// Judges `status` as a failure of `kind`, or as none, whatever it was before.
    ///
    /// ```
    /// use http::StatusCode;
    /// use tower_fleet::outcome::{FailureKind, HttpClassify};
    ///
    /// let classify = HttpClassify::new()
    ///     .status(StatusCode::MISDIRECTED_REQUEST, FailureKind::NotFound)
    ///     .status(StatusCode::NOT_IMPLEMENTED, None);
    /// ```
    #[must_use]
    pub fn status(mut self, status: StatusCode, kind: impl Into<Option<FailureKind>>) -> Self {
        self.overrides.push((status, kind.into()));
        self
    }

    pub(crate) fn kind(&self, status: StatusCode) -> Option<FailureKind> {
        match self.overrides.iter().rfind(|(overridden, _)| *overridden == status) {
            Some((_, kind)) => *kind,
            None => kind_of(status),
        }
    }
}

impl Classify for HttpClassify {
    fn head(&self, response: &Parts) -> Option<Outcome> {
        let kind = self.kind(response.status)?;
        let delay = retry_after(&response.headers, SystemTime::now());
        let delay = delay.or_else(|| {
            let is_limited = kind == FailureKind::RateLimited;
            is_limited.then(|| reported(&response.headers, SystemTime::now))??.reset()
        });
        Some(Failure::new(kind).with_status(response.status).with_retry_after(delay).into())
    }
}

/// The table of [`HttpClassify::new`].
const fn kind_of(status: StatusCode) -> Option<FailureKind> {
    Some(match status.as_u16() {
        ..400 | 404 | 410 => return None,
        401 | 403 | 407 => FailureKind::Unauthorized,
        402 => FailureKind::QuotaExhausted,
        408 | 504 => FailureKind::Timeout,
        429 => FailureKind::RateLimited,
        400..500 => FailureKind::BadRequest,
        503 | 529 => FailureKind::Overloaded,
        500.. => FailureKind::Server,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use FailureKind as K;
    use http::Response;

    use super::*;

    fn judge(classify: &HttpClassify, status: u16) -> Option<FailureKind> {
        let (head, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
        let failure = classify.head(&head)?.failure().unwrap();
        assert_eq!(failure.status(), Some(head.status));
        Some(failure.kind())
    }

    #[test]
    fn every_status_has_its_kind() {
        let (general, inference) = (HttpClassify::new(), HttpClassify::inference());
        for status in 100..=999 {
            let expected = match status {
                100..=399 | 404 | 410 => None,
                401 | 403 | 407 => Some(K::Unauthorized),
                402 => Some(K::QuotaExhausted),
                408 | 504 => Some(K::Timeout),
                429 => Some(K::RateLimited),
                503 | 529 => Some(K::Overloaded),
                400..=499 => Some(K::BadRequest),
                _ => Some(K::Server),
            };
            assert_eq!(judge(&general, status), expected, "{status}");

            let expected = match status {
                404 | 410 => Some(K::NotFound),
                409 => Some(K::Overloaded),
                301..=303 | 307 | 308 => Some(K::Malformed),
                _ => expected,
            };
            assert_eq!(judge(&inference, status), expected, "{status} of an inference API");
        }
    }

    #[test]
    fn the_last_override_of_a_status_holds() {
        let classify = HttpClassify::inference()
            .status(StatusCode::NOT_FOUND, None)
            .status(StatusCode::OK, K::Server)
            .status(StatusCode::OK, K::Malformed);
        assert_eq!(judge(&classify, 404), None);
        assert_eq!(judge(&classify, 200), Some(K::Malformed));
        assert_eq!(judge(&classify, 500), Some(K::Server));
    }

    #[test]
    fn without_a_delay_a_429_carries_the_reset_of_what_is_used_up() {
        let delay = |status: u16, after: Option<&str>, tokens: &str| {
            let response = Response::builder()
                .status(status)
                .header("x-ratelimit-remaining-requests", "9")
                .header("x-ratelimit-reset-requests", "50s")
                .header("x-ratelimit-remaining-tokens", tokens)
                .header("x-ratelimit-reset-tokens", "20s");
            let response =
                after.into_iter().fold(response, |one, at| one.header("retry-after", at));
            let (head, ()) = response.body(()).unwrap().into_parts();
            HttpClassify::new().head(&head)?.failure()?.retry_after()
        };
        assert_eq!(delay(429, None, "0"), Some(Duration::from_secs(20)));
        assert_eq!(delay(429, Some("3"), "0"), Some(Duration::from_secs(3)));
        assert_eq!(delay(429, None, "1"), None, "nothing is used up");
        assert_eq!(delay(500, None, "0"), None, "it failed for another reason");
    }

    #[test]
    fn every_failure_carries_the_servers_delay() {
        for status in [408, 413, 429, 402, 500, 503, 529] {
            let (head, ()) = Response::builder()
                .status(status)
                .header("retry-after", "7")
                .body(())
                .unwrap()
                .into_parts();
            let failure = HttpClassify::new().head(&head).and_then(Outcome::failure).unwrap();
            assert_eq!(failure.retry_after(), Some(Duration::from_secs(7)), "{status}");
        }
    }
}
