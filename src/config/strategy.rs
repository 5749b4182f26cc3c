//! `routing_strategy` and its arguments.

use std::time::Duration;

use super::{field::Field, keys, read::At};

/// How the deployment for a request is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoutingStrategy {
    /// `simple-shuffle`, and `provider-budget-routing`, as budgets hold with every strategy: at random, by weight.
    /// LiteLLM's default.
    #[default]
    SimpleShuffle,
    /// `least-busy`: the one with the fewest requests in flight.
    LeastBusy,
    /// `latency-based-routing`: the one that is expected to answer soonest.
    LowestLatency,
    /// `cost-based-routing`: the one on which the request is expected to cost least.
    LowestCost,
    /// `usage-based-routing` and `usage-based-routing-v2`: the one with the least used share of its limits.
    LowestUsage,
    /// `round-robin`: in turn. Not one of LiteLLM's, nor are those that follow.
    RoundRobin,
    /// `power-of-two`: of two drawn at random the one with fewer requests in flight.
    PowerOfTwo,
    /// `hot-cold`: the fastest of those that are not busier than most.
    HotCold,
    /// `prefer-idle`: one with nothing in flight, else as by `power-of-two`.
    PreferIdle,
}

impl RoutingStrategy {
    /// Every strategy by its names in the file and in requests.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("simple-shuffle", Self::SimpleShuffle),
        ("least-busy", Self::LeastBusy),
        ("latency-based-routing", Self::LowestLatency),
        ("cost-based-routing", Self::LowestCost),
        ("usage-based-routing", Self::LowestUsage),
        ("usage-based-routing-v2", Self::LowestUsage),
        ("provider-budget-routing", Self::SimpleShuffle),
        ("round-robin", Self::RoundRobin),
        ("power-of-two", Self::PowerOfTwo),
        ("hot-cold", Self::HotCold),
        ("prefer-idle", Self::PreferIdle),
    ];

    /// Its name in the file; of several the first.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, strategy)| *strategy == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether it keeps deployments to their `rpm` and `tpm`, as in LiteLLM.
    pub(super) const fn enforces_rates(self) -> bool {
        matches!(self, Self::LowestLatency | Self::LowestCost | Self::LowestUsage)
    }

    /// Whether it goes by latencies, and so by the arguments.
    const fn reads_latency(self) -> bool {
        matches!(self, Self::LowestLatency | Self::HotCold)
    }

    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        let found = field.text()?;
        let strategy = Self::NAMES.iter().find(|(name, _)| *name == found);
        if strategy.is_none() {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| format!("`{name}`")).collect();
            field.wrong(&format!("one of {}", names.join(", ")));
        }
        strategy.map(|(_, strategy)| *strategy)
    }
}

/// `routing_strategy_args`: how latencies are measured and compared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StrategyArgs {
    /// `ttl`: how long a sample matters, more than zero.
    pub ttl: Option<Duration>,
    /// How much slower than the fastest a deployment may be and still count as its equal, of 1.
    pub lowest_latency_buffer: Option<f64>,
}

impl StrategyArgs {
    pub(super) fn read(field: Field<'_>) -> Self {
        let mut args = field.section();
        let read = Self {
            ttl: args.take("ttl").and_then(|field| field.some_seconds()),
            lowest_latency_buffer: args
                .take("lowest_latency_buffer")
                .and_then(|field| field.number("a number of at least 0", |share| share >= 0.0)),
        };
        args.finish(&keys::STRATEGY_ARGS);
        read
    }

    /// Warns where most requests are picked for without them.
    pub(super) fn tell_unread(&self, at: &At<'_>, strategy: RoutingStrategy) {
        if *self != Self::default() && !strategy.reads_latency() {
            at.warn(format!(
                "`{}` goes by no latency: it has an effect only on requests that name `latency-based-routing` or \
                 `hot-cold`",
                strategy.name(),
            ));
        }
    }
}
