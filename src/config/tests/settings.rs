//! What a deployment and the router can be told beside addresses and keys.

use std::time::Duration;

use super::{params, read, valid, with};
use crate::{
    balance::TagMatch,
    config::{Budget, Config, DeploymentConfig, Limits, RoutingStrategy},
    outcome::FailureKind as K,
    quota::{Calendar, Window},
};

fn deployment(text: &str) -> DeploymentConfig {
    valid(text).deployments.into_iter().next().unwrap()
}

/// A deployment of which `info` is the `model_info`, and `params` the parameters but for the model.
fn with_info(info: &str, params: &str) -> DeploymentConfig {
    deployment(&format!(
        "model_list: [{{model_name: c, litellm_params: {{model: gpt-4o, {params}}}, model_info: {{{info}}}}}]"
    ))
}

#[test]
fn a_deployments_limits_are_read() {
    let one = deployment(&params("stream_timeout: 1.5, num_retries: 0, region_name: eu-west"));
    assert_eq!(one.stream_timeout, Some(Duration::from_millis(1500)));
    assert_eq!((one.num_retries, one.region_name.as_deref()), (Some(0), Some("eu-west")));
    let one = with_info(
        "max_input_tokens: 8e3, supports_vision: no, base_model: azure/gpt-4o, mode: embedding, blocked: true",
        "",
    );
    assert_eq!((one.max_input_tokens, one.supports_vision), (Some(8000), Some(false)));
    assert_eq!(
        (one.base_model.as_deref(), one.mode.as_deref()),
        (Some("azure/gpt-4o"), Some("embedding"))
    );
    assert!(one.blocked);
}

#[test]
fn when_a_deployment_is_cooled_is_read_from_its_info_first() {
    let one = with_info(
        "cooldown_time: 0, allowed_fails: 2",
        "cooldown_time: 5, allowed_fails: 9, allowed_fails_policy: {RateLimitErrorAllowedFails: 3}",
    );
    assert_eq!((one.cooldown_time, one.allowed_fails), (Some(Duration::ZERO), Some(2)));
    assert_eq!(one.allowed_fails_policy.by_kind, [(K::RateLimited, 3), (K::QuotaExhausted, 3)]);
    let one = with_info("allowed_fails_policy: {NotFoundErrorAllowedFails: 0}", "cooldown_time: 5");
    assert_eq!(one.cooldown_time, Some(Duration::from_secs(5)));
    assert_eq!(one.allowed_fails_policy.by_kind, [(K::NotFound, 0)]);
}

#[test]
fn endpoints_count_where_they_are_enforced() {
    let listed = "supported_endpoints: [/v1/chat/completions, /v1/batch, /v1/messages]";
    let of = |info: &str| with_info(info, "").endpoints;
    assert_eq!(
        of(&format!("{listed}, enforce_supported_endpoints: true")),
        Some(vec!["/chat/completions".to_owned(), "/messages".to_owned()])
    );
    assert_eq!(of(listed), None);
    assert_eq!(of("enforce_supported_endpoints: true"), None);
}

#[test]
fn prices_come_from_the_parameters_then_from_the_info() {
    let one = with_info(
        "input_cost_per_token: 9, output_cost_per_token: 2e-6, output_cost_per_reasoning_token: 0",
        "input_cost_per_token: 1e-6, cache_read_input_token_cost: '1e-7', cache_creation_input_token_cost: 3e-6",
    );
    let prices = one.prices;
    assert_eq!((prices.input, prices.output), (Some(1e-6), Some(2e-6)));
    assert_eq!((prices.cached, prices.cache_written), (Some(1e-7), Some(3e-6)));
    assert_eq!(prices.reasoning, Some(0.0));
    assert!(read(&params("input_cost_per_token: -1")).is_err());
}

#[test]
fn a_class_of_errors_is_every_kind_that_falls_under_it() {
    let policy = "BadRequestErrorRetries: 1, ContentPolicyViolationErrorRetries: 2, AuthenticationErrorRetries: 3, \
                  TimeoutErrorRetries: 4, RateLimitErrorRetries: 5, InternalServerErrorRetries: 6, \
                  ServiceUnavailableErrorRetries: 7, NotFoundErrorRetries: 8, DefaultRetries: 9";
    let text = format!(
        "router_settings: {{retry_policy: {{{policy}}}, model_group_retry_policy: {{chat: {{TimeoutErrorRetries: 0}}}}}}"
    );
    let router = valid(&with(&text)).router;
    let counts = &router.retry_policy;
    for (kind, count) in [
        (K::BadRequest, 1),
        (K::ContextWindow, 1),
        (K::ContentPolicy, 2),
        (K::Unauthorized, 3),
        (K::Timeout, 4),
        (K::RateLimited, 5),
        (K::QuotaExhausted, 5),
        (K::Server, 6),
        (K::Connect, 6),
        (K::Overloaded, 7),
        (K::NotFound, 8),
        (K::Truncated, 9),
    ] {
        assert_eq!(counts.of(kind), Some(count), "{kind}");
    }
    let [(group, counts)] = &router.model_group_retry_policy[..] else { panic!("{router:?}") };
    assert_eq!(
        (&**group, &counts.by_kind[..], counts.default),
        ("chat", &[(K::Timeout, 0)][..], None)
    );
    assert_eq!(counts.of(K::Server), None);
}

#[test]
fn the_routers_further_settings_are_read() {
    let router = valid(&with(
        "router_settings: {stream_timeout: 9, default_max_parallel_requests: 4, enable_pre_call_checks: true, \
         fallback_on_unsupported_params: false, allowed_fails_policy: {TimeoutErrorAllowedFails: 1}, \
         context_window_fallbacks: [{chat: [chat]}]}
litellm_settings: {content_policy_fallbacks: [{chat: chat}], max_fallbacks: 1}",
    ))
    .router;
    assert_eq!(router.stream_timeout, Some(Duration::from_secs(9)));
    assert_eq!((router.default_max_parallel_requests, router.max_fallbacks), (Some(4), Some(1)));
    assert!(router.enable_pre_call_checks && !router.fallback_on_unsupported_params);
    assert_eq!(router.allowed_fails_policy.by_kind, [(K::Timeout, 1)]);
    assert_eq!(router.context_window_fallbacks[0].targets, ["chat"]);
    assert_eq!(router.content_policy_fallbacks[0].group, "chat");

    let silent = valid(&with("")).router;
    assert!(!silent.enable_pre_call_checks && silent.fallback_on_unsupported_params);
    assert!(silent.retry_policy.is_empty() && silent.model_group_retry_policy.is_empty());
}

#[test]
fn limits_and_budgets_are_read_wherever_they_stand() {
    let limits = "rpm: 1, tpm: 2, itpm: 3, otpm: 4, rpd: 5, tpd: 6, daily_reset_time: 6:30, max_parallel_requests: 7, \
                  max_budget: 8.5, budget_duration: 12h";
    let mut expected = Limits {
        rpm: Some(1),
        tpm: Some(2),
        itpm: Some(3),
        otpm: Some(4),
        rpd: Some(5),
        tpd: Some(6),
        daily_reset_time: Some(Duration::from_secs(6 * 3600 + 30 * 60)),
        max_parallel_requests: Some(7),
        budget: Some(Budget {
            dollars: 8.5,
            window: Window::Rolling(Duration::from_secs(12 * 3600)),
        }),
    };
    assert_eq!(with_info("", limits).limits, expected);
    let router = valid(&with(&format!(
        "router_settings: {{quota_groups: {{one: {{{limits}}}}}, provider_budget_config: {{openai: {{budget_limit: 1, \
         time_period: 1mo}}, groq: {{max_budget: 2, budget_duration: 30s}}}}}}
litellm_settings: {{tag_budget_config: {{'team:a': {{max_budget: 0, budget_duration: 1w}}}}}}"
    )))
    .router;
    expected.rpm = Some(1);
    assert_eq!((&*router.quota_groups[0].name, &router.quota_groups[0].limits), ("one", &expected));
    let budget = |dollars, window| Budget { dollars, window };
    let rolling = |seconds| Window::Rolling(Duration::from_secs(seconds));
    assert_eq!(
        router.provider_budgets,
        [
            ("openai".to_owned(), budget(1.0, Window::Calendar(Calendar::monthly()))),
            ("groq".to_owned(), budget(2.0, rolling(30))),
        ]
    );
    assert_eq!(router.tag_budgets, [("team:a".to_owned(), budget(0.0, rolling(604_800)))]);
}

#[test]
fn checks_affinity_queue_and_the_rest_are_read() {
    let router = valid(&with(
        "router_settings: {routing_strategy: hot-cold, routing_strategy_args: {ttl: 60, lowest_latency_buffer: 0.5}, \
         optional_pre_call_checks: [session_affinity, enforce_model_rate_limits, router_budget_limiting], \
         deployment_affinity_ttl_seconds: 90, session_affinity_repin_on_failover: true, enable_tag_filtering: true, \
         tag_filtering_match_any: false, overprovisioning_factor: 1.4, default_priority: 3, \
         queue: {max_waiting: 9, max_wait: 1.5, before_fallback: true, classes: [{up_to: -1, share: 0.25}]}}",
    ))
    .router;
    assert_eq!(router.routing_strategy, RoutingStrategy::HotCold);
    let args = router.routing_strategy_args;
    assert_eq!((args.ttl, args.lowest_latency_buffer), (Some(Duration::from_secs(60)), Some(0.5)));
    let checks = router.optional_pre_call_checks;
    assert!(checks.session_affinity && checks.enforce_model_rate_limits && checks.keep_together());
    assert!(!checks.deployment_affinity && !checks.prompt_caching);
    assert_eq!(router.deployment_affinity_ttl, Some(Duration::from_secs(90)));
    assert!(router.session_affinity_repin_on_failover);
    assert_eq!((router.tags, router.overprovisioning_factor), (TagMatch::All, Some(1.4)));
    let queue = router.queue.unwrap();
    assert_eq!((queue.max_waiting, queue.max_wait), (9, Some(Duration::from_millis(1500))));
    assert_eq!((queue.classes[0].up_to, queue.classes[0].share), (-1, 0.25));
    assert_eq!((queue.before_fallback, router.default_priority), (true, Some(3)));

    let silent = valid(&with("")).router;
    assert_eq!((silent.tags, silent.queue), (TagMatch::Ignore, None));
    let any = valid(&with("router_settings: {enable_tag_filtering: true}")).router;
    assert_eq!(any.tags, TagMatch::Any);
}

#[test]
fn a_deployments_groups_and_tags_are_read() {
    let one = with_info("quota_group: key-1, adaptive_concurrency: true", "tags: [eu, 7]");
    assert_eq!(one.quota_group.as_deref(), Some("key-1"));
    assert_eq!(one.tags, ["eu", "7"]);
    assert!(one.adaptive_concurrency);
    let info_first = with_info("adaptive_concurrency: false", "adaptive_concurrency: true");
    assert!(!info_first.adaptive_concurrency);
    assert!(with_info("", "adaptive_concurrency: true").adaptive_concurrency);
}

#[test]
fn the_master_key_is_the_files_or_the_environments() {
    let key = |text: &str, of_environment: Option<&str>| {
        let environment = |name: &str| match name {
            "KEY" => Some("sk-named".to_owned()),
            "LITELLM_MASTER_KEY" => of_environment.map(str::to_owned),
            _ => None,
        };
        let config = Config::from_yaml_with(&with(text), environment).unwrap();
        config.master_key.map(|key| key.expose().to_owned())
    };
    let given = "general_settings: {master_key: sk-1}";
    assert_eq!(key(given, Some("sk-env")).as_deref(), Some("sk-1"));
    assert_eq!(
        key("general_settings: {master_key: os.environ/KEY}", None).as_deref(),
        Some("sk-named")
    );
    assert_eq!(key("general_settings: {master_key: 12345}", None).as_deref(), Some("12345"));
    assert_eq!(key("", Some("sk-env")).as_deref(), Some("sk-env"));
    assert_eq!(key("", None), None);
    assert!(!format!("{:?}", valid(&with(given))).contains("sk-1"));
}
