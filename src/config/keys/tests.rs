use std::{collections::HashSet, fmt::Write};

use super::*;

const TABLES: &[&Keys] = &[
    &TOP_LEVEL,
    &ENTRY,
    &LITELLM_PARAMS,
    &STREAM_OPTIONS,
    &MODEL_INFO,
    &ROUTER_SETTINGS,
    &STRATEGY_ARGS,
    &CHECKS,
    &PROVIDER_BUDGET,
    &QUOTA_GROUP,
    &QUEUE,
    &QUEUE_CLASS,
    &TARGET,
    &ALIAS,
    &RETRY_POLICY,
    &ALLOWED_FAILS_POLICY,
    &LITELLM_SETTINGS,
    &TAG_BUDGET,
    &GENERAL_SETTINGS,
];

impl Keys {
    /// Fails where what a reader asks for is not what the table says is honoured.
    pub(in super::super) fn agree_with(&self, asked: &[&'static str]) {
        let honoured = self.rows.iter().filter(|row| matches!(row.fate, Fate::Honoured(_)));
        let told: HashSet<_> = honoured.flat_map(|row| row.keys).copied().collect();
        let asked: HashSet<_> = asked.iter().copied().collect();
        assert_eq!(told, asked, "{}: told to be honoured, and asked for", self.place);
    }

    /// Its part of the documentation.
    fn table(&self) -> String {
        let place = self.place;
        let code = if place.contains(' ') { "" } else { "`" };
        let mut text =
            format!("\n## {code}{place}{code}\n\n| key | what becomes of it |\n|---|---|\n");
        for Row { keys, fate } in self.rows {
            let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            let fate = match fate {
                Fate::Honoured(how) => (*how).to_owned(),
                Fate::Ignored { why, instead, .. } => format!("*not honoured*: {why}; {instead}"),
                Fate::NotEnforced { why, instead } => format!("**not enforced**: {why}; {instead}"),
            };
            writeln!(text, "| {} | {fate} |", keys.join(", ")).unwrap();
        }
        text
    }
}

/// `BLESS=1` writes the documentation anew.
#[test]
fn the_documentation_is_the_table() {
    let tables: String = TABLES.iter().map(|keys| keys.table()).collect();
    let tables = tables.trim_start();
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/keys.md");
        return std::fs::write(path, tables).unwrap();
    }
    for (told, expected) in include_str!("../keys.md").lines().zip(tables.lines()) {
        assert_eq!(told, expected, "BLESS=1 mends it");
    }
    assert_eq!(include_str!("../keys.md").len(), tables.len());
}

#[test]
fn no_key_has_two_fates() {
    for keys in TABLES {
        let mut names = HashSet::new();
        assert_eq!(keys.names().find(|name| !names.insert(*name)), None, "{}", keys.place);
        // Only the last may stand for all.
        assert!(keys.names().position(|name| name == "*").is_none_or(|at| at + 1 == names.len()));
    }
}

/// The keys of LiteLLM's router, of its deployments and of its policies.
#[rustfmt::skip]
const OF_LITELLM: [(&Keys, &str); 5] = [
    (&ROUTER_SETTINGS, "
        model_list routing_strategy routing_strategy_args routing_groups num_retries retry_after
        retry_policy model_group_retry_policy max_fallbacks fallbacks context_window_fallbacks
        content_policy_fallbacks default_fallbacks fallback_on_unsupported_params
        enable_weighted_failover enable_mid_stream_fallback_continuation timeout stream_timeout
        cooldown_time allowed_fails allowed_fails_policy disable_cooldowns
        default_max_parallel_requests enable_pre_call_checks optional_pre_call_checks
        deployment_affinity_ttl_seconds session_affinity_repin_on_failover enable_tag_filtering
        tag_filtering_match_any tag_routing_prefix model_group_alias enable_health_check_routing
        health_check_staleness_threshold health_check_ignore_transient_errors provider_budget_config
        default_priority polling_interval cache_responses caching_groups redis_* startup_nodes cache_kwargs
        client_ttl default_litellm_params fallback_access_check fallback_budget_check plugins
    "),
    (&LITELLM_PARAMS, "
        model tpm rpm itpm otpm tpd rpd daily_reset_time order weight max_parallel_requests timeout
        stream_timeout timeout_by_service_tier num_retries max_retries tags tag_regex max_budget
        budget_duration cooldown_time input_cost_per_token output_cost_per_token region_name
        silent_model kubernetes_pod_discovery use_in_pass_through mock_response
    "),
    (&MODEL_INFO, "
        id base_model team_id team_public_model_name blocked access_windows supported_environments
        supported_endpoints enforce_supported_endpoints allowed_fails allowed_fails_policy
        cooldown_time allow_fail_open enable_tag_filtering max_embedding_batch_size ptu_*
        disable_background_health_check health_check_*
    "),
    (&RETRY_POLICY, "
        BadRequestErrorRetries AuthenticationErrorRetries TimeoutErrorRetries RateLimitErrorRetries
        ContentPolicyViolationErrorRetries InternalServerErrorRetries ServiceUnavailableErrorRetries
        NotFoundErrorRetries DefaultRetries
    "),
    (&ALLOWED_FAILS_POLICY, "
        BadRequestErrorAllowedFails AuthenticationErrorAllowedFails TimeoutErrorAllowedFails
        RateLimitErrorAllowedFails ContentPolicyViolationErrorAllowedFails
        InternalServerErrorAllowedFails ServiceUnavailableErrorAllowedFails NotFoundErrorAllowedFails
        BadGatewayErrorAllowedFails
    "),
];

#[test]
fn every_key_of_litellms_router_is_there_by_its_own_name() {
    for (table, keys) in OF_LITELLM {
        let known: HashSet<_> = table.names().collect();
        for key in keys.split_whitespace() {
            assert!(known.contains(key), "{}.{key}", table.place);
        }
    }
}
