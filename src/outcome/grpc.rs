//! Judging by gRPC status.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, StatusCode};

use super::{Classify, Failure, FailureKind, HttpClassify, Outcome};
use crate::body::End;

/// Judges by the `grpc-status` in the trailers, or in the head of a response that has nothing else.
///
/// | code | outcome |
/// |---|---|
/// | `OK`, `NOT_FOUND` | success: the server did its job |
/// | `CANCELLED` | [`Cancelled`](FailureKind::Cancelled) |
/// | `DEADLINE_EXCEEDED` | [`Timeout`](FailureKind::Timeout) |
/// | `RESOURCE_EXHAUSTED` | [`RateLimited`](FailureKind::RateLimited) |
/// | `UNAVAILABLE` | [`Overloaded`](FailureKind::Overloaded) |
/// | `UNAUTHENTICATED` | [`Unauthorized`](FailureKind::Unauthorized) |
/// | `UNKNOWN`, `INTERNAL`, `DATA_LOSS`, any other or unreadable | [`Server`](FailureKind::Server) |
/// | `INVALID_ARGUMENT`, `ALREADY_EXISTS`, `PERMISSION_DENIED`, `FAILED_PRECONDITION`, `ABORTED`, `OUT_OF_RANGE`, `UNIMPLEMENTED` | [`BadRequest`](FailureKind::BadRequest) |
///
/// `PERMISSION_DENIED` and `UNIMPLEMENTED` are about the one call: gRPC keeps the first for a caller it knows, and
/// optional services such as reflection routinely get the second. If they cooled a deployment, one caller could take down
/// the group. [`code`](Self::code) changes the table.
///
/// A body that ends whole without a status is a success. Without a status in its head, a response other than 200 is
/// judged by [`HttpClassify::new`] and never a success, and a 200 of another content type is
/// [`Malformed`](FailureKind::Malformed): something that does not speak gRPC has answered.
///
/// `grpc-retry-pushback-ms` ([gRFC A6]) gives the delay; when negative or unreadable, it forbids the retry.
///
/// [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
#[derive(Clone, Debug, Default)]
pub struct GrpcClassify {
    /// The last one for a code holds.
    overrides: Vec<(u8, Option<FailureKind>)>,
}

impl GrpcClassify {
    /// Judges by the table above.
    #[must_use]
    pub const fn new() -> Self {
        Self { overrides: Vec::new() }
    }

    /// Judges the status `code` as a failure of `kind`, or as none, whatever it was before.
    ///
    /// ```
    /// use tower_fleet::outcome::{FailureKind, GrpcClassify};
    ///
    /// const UNIMPLEMENTED: u8 = 12;
    /// let classify = GrpcClassify::new().code(UNIMPLEMENTED, FailureKind::NotFound);
    /// ```
    #[must_use]
    pub fn code(mut self, code: u8, kind: impl Into<Option<FailureKind>>) -> Self {
        self.overrides.push((code, kind.into()));
        self
    }

    /// The outcome that the `grpc-status` in `headers` speaks of, if there is one.
    fn status(&self, headers: &HeaderMap) -> Option<Outcome> {
        let status = headers.get("grpc-status")?;
        let kind = match status.to_str().ok().and_then(|status| status.trim().parse().ok()) {
            Some(code) => {
                match self.overrides.iter().rfind(|(overridden, _)| *overridden == code) {
                    Some((_, kind)) => *kind,
                    None => kind_of(code),
                }
            }
            None => Some(FailureKind::Server),
        };
        Some(kind.map_or(Outcome::Success, |kind| push_back(Failure::new(kind), headers).into()))
    }
}

impl Classify for GrpcClassify {
    fn head(&self, response: &Parts) -> Option<Outcome> {
        if let Some(outcome) = self.status(&response.headers) {
            // A success can still break on its way.
            return (outcome != Outcome::Success).then_some(outcome);
        }
        if response.status != StatusCode::OK {
            let failure = || Failure::new(FailureKind::Server).with_status(response.status).into();
            return HttpClassify::new().head(response).or_else(|| Some(failure()));
        }
        let content_type = response.headers.get(CONTENT_TYPE)?.as_bytes();
        let speaks_grpc =
            content_type.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC));
        (!speaks_grpc)
            .then(|| Failure::new(FailureKind::Malformed).with_status(response.status).into())
    }

    fn end(&self, end: &End<'_>) -> Outcome {
        match end {
            End::Trailers(trailers) => self.status(trailers).unwrap_or(Outcome::Success),
            End::Complete => Outcome::Success,
            End::Error(_) => Failure::new(FailureKind::Truncated).into(),
            End::Dropped => Failure::new(FailureKind::Cancelled).into(),
        }
    }
}

/// What every gRPC content type begins with.
const GRPC: &[u8] = b"application/grpc";

/// The table of [`GrpcClassify`].
const fn kind_of(code: u8) -> Option<FailureKind> {
    Some(match code {
        0 | 5 => return None,                                    // OK, NOT_FOUND
        1 => FailureKind::Cancelled,                             // CANCELLED
        3 | 6 | 7 | 9 | 10 | 11 | 12 => FailureKind::BadRequest, // INVALID_ARGUMENT … UNIMPLEMENTED
        4 => FailureKind::Timeout,                               // DEADLINE_EXCEEDED
        8 => FailureKind::RateLimited,                           // RESOURCE_EXHAUSTED
        14 => FailureKind::Overloaded,                           // UNAVAILABLE
        16 => FailureKind::Unauthorized,                         // UNAUTHENTICATED
        _ => FailureKind::Server, // UNKNOWN, INTERNAL, DATA_LOSS and what is yet to come
    })
}

/// Adds what the server said about a retry.
fn push_back(failure: Failure, headers: &HeaderMap) -> Failure {
    let Some(pushback) = headers.get("grpc-retry-pushback-ms") else { return failure };
    match pushback.to_str().ok().and_then(|pushback| pushback.trim().parse().ok()) {
        Some(millis) => failure.with_retry_after(Duration::from_millis(millis)),
        None => failure.never_retry(),
    }
}

#[cfg(test)]
mod tests {
    use FailureKind as K;
    use http::Response;

    use super::*;

    fn trailers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn at_head(status: u16, pairs: &[(&'static str, &'static str)]) -> Option<Outcome> {
        let (mut head, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
        head.headers = trailers(pairs);
        GrpcClassify::new().head(&head)
    }

    #[test]
    fn every_code_has_its_kind_in_trailers_and_in_the_head() {
        let table = [
            ("0", None),
            ("1", Some(K::Cancelled)),
            ("2", Some(K::Server)),
            ("3", Some(K::BadRequest)),
            ("4", Some(K::Timeout)),
            ("5", None),
            ("6", Some(K::BadRequest)),
            ("7", Some(K::BadRequest)),
            ("8", Some(K::RateLimited)),
            ("9", Some(K::BadRequest)),
            ("10", Some(K::BadRequest)),
            ("11", Some(K::BadRequest)),
            ("12", Some(K::BadRequest)),
            ("13", Some(K::Server)),
            ("14", Some(K::Overloaded)),
            ("15", Some(K::Server)),
            ("16", Some(K::Unauthorized)),
            ("17", Some(K::Server)),
            ("999", Some(K::Server)),
            ("-1", Some(K::Server)),
            ("ok", Some(K::Server)),
            ("", Some(K::Server)),
        ];
        for (code, kind) in table {
            let failure = kind.map(|kind| Outcome::Failure(Failure::new(kind)));
            let pairs = [("grpc-status", code)];
            assert_eq!(at_head(200, &pairs), failure, "{code:?} in the head");
            assert_eq!(
                GrpcClassify::new().end(&End::Trailers(&trailers(&pairs))),
                failure.unwrap_or(Outcome::Success),
                "{code:?} in the trailers"
            );
        }
    }

    #[test]
    fn a_missing_status_is_a_failure_only_when_the_body_broke() {
        let classify = GrpcClassify::new();
        assert_eq!(classify.end(&End::Complete), Outcome::Success);
        assert_eq!(classify.end(&End::Trailers(&HeaderMap::new())), Outcome::Success);
        assert_eq!(classify.end(&End::Error(&std::fmt::Error)), Failure::new(K::Truncated).into());
        assert_eq!(classify.end(&End::Dropped), Failure::new(K::Cancelled).into());
    }

    #[test]
    fn a_head_that_does_not_speak_grpc_is_judged_by_http() {
        let kind = |status, pairs| {
            at_head(status, pairs).and_then(Outcome::failure).map(|failure| failure.kind())
        };
        assert_eq!(kind(200, &[]), None);
        assert_eq!(kind(200, &[("content-type", "application/grpc+proto")]), None);
        assert_eq!(kind(200, &[("content-type", "Application/gRPC")]), None);
        assert_eq!(kind(200, &[("content-type", "text/html")]), Some(K::Malformed));
        assert_eq!(kind(204, &[]), Some(K::Server));
        assert_eq!(kind(302, &[]), Some(K::Server));
        assert_eq!(kind(404, &[]), Some(K::Server));
        assert_eq!(kind(429, &[]), Some(K::RateLimited));
        assert_eq!(kind(503, &[("retry-after", "3")]), Some(K::Overloaded));
        assert_eq!(
            kind(503, &[("grpc-status", "8")]),
            Some(K::RateLimited),
            "the gRPC status goes first"
        );
    }

    #[test]
    fn pushback_delays_or_forbids_the_retry() {
        let judge = |pushback| {
            let trailers = trailers(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", pushback)]);
            GrpcClassify::new().end(&End::Trailers(&trailers)).failure().unwrap()
        };
        assert_eq!(judge("250").retry_after(), Some(Duration::from_millis(250)));
        assert!(judge("250").retry_elsewhere());
        for never in ["-1", "soon", "", "99999999999999999999"] {
            assert_eq!(judge(never).retry_after(), None, "{never:?}");
            assert!(!judge(never).retry_elsewhere(), "{never:?}");
        }
    }

    #[test]
    fn the_last_override_of_a_code_holds() {
        let classify = GrpcClassify::new().code(12, K::Server).code(12, K::NotFound).code(14, None);
        let judge = |code| classify.end(&End::Trailers(&trailers(&[("grpc-status", code)])));
        assert_eq!(judge("12"), Failure::new(K::NotFound).into());
        assert_eq!(judge("14"), Outcome::Success);
    }
}
