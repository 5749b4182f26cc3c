//! What is compared. One line adds a strategy.

use tower_fleet::{
    Deployment,
    balance::{
        Affinity, AnyStrategy, HotCold, LeastBusy, LowestCost, LowestLatency, LowestUsage,
        PowerOfTwo, PreferIdle, RoundRobin, WeightedShuffle,
    },
    deployment::Price,
};

/// A strategy, and what its deployments need that it can tell them apart.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As the table calls it.
    pub name: &'static str,
    /// It goes by how long answers take.
    pub knows_latency: bool,
    strategy: fn() -> AnyStrategy,
    prepare: fn(Deployment, usize) -> Deployment,
}

impl Entry {
    fn new(name: &'static str, strategy: fn() -> AnyStrategy) -> Self {
        Self { name, knows_latency: false, strategy, prepare: |deployment, _| deployment }
    }

    fn knows_latency(self) -> Self {
        Self { knows_latency: true, ..self }
    }

    fn prepare(self, prepare: fn(Deployment, usize) -> Deployment) -> Self {
        Self { prepare, ..self }
    }

    pub(super) fn strategy(&self) -> AnyStrategy {
        (self.strategy)()
    }

    pub(super) fn deployment(&self, index: usize) -> Deployment {
        (self.prepare)(Deployment::new(format!("deployment-{index}")), index)
    }
}

/// Every strategy there is.
#[must_use]
pub fn all() -> Vec<Entry> {
    vec![
        Entry::new("WeightedShuffle", || AnyStrategy::new(WeightedShuffle)),
        Entry::new("RoundRobin", || AnyStrategy::new(RoundRobin)),
        Entry::new("LeastBusy", || AnyStrategy::new(LeastBusy)),
        Entry::new("PowerOfTwo", || AnyStrategy::new(PowerOfTwo)),
        Entry::new("PreferIdle", || AnyStrategy::new(PreferIdle::new(PowerOfTwo))),
        Entry::new("HotCold", || AnyStrategy::new(HotCold::new())).knows_latency(),
        Entry::new("LowestLatency", || AnyStrategy::new(LowestLatency::new())).knows_latency(),
        Entry::new("LowestCost", || AnyStrategy::new(LowestCost)).prepare(two_prices),
        Entry::new("LowestUsage", || AnyStrategy::new(LowestUsage))
            .prepare(|deployment, _| deployment.rpm(3_000)),
        Entry::new("Affinity", || AnyStrategy::new(Affinity::new(LeastBusy))),
    ]
}

/// Those that choose by requests in flight, or blindly.
#[must_use]
pub fn classic() -> Vec<Entry> {
    let names = ["WeightedShuffle", "RoundRobin", "PowerOfTwo", "PreferIdle", "LeastBusy"];
    names.iter().filter_map(|name| all().into_iter().find(|entry| entry.name == *name)).collect()
}

/// The first two cost half of what the others do, and none takes more than twice what it works on.
fn two_prices(deployment: Deployment, index: usize) -> Deployment {
    let price = if index < 2 { 1.0 } else { 2.0 };
    deployment.price(Price::new(price, price)).max_parallel_requests(8)
}
