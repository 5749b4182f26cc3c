//! The keys of what configures LiteLLM's server and its Python module.

use super::{Keys, absent, honoured, ignored, not_enforced};

pub(in super::super) const TOP_LEVEL: Keys = Keys {
    place: "The top of the file",
    rows: &[
        honoured(
            &["model_list", "router_settings", "litellm_settings", "general_settings"],
            "as below",
        ),
        honoured(
            &["environment_variables"],
            "go before the environment for `os.environ/` and for keys of providers; the process's own stays as it is",
        ),
        not_enforced(
            &["master_key"],
            "it is not read here, and keeps nobody out",
            "move it to `general_settings`",
        ),
        ignored(&["include"], "one file is read", "put the files together"),
        not_enforced(
            &["guardrails", "policies", "policy_attachments"],
            "nothing looks at what requests and answers say",
            "check above the gateway",
        ),
        ignored(
            &["credential_list"],
            "credentials are not kept by name",
            "use `api_key`, with `os.environ/`",
        ),
        absent(
            &["pass_through_endpoints"],
            "only requests to models are forwarded",
            "send others to where they go",
        ),
        absent(
            &[
                "agent_list",
                "assistant_settings",
                "callback_settings",
                "default_vertex_config",
                "files_settings",
                "finetune_settings",
                "mcp_servers",
                "mcp_tools",
                "plugins",
                "prompts",
                "sandbox_tools",
                "search_tools",
                "vector_store_registry",
                "worker_registry",
            ],
            "it is for LiteLLM's server",
            "leave it out",
        ),
    ],
};

pub(in super::super) const LITELLM_SETTINGS: Keys = Keys {
    place: "litellm_settings",
    rows: &[
        honoured(
            &[
                "num_retries",
                "allowed_fails",
                "fallbacks",
                "default_fallbacks",
                "context_window_fallbacks",
                "content_policy_fallbacks",
                "max_fallbacks",
            ],
            "as in `router_settings`, which goes before",
        ),
        honoured(&["request_timeout"], "`router_settings.timeout`, which goes before"),
        not_enforced(
            &["master_key"],
            "it is not read here, and keeps nobody out",
            "move it to `general_settings`",
        ),
        ignored(
            &[
                "cooldown_time",
                "timeout",
                "routing_strategy",
                "retry_policy",
                "allowed_fails_policy",
                "model_group_alias",
            ],
            "LiteLLM does not read it here either",
            "use it in `router_settings`",
        ),
        ignored(
            &["num_retries_per_request"],
            "retries are counted for each group",
            "use `num_retries`",
        ),
        ignored(&["model_alias_map"], "it is not read", "use `router_settings.model_group_alias`"),
        honoured(&["tag_budget_config"], "money for all requests with a tag together"),
        not_enforced(
            &["max_budget", "budget_*", "max_internal_user_budget", "max_user_budget"],
            "callers have no budgets",
            "use those of deployments, providers or tags",
        ),
        not_enforced(
            &["provider_budget_config"],
            "LiteLLM does not read it here either",
            "use it in `router_settings`",
        ),
        not_enforced(
            &["guardrails", "presidio_*", "output_parse_pii", "pre_call_rules", "post_call_rules"],
            "nothing looks at what requests and answers say",
            "check above the gateway",
        ),
        absent(
            &["cache", "cache_params", "enable_caching_*"],
            "answers are not kept",
            "cache above the gateway",
        ),
        absent(
            &["drop_params", "modify_params", "enable_preview_features", "use_chat_completions_*"],
            "requests and answers are not translated: what is sent is what arrives",
            "send what the provider takes",
        ),
        ignored(
            &["ssl_*", "force_ipv4", "aiohttp_*", "disable_aiohttp_*"],
            "connections are the client's below",
            "set it there; the gateway reads `SSL_CERT_FILE`",
        ),
        absent(
            &[
                "audit_log_callbacks",
                "callback_settings",
                "callbacks",
                "datadog_*",
                "failure_callback",
                "input_callback",
                "json_logs",
                "langfuse_*",
                "prometheus_*",
                "redact_*",
                "s3_callback_params",
                "service_callback",
                "set_verbose",
                "standard_logging_payload_excluded_fields",
                "store_audit_logs",
                "success_callback",
                "telemetry",
                "turn_off_message_logging",
                "extra_spend_tag_headers",
            ],
            "there are no callbacks: the gateway's log tells of each request, without its content",
            "read that, or write a Tower layer",
        ),
        ignored(
            &["api_key", "api_base", "api_version", "openai_key", "azure_key", "anthropic_key"],
            "keys and addresses belong to deployments",
            "use it in `litellm_params`",
        ),
        absent(
            &[
                "add_user_information_to_llm_headers",
                "cost_*",
                "custom_provider_map",
                "default_*",
                "disable_*",
                "enable_*",
                "forward_traceparent_to_llm_provider",
                "global_*",
                "key_generation_settings",
                "max_*",
                "mcp_aliases",
                "model_group_settings",
                "priority_*",
                "public_*",
                "require_auth_for_metrics_endpoint",
                "responses",
                "return_response_headers",
                "upperbound_key_generate_params",
                "use_*",
                "user_url_*",
                "vector_store_registry",
            ],
            "it is for LiteLLM's server or its Python module",
            "leave it out",
        ),
    ],
};

pub(in super::super) const TAG_BUDGET: Keys = Keys {
    place: "litellm_settings.tag_budget_config.{}",
    rows: &[
        honoured(&["max_budget"], "US dollars"),
        honoured(&["budget_duration"], "in which time, as in `litellm_params`"),
    ],
};

pub(in super::super) const GENERAL_SETTINGS: Keys = Keys {
    place: "general_settings",
    rows: &[
        honoured(
            &["master_key"],
            "the key that callers of the gateway must show; else `LITELLM_MASTER_KEY`; an empty one is an error",
        ),
        not_enforced(
            &[
                "admin_only_routes",
                "allowed_ips",
                "allowed_routes",
                "custom_auth",
                "enable_jwt_auth",
                "enable_oauth2_auth",
                "enforce_user_param",
                "enforced_params",
                "litellm_jwtauth",
                "role_permissions",
                "service_account_settings",
                "ui_access_mode",
            ],
            "`master_key` alone keeps callers out of the gateway",
            "put what else keeps them out before it",
        ),
        not_enforced(
            &[
                "max_parallel_requests",
                "global_max_parallel_requests",
                "max_request_size_mb",
                "max_response_size_mb",
            ],
            "callers have no limits of their own",
            "use the deployments' `max_parallel_requests`",
        ),
        absent(
            &["database_url", "store_model_in_db", "store_prompts_in_spend_logs", "database_*"],
            "there is no database: no virtual keys, no teams, no spend",
            "use `master_key`",
        ),
        absent(
            &["alerting", "alerting_*", "alert_*", "spend_report_frequency"],
            "nothing alerts",
            "watch the gateway's log",
        ),
        absent(
            &["background_health_checks", "health_check_*", "use_shared_health_check"],
            "nothing is asked to learn of its health: the requests themselves show it",
            "use `allowed_fails` and `cooldown_time`",
        ),
        absent(
            &["pass_through_endpoints"],
            "only requests to models are forwarded",
            "send others to where they go",
        ),
        absent(&["*"], "it is for LiteLLM's server", "leave it out"),
    ],
};
