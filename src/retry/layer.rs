use std::sync::Arc;

use tower_layer::Layer;

use super::{Retry, RetryPolicy};

/// Applies [`Retry`]. All services made by one layer share its budget.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    policy: Arc<RetryPolicy>,
}

impl RetryLayer {
    /// Retries by `policy`.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new(RetryPolicy::default())
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::with(inner, Arc::clone(&self.policy))
    }
}
