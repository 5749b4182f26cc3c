//! What `--check` prints tells two configurations apart.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use tower_fleet::config::Config;
use tower_fleet_gateway::Report;

fn told(params: &str, info: &str, router: &str) -> String {
    let yaml = format!(
        "model_list:
- {{model_name: m, model_info: {{id: a{info}}}, litellm_params: {{model: azure/x, api_base: 'http://a', input_cost_per_token: 1e-6{params}}}}}
- {{model_name: m, litellm_params: {{model: y, api_base: 'http://b/v1', weight: 0.3}}}}
- {{model_name: n, litellm_params: {{model: z, api_base: 'http://c/v1'}}}}
router_settings: {{timeout: 9{router}}}
"
    );
    let config = Config::from_yaml_with(&yaml, |_| None).unwrap();
    // Of what has no effect a warning tells, which is not what is looked for here.
    Report::of(&config, &[]).unwrap().to_string()
}

#[test]
fn every_setting_is_told() {
    let plain = told("", "", "");
    let params = [
        "api_version: 2024-10-21",
        "api_key: hunter2",
        "extra_headers: {x-team: hunter2}",
        "weight: 0.7",
        "rpm: 100",
        "tpm: 100",
        "itpm: 100",
        "otpm: 100",
        "rpd: 100",
        "tpd: 100",
        "rpd: 100, daily_reset_time: '06:30'",
        "rpd: 0",
        "max_budget: 5, budget_duration: 1d",
        "max_budget: 5, budget_duration: 1mo",
        "tags: [fast]",
        "order: 2",
        "timeout: 7",
        "stream_timeout: 7",
        "num_retries: 7",
        "max_parallel_requests: 7",
        "max_parallel_requests: 0",
        "region_name: eu",
        "stream_options: {include_usage: false}",
        "output_cost_per_token: 1e-6",
        "cache_read_input_token_cost: 1e-6",
        "cache_creation_input_token_cost: 1e-6",
        "output_cost_per_reasoning_token: 1e-6",
    ];
    let info = [
        "cooldown_time: 7",
        "cooldown_time: 0",
        "allowed_fails: 7",
        "allowed_fails_policy: {TimeoutErrorAllowedFails: 7}",
        "base_model: other",
        "max_input_tokens: 7",
        "supports_vision: true",
        "supports_vision: false",
        "supported_endpoints: [/v1/embeddings], enforce_supported_endpoints: true",
        "mode: chat",
        "blocked: true",
        "quota_group: team",
        "adaptive_concurrency: true",
    ];
    let router = [
        "routing_strategy: least-busy",
        "routing_strategy: latency-based-routing",
        "routing_strategy_args: {ttl: 7}",
        "routing_strategy_args: {lowest_latency_buffer: 0.1}",
        "optional_pre_call_checks: [session_affinity]",
        "optional_pre_call_checks: [deployment_affinity]",
        "optional_pre_call_checks: [prompt_caching]",
        "optional_pre_call_checks: [responses_api_deployment_check]",
        "optional_pre_call_checks: [session_affinity], deployment_affinity_ttl_seconds: 7",
        "optional_pre_call_checks: [session_affinity], session_affinity_repin_on_failover: true",
        "enable_tag_filtering: true",
        "enable_tag_filtering: true, tag_filtering_match_any: false",
        "overprovisioning_factor: 1.4",
        "provider_budget_config: {azure: {budget_limit: 5, time_period: 1d}}",
        "queue: {max_waiting: 7}",
        "queue: {max_waiting: 7, max_wait: 7}",
        "queue: {max_waiting: 7, before_fallback: true}",
        "queue: {max_waiting: 7, classes: [{up_to: 0, share: 0.5}]}",
        "queue: {max_waiting: 7}, default_priority: 7",
        "num_retries: 7",
        "retry_policy: {TimeoutErrorRetries: 7}",
        "model_group_retry_policy: {m: {TimeoutErrorRetries: 7}}",
        "allowed_fails: 7",
        "allowed_fails_policy: {TimeoutErrorAllowedFails: 7}",
        "cooldown_time: 7",
        "disable_cooldowns: true",
        "retry_after: 7",
        "stream_timeout: 7",
        "default_max_parallel_requests: 7",
        "enable_pre_call_checks: true",
        "fallbacks: [{m: [n]}]",
        "default_fallbacks: [n]",
        "context_window_fallbacks: [{m: [n]}]",
        "content_policy_fallbacks: [{m: [n]}]",
        "fallback_on_unsupported_params: false",
        "max_fallbacks: 7",
        "model_group_alias: {o: m}",
    ];
    let all = (params.iter().map(|one| (*one, told(&format!(", {one}"), "", ""))))
        .chain(info.iter().map(|one| (*one, told("", &format!(", {one}"), ""))))
        .chain(router.iter().map(|one| (*one, told("", "", &format!(", {one}")))));
    let mut seen = vec![("nothing", plain)];
    for (setting, told) in all {
        assert!(!told.contains("hunter2"), "{told}");
        for (other, before) in &seen {
            assert_ne!(*before, told, "{setting} looks like {other}");
        }
        seen.push((setting, told));
    }
}

#[test]
fn limits_and_what_shares_them_are_told() {
    let params = ", rpm: 5, max_budget: 0.5, budget_duration: 1mo";
    let checks = "optional_pre_call_checks: [enforce_model_rate_limits, session_affinity]";
    let groups = "quota_groups: {team: {tpm: 1000}}";
    let budget = "provider_budget_config: {azure: {budget_limit: 2, time_period: 1d}}";
    let queue = "queue: {max_waiting: 9, max_wait: 3, classes: [{up_to: 0, share: 0.5}]}";
    let router = format!(", {checks}, {groups}, {budget}, {queue}");
    let told = told(params, ", quota_group: team", &router);
    for line in [
        "      76.9 % of the group, at most 5 requests in 60 s, at most 0.5 dollars in a calendar month, \
         in the quota group team, at most 5 requests at a time, \
         only for /chat/completions, /completions, /embeddings, /responses",
        "quotas:",
        "  team: 1000 tokens in 60 s, for a together",
        "  provider azure: 2 dollars in 86400 s, for a together",
        "  kept together: by a session",
        "  queue: up to 9 requests of a group wait, for 3 s at most; 50 % are for those up to priority 0",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
}

#[test]
fn a_quota_group_called_as_a_budget_hides_it_not() {
    let groups = "quota_groups: {provider azure: {tpm: 1000}}";
    let budget = "provider_budget_config: {azure: {budget_limit: 2, time_period: 1d}}";
    let told = told("", ", quota_group: provider azure", &format!(", {groups}, {budget}"));
    for limits in ["1000 tokens in 60 s", "2 dollars in 86400 s"] {
        assert!(told.contains(&format!("  provider azure: {limits}, for a together")), "{told}");
    }
}

#[test]
fn weights_are_shares_of_the_group() {
    for (weight, shares) in [
        ("weight: 0.7", ["70 % of the group", "30 % of the group"]),
        ("weight: 0.6", ["66.7 % of the group", "33.3 % of the group"]),
        ("weight: 0", ["0 % of the group", "100 % of the group"]),
        ("weight: 1000", ["100 % of the group", "less than 0.1 % of the group"]),
    ] {
        let told = told(&format!(", {weight}"), "", "");
        let lines = told.lines().filter(|line| line.contains("of the group"));
        let found: Vec<_> = lines.map(|line| line.trim().split(',').next().unwrap()).collect();
        assert_eq!(found[..2], shares, "{told}");
    }
}
