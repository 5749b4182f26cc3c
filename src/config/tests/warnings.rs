use super::{params, valid, with};
use crate::config::RoutingStrategy;

fn warnings(text: &str) -> Vec<String> {
    valid(text)
        .warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.place, warning.message))
        .collect()
}

#[test]
fn a_key_without_effect_is_named_at_every_level() {
    let text = "
model_list:
  - model_name: chat
    litellm_params: {model: gpt-4o, rmp: 5, temperature: 0.2, aws_region_name: eu, colour: red}
    model_info: {idd: x, tier: free}
    litellm_parms: {}
router_settings: {num_retires: 3, retry_policy: {TimeoutRetries: 1}, redis_host: r}
litellm_settings: {default_fallback: [a], default_team_params: {a: b}, cashe: true}
enviroment_variables: {}
environment_variables: {A: b}
";
    assert_eq!(
        warnings(text),
        [
            "model_list[0].litellm_params.rmp: unknown key; did you mean `rpm`?",
            "model_list[0].litellm_params.temperature: not honoured: no default is written into a request; set it in \
             the request",
            "model_list[0].litellm_params.aws_region_name: not honoured: the provider's own API is not spoken; point \
             `api_base` at what of it has OpenAI's shape",
            "model_list[0].litellm_params.colour: unknown key",
            "model_list[0].model_info.idd: unknown key; did you mean `id`?",
            "model_list[0].model_info.tier: not honoured: it is a note; leave it out",
            "model_list[0].litellm_parms: unknown key; did you mean `litellm_params`?",
            "router_settings.retry_policy.TimeoutRetries: unknown key",
            "router_settings.num_retires: unknown key; did you mean `num_retries`?",
            "router_settings.redis_host: not honoured: state is not shared between processes yet; run one process: \
             limits hold for each",
            "litellm_settings.default_fallback: unknown key; did you mean `default_fallbacks`?",
            "litellm_settings.default_team_params: not honoured: it is for LiteLLM's server or its Python module; \
             leave it out",
            "litellm_settings.cashe: unknown key; did you mean `cache`?",
            "enviroment_variables: unknown key; did you mean `environment_variables`?",
        ]
    );
}

#[test]
fn certificates_that_are_checked_all_the_same_are_told() {
    assert_eq!(
        warnings(&params("ssl_verify: false")),
        [
            "model_list[0].litellm_params.ssl_verify: not honoured: certificates are checked as the client below does; give \
          it the certificate, for the gateway with `SSL_CERT_FILE`"
        ]
    );
}

#[test]
fn every_strategy_is_that_strategy() {
    for (name, strategy) in RoutingStrategy::NAMES {
        let text = with(&format!("router_settings: {{routing_strategy: {name}}}"));
        assert_eq!(valid(&text).router.routing_strategy, *strategy);
        assert_eq!(warnings(&text), [] as [&str; 0]);
    }
}

#[test]
fn a_name_that_means_nothing_is_told() {
    let text = "
model_list:
  - {model_name: chat, litellm_params: {model: gpt-4o}, model_info: {id: eu}}
  - {model_name: openai/*, litellm_params: {model: openai/*}}
router_settings:
  model_group_alias: {fast: chat, slow: {model: chta}}
  fallbacks: [{chat: [openai/o1, eu, fast, nowhere]}, {fats: chat}, {openai/o3: [slow]}]
  default_fallbacks: [gone]
";
    assert_eq!(
        warnings(text),
        [
            "router_settings.model_group_alias.slow.model: no group has the name \"chta\"; did you mean `chat`?",
            "router_settings.fallbacks[0].chat[3]: no group has the name \"nowhere\"",
            "router_settings.fallbacks[1].fats: no group has the name \"fats\"; did you mean `fast`?",
            "router_settings.default_fallbacks[0]: no group has the name \"gone\"",
        ]
    );
}

#[test]
fn of_two_lists_for_a_group_the_first_holds() {
    let file = |key: &str| {
        let entry = |name| format!("\n- {{model_name: {name}, litellm_params: {{model: gpt-4o}}}}");
        format!(
            "router_settings: {{{key}: [{{a: [b]}}, {{b: [c], a: [c]}}, {{a: [b, c]}}]}}\nmodel_list:{}{}{}",
            entry("a"),
            entry("b"),
            entry("c")
        )
    };
    for key in ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"] {
        let router = valid(&file(key)).router;
        let lists = match key {
            "fallbacks" => router.fallbacks,
            "context_window_fallbacks" => router.context_window_fallbacks,
            _ => router.content_policy_fallbacks,
        };
        let lists: Vec<_> =
            lists.iter().map(|list| (&*list.group, list.targets.join(" "))).collect();
        assert_eq!(lists, [("a", "b".to_owned()), ("b", "c".to_owned())]);
        let told = "no effect: of two lists for a group the first holds, as in LiteLLM";
        let at = |index| format!("router_settings.{key}[{index}].a: {told}");
        assert_eq!(warnings(&file(key)), [at(1), at(2)]);
    }
    let text = with("router_settings: {fallbacks: [{'*': [chat]}], default_fallbacks: [chat]}");
    let router = valid(&text).router;
    assert_eq!((router.fallbacks.len(), router.default_fallbacks.len()), (1, 0));
    assert_eq!(
        warnings(&text),
        ["router_settings.default_fallbacks: overridden by `*` in `fallbacks`, as in LiteLLM"]
    );
}

#[test]
fn a_target_may_be_a_map_of_which_only_the_model_counts() {
    let text = with(
        "router_settings: {fallbacks: [{chat: [{model: chat}, chat, {model: chat, messages: [], mdoel: x}]}], \
         default_fallbacks: {model: chat}}",
    );
    let router = valid(&text).router;
    assert_eq!(router.fallbacks[0].targets, ["chat"; 3]);
    assert_eq!(router.default_fallbacks, ["chat"]);
    let at = "router_settings.fallbacks[0].chat[2]";
    assert_eq!(
        warnings(&text),
        [
            format!(
                "{at}.messages: not honoured: a fallback is asked what the caller asked; leave it out"
            ),
            format!("{at}.mdoel: unknown key; did you mean `model`?"),
        ]
    );
}

#[test]
fn a_value_without_the_effect_one_may_expect_is_told() {
    let at = "model_list[0].litellm_params";
    assert_eq!(
        warnings(&params("api_base: 'http://a.test', base_url: 'http://b.test'")),
        [format!("{at}.base_url: overridden by `api_base`")]
    );
    assert_eq!(
        warnings("model_list: [{model_name: c, litellm_params: {model: 'openai/*'}}]"),
        [format!("{at}.model: holds `*`, but `model_name` has none that could stand for it")]
    );
    assert_eq!(
        warnings(
            "model_list: [{model_name: c, litellm_params: {model: gemini/x, api_base: 'http://a.test'}}]"
        ),
        [format!("{at}.model: the provider's own API is not spoken: requests have OpenAI's shape")]
    );
    let own = "https://generativelanguage.googleapis.com/v1beta/openai/";
    assert_eq!(
        warnings(&format!(
            "model_list: [{{model_name: c, litellm_params: {{model: gemini/x, api_base: '{own}'}}}}]"
        )),
        [] as [&str; 0]
    );
    assert_eq!(
        warnings("model_list: [{model_name: c, litellm_params: {model: openrouter/x}}]"),
        [format!(
            "{at}.api_key: missing, and so is environment variable OPENROUTER_API_KEY or OR_API_KEY"
        )]
    );
    assert_eq!(
        warnings(&with(
            "router_settings: {cooldown_time: 0, timeout: 5}\nlitellm_settings: {request_timeout: 6}"
        )),
        [
            "router_settings.cooldown_time: 0 means the default, as in LiteLLM; `disable_cooldowns: true` turns \
             cooling off",
            "litellm_settings.request_timeout: overridden by `router_settings.timeout`",
        ]
    );
}

#[test]
fn what_is_off_anyway_may_be_turned_off_in_silence() {
    for (section, settings) in [
        (
            "router_settings",
            "set_verbose: False, cache_responses: no, plugins: [], routing_strategy_args: {}",
        ),
        ("litellm_settings", "callbacks: [], cache: false, drop_params: false"),
        ("general_settings", "store_model_in_db: false, alerting: []"),
    ] {
        assert_eq!(warnings(&with(&format!("{section}: {{{settings}}}"))), [] as [&str; 0]);
    }
    assert_eq!(warnings(&params("parallel_tool_calls: false")).len(), 1);
}

#[test]
fn what_keeps_callers_out_of_litellm_is_told_loudly() {
    let not_enforced = |text: &str| {
        let mut warnings = warnings(text);
        warnings.retain(|warning| warning.contains(": NOT ENFORCED: "));
        warnings
    };
    let text = "model_list:
        - {model_name: c, litellm_params: {model: gpt-4o, max_budget: 1}, model_info: {team_id: t, access_windows: []}}";
    assert_eq!(not_enforced(text).len(), 3);
    let text = with(
        "general_settings: {master_key: sk-1, allowed_ips: [], enable_jwt_auth: true, alerting: [slack]}
guardrails: [{}]",
    );
    assert_eq!(
        not_enforced(&text)[..2],
        ["allowed_ips", "enable_jwt_auth"].map(|key| format!(
            "general_settings.{key}: NOT ENFORCED: `master_key` alone keeps callers out of the gateway; put what else \
             keeps them out before it"
        ))
    );
    assert_eq!(not_enforced(&text).len(), 3);
    assert_eq!(warnings(&text).len(), 4);
}

#[test]
fn a_mistyped_master_key_is_told() {
    assert_eq!(
        warnings(&with("general_settings: {mastr_key: sk-1}")),
        ["general_settings.mastr_key: unknown key; did you mean `master_key`?"]
    );
}

#[test]
fn a_master_key_at_a_wrong_place_is_told_loudly() {
    for (text, place) in [
        ("master_key: sk-1", ""),
        ("litellm_settings: {master_key: sk-1}", "litellm_settings."),
        ("router_settings: {master_key: sk-1}", "router_settings."),
    ] {
        assert!(valid(&with(text)).master_key.is_none());
        assert_eq!(
            warnings(&with(text)),
            [format!(
                "{place}master_key: NOT ENFORCED: it is not read here, and keeps nobody out; move it to \
                 `general_settings`"
            )]
        );
    }
}

#[test]
fn endpoints_are_enforced_by_a_list_and_a_flag() {
    let told = |info: &str| {
        warnings(&format!(
            "model_list: [{{model_name: c, litellm_params: {{model: gpt-4o}}, model_info: {{{info}}}}}]"
        ))
    };
    let at = "model_list[0].model_info";
    let (list, flag) = ("supported_endpoints: [/v1/responses]", "enforce_supported_endpoints");
    assert_eq!(
        told(list),
        [format!("{at}.supported_endpoints: no effect without `{flag}: true`, as in LiteLLM")]
    );
    assert_eq!(
        told(&format!("{flag}: true")),
        [format!("{at}.{flag}: no effect without a list of `supported_endpoints`, as in LiteLLM")]
    );
    for silent in [format!("{flag}: true, {list}"), format!("{flag}: false")] {
        assert_eq!(told(&silent), [] as [&str; 0]);
    }
}

#[test]
fn checks_that_are_off_are_told_once() {
    let text = |settings: &str| {
        format!(
            "model_list:
        - {{model_name: a, litellm_params: {{model: gpt-4o, region_name: eu}}, model_info: {{max_input_tokens: 1}}}}
        - {{model_name: a, litellm_params: {{model: gpt-4o}}, model_info: {{supports_vision: false}}}}
router_settings: {{{settings}}}"
        )
    };
    let told = "router_settings.enable_pre_call_checks: not true, so what `model_list` says of the longest input and \
                of images is not checked, as in LiteLLM, and a request that must stay in a region is refused";
    assert_eq!(warnings(&text("")), [told]);
    assert_eq!(warnings(&text("enable_pre_call_checks: false")), [told]);
    assert_eq!(warnings(&text("enable_pre_call_checks: true")), [] as [&str; 0]);
}

#[test]
fn rates_that_are_no_limits_are_told_once() {
    let text = |settings: &str| {
        format!("{}\nrouter_settings: {{{settings}}}", params("rpm: 5, tpm: 1000, itpm: 9"))
    };
    let told = "router_settings.optional_pre_call_checks: without `enforce_model_rate_limits`, so `rpm` and `tpm` of \
                deployments are weights and bound the requests at a time, but not those in a minute, as in LiteLLM";
    for settings in
        ["", "optional_pre_call_checks: [prompt_caching]", "routing_strategy: least-busy"]
    {
        assert_eq!(warnings(&text(settings)), [told], "{settings}");
    }
    for settings in [
        "optional_pre_call_checks: [enforce_model_rate_limits]",
        "routing_strategy: usage-based-routing-v2",
        "routing_strategy: latency-based-routing",
        "routing_strategy: cost-based-routing",
    ] {
        assert_eq!(warnings(&text(settings)), [] as [&str; 0], "{settings}");
    }
    assert_eq!(warnings(&params("itpm: 5")), [] as [&str; 0]);
}

#[test]
fn a_setting_that_lacks_what_it_needs_is_told() {
    let router = |settings: &str| warnings(&with(&format!("router_settings: {{{settings}}}")));
    assert_eq!(
        router("default_priority: 1"),
        [
            "router_settings.default_priority: no effect without a `queue`: a request does not wait for its turn"
        ]
    );
    assert_eq!(
        router(
            "deployment_affinity_ttl_seconds: 9, session_affinity_repin_on_failover: true, \
             optional_pre_call_checks: [responses_api_deployment_check]"
        ),
        ["deployment_affinity_ttl_seconds", "session_affinity_repin_on_failover"].map(|key| {
            format!(
                "router_settings.{key}: no effect without `session_affinity`, `deployment_affinity` or \
                 `prompt_caching` in `optional_pre_call_checks`"
            )
        })
    );
    assert_eq!(
        router(
            "deployment_affinity_ttl_seconds: 9, session_affinity_repin_on_failover: true, \
             optional_pre_call_checks: [session_affinity]"
        ),
        [] as [&str; 0]
    );
    assert_eq!(
        router("routing_strategy: least-busy, routing_strategy_args: {ttl: 9}"),
        [
            "router_settings.routing_strategy_args: `least-busy` goes by no latency: it has an effect only on requests \
             that name `latency-based-routing` or `hot-cold`"
        ]
    );
    assert_eq!(
        router("routing_strategy: hot-cold, routing_strategy_args: {ttl: 9}"),
        [] as [&str; 0]
    );
    assert_eq!(
        router("quota_groups: {one: {rpm: 5}}"),
        ["router_settings.quota_groups.one: no deployment has this `quota_group`"]
    );
    assert_eq!(
        router("provider_budget_config: {opnai: {budget_limit: 1, time_period: 1d}}"),
        [
            "router_settings.provider_budget_config.opnai: no deployment is of this provider; did you mean `openai`?"
        ]
    );
    assert_eq!(
        router("provider_budget_config: {openai: {}}"),
        ["router_settings.provider_budget_config.openai: no `budget_limit`, so there is no limit"]
    );
    assert_eq!(
        router("provider_budget_config: {openai: {time_period: 1d}}"),
        [
            "router_settings.provider_budget_config.openai.time_period: no effect without `budget_limit`"
        ]
    );
    let at = "model_list[0].litellm_params";
    assert_eq!(
        warnings(&params("max_budget: 1")),
        [format!(
            "{at}.max_budget: NOT ENFORCED: no effect without `budget_duration`, as in LiteLLM; say for which time it \
             is, such as `1d`"
        )]
    );
    assert_eq!(
        warnings(&params("budget_duration: 1d, daily_reset_time: '06:30'")),
        [
            format!("{at}.daily_reset_time: no effect without `rpd` or `tpd`"),
            format!("{at}.budget_duration: no effect without `max_budget`"),
        ]
    );
    let told = "router_settings.enable_tag_filtering: not true, so the `tags` of deployments choose nothing, as in LiteLLM";
    assert_eq!(warnings(&params("tags: [a]")), [told]);
}

#[test]
fn what_of_the_new_settings_is_not_honoured_is_told() {
    let router = |settings: &str| warnings(&with(&format!("router_settings: {{{settings}}}")));
    assert_eq!(
        router(
            "routing_strategy: hot-cold, routing_strategy_args: {ttl: 5, ttft_percentile: 50, tll: 5}"
        ),
        [
            "router_settings.routing_strategy_args.ttft_percentile: not honoured: latencies are kept as an average that \
             fades, and streams are compared by the time to their first chunk anyway; leave it out",
            "router_settings.routing_strategy_args.tll: unknown key; did you mean `ttl`?",
        ]
    );
    assert_eq!(
        router("optional_pre_call_checks: [router_budget_limiting, encrypted_content_affinity]"),
        [
            "router_settings.optional_pre_call_checks[1]: not honoured: items of answers do not tell which deployment made \
             them; use `responses_api_deployment_check` or `session_affinity`"
        ]
    );
    assert_eq!(
        router("queue: {max_waiting: 1, max_size: 1}"),
        ["router_settings.queue.max_size: unknown key"]
    );
}

#[test]
fn what_only_azure_has_is_told_elsewhere() {
    assert_eq!(
        warnings(&params("api_version: v1, azure_ad_token: t, organization: [a, b]")),
        [
            "model_list[0].litellm_params.organization: only the first is used: make a deployment for each",
            "model_list[0].litellm_params.api_version: not used: only `azure/` models have one",
            "model_list[0].litellm_params.azure_ad_token: not used: only `azure/` models have one",
        ]
    );
}

#[test]
fn a_deployment_that_can_be_sent_nowhere_is_left_out() {
    let entry = |model: &str| {
        format!("\n- {{model_name: 'c-*', litellm_params: {{model: {model}, api_key: k}}}}")
    };
    let told = |model: &str, key: &str, why: &str| {
        let text = format!("model_list:{}{}{}", entry("gpt-4o"), entry(model), entry("groq/x"));
        let ids: Vec<_> = valid(&text).deployments.into_iter().map(|one| one.model).collect();
        assert_eq!(ids, ["gpt-4o", "x"], "{model}");
        let expected = format!("model_list[1].litellm_params.{key}: left out: {why}");
        assert_eq!(warnings(&text), [expected]);
    };
    for provider in ["bedrock", "vertex_ai", "replicate", "azure_ai"] {
        let why = format!(
            "the API of `{provider}` is not spoken; put what speaks OpenAI's before it, as its `api_base`"
        );
        told(&format!("{provider}/x"), "api_base", &why);
    }
    for model in ["gemini-pro", "command-r", "my-model", "'*'"] {
        let name = model.trim_matches('\'');
        let why = format!(
            "{name:?} does not tell whose it is; write the provider before it, as in `gemini/…`, or say in `api_base` \
             where its API in OpenAI's shape is"
        );
        told(model, "model", &why);
    }
    let instead = "say in `api_base` where its API in OpenAI's shape is";
    told(
        "hosted_vllm/x",
        "api_base",
        &format!("`hosted_vllm` has no address of its own; {instead}"),
    );
    let why = format!("\"meta-llama/Llama-3\" does not begin with a known provider; {instead}");
    told("meta-llama/Llama-3", "api_base", &why);
}
