use std::time::Duration;

use super::{Candidates, Choice, LowestLatency, Strategy};

/// The fastest of the deployments that are not busier than most; where only such are left, the least busy.
///
/// The rule of Prequal (Wydrowski et al., NSDI 2024): a deployment is *hot* that has more requests in flight, for its
/// weight, than the given quantile of the group. Requests in flight tell of overload at once, latency later but of more,
/// so the first rules out and the second chooses. Prequal probes a few replicas of many for both; here both are known.
///
/// Fastest is by the expected time of [`LowestLatency`], failures and exploration included, and multiplied by the
/// requests in flight for the weight, plus one, as there: Prequal asks replicas for their latency at the load they have
/// now, and one that was measured at an earlier load has to be brought to this one. By it alone all requests would go to
/// whichever was fastest last, until that shows.
#[derive(Clone, Debug)]
pub struct HotCold {
    quantile: f64,
    latency: LowestLatency,
}

impl HotCold {
    /// With a quantile of 0.84, the default of the paper (2 to the power of −0.25).
    #[must_use]
    pub fn new() -> Self {
        Self { quantile: 0.84, latency: LowestLatency::new() }
    }

    /// The share of the group, of 1, that is never hot, rounded down to whole deployments: with the default of 0.84 three
    /// of four are not, and the fourth is if it is busier than those. At 0 only the least busy are cold, and latency
    /// chooses among these; at 1 nothing is hot, which is [`LowestLatency`].
    #[must_use]
    pub fn quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    /// How the fastest is found. Default [`LowestLatency::new`].
    #[must_use]
    pub fn latency(mut self, latency: LowestLatency) -> Self {
        self.latency = latency;
        self
    }
}

impl Default for HotCold {
    fn default() -> Self {
        Self::new()
    }
}

impl Strategy for HotCold {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let most = f64::from(candidates.load_quantile(self.quantile));
        // A member of some weight is as hot as the slot its next request would go on.
        let cold =
            candidates.only(|one| one.load().floor() <= most, |cold| self.latency.pick(cold));
        cold.or_else(|| candidates.least_busy())
    }

    fn latency_decay(&self) -> Option<Duration> {
        self.latency.latency_decay()
    }
}
