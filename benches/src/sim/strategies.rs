//! What is compared. One line adds a strategy.

use tower_fleet::{
    Deployment,
    balance::{
        Affinity, AnyStrategy, HotCold, LeastBusy, LowestCost, LowestLatency, LowestUsage,
        PowerOfTwo, PreferIdle, RoundRobin, WeightedShuffle,
    },
    deployment::Price,
};

/// A strategy under its name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As the table calls it: with the one it is around.
    pub name: &'static str,
    /// It goes by how long answers take.
    pub knows_latency: bool,
    strategy: fn() -> AnyStrategy,
}

impl Entry {
    fn new(name: &'static str, strategy: fn() -> AnyStrategy) -> Self {
        Self { name, knows_latency: false, strategy }
    }

    fn knows_latency(self) -> Self {
        Self { knows_latency: true, ..self }
    }

    pub(super) fn strategy(&self) -> AnyStrategy {
        (self.strategy)()
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
        Entry::new("PreferIdle over PowerOfTwo", || AnyStrategy::new(PreferIdle::new(PowerOfTwo))),
        Entry::new("HotCold", || AnyStrategy::new(HotCold::new())).knows_latency(),
        Entry::new("LowestLatency", || AnyStrategy::new(LowestLatency::new())).knows_latency(),
        Entry::new("LowestCost", || AnyStrategy::new(LowestCost)),
        Entry::new("LowestUsage", || AnyStrategy::new(LowestUsage)),
        Entry::new("Affinity over LeastBusy", || AnyStrategy::new(Affinity::new(LeastBusy))),
    ]
}

/// Those that choose by requests in flight, or blindly.
#[must_use]
pub fn classic() -> Vec<Entry> {
    let names =
        ["WeightedShuffle", "RoundRobin", "PowerOfTwo", "PreferIdle over PowerOfTwo", "LeastBusy"];
    names.iter().filter_map(|name| all().into_iter().find(|entry| entry.name == *name)).collect()
}

/// A deployment with what any of the strategies reads, the same for all of them: the first two cost half of what the
/// others do, and each has a limit for [`LowestUsage`] to measure by, which nothing here reaches.
pub(super) fn deployment(index: usize) -> Deployment {
    let price = if index < 2 { 1.0 } else { 2.0 };
    Deployment::new(format!("deployment-{index}")).price(Price::new(price, price)).rpm(3_000)
}
