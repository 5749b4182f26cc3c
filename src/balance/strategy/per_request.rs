use std::{fmt, sync::Arc, time::Duration};

use super::{AnyStrategy, Candidates, Choice, Pins, Strategy};

/// The strategy that the request [names](crate::Demand::strategy), or else one for all others.
///
/// A request that names none of these gets the default too: where several groups know different names, a fallback must
/// not fail for want of one. `llm::InspectLayer::strategies` refuses unknown names where they come in.
///
/// ```
/// use tower_fleet::balance::{LeastBusy, PerRequest, WeightedShuffle};
///
/// let strategy = PerRequest::new(LeastBusy).strategy("shuffle", WeightedShuffle);
/// ```
///
/// The strategies see the same members, and the one [note](Candidates::set_note) of each: so at most one of them should
/// keep notes, as [`RoundRobin`](super::RoundRobin) does.
#[derive(Clone)]
pub struct PerRequest<P> {
    default: P,
    named: Vec<(Arc<str>, AnyStrategy)>,
    /// Of all that have any, together.
    pins: Option<Pins>,
}

impl<P: Strategy> PerRequest<P> {
    /// Picks by `default` where a request names no other.
    pub fn new(default: P) -> Self {
        let pins = default.pins().cloned();
        Self { default, named: Vec::new(), pins }
    }

    /// Picks by `strategy` where a request names it so. Of two with one name the later one counts.
    #[must_use]
    pub fn strategy(mut self, name: impl Into<Arc<str>>, strategy: impl Strategy) -> Self {
        let name = name.into();
        self.named.retain(|(earlier, _)| *earlier != name);
        self.named.push((name, AnyStrategy::new(strategy)));
        let named = self.named.iter().filter_map(|(_, strategy)| strategy.pins());
        let all = named.chain(self.default.pins()).cloned();
        self.pins = all.reduce(|all, more| all.and(&more));
        self
    }
}

impl<P: Strategy> Strategy for PerRequest<P> {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let name = candidates.demand.and_then(|demand| demand.strategy.as_deref());
        let named = name.and_then(|name| self.named.iter().find(|(known, _)| **known == *name));
        if let Some(name) = name {
            let known = if named.is_some() { "" } else { ", which is not known here" };
            candidates.explain(|| format!("the request names {name:?}{known}"));
        }
        match named {
            Some((_, strategy)) => candidates.pick_by(strategy),
            None => candidates.pick_by(&self.default),
        }
    }

    /// The shortest any of them asks for.
    fn latency_decay(&self) -> Option<Duration> {
        let named = self.named.iter().filter_map(|(_, strategy)| strategy.latency_decay());
        named.chain(self.default.latency_decay()).min()
    }

    /// Those of all: whichever of them picked, each learns of the answer, as the next request may name another.
    fn pins(&self) -> Option<&Pins> {
        self.pins.as_ref()
    }
}

impl<P: fmt::Debug> fmt::Debug for PerRequest<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.named.iter().map(|(name, _)| name);
        f.debug_struct("PerRequest")
            .field("default", &self.default)
            .field("named", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
