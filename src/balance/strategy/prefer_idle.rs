use std::time::Duration;

use super::{Candidates, Choice, Pins, Strategy};

/// A deployment with nothing in flight, if there is one, picked among those by `P`; else one of all, by `P`.
///
/// The idea of Join-Idle-Queue (Lu et al., 2011): a request that waits for nobody is served fastest almost anywhere. With
/// [`PowerOfTwo`](super::PowerOfTwo) it is nearly exact at low load; with [`LowestLatency`](super::LowestLatency) a burst
/// fills every deployment before it doubles on a fast one. `P` is asked again, for one of all, where it picks none of the
/// idle; its cost is added to a step for each deployment where it is not constant anyway and something is idle.
///
/// A request that continues an answer goes to who gave it, idle or not, where `P` is an [`Affinity`](super::Affinity);
/// but its keys only to the idle. `Affinity` around this one keeps the keys in their places.
#[derive(Clone, Copy, Debug, Default)]
pub struct PreferIdle<P>(P);

impl<P> PreferIdle<P> {
    /// Picks by `strategy` among the idle, or among all where none is.
    pub const fn new(strategy: P) -> Self {
        Self(strategy)
    }
}

impl<P: Strategy> Strategy for PreferIdle<P> {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        // Constant time where no member is idle, as under load none is.
        let idle = if candidates.load_quantile(0.0) == 0 {
            candidates.remark(|one| (one.in_flight() > 0).then_some("is not idle"));
            candidates.only(|one| one.in_flight() == 0, |idle| idle.pick_by(&self.0))
        } else {
            None
        };
        idle.or_else(|| candidates.pick_by(&self.0))
    }

    fn latency_decay(&self) -> Option<Duration> {
        self.0.latency_decay()
    }

    fn pins(&self) -> Option<&Pins> {
        self.0.pins()
    }
}
