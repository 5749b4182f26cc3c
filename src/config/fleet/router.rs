//! From the router's settings to policies.

use std::time::Duration;

use crate::{
    config::{DeploymentConfig, FailureCounts, RouterSettings},
    cooldown::CooldownPolicy,
    fallback::FallbackPlan,
    fleet::FleetBuilder,
    outcome::{FailureKind, HttpClassify},
    retry::{Backoff, RetryBudget, RetryPolicy},
    trail::GroupName,
};

impl RouterSettings {
    /// Whether a request may be sent to this name, when a group fails or by an alias.
    pub(super) fn is_target(&self, id: &str) -> bool {
        let lists =
            [&self.fallbacks, &self.context_window_fallbacks, &self.content_policy_fallbacks];
        let listed = lists.into_iter().flatten().flat_map(|fallback| &fallback.targets);
        let aliased = self.model_group_alias.iter().map(|alias| &alias.target);
        listed.chain(&self.default_fallbacks).chain(aliased).any(|target| target == id)
    }

    pub(super) fn apply(&self, builder: FleetBuilder) -> FleetBuilder {
        let aliases = self.model_group_alias.iter();
        let builder = aliases.fold(builder, |builder, alias| {
            // Of one that leads nowhere a warning has told; a request for it is refused.
            let target = GroupName::new(alias.target.as_str());
            if builder.serves(&target) {
                builder.alias(alias.name.as_str(), target)
            } else {
                builder
            }
        });
        let builder = match self.stream_timeout {
            Some(limit) => builder.stream_timeout(limit),
            None => builder,
        };
        let builder = match self.overprovisioning_factor {
            Some(factor) => builder.spill(factor),
            None => builder,
        };
        let builder = match &self.queue {
            Some(queue) => builder.queue(queue.policy(self.default_priority)),
            None => builder,
        };
        builder
            .strategy(self.strategy())
            .tags(self.tags)
            .cooldown(self.cooldown(
                self.cooldown_time,
                self.allowed_fails,
                &self.allowed_fails_policy,
            ))
            .retry(self.retry())
            .fallback(self.fallback())
            .timeout(self.timeout.unwrap_or(Self::DEFAULT_TIMEOUT))
    }

    /// The policy of a deployment that says something of it.
    pub(super) fn cooldown_of(&self, one: &DeploymentConfig) -> Option<CooldownPolicy> {
        let length = one.cooldown_time;
        let counts = one.allowed_fails.is_some() || !one.allowed_fails_policy.is_empty();
        if length.is_none() && !counts {
            return None;
        }
        if length == Some(Duration::ZERO) {
            return Some(CooldownPolicy::never(HttpClassify::inference()));
        }
        let by_kind = if counts { &one.allowed_fails_policy } else { &self.allowed_fails_policy };
        let allowed_fails = one.allowed_fails.or(self.allowed_fails);
        Some(self.cooldown(length.or(self.cooldown_time), allowed_fails, by_kind))
    }

    fn cooldown(
        &self,
        length: Option<Duration>,
        allowed_fails: Option<u32>,
        by_kind: &FailureCounts,
    ) -> CooldownPolicy {
        if self.disable_cooldowns {
            return CooldownPolicy::never(HttpClassify::inference());
        }
        let policy = CooldownPolicy::new(HttpClassify::inference())
            .cooldown_time(length.unwrap_or(Self::DEFAULT_COOLDOWN_TIME));
        let policy = match allowed_fails {
            Some(count) => policy.allowed_fails(count),
            None => policy,
        };
        let by_kind = by_kind.by_kind.iter();
        by_kind.fold(policy, |policy, (kind, count)| policy.allowed_fails_of(*kind, *count))
    }

    fn retry(&self) -> RetryPolicy {
        let retries = self.num_retries.unwrap_or(Self::DEFAULT_NUM_RETRIES);
        let policy = RetryPolicy::any_method()
            .classify(HttpClassify::inference())
            .attempts(retries.saturating_add(1))
            .backoff(Backoff::default().floor(self.retry_after.unwrap_or_default()))
            // The caller waits meanwhile, and would rather know than hold the line.
            .longest_wait(Duration::from_secs(5))
            .budget(RetryBudget::new().percent(100))
            .counts(self.retry_policy.as_retries());
        let groups = self.model_group_retry_policy.iter();
        groups.fold(policy, |policy, (group, counts)| {
            policy.group(group.as_str(), counts.as_retries())
        })
    }

    fn fallback(&self) -> FallbackPlan {
        let max = self.max_fallbacks.unwrap_or(Self::DEFAULT_MAX_FALLBACKS);
        let names = |targets: &[String]| {
            targets.iter().map(|target| GroupName::new(target.as_str())).collect::<Vec<_>>()
        };
        let plan = FallbackPlan::new()
            .classify(HttpClassify::inference())
            .max_fallbacks(usize::try_from(max).unwrap_or(usize::MAX))
            .on_bad_request(self.fallback_on_unsupported_params)
            .otherwise(names(&self.default_fallbacks));
        let plan = self.fallbacks.iter().fold(plan, |plan, fallback| {
            let targets = names(&fallback.targets);
            match fallback.group.as_str() {
                "*" => plan.otherwise(targets),
                group => plan.group(group, targets),
            }
        });
        let by_kind = [
            (FailureKind::ContextWindow, &self.context_window_fallbacks),
            (FailureKind::ContentPolicy, &self.content_policy_fallbacks),
        ];
        let lists = by_kind
            .into_iter()
            .flat_map(|(kind, lists)| lists.iter().map(move |list| (kind, list)));
        lists.fold(plan, |plan, (kind, list)| {
            plan.group_on(kind, list.group.as_str(), names(&list.targets))
        })
    }
}
