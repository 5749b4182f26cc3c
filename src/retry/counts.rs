use crate::outcome::FailureKind;

/// How many retries failures may have, by their kind.
///
/// ```
/// use tower_fleet::{outcome::FailureKind, retry::{RetryCounts, RetryPolicy}};
///
/// let patient = RetryCounts::new().of(FailureKind::RateLimited, 5).of(FailureKind::Timeout, 0);
/// let policy = RetryPolicy::any_method().group("batch", patient);
/// # let _ = policy;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    by_kind: Vec<(FailureKind, u32)>,
    others: Option<u32>,
}

impl RetryCounts {
    /// No count for any kind.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_kind: Vec::new(), others: None }
    }

    /// The count for failures of this kind, also where they are not retried otherwise; 0 to never retry them.
    #[must_use]
    pub fn of(mut self, kind: FailureKind, count: u32) -> Self {
        self.by_kind.retain(|(other, _)| *other != kind);
        self.by_kind.push((kind, count));
        self
    }

    /// The count for kinds without one of their own, as far as they are retried at all. LiteLLM's `DefaultRetries`,
    /// which also retries what fails the same way again. Unset by default.
    #[must_use]
    pub const fn others(mut self, count: u32) -> Self {
        self.others = Some(count);
        self
    }

    pub(super) fn get(&self, kind: FailureKind) -> Option<u32> {
        self.by_kind.iter().find(|(other, _)| *other == kind).map(|(_, count)| *count)
    }

    pub(super) const fn get_others(&self) -> Option<u32> {
        self.others
    }

    /// Whether any retry can come of it.
    pub(super) fn grants_any(&self) -> bool {
        let counts = self.by_kind.iter().map(|(_, count)| *count);
        counts.chain(self.others).any(|count| count > 0)
    }
}
