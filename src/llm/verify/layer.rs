use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::Verify;
use crate::outcome::{Classify, HttpClassify};

/// Applies [`Verify`].
#[derive(Clone)]
pub struct VerifyLayer {
    classify: Arc<dyn Classify>,
}

impl VerifyLayer {
    /// Takes the status and the delay of a failure as [`HttpClassify::inference`] reads them.
    #[must_use]
    pub fn new() -> Self {
        Self { classify: Arc::new(HttpClassify::inference()) }
    }

    /// What a response head means by itself. What it makes no failure is none whatever the body says.
    #[must_use]
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.classify = Arc::new(classify);
        self
    }
}

impl Default for VerifyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = Verify<S>;

    fn layer(&self, inner: S) -> Verify<S> {
        Verify::new(inner, Arc::clone(&self.classify))
    }
}

impl fmt::Debug for VerifyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyLayer").finish_non_exhaustive()
    }
}
