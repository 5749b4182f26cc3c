//! The keys of `router_settings`.

use super::{Keys, absent, honoured, ignored, not_enforced};

pub(in super::super) const ROUTER_SETTINGS: Keys = Keys {
    place: "router_settings",
    rows: &[
        honoured(
            &["routing_strategy"],
            "LiteLLM's `simple-shuffle`, `least-busy`, `latency-based-routing`, `cost-based-routing`, `usage-based-routing`, \
             `usage-based-routing-v2` and `provider-budget-routing` (a shuffle: budgets hold with all), and `round-robin`, \
             `power-of-two`, `hot-cold` and `prefer-idle`; a request may name another in its `routing_strategy`",
        ),
        honoured(&["routing_strategy_args"], "as below"),
        honoured(&["optional_pre_call_checks"], "as below"),
        honoured(
            &["deployment_affinity_ttl_seconds"],
            "how long a session or a caller stays with a deployment after its latest request, an hour unless given",
        ),
        honoured(
            &["session_affinity_repin_on_failover"],
            "`true`: what went elsewhere when its deployment failed stays there",
        ),
        honoured(
            &["enable_tag_filtering", "tag_filtering_match_any"],
            "the tags of requests choose deployments; `tag_filtering_match_any: false`: those that have all of them",
        ),
        honoured(
            &["provider_budget_config"],
            "money for all deployments of a provider together; one without a limit is unlimited",
        ),
        honoured(
            &["default_priority"],
            "the priority of requests that name none, in the `queue`; 0 unless given",
        ),
        honoured(&["queue"], "not LiteLLM's: requests wait when no deployment has room, as below"),
        honoured(
            &["quota_groups"],
            "not LiteLLM's: what deployments with one `quota_group` may take together, as below",
        ),
        honoured(
            &["overprovisioning_factor"],
            "not LiteLLM's: an `order` of which less than 1/factor is well sheds requests to the next one, in proportion, as \
             in Envoy, where it is 1.4; unless given, only when none of it can take them",
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
        absent(
            &["routing_groups"],
            "all groups are picked from in the same way",
            "name another `routing_strategy` in the request",
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
            &["model_group_affinity_config"],
            "requests are kept together in the same way in all groups",
            "use `optional_pre_call_checks`",
        ),
        absent(
            &["tag_routing_prefix"],
            "the tags of a request are compared as they are",
            "use the tags of the deployments in requests",
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
        ignored(
            &["polling_interval"],
            "a request that waits is woken when a place may be free",
            "use `queue`",
        ),
        ignored(
            &["scheduler_*"],
            "where requests wait, they wait in this process alone",
            "use `queue`",
        ),
        absent(
            &["cache_responses", "cache_kwargs", "caching_groups"],
            "answers are not kept",
            "cache above the gateway",
        ),
        ignored(
            &["redis_*", "startup_nodes"],
            "state is not shared between processes yet",
            "run one process: limits hold for each",
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

pub(in super::super) const STRATEGY_ARGS: Keys = Keys {
    place: "router_settings.routing_strategy_args",
    rows: &[
        honoured(
            &["ttl"],
            "how long a latency matters, in seconds: after that time it counts for a third; 10 unless given",
        ),
        honoured(
            &["lowest_latency_buffer"],
            "how much slower than the fastest, of 1, a deployment may be and still share its requests; 0 unless given",
        ),
        ignored(
            &["max_latency_list_size"],
            "latencies are kept as an average that fades, not as a list",
            "use `ttl`",
        ),
        ignored(
            &["ttft_percentile"],
            "latencies are kept as an average that fades, and streams are compared by the time to their first chunk anyway",
            "leave it out",
        ),
    ],
};

pub(in super::super) const CHECKS: Keys = Keys {
    place: "router_settings.optional_pre_call_checks[]",
    rows: &[
        honoured(
            &["enforce_model_rate_limits"],
            "`rpm` and `tpm` of deployments are limits; one that has had its share is passed over, and is not set aside",
        ),
        honoured(&["router_budget_limiting"], "budgets are always limits, with it or without"),
        honoured(
            &["responses_api_deployment_check"],
            "a request with `previous_response_id` goes to the deployment that gave that response",
        ),
        honoured(
            &["session_affinity"],
            "the requests of a session, by `x-litellm-session-id`, stay with the deployment that the strategy picks for the \
             first of them",
        ),
        honoured(
            &["prompt_caching"],
            "requests with one `prompt_cache_key`, or whose prompts begin alike, stay with a deployment, as long as its \
             answers show that it has them in its cache",
        ),
        honoured(
            &["deployment_affinity"],
            "the requests of a caller's key stay with a deployment. Of several of these checks the first in this order that \
             a request has a key for counts; one that is much busier than the others is passed over",
        ),
        ignored(
            &["forward_client_headers_by_model_group"],
            "the headers of a request go to every deployment, but for those with the caller's key",
            "leave it out",
        ),
        ignored(
            &["encrypted_content_affinity"],
            "items of answers do not tell which deployment made them",
            "use `responses_api_deployment_check` or `session_affinity`",
        ),
    ],
};

pub(in super::super) const PROVIDER_BUDGET: Keys = Keys {
    place: "router_settings.provider_budget_config.{}",
    rows: &[
        honoured(&["budget_limit", "max_budget"], "US dollars; the first goes before"),
        honoured(&["time_period", "budget_duration"], "in which time, as `budget_duration`"),
    ],
};

pub(in super::super) const QUEUE: Keys = Keys {
    place: "router_settings.queue",
    rows: &[
        honoured(&["max_waiting"], "how many requests of a group may wait; must be given"),
        honoured(&["max_wait"], "how long, in seconds; 30 unless given"),
        honoured(&["classes"], "a list of classes of requests; unless given all are alike"),
        honoured(
            &["before_fallback"],
            "`true`: requests that have a fallback wait too, before they go there",
        ),
    ],
};

pub(in super::super) const QUEUE_CLASS: Keys = Keys {
    place: "router_settings.queue.classes[]",
    rows: &[
        honoured(&["up_to"], "its last priority, as lower goes first"),
        honoured(
            &["share"],
            "the share, of 1, of the places that come free, and of those in line, that is its own while it needs them",
        ),
    ],
};

pub(in super::super) const QUOTA_GROUP: Keys = Keys {
    place: "router_settings.quota_groups.{}",
    rows: &[
        honoured(&["rpm", "tpm"], "requests and tokens a minute, always limits; 0 is none at all"),
        honoured(
            &[
                "itpm",
                "otpm",
                "rpd",
                "tpd",
                "daily_reset_time",
                "max_parallel_requests",
                "max_budget",
                "budget_duration",
            ],
            "as in `litellm_params`",
        ),
    ],
};
