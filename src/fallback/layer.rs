use std::sync::Arc;

use tower_layer::Layer;

use super::{Fallback, FallbackPlan};

/// Applies [`Fallback`].
#[derive(Clone, Debug)]
pub struct FallbackLayer {
    plan: Arc<FallbackPlan>,
}

impl FallbackLayer {
    /// Falls back by `plan`.
    #[must_use]
    pub fn new(plan: FallbackPlan) -> Self {
        Self { plan: Arc::new(plan) }
    }
}

impl<S> Layer<S> for FallbackLayer {
    type Service = Fallback<S>;

    fn layer(&self, inner: S) -> Fallback<S> {
        Fallback::with(inner, Arc::clone(&self.plan))
    }
}
