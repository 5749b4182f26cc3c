use std::{fmt, sync::Arc, time::Duration};

use super::{Candidates, Choice, Pins, Strategy};

/// Any strategy, its type hidden: a cheap handle.
///
/// Better than an `Arc<dyn Strategy>` in the type of a service: that has a lifetime in it, which keeps the compiler from
/// proving that an async block is `Send` if it calls the service.
#[derive(Clone)]
pub struct AnyStrategy(Arc<dyn Strategy>);

impl AnyStrategy {
    /// Hides the type of `strategy`.
    pub fn new(strategy: impl Strategy) -> Self {
        Self(Arc::new(strategy))
    }
}

impl Strategy for AnyStrategy {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        self.0.pick(candidates)
    }

    fn latency_decay(&self) -> Option<Duration> {
        self.0.latency_decay()
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pins(&self) -> Option<&Pins> {
        self.0.pins()
    }
}

impl fmt::Debug for AnyStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStrategy").finish_non_exhaustive()
    }
}
