use std::sync::Arc;

use tower_layer::Layer;

use super::{Cooldown, CooldownPolicy};
use crate::deployment::Deployment;

/// Applies [`Cooldown`].
///
/// Each call of [`layer`](Layer::layer) makes a breaker with a health of its own, used by requests no balance has sent;
/// clones of one service share it. [`of`](Self::of) gives all of them the health of one deployment.
#[derive(Clone, Debug)]
pub struct CooldownLayer {
    policy: Arc<CooldownPolicy>,
    deployment: Option<Deployment>,
}

impl CooldownLayer {
    /// Judges by `policy`.
    #[must_use]
    pub fn new(policy: CooldownPolicy) -> Self {
        Self { policy: Arc::new(policy), deployment: None }
    }

    /// Keeps the health of requests no balance has sent in `deployment`.
    #[must_use]
    pub fn of(mut self, deployment: Deployment) -> Self {
        self.deployment = Some(deployment);
        self
    }
}

impl Default for CooldownLayer {
    fn default() -> Self {
        Self::new(CooldownPolicy::default())
    }
}

impl<S> Layer<S> for CooldownLayer {
    type Service = Cooldown<S>;

    fn layer(&self, inner: S) -> Cooldown<S> {
        let own = self.deployment.clone().unwrap_or_else(|| Deployment::new("service"));
        Cooldown::with(inner, Arc::clone(&self.policy), own)
    }
}
