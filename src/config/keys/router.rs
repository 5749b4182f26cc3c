//! The keys of `router_settings`.

use super::{Keys, absent, honoured, ignored, not_enforced};

pub(in super::super) const ROUTER_SETTINGS: Keys = Keys {
    place: "router_settings",
    rows: &[
        honoured(
            &["routing_strategy"],
            "`simple-shuffle`, `least-busy`, and `round-robin`; for others one of these stands in, and a warning says which",
        ),
        honoured(&["num_retries"], "retries, 2 unless given"),
        honoured(&["retry_after"], "the least wait before the same deployment is asked again"),
        honoured(
            &["retry_policy", "model_group_retry_policy"],
            "retries by kind of failure, for all groups or for one",
        ),
        honoured(
            &["fallbacks", "default_fallbacks"],
            "the groups to turn to, for one group or for those without any; of two lists for a group the first holds",
        ),
        honoured(
            &["context_window_fallbacks", "content_policy_fallbacks"],
            "the groups to turn to when the input is too long or refused for its content",
        ),
        honoured(&["max_fallbacks"], "how many groups are turned to, 5 unless given: a true count"),
        honoured(&["fallback_on_unsupported_params"], "`false`: no fallback after a 400"),
        honoured(
            &["timeout", "stream_timeout"],
            "the time of one attempt, 600 s unless given; where a stream is asked for",
        ),
        honoured(&["cooldown_time"], "how long a deployment is set aside, 5 s unless given"),
        honoured(
            &["allowed_fails"],
            "failures a minute before it is set aside; unless given, three in a row or more than half",
        ),
        honoured(&["allowed_fails_policy"], "the same by kind of failure"),
        honoured(&["disable_cooldowns"], "nothing is ever set aside"),
        honoured(
            &["default_max_parallel_requests"],
            "`max_parallel_requests` of the deployments that have none",
        ),
        honoured(
            &["enable_pre_call_checks"],
            "deployments that cannot take the request are passed over: too long, images, region; unless `true` neither \
             length nor images are checked, as in LiteLLM, and a request that must stay in a region is refused",
        ),
        honoured(&["model_group_alias"], "other names for groups"),
        not_enforced(
            &["master_key"],
            "it is not read here, and keeps nobody out",
            "move it to `general_settings`",
        ),
        ignored(&["model_list"], "it stands at the top of the file", "move it there"),
        absent(&["routing_strategy_args"], "no strategy here takes arguments", "leave it out"),
        absent(
            &["routing_groups"],
            "all groups are picked from in the same way",
            "use `routing_strategy`",
        ),
        absent(
            &["weights"],
            "callers have no weights of their own",
            "use the deployments' `weight`",
        ),
        absent(
            &["enable_weighted_failover"],
            "a retry goes to another deployment of the group anyway",
            "use `num_retries`",
        ),
        absent(
            &["enable_mid_stream_fallback_continuation"],
            "a stream that breaks after its first chunk ends there",
            "ask again with what has arrived",
        ),
        absent(
            &[
                "optional_pre_call_checks",
                "deployment_affinity_ttl_seconds",
                "session_affinity_repin_on_failover",
                "model_group_affinity_config",
            ],
            "no limit by time, budget or affinity is checked before a pick yet",
            "use `max_parallel_requests`, or groups of one deployment",
        ),
        absent(
            &["enable_tag_filtering", "tag_filtering_match_any", "tag_routing_prefix"],
            "tags choose no deployment yet",
            "make a group for each tag",
        ),
        absent(
            &[
                "enable_health_check_routing",
                "health_check_staleness_threshold",
                "health_check_ignore_transient_errors",
            ],
            "nothing is asked to learn of its health: the requests themselves show it",
            "use `allowed_fails` and `cooldown_time`",
        ),
        not_enforced(
            &["provider_budget_config"],
            "money is counted, but not limited yet",
            "set the limit at the provider",
        ),
        absent(
            &["default_priority", "polling_interval", "scheduler_*"],
            "a request does not wait for its turn: it is sent or refused",
            "retry from the client",
        ),
        absent(
            &["cache_responses", "cache_kwargs", "caching_groups"],
            "answers are not kept",
            "cache above the gateway",
        ),
        ignored(
            &["redis_*", "startup_nodes"],
            "state is not shared between processes yet",
            "run one process: `max_parallel_requests` holds for each",
        ),
        absent(&["client_ttl"], "connections are the client's below", "set its idle time"),
        absent(
            &["default_litellm_params"],
            "no default is written into a request or a deployment",
            "share keys between deployments with YAML's `<<`",
        ),
        not_enforced(
            &["fallback_access_check", "fallback_budget_check"],
            "every caller may use every fallback",
            "leave out those that some may not use",
        ),
        absent(&["plugins"], "no Python is run", "write a Tower layer"),
        absent(
            &["alerting_config", "debug_level", "set_verbose"],
            "the router does not log or alert by itself",
            "read the gateway's log",
        ),
        absent(
            &[
                "assistants_config",
                "router_general_settings",
                "ignore_invalid_deployments",
                "search_tools",
                "guardrail_list",
            ],
            "it is for LiteLLM's server",
            "leave it out",
        ),
    ],
};

pub(in super::super) const TARGET: Keys = Keys {
    place: "router_settings.fallbacks[].{}[]",
    rows: &[
        honoured(&["model"], "the group, as if its name stood here alone"),
        ignored(&["*"], "a fallback is asked what the caller asked", "leave it out"),
    ],
};

pub(in super::super) const ALIAS: Keys = Keys {
    place: "router_settings.model_group_alias.{}",
    rows: &[
        honoured(&["model"], "the group"),
        honoured(&["hidden"], "whether the name is left out where models are listed"),
    ],
};

pub(in super::super) const RETRY_POLICY: Keys = Keys {
    place: "retry_policy",
    rows: &[
        honoured(
            &["BadRequestErrorRetries"],
            "400, 413, 422 and the like; inputs that are too long or refused for their content too",
        ),
        honoured(&["AuthenticationErrorRetries"], "401, 403"),
        honoured(&["TimeoutErrorRetries"], "time-outs, 408, 504"),
        honoured(&["RateLimitErrorRetries"], "429, and exhausted quotas"),
        honoured(&["ContentPolicyViolationErrorRetries"], "content that is refused"),
        honoured(&["InternalServerErrorRetries"], "other 5xx, and connections that cannot be made"),
        honoured(&["ServiceUnavailableErrorRetries"], "503, 529"),
        honoured(&["NotFoundErrorRetries"], "404, 410"),
        honoured(&["DefaultRetries"], "failures without a count that are retried otherwise"),
    ],
};

pub(in super::super) const ALLOWED_FAILS_POLICY: Keys = Keys {
    place: "allowed_fails_policy",
    rows: &[
        honoured(
            &[
                "BadRequestErrorAllowedFails",
                "AuthenticationErrorAllowedFails",
                "TimeoutErrorAllowedFails",
                "RateLimitErrorAllowedFails",
                "ContentPolicyViolationErrorAllowedFails",
                "InternalServerErrorAllowedFails",
                "ServiceUnavailableErrorAllowedFails",
                "NotFoundErrorAllowedFails",
            ],
            "failures a minute of the kinds that `retry_policy` names",
        ),
        ignored(
            &["BadGatewayErrorAllowedFails"],
            "a 502 is counted with the other 5xx",
            "use `InternalServerErrorAllowedFails`",
        ),
    ],
};
