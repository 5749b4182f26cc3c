//! `router_settings`, and what `litellm_settings` says in its place.

use std::time::Duration;

use super::{
    Budget, DeploymentConfig, FailureCounts, PreCallChecks, Queue, QuotaGroup, RoutingStrategy,
    StrategyArgs,
    field::Field,
    keys,
    names::Names,
    read::{At, Section},
    targets::{aliases, fallbacks, targets},
};
use crate::balance::TagMatch;

/// What holds for every group.
///
/// A field is `None` when the file is silent, as that is not always the same as giving LiteLLM's
/// default: without `allowed_fails` it judges by the share of failures. Some are also read from
/// `litellm_settings`, if `router_settings` does not have them: see [the keys](super#litellm_settings).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub struct RouterSettings {
    /// How the deployment for a request is chosen.
    pub routing_strategy: RoutingStrategy,
    /// The arguments of strategies by latency.
    pub routing_strategy_args: StrategyArgs,
    /// What is asked for beside the strategy.
    pub optional_pre_call_checks: PreCallChecks,
    /// How long after its latest request a session or a caller stays with a deployment, more than zero. LiteLLM's default
    /// is an hour.
    pub deployment_affinity_ttl: Option<Duration>,
    /// Whether what stays with a deployment that fails stays where it went instead. Default: false, as in LiteLLM.
    pub session_affinity_repin_on_failover: bool,
    /// How the tags of a request choose among those of the deployments. Default: not at all, as in LiteLLM.
    pub tags: TagMatch,
    /// How requests wait for a place. Default: they do not. Not one of LiteLLM's.
    pub queue: Option<Queue>,
    /// The priority of requests that name none, where they wait.
    pub default_priority: Option<i32>,
    /// How early the deployments of an order shed requests to the next one, as of
    /// [`FleetBuilder::spill`](crate::fleet::FleetBuilder::spill). Not one of LiteLLM's.
    pub overprovisioning_factor: Option<f32>,
    /// What may be spent on the deployments of a provider together, in the order of the file.
    pub provider_budgets: Vec<(String, Budget)>,
    /// What may be spent on the requests with a tag, in the order of the file.
    pub tag_budgets: Vec<(String, Budget)>,
    /// What deployments with the same [`quota_group`](super::DeploymentConfig::quota_group) may take together. Not one of
    /// LiteLLM's.
    pub quota_groups: Vec<QuotaGroup>,
    /// Attempts after the first. LiteLLM's default is
    /// [`DEFAULT_NUM_RETRIES`](Self::DEFAULT_NUM_RETRIES).
    pub num_retries: Option<u32>,
    /// Retries by kind of failure, in the stead of `num_retries`.
    pub retry_policy: FailureCounts,
    /// The same for single groups, in the order of the file.
    pub model_group_retry_policy: Vec<(String, FailureCounts)>,
    /// Failures a minute that a deployment may have before it is cooled. Without it LiteLLM cools
    /// one that fails more than half of its requests.
    pub allowed_fails: Option<u32>,
    /// The same by kind of failure.
    pub allowed_fails_policy: FailureCounts,
    /// How long a deployment is cooled, more than zero. LiteLLM's default is
    /// [`DEFAULT_COOLDOWN_TIME`](Self::DEFAULT_COOLDOWN_TIME), which 0 means too.
    pub cooldown_time: Option<Duration>,
    /// Whether no deployment is ever cooled. Default: false.
    pub disable_cooldowns: bool,
    /// The least time between two attempts. LiteLLM's default is none.
    pub retry_after: Option<Duration>,
    /// The time one attempt may take, more than zero, where the deployment has none of its own.
    /// LiteLLM's default is
    /// [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT).
    pub timeout: Option<Duration>,
    /// The same, where a stream is asked for.
    pub stream_timeout: Option<Duration>,
    /// The requests that a deployment without a limit of its own may have in flight, never 0.
    pub default_max_parallel_requests: Option<u32>,
    /// Whether deployments that cannot take a request are passed over: for the length of its input, for
    /// images, or for its region. Default: false, as in LiteLLM.
    pub enable_pre_call_checks: bool,
    /// The groups to turn to when one fails, in the order of the file; each group stands here once.
    pub fallbacks: Vec<Fallback>,
    /// The groups to turn to when one fails that has no fallbacks, as LiteLLM's group `*` in
    /// `fallbacks`.
    pub default_fallbacks: Vec<String>,
    /// The groups to turn to when the input is too long for one.
    pub context_window_fallbacks: Vec<Fallback>,
    /// The groups to turn to when one refuses the content.
    pub content_policy_fallbacks: Vec<Fallback>,
    /// Whether a request that a deployment calls wrong goes to the fallbacks. Default: true.
    pub fallback_on_unsupported_params: bool,
    /// How many groups are turned to. LiteLLM's default is
    /// [`DEFAULT_MAX_FALLBACKS`](Self::DEFAULT_MAX_FALLBACKS).
    pub max_fallbacks: Option<u32>,
    /// Other names for groups, in the order of the file.
    pub model_group_alias: Vec<Alias>,
}

impl RouterSettings {
    /// LiteLLM's attempts after the first, where the file gives none.
    pub const DEFAULT_NUM_RETRIES: u32 = 2;
    /// How long LiteLLM cools a deployment, where the file does not say.
    pub const DEFAULT_COOLDOWN_TIME: Duration = Duration::from_secs(5);
    /// The time LiteLLM gives a chat completion, where the file gives none.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
    /// How many groups LiteLLM turns to, where the file does not say.
    pub const DEFAULT_MAX_FALLBACKS: u32 = 5;

    /// Whether `rpm` and `tpm` of deployments are limits, and not only weights: with the check
    /// `enforce_model_rate_limits`, and with strategies by latency, cost or usage, as in LiteLLM.
    #[must_use]
    pub const fn enforces_rates(&self) -> bool {
        self.optional_pre_call_checks.enforce_model_rate_limits
            || self.routing_strategy.enforces_rates()
    }
}

/// The groups to turn to when one fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallback {
    /// The group that failed; `*` is any that has no fallbacks of its own.
    pub group: String,
    /// The groups to turn to, in this order. Never empty.
    pub targets: Vec<String>,
}

/// Another name for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alias {
    /// The name that requests may ask for.
    pub name: String,
    /// The group they get.
    pub target: String,
    /// Whether it is left out where models are listed. Default: false.
    pub hidden: bool,
}

pub(super) fn read(root: &mut Section<'_>, mut names: Names<'_>) -> RouterSettings {
    let mut router = root.section("router_settings");
    let mut general = root.section("litellm_settings");
    // First, as fallbacks may name aliases.
    let model_group_alias =
        router.take("model_group_alias").map(|field| aliases(field, &mut names));
    let defaults = either(&mut router, &mut general, "default_fallbacks");
    let at_checks = router.at_of("optional_pre_call_checks");
    let at_ttl = router.at_of("deployment_affinity_ttl_seconds");
    let at_repin = router.at_of("session_affinity_repin_on_failover");
    let at_args = router.at_of("routing_strategy_args");
    let at_defaults = defaults.as_ref().map(|field| field.at.clone());
    let mut settings = RouterSettings {
        routing_strategy: router
            .take("routing_strategy")
            .and_then(|field| RoutingStrategy::read(&field))
            .unwrap_or_default(),
        routing_strategy_args: router
            .take("routing_strategy_args")
            .map(StrategyArgs::read)
            .unwrap_or_default(),
        optional_pre_call_checks: router
            .take("optional_pre_call_checks")
            .map(PreCallChecks::read)
            .unwrap_or_default(),
        deployment_affinity_ttl: router
            .take("deployment_affinity_ttl_seconds")
            .and_then(|field| field.some_seconds()),
        session_affinity_repin_on_failover: router
            .take("session_affinity_repin_on_failover")
            .and_then(|field| field.flag())
            .unwrap_or_default(),
        tags: tags(&mut router, &names),
        queue: None,
        default_priority: None,
        overprovisioning_factor: router
            .take("overprovisioning_factor")
            .and_then(|field| overprovisioning(&field)),
        provider_budgets: router
            .take("provider_budget_config")
            .map(|field| Budget::of_providers(field, &names))
            .unwrap_or_default(),
        tag_budgets: general.take("tag_budget_config").map(Budget::of_tags).unwrap_or_default(),
        quota_groups: QuotaGroup::read_all(router.take("quota_groups"), &names),
        num_retries: either(&mut router, &mut general, "num_retries")
            .and_then(|field| field.count()),
        retry_policy: router.take("retry_policy").map(FailureCounts::retries).unwrap_or_default(),
        model_group_retry_policy: router
            .take("model_group_retry_policy")
            .map(|field| group_policies(field, &names))
            .unwrap_or_default(),
        allowed_fails: either(&mut router, &mut general, "allowed_fails")
            .and_then(|field| field.count()),
        allowed_fails_policy: router
            .take("allowed_fails_policy")
            .map(FailureCounts::allowed_fails)
            .unwrap_or_default(),
        cooldown_time: router.take("cooldown_time").and_then(|field| cooldown(&field)),
        disable_cooldowns: router
            .take("disable_cooldowns")
            .and_then(|field| field.flag())
            .unwrap_or_default(),
        retry_after: router.take("retry_after").and_then(|field| field.seconds()),
        timeout: prefer(router.take("timeout"), general.take("request_timeout"))
            .and_then(|field| field.some_seconds()),
        stream_timeout: router.take("stream_timeout").and_then(|field| field.some_seconds()),
        default_max_parallel_requests: router
            .take("default_max_parallel_requests")
            .and_then(|field| field.count())
            .filter(|limit| *limit > 0),
        enable_pre_call_checks: pre_call_checks(&mut router, &names),
        fallbacks: either(&mut router, &mut general, "fallbacks")
            .map(|field| fallbacks(field, &names))
            .unwrap_or_default(),
        default_fallbacks: defaults.and_then(|field| targets(field, &names)).unwrap_or_default(),
        context_window_fallbacks: either(&mut router, &mut general, "context_window_fallbacks")
            .map(|field| fallbacks(field, &names))
            .unwrap_or_default(),
        content_policy_fallbacks: either(&mut router, &mut general, "content_policy_fallbacks")
            .map(|field| fallbacks(field, &names))
            .unwrap_or_default(),
        fallback_on_unsupported_params: router
            .take("fallback_on_unsupported_params")
            .and_then(|field| field.flag())
            .unwrap_or(true),
        max_fallbacks: either(&mut router, &mut general, "max_fallbacks")
            .and_then(|field| field.count()),
        model_group_alias: model_group_alias.unwrap_or_default(),
    };
    (settings.queue, settings.default_priority) = queue(&mut router);
    tell_unenforced(&at_checks, &settings, &names);
    tell_unkept(&at_ttl, &at_repin, &settings);
    settings.routing_strategy_args.tell_unread(&at_args, settings.routing_strategy);
    if let Some(at) = at_defaults.filter(|_| settings.fallbacks.iter().any(|it| it.group == "*")) {
        at.warn("overridden by `*` in `fallbacks`, as in LiteLLM");
        settings.default_fallbacks.clear();
    }
    router.finish(&keys::ROUTER_SETTINGS);
    general.finish(&keys::LITELLM_SETTINGS);
    settings
}

/// Warns where deployments have tags that choose nothing.
fn tags(router: &mut Section<'_>, names: &Names<'_>) -> TagMatch {
    const KEY: &str = "enable_tag_filtering";
    let at = router.at_of(KEY);
    let enabled = router.take(KEY).and_then(|field| field.flag()).unwrap_or_default();
    let match_any = router.take("tag_filtering_match_any").and_then(|field| field.flag());
    if !enabled && names.deployments().iter().any(|one| !one.tags.is_empty()) {
        at.warn("not true, so the `tags` of deployments choose nothing, as in LiteLLM");
    }
    match (enabled, match_any) {
        (false, _) => TagMatch::Ignore,
        (true, Some(false)) => TagMatch::All,
        (true, _) => TagMatch::Any,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a ratio needs no more than 24 bits")]
fn overprovisioning(field: &Field<'_>) -> Option<f32> {
    let factor = field.number("a number of at least 1", |factor| factor >= 1.0);
    factor.map(|factor| factor as f32)
}

fn queue(router: &mut Section<'_>) -> (Option<Queue>, Option<i32>) {
    let queue = router.take("queue").map(Queue::read);
    let priority = router.take("default_priority");
    if let (None, Some(priority)) = (&queue, &priority) {
        priority.at.warn("no effect without a `queue`: a request does not wait for its turn");
    }
    let priority = priority.and_then(|field| field.integer("a whole number"));
    (queue.flatten(), priority)
}

/// Warns where deployments have `rpm` or `tpm` that limit nothing.
fn tell_unenforced(at: &At<'_>, settings: &RouterSettings, names: &Names<'_>) {
    let rated = |one: &DeploymentConfig| one.limits.rpm.or(one.limits.tpm).is_some();
    if !settings.enforces_rates() && names.deployments().iter().any(rated) {
        at.warn(
            "without `enforce_model_rate_limits`, so `rpm` and `tpm` of deployments are weights and bound the requests at a \
             time, but not those in a minute, as in LiteLLM",
        );
    }
}

/// Warns where the file says how requests are kept together that are not.
fn tell_unkept(at_ttl: &At<'_>, at_repin: &At<'_>, settings: &RouterSettings) {
    const WITHOUT: &str = "no effect without `session_affinity`, `deployment_affinity` or `prompt_caching` in \
                           `optional_pre_call_checks`";
    if settings.optional_pre_call_checks.keep_for_a_time() {
        return;
    }
    if settings.deployment_affinity_ttl.is_some() {
        at_ttl.warn(WITHOUT);
    }
    if settings.session_affinity_repin_on_failover {
        at_repin.warn(WITHOUT);
    }
}

/// Warns where deployments say what only the checks would look at.
fn pre_call_checks(router: &mut Section<'_>, names: &Names<'_>) -> bool {
    const KEY: &str = "enable_pre_call_checks";
    let at = router.at_of(KEY);
    let checks = router.take(KEY).and_then(|field| field.flag()).unwrap_or_default();
    let checked = names.deployments().iter().any(|one| {
        one.max_input_tokens.is_some()
            || one.region_name.is_some()
            || one.supports_vision == Some(false)
    });
    if checked && !checks {
        at.warn(
            "not true, so what `model_list` says of the longest input and of images is not checked, as in LiteLLM, and \
             a request that must stay in a region is refused",
        );
    }
    checks
}

/// A map from a group to its `RetryPolicy`.
fn group_policies(field: Field<'_>, names: &Names<'_>) -> Vec<(String, FailureCounts)> {
    let groups = field.entries("a map from a group to its retry policy").unwrap_or_default();
    let policy = |(group, field): (String, Field<'_>)| {
        names.check(&group, &field.at, format_args!("{group:?}"));
        (group, FailureCounts::retries(field))
    };
    groups.into_iter().map(policy).collect()
}

/// What `router_settings` has under `key`, or else `litellm_settings`.
fn either<'r>(
    router: &mut Section<'r>,
    general: &mut Section<'r>,
    key: &'static str,
) -> Option<Field<'r>> {
    prefer(router.take(key), general.take(key))
}

fn prefer<'r>(first: Option<Field<'r>>, second: Option<Field<'r>>) -> Option<Field<'r>> {
    if let (Some(first), Some(second)) = (&first, &second) {
        second.at.warn(format!("overridden by `{}`", first.at.place));
    }
    first.or(second)
}

fn cooldown(field: &Field<'_>) -> Option<Duration> {
    let time = field.seconds()?;
    if time.is_zero() {
        field.at.warn(
            "0 means the default, as in LiteLLM; `disable_cooldowns: true` turns cooling off",
        );
        return None;
    }
    Some(time)
}
