use std::{fmt, sync::Arc};

use crate::{
    llm::meaning::{self, Model},
    outcome::{Classify, HttpClassify},
    trail::Late,
};

/// Where an answer that began as a success says that it failed: the layer that judges it learns so.
#[derive(Clone, Default)]
pub(super) struct Errors {
    late: Late,
    /// What a status within an error means; as an inference API means it where unset.
    classify: Option<Arc<dyn Classify>>,
    model: Model,
}

impl Errors {
    pub(super) const fn new(late: Late, classify: Option<Arc<dyn Classify>>, model: Model) -> Self {
        Self { late, classify, model }
    }

    /// Reports the failure that `error` tells of.
    #[cold]
    pub(super) fn found(&self, error: &[u8]) {
        let inference = HttpClassify::inference();
        let classify = self.classify.as_deref().unwrap_or(&inference);
        self.late.set(meaning::failure_within(error, classify, self.model));
    }

    /// Whether there were any.
    pub(super) fn any(&self) -> bool {
        self.late.get().is_some()
    }
}

impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errors").field("late", &self.late).finish_non_exhaustive()
    }
}
