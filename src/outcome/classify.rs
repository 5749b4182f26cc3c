//! What judges an attempt.

use std::error::Error;
use std::sync::Arc;

use http::response::Parts;

use super::{Failure, FailureKind, Outcome};
use crate::body::End;

/// Judges how an attempt ended; one is shared by all layers, as an `Arc<dyn Classify>`.
///
/// An attempt is judged by exactly one final answer: that of [`error`](Self::error) or [`cancelled`](Self::cancelled)
/// when no head came, of [`head`](Self::head) when that gave one, else of [`end`](Self::end).
/// Only [`head`](Self::head) must be written, and any `Fn(&Parts) -> Option<Outcome>` is a classifier with the defaults
/// for the rest:
///
/// ```
/// use http::response::Parts;
/// use tower_fleet::outcome::{Classify, Failure, FailureKind, HttpClassify, Outcome};
///
/// let http = HttpClassify::new();
/// let classify = move |head: &Parts| match head.headers.get("x-degraded") {
///     Some(_) => Some(Failure::new(FailureKind::Overloaded).into()),
///     None => http.head(head),
/// };
/// let (head, ()) = http::Response::new(()).into_parts();
/// assert_eq!(classify.head(&head), None);
/// ```
///
/// Methods run inside the poll and the drop of futures and bodies: they must be quick, and must not panic.
pub trait Classify: Send + Sync + 'static {
    /// Judges the response head: `Some` is final, `None` leaves it to the [end](Self::end) of the body.
    ///
    /// Give `Some` for a failure, or for a response that is to be [ignored](Outcome::Ignored). A promising head is
    /// `None`, so that a body that breaks still counts.
    fn head(&self, response: &Parts) -> Option<Outcome>;

    /// Judges the end of a body whose head was left open.
    ///
    /// By default a whole body is a success, with trailers or without, a broken one is
    /// [`Truncated`](FailureKind::Truncated), and one that the caller dropped is [`Cancelled`](FailureKind::Cancelled).
    fn end(&self, end: &End<'_>) -> Outcome {
        match end {
            End::Complete | End::Trailers(_) => Outcome::Success,
            End::Error(_) => Failure::new(FailureKind::Truncated).into(),
            End::Dropped => Failure::new(FailureKind::Cancelled).into(),
        }
    }

    /// Judges an error that came in place of a response, by default with [`Failure::from_error`].
    fn error(&self, error: &(dyn Error + 'static)) -> Outcome {
        Failure::from_error(error).into()
    }

    /// Judges an attempt whose caller went away before the head, by default as [`Cancelled`](FailureKind::Cancelled).
    fn cancelled(&self) -> Outcome {
        Failure::new(FailureKind::Cancelled).into()
    }
}

impl<F> Classify for F
where
    F: Fn(&Parts) -> Option<Outcome> + Send + Sync + 'static,
{
    fn head(&self, response: &Parts) -> Option<Outcome> {
        self(response)
    }
}

impl<C: Classify + ?Sized> Classify for Arc<C> {
    fn head(&self, response: &Parts) -> Option<Outcome> {
        (**self).head(response)
    }

    fn end(&self, end: &End<'_>) -> Outcome {
        (**self).end(end)
    }

    fn error(&self, error: &(dyn Error + 'static)) -> Outcome {
        (**self).error(error)
    }

    fn cancelled(&self) -> Outcome {
        (**self).cancelled()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Response};

    use super::*;

    fn failure(kind: FailureKind) -> Outcome {
        Failure::new(kind).into()
    }

    #[test]
    fn a_closure_judges_the_head_and_keeps_the_defaults() {
        let classify: Arc<dyn Classify> =
            Arc::new(|head: &Parts| head.status.is_redirection().then_some(Outcome::Ignored));
        let (head, ()) = Response::builder().status(302).body(()).unwrap().into_parts();
        assert_eq!(classify.head(&head), Some(Outcome::Ignored));

        assert_eq!(classify.end(&End::Complete), Outcome::Success);
        assert_eq!(classify.end(&End::Trailers(&HeaderMap::new())), Outcome::Success);
        assert_eq!(classify.end(&End::Error(&std::fmt::Error)), failure(FailureKind::Truncated));
        assert_eq!(classify.end(&End::Dropped), failure(FailureKind::Cancelled));
        assert_eq!(classify.error(&std::fmt::Error), failure(FailureKind::Connect));
        assert_eq!(classify.cancelled(), failure(FailureKind::Cancelled));
    }

    #[test]
    fn a_shared_classifier_is_asked_for_everything() {
        struct Deaf;
        impl Classify for Deaf {
            fn head(&self, _: &Parts) -> Option<Outcome> {
                Some(Outcome::Ignored)
            }
            fn end(&self, _: &End<'_>) -> Outcome {
                Outcome::Ignored
            }
            fn error(&self, _: &(dyn Error + 'static)) -> Outcome {
                Outcome::Ignored
            }
            fn cancelled(&self) -> Outcome {
                Outcome::Ignored
            }
        }

        let shared: Arc<Arc<dyn Classify>> = Arc::new(Arc::new(Deaf));
        let (head, ()) = Response::new(()).into_parts();
        assert_eq!(shared.head(&head), Some(Outcome::Ignored));
        assert_eq!(shared.end(&End::Complete), Outcome::Ignored);
        assert_eq!(shared.error(&std::fmt::Error), Outcome::Ignored);
        assert_eq!(shared.cancelled(), Outcome::Ignored);
    }
}
