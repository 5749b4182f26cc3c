//! Counts by kind of failure: `RetryPolicy` and `AllowedFailsPolicy`.

use super::{
    field::Field,
    keys::{ALLOWED_FAILS_POLICY, RETRY_POLICY},
    read::Section,
};
use crate::{outcome::FailureKind, retry::RetryCounts};

/// How many failures of a kind something holds for: LiteLLM's `RetryPolicy` and `AllowedFailsPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureCounts {
    /// The kinds that have a count, each once.
    pub by_kind: Vec<(FailureKind, u32)>,
    /// The count of the kinds without one, which only a `RetryPolicy` has.
    pub default: Option<u32>,
}

/// LiteLLM's classes of errors, by the keys for their retries and their allowed failures, and the
/// kinds that fall under them. A class stands before those it includes, whose own counts hold.
const CLASSES: &[(&str, &str, &[FailureKind])] = {
    use FailureKind as K;
    &[
        (
            "BadRequestErrorRetries",
            "BadRequestErrorAllowedFails",
            &[K::BadRequest, K::ContextWindow, K::ContentPolicy],
        ),
        (
            "ContentPolicyViolationErrorRetries",
            "ContentPolicyViolationErrorAllowedFails",
            &[K::ContentPolicy],
        ),
        ("AuthenticationErrorRetries", "AuthenticationErrorAllowedFails", &[K::Unauthorized]),
        ("TimeoutErrorRetries", "TimeoutErrorAllowedFails", &[K::Timeout]),
        (
            "RateLimitErrorRetries",
            "RateLimitErrorAllowedFails",
            &[K::RateLimited, K::QuotaExhausted],
        ),
        ("InternalServerErrorRetries", "InternalServerErrorAllowedFails", &[K::Server, K::Connect]),
        ("ServiceUnavailableErrorRetries", "ServiceUnavailableErrorAllowedFails", &[K::Overloaded]),
        ("NotFoundErrorRetries", "NotFoundErrorAllowedFails", &[K::NotFound]),
    ]
};

impl FailureCounts {
    /// Whether it says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.by_kind.is_empty() && self.default.is_none()
    }

    /// The count for failures of `kind`.
    #[must_use]
    pub fn of(&self, kind: FailureKind) -> Option<u32> {
        let own = self.by_kind.iter().find(|(of, _)| *of == kind).map(|(_, count)| *count);
        own.or(self.default)
    }

    /// The same for a [`RetryPolicy`](crate::retry::RetryPolicy).
    pub(super) fn as_retries(&self) -> RetryCounts {
        let counts = self.by_kind.iter();
        let counts = counts.fold(RetryCounts::new(), |all, (kind, count)| all.of(*kind, *count));
        match self.default {
            Some(count) => counts.others(count),
            None => counts,
        }
    }

    pub(super) fn retries(field: Field<'_>) -> Self {
        let mut policy = field.section();
        let mut counts = Self::read(&mut policy, |(retries, ..)| retries);
        counts.default = count(&mut policy, "DefaultRetries");
        policy.finish(&RETRY_POLICY);
        counts
    }

    pub(super) fn allowed_fails(field: Field<'_>) -> Self {
        let mut policy = field.section();
        let counts = Self::read(&mut policy, |(_, allowed, _)| allowed);
        policy.finish(&ALLOWED_FAILS_POLICY);
        counts
    }

    fn read(
        policy: &mut Section<'_>,
        key: impl Fn((&'static str, &'static str, &[FailureKind])) -> &'static str,
    ) -> Self {
        let mut counts = Self::default();
        for class @ (.., kinds) in CLASSES {
            let Some(count) = count(policy, key(*class)) else { continue };
            for kind in *kinds {
                counts.by_kind.retain(|(of, _)| of != kind);
                counts.by_kind.push((*kind, count));
            }
        }
        counts
    }
}

fn count(policy: &mut Section<'_>, key: &'static str) -> Option<u32> {
    policy.take(key).and_then(|field| field.count())
}
