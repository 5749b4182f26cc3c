//! From what a file says of picking to a strategy, and to what reads requests for it.

use crate::{
    balance::{
        Affinity, AnyStrategy, HotCold, LeastBusy, LowestCost, LowestLatency, LowestUsage,
        PerRequest, PowerOfTwo, PreferIdle, PriorityClass, QueuePolicy, RoundRobin,
        WeightedShuffle,
    },
    config::{Config, PreCallChecks, Queue, RouterSettings, RoutingStrategy, StrategyArgs},
    llm::{AffinitySource, InspectLayer},
};

impl Config {
    /// What reads requests for this fleet: it keeps those together that the file's checks say, and refuses one that names
    /// a strategy there is not.
    #[must_use]
    pub fn inspect(&self) -> InspectLayer {
        InspectLayer::new()
            .affinity(self.router.optional_pre_call_checks.sources())
            .strategies(RoutingStrategy::NAMES.iter().map(|(name, _)| *name))
    }
}

impl RouterSettings {
    /// The file's strategy, or the one a request names, but for requests that are to be kept together.
    pub(super) fn strategy(&self) -> AnyStrategy {
        let args = &self.routing_strategy_args;
        let default = PerRequest::new(self.routing_strategy.build(args));
        let named = RoutingStrategy::NAMES.iter();
        let strategy =
            named.fold(default, |all, (name, strategy)| all.strategy(*name, strategy.build(args)));
        if !self.optional_pre_call_checks.keep_together() {
            return AnyStrategy::new(strategy);
        }
        // As in LiteLLM, so that a session begins where any other request would go.
        let strategy = Affinity::new(strategy)
            .inner_places_keys(true)
            .repin_on_failure(self.session_affinity_repin_on_failover);
        AnyStrategy::new(match self.deployment_affinity_ttl {
            Some(ttl) => strategy.ttl(ttl),
            None => strategy,
        })
    }
}

impl PreCallChecks {
    /// As LiteLLM orders them: a response, a session, a caller; what a cache may know goes before the caller, who may have
    /// many prompts.
    fn sources(self) -> impl Iterator<Item = AffinitySource> {
        let sources = [
            (self.responses_api_deployment_check, AffinitySource::PreviousResponse),
            (self.session_affinity, AffinitySource::SessionHeader),
            (self.prompt_caching, AffinitySource::PromptCacheKey),
            (self.prompt_caching, AffinitySource::PromptOpening),
            (self.deployment_affinity, AffinitySource::Caller),
        ];
        sources.into_iter().filter_map(|(is_asked, source)| is_asked.then_some(source))
    }
}

impl RoutingStrategy {
    fn build(self, args: &StrategyArgs) -> AnyStrategy {
        match self {
            Self::SimpleShuffle => AnyStrategy::new(WeightedShuffle),
            Self::LeastBusy => AnyStrategy::new(LeastBusy),
            Self::LowestLatency => AnyStrategy::new(args.latency()),
            Self::LowestCost => AnyStrategy::new(LowestCost),
            Self::LowestUsage => AnyStrategy::new(LowestUsage),
            Self::RoundRobin => AnyStrategy::new(RoundRobin),
            Self::PowerOfTwo => AnyStrategy::new(PowerOfTwo),
            Self::HotCold => AnyStrategy::new(HotCold::new().latency(args.latency())),
            Self::PreferIdle => AnyStrategy::new(PreferIdle::new(PowerOfTwo)),
        }
    }
}

impl StrategyArgs {
    fn latency(&self) -> LowestLatency {
        let latency = LowestLatency::new().buffer(self.lowest_latency_buffer.unwrap_or_default());
        match self.ttl {
            Some(ttl) => latency.decay(ttl),
            None => latency,
        }
    }
}

impl Queue {
    pub(super) fn policy(&self, default_priority: Option<i32>) -> QueuePolicy {
        let policy = QueuePolicy::new(self.max_waiting).before_fallback(self.before_fallback);
        let policy = match self.max_wait {
            Some(limit) => policy.max_wait(limit),
            None => policy,
        };
        let policy = match default_priority {
            Some(priority) => policy.default_priority(priority),
            None => policy,
        };
        let classes = self.classes.iter();
        classes.fold(policy, |policy, class| {
            policy.class(PriorityClass::up_to(class.up_to, class.share))
        })
    }
}
