//! The keys of `model_list`.

use super::{Keys, absent, honoured, ignored, not_enforced};

pub(in super::super) const ENTRY: Keys = Keys {
    place: "model_list[]",
    rows: &[
        honoured(&["model_name"], "the group; may hold `*`"),
        honoured(&["litellm_params", "model_info"], "as below"),
        absent(&["model_type"], "LiteLLM's own note", "leave it out"),
    ],
};

pub(in super::super) const LITELLM_PARAMS: Keys = Keys {
    place: "model_list[].litellm_params",
    rows: &[
        honoured(
            &["model"],
            "provider and name upstream; `azure/` and `anthropic/` are spoken to in their own manner, all others as OpenAI's. \
             Without a provider `claude…` is Anthropic's, and `gpt-…` and the like are OpenAI's. A deployment whose \
             provider is not known, or has no such address, is left out, unless there is an `api_base`",
        ),
        honoured(&["custom_llm_provider"], "the provider, in place of what `model` begins with"),
        honoured(
            &["api_base", "base_url"],
            "the address; else the provider's own, or for `openai`, `azure`, `anthropic` and `ollama` what the environment gives; Ollama's is \
             without `/v1`, as in LiteLLM",
        ),
        honoured(
            &["api_key"],
            "the key; else what the environment holds, but sent to the provider's own address only",
        ),
        honoured(
            &["api_version"],
            "Azure's `api-version`; else `AZURE_API_VERSION`, or LiteLLM's default",
        ),
        honoured(
            &["azure_ad_token"],
            "sent as a bearer token where there is no `api_key`; else `AZURE_AD_TOKEN`",
        ),
        honoured(&["organization"], "sent as `OpenAI-Organization`; of a list the first"),
        honoured(
            &["extra_headers", "headers", "default_headers"],
            "sent with each request; of a header given twice the first of these keys holds",
        ),
        honoured(
            &["weight"],
            "share of the traffic; ratios above 1,024 to 1 may be rounded to that, in groups of more than 64 sooner",
        ),
        honoured(
            &["rpm", "tpm"],
            "requests and tokens a minute, with the check `enforce_model_rate_limits` or where the strategy goes by \
             latency, cost or usage; always the weight, where the group has no `weight`; 0 is none at all",
        ),
        honoured(
            &["itpm", "otpm", "rpd", "tpd"],
            "tokens of input and of output a minute, requests and tokens a day: always limits; 0 is none at all",
        ),
        honoured(
            &["daily_reset_time"],
            "the time of day in UTC, `HH:MM`, at which the day of `rpd` and `tpd` begins; unless given they hold for any 24 hours",
        ),
        honoured(
            &["max_budget", "budget_duration"],
            "US dollars in a time, both of which are needed: `30s`, `15m`, `12h`, `1d`, `2w`, or `1mo`, a month of the \
             calendar in UTC; of others any stretch; 0 is none at all",
        ),
        honoured(&["tags"], "the tags that requests choose by, with `enable_tag_filtering`"),
        honoured(&["order"], "the level: lower goes first"),
        honoured(
            &["max_parallel_requests"],
            "how many at a time; a full deployment is passed over; 0 is no limit; unless given `rpm`, else 6 for each 1000 \
             of `tpm`, else the router's, as in LiteLLM",
        ),
        honoured(&["timeout"], "the time of one attempt, until its response head"),
        honoured(&["stream_timeout"], "the same, where a stream is asked for"),
        honoured(&["num_retries"], "the retries of a request that fails there"),
        honoured(&["cooldown_time"], "how long it is set aside where no answer says; 0 is never"),
        honoured(
            &["allowed_fails", "allowed_fails_policy"],
            "as in `model_info`, which goes before",
        ),
        honoured(&["stream_options"], "its `include_usage`"),
        honoured(&["adaptive_concurrency"], "as in `model_info`, which goes before"),
        honoured(
            &["region_name"],
            "the region, with `enable_pre_call_checks`: a request that says `allowed_model_region` goes to no other, \
             without them to none; `eu` is `eu-west-1` too",
        ),
        honoured(
            &[
                "input_cost_per_token",
                "output_cost_per_token",
                "cache_read_input_token_cost",
                "cache_creation_input_token_cost",
                "output_cost_per_reasoning_token",
            ],
            "the price; goes before those of `model_info`, and these before a price list",
        ),
        ignored(
            &["max_retries"],
            "an attempt is one request: there is no client inside that retries",
            "use `num_retries`",
        ),
        absent(
            &["tag_regex"],
            "the headers of a request choose no deployment",
            "give the tag in `x-litellm-tags`",
        ),
        ignored(
            &["timeout_by_service_tier", "stream_timeout_by_service_tier"],
            "time limits do not depend on the service tier",
            "use `timeout`, or a group for each tier",
        ),
        ignored(
            &["mock_response"],
            "the deployment is asked in earnest",
            "point `api_base` at a server that mocks",
        ),
        ignored(
            &["silent_model"],
            "no request is sent twice for comparison",
            "mirror below the client",
        ),
        ignored(
            &["kubernetes_pod_discovery"],
            "pods are not discovered",
            "list them, or point `api_base` at their service",
        ),
        ignored(
            &["auto_router_*", "complexity_router_*", "adaptive_router_*", "quality_router_*"],
            "no group is chosen by what the request says",
            "name the group in the request",
        ),
        ignored(
            &["provider_affinity_header"],
            "requests stick to a deployment by their session, not to a provider",
            "use the check `session_affinity`",
        ),
        absent(
            &["use_in_pass_through", "use_litellm_proxy", "use_xai_oauth"],
            "it is for endpoints or logins of LiteLLM's server",
            "use `api_base` and `api_key`",
        ),
        absent(
            &["use_chat_completions_api"],
            "requests are not translated from one API to another",
            "ask for `/chat/completions`",
        ),
        ignored(
            &["litellm_credential_name"],
            "credentials are not kept by name",
            "use `api_key`, with `os.environ/`",
        ),
        absent(
            &["configurable_clientside_auth_params", "allow_client_keepalive_override"],
            "a request cannot choose where it is sent or with which key",
            "make a deployment for each",
        ),
        ignored(
            &["azure_*", "tenant_id", "client_id", "client_secret"],
            "no token is fetched",
            "use `api_key` or `azure_ad_token`",
        ),
        ignored(
            &["aws_*", "vertex_*", "watsonx_*", "bedrock_*"],
            "the provider's own API is not spoken",
            "point `api_base` at what of it has OpenAI's shape",
        ),
        ignored(
            &["bucket_name", "gcs_bucket_name", "s3_*", "deployment_id", "litellm_trace_id"],
            "files, batches and logs are not kept",
            "leave it out",
        ),
        ignored(
            &["ssl_verify"],
            "certificates are checked as the client below does",
            "give it the certificate, for the gateway with `SSL_CERT_FILE`",
        ),
        ignored(
            &[
                "cache_creation_input_*",
                "cache_read_input_*",
                "citation_cost_per_token",
                "cost_per_*",
                "input_cost_per_*",
                "output_cost_per_*",
            ],
            "only tokens of input, output, cache and reasoning are priced, at one price each",
            "use a price list, which may know tiers",
        ),
        ignored(
            &["default_api_key_rpm_limit", "default_api_key_tpm_limit"],
            "callers have no limits",
            "use the deployment's `rpm` and `tpm`",
        ),
        absent(
            &[
                "drop_params",
                "additional_drop_params",
                "allowed_openai_params",
                "merge_reasoning_content_in_choices",
            ],
            "requests and answers are not translated: what is sent is what arrives",
            "send what the provider takes",
        ),
        ignored(
            &[
                "audio",
                "cache_control_injection_points",
                "dimensions",
                "encoding_format",
                "extra_body",
                "frequency_penalty",
                "input_type",
                "keepalive_seconds",
                "logit_bias",
                "logprobs",
                "max_completion_tokens",
                "max_tokens",
                "modalities",
                "model_info",
                "n",
                "parallel_tool_calls",
                "presence_penalty",
                "prompt_cache_key",
                "reasoning_effort",
                "response_format",
                "safety_identifier",
                "seed",
                "service_tier",
                "stop",
                "store",
                "stream",
                "temperature",
                "thinking",
                "tool_choice",
                "tools",
                "top_k",
                "top_logprobs",
                "top_p",
                "user",
                "verbosity",
                "web_search_options",
            ],
            "no default is written into a request",
            "set it in the request",
        ),
    ],
};

pub(in super::super) const STREAM_OPTIONS: Keys = Keys {
    place: "model_list[].litellm_params.stream_options",
    rows: &[
        honoured(
            &["include_usage"],
            "whether it is asked for the usage of each stream; unless given, where the provider surely knows that",
        ),
        ignored(&["*"], "no default is written into a request", "set it in the request"),
    ],
};

pub(in super::super) const MODEL_INFO: Keys = Keys {
    place: "model_list[].model_info",
    rows: &[
        honoured(&["id"], "the deployment's id; a target of fallbacks too"),
        honoured(&["blocked"], "paused: it gets no request until `Health::resume`"),
        honoured(&["base_model"], "the name under which a price list knows the model"),
        honoured(&["mode"], "told, and restricts nothing, as in LiteLLM"),
        honoured(
            &["max_input_tokens"],
            "the longest input, with `enable_pre_call_checks`; else what a price list says",
        ),
        honoured(&["supports_vision"], "`false`: gets no images, with `enable_pre_call_checks`"),
        honoured(
            &["supported_endpoints", "enforce_supported_endpoints"],
            "the endpoints it has; both are needed, as in LiteLLM",
        ),
        honoured(&["cooldown_time"], "how long it is set aside; goes before `litellm_params`"),
        honoured(
            &["allowed_fails", "allowed_fails_policy"],
            "when it is set aside, in place of what the router says",
        ),
        honoured(
            &["quota_group"],
            "not LiteLLM's: deployments with one name here share a key or an account: they are limited together by \
             `router_settings.quota_groups`, and what its provider says of its limits holds for all",
        ),
        honoured(
            &["adaptive_concurrency"],
            "not LiteLLM's: `true` finds by itself how many requests at a time it copes with, up to `max_parallel_requests`",
        ),
        honoured(
            &[
                "input_cost_per_token",
                "output_cost_per_token",
                "cache_read_input_token_cost",
                "cache_creation_input_token_cost",
                "output_cost_per_reasoning_token",
            ],
            "the price; `litellm_params` goes before",
        ),
        ignored(
            &["max_tokens", "max_output_tokens"],
            "it says how long the output may be, which is not checked",
            "use `max_input_tokens` for the input",
        ),
        ignored(
            &[
                "cache_creation_input_*",
                "cache_read_input_*",
                "cost_per_*",
                "input_cost_per_*",
                "output_cost_per_*",
            ],
            "only tokens of input, output, cache and reasoning are priced, at one price each",
            "use a price list, which may know tiers",
        ),
        ignored(&["ptu_*"], "provisioned throughput is not priced", "set the prices by token to 0"),
        ignored(&["rpm", "tpm"], "here it is a note", "use it in `litellm_params`"),
        not_enforced(
            &[
                "team_id",
                "team_public_model_name",
                "access_groups",
                "access_windows",
                "member_auto_router",
            ],
            "whoever reaches the gateway may use the deployment, at any time",
            "run a gateway for each group of callers",
        ),
        ignored(
            &["enable_tag_filtering"],
            "tags choose in all groups or in none",
            "use it in `router_settings`",
        ),
        absent(
            &["allow_fail_open"],
            "a request whose tags no deployment has is refused",
            "tag a deployment `default`",
        ),
        absent(
            &["supported_environments"],
            "the file is for one environment",
            "use a file for each",
        ),
        absent(
            &["health_check_*", "disable_background_health_check"],
            "nothing is asked to learn of its health: the requests themselves show it",
            "leave it out",
        ),
        ignored(&["max_embedding_batch_size"], "batches are not counted", "send smaller ones"),
        ignored(
            &[
                "created_*",
                "db_model",
                "description",
                "discoverable",
                "internal_router_model",
                "key",
                "litellm_provider",
                "max_*",
                "metadata",
                "output_vector_size",
                "supports_*",
                "tier",
                "tool_use_system_prompt_tokens",
                "updated_*",
            ],
            "it is a note",
            "leave it out",
        ),
    ],
};
