//! The keys that LiteLLM has and that are not honoured yet. One that ends in `*` stands for all
//! that begin so.

/// Whether `key` begins as one of the `keys` that end in `*`.
pub(super) fn has_prefix(key: &str, keys: &[&str]) -> bool {
    keys.iter().filter_map(|known| known.strip_suffix('*')).any(|prefix| key.starts_with(prefix))
}

/// Sections that configure LiteLLM's proxy server, not its router.
#[rustfmt::skip]
pub(super) const TOP_LEVEL: &[&str] = &[
    "agent_list", "assistant_settings", "callback_settings", "credential_list",
    "default_vertex_config", "environment_variables", "files_settings", "finetune_settings",
    "guardrails", "include", "mcp_servers", "mcp_tools", "pass_through_endpoints", "plugins",
    "policies", "policy_attachments", "prompts", "sandbox_tools", "search_tools",
    "vector_store_registry", "worker_registry",
];

/// Of `general_settings`: keys that keep callers out. Whoever sets one must know that it does
/// nothing here.
#[rustfmt::skip]
pub(super) const ACCESS_CONTROL: &[&str] = &[
    "allowed_ips", "allowed_routes", "custom_auth", "enable_jwt_auth", "litellm_jwtauth",
    "master_key",
];

/// Of `model_list[].litellm_params`.
#[rustfmt::skip]
pub(super) const LITELLM_PARAMS: &[&str] = &[
    // Routing and limits.
    "allowed_fails", "allowed_fails_policy", "auto_router_*", "budget_duration",
    "complexity_router_*", "cooldown_time", "custom_llm_provider", "daily_reset_time", "itpm",
    "kubernetes_pod_discovery", "max_budget", "max_retries", "mock_response", "num_retries", "otpm",
    "provider_affinity_header", "region_name", "rpd", "silent_model", "stream_timeout",
    "stream_timeout_by_service_tier", "tag_regex", "tags", "timeout_by_service_tier", "tpd",
    "use_chat_completions_api", "use_in_pass_through", "use_litellm_proxy",
    // Prices.
    "cache_creation_input_*", "cache_read_input_*", "citation_cost_per_token", "cost_per_second",
    "input_cost_per_*", "output_cost_per_*",
    // Credentials and addresses of particular providers.
    "api_version", "aws_*", "azure_*", "bucket_name", "client_id", "client_secret",
    "configurable_clientside_auth_params", "default_headers", "deployment_id", "gcs_bucket_name",
    "headers", "litellm_credential_name", "organization", "s3_*", "ssl_verify", "tenant_id",
    "vertex_*", "watsonx_*",
    // Parameters of the request, as defaults.
    "additional_drop_params", "allowed_openai_params", "audio", "cache_control_injection_points",
    "dimensions", "drop_params", "encoding_format", "extra_body", "extra_headers",
    "frequency_penalty", "input_type", "keepalive_seconds", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "merge_reasoning_content_in_choices", "modalities",
    "model_info", "n", "parallel_tool_calls", "presence_penalty", "prompt_cache_key",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop",
    "store", "stream", "stream_options", "temperature", "thinking", "tool_choice", "tools", "top_k",
    "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
];

/// Of `model_list[].model_info`.
#[rustfmt::skip]
pub(super) const MODEL_INFO: &[&str] = &[
    "access_groups", "access_windows", "allow_fail_open", "allowed_fails", "allowed_fails_policy",
    "base_model", "blocked", "cache_creation_input_*", "cache_read_input_*", "cooldown_time",
    "cost_per_*", "disable_background_health_check", "enable_tag_filtering",
    "enforce_supported_endpoints", "health_check_*", "input_cost_per_*", "litellm_provider",
    "max_*", "mode", "output_cost_per_*", "output_vector_size", "ptu_*", "rpm",
    "supported_endpoints", "supported_environments", "supports_*", "team_id",
    "team_public_model_name", "tier", "tpm",
];

/// Of `router_settings`.
#[rustfmt::skip]
pub(super) const ROUTER_SETTINGS: &[&str] = &[
    "alerting_config", "allowed_fails_policy", "assistants_config", "cache_kwargs",
    "cache_responses", "caching_groups", "client_ttl", "content_policy_fallbacks",
    "context_window_fallbacks", "debug_level", "default_litellm_params",
    "default_max_parallel_requests", "default_priority", "deployment_affinity_ttl_seconds",
    "enable_health_check_routing", "enable_mid_stream_fallback_continuation",
    "enable_pre_call_checks", "enable_tag_filtering", "enable_weighted_failover",
    "fallback_access_check", "fallback_budget_check", "fallback_on_unsupported_params",
    "health_check_ignore_transient_errors", "health_check_staleness_threshold",
    "ignore_invalid_deployments", "model_group_affinity_config", "model_group_retry_policy",
    "optional_pre_call_checks", "plugins", "polling_interval", "provider_budget_config", "redis_*",
    "retry_policy", "router_general_settings", "routing_groups", "routing_strategy_args",
    "session_affinity_repin_on_failover", "set_verbose", "stream_timeout",
    "tag_filtering_match_any", "tag_routing_prefix",
];

/// Of `litellm_settings`, which LiteLLM sets as attributes of its Python module: the ones its users
/// write.
#[rustfmt::skip]
pub(super) const LITELLM_SETTINGS: &[&str] = &[
    "add_user_information_to_llm_headers", "audit_log_callbacks", "budget_*", "cache",
    "cache_params", "callback_settings", "callbacks", "content_policy_fallbacks",
    "context_window_fallbacks", "cost_*", "custom_provider_map", "datadog_*", "default_*",
    "disable_*", "drop_params", "enable_*", "extra_spend_tag_headers", "failure_callback",
    "force_ipv4", "forward_traceparent_to_llm_provider", "global_*", "guardrails", "input_callback",
    "json_logs", "key_generation_settings", "langfuse_*", "max_*", "mcp_aliases", "model_alias_map",
    "model_group_settings", "modify_params", "num_retries_per_request", "output_parse_pii",
    "post_call_rules", "pre_call_rules", "presidio_*", "priority_*", "prometheus_*", "public_*",
    "redact_*", "require_auth_for_metrics_endpoint", "responses", "return_response_headers",
    "s3_callback_params", "service_callback", "set_verbose", "ssl_*",
    "standard_logging_payload_excluded_fields", "store_audit_logs", "success_callback",
    "tag_budget_config", "telemetry", "turn_off_message_logging", "upperbound_key_generate_params",
    "use_*", "user_url_*", "vector_store_registry",
];
