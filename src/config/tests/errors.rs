use super::{params, read, with};
use crate::config::{Config, ConfigError};

/// What is said of `text`, but for warnings and the line numbers, which are those of the YAML above
/// each test.
#[track_caller]
fn errors(text: &str) -> Vec<String> {
    match read(text) {
        Err(ConfigError::Invalid { errors, .. }) => {
            errors.iter().map(|error| format!("{}: {}", error.place, error.message)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn error(text: &str) -> String {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

#[test]
fn every_mistake_is_told_with_its_line_and_a_mistyped_key_beside_it() {
    let shown = read(
        "model_list:
  - modle_name: chat
    litellm_params:
      model: openai/gpt-4o
      weight: heavy
      timeout: 0
  - model_name: chat
    litellm_params: {model: azure/gpt, api_key: os.environ/NOWHERE}
router_settings:
  routing_strategy: fastest
  num_retries: -1
",
    )
    .unwrap_err()
    .to_string();
    let expected = "\
line 2: model_list[0].model_name: missing: the name by which requests ask for the model
line 5: model_list[0].litellm_params.weight: expected a number of at least 0, found \"heavy\"
line 6: model_list[0].litellm_params.timeout: expected a number of seconds greater than 0, found 0
line 8: model_list[1].litellm_params.api_key: environment variable NOWHERE is not set
line 8: model_list[1].litellm_params.api_base: missing, and so is environment variable AZURE_API_BASE: the address of your Azure resource
line 10: router_settings.routing_strategy: expected one of `simple-shuffle`, `least-busy`, `latency-based-routing`, `cost-based-routing`, `usage-based-routing`, `usage-based-routing-v2`, `provider-budget-routing`, `round-robin`, `power-of-two`, `hot-cold`, `prefer-idle`, found \"fastest\"
line 11: router_settings.num_retries: expected a whole number of at least 0, found -1
warning: line 2: model_list[0].modle_name: unknown key; did you mean `model_name`?";
    assert_eq!(shown, expected);
}

#[test]
fn a_syntax_error_has_line_and_column_and_quotes_nothing() {
    let shown = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(shown("a: 1\nkey: \"sk-x"), "line 2, column 6: not valid YAML: unclosed quote");
    assert_eq!(
        shown("a: 1\nb: 1\na: 2"),
        "line 3, column 1: not valid YAML: duplicate mapping key `a` is not allowed here"
    );
    assert_eq!(
        shown("router_settings:\n  model_group_alias: {a: b, a: c}"),
        "line 2, column 29: not valid YAML: duplicate mapping key `a` is not allowed here"
    );
    assert_eq!(
        shown("a: 1\n---\nb: 1"),
        "line 3, column 1: not valid YAML: only single YAML document expected but multiple found"
    );
}

#[test]
fn there_must_be_a_deployment() {
    assert_eq!(error(""), "model_list: missing: a list of deployments");
    assert_eq!(error("model_list: []"), "model_list: expected at least one deployment");
    assert_eq!(error("model_list: {}"), "model_list: expected a list of deployments, found a map");
    assert_eq!(
        errors("- 1"),
        [": expected a map, found a list", "model_list: missing: a list of deployments"]
    );
    assert_eq!(
        read("1").unwrap_err().to_string().lines().next(),
        Some("line 1: expected a map, found 1")
    );
    assert_eq!(errors("model_list: [chat]")[0], "model_list[0]: expected a map, found a text");
}

#[test]
fn a_deployment_needs_a_model() {
    let model = |model: &str| {
        error(&format!("model_list: [{{model_name: c, litellm_params: {{model: {model}}}}}]"))
    };
    let at = "model_list[0].litellm_params";
    assert_eq!(model("''"), format!("{at}.model: expected a text, found \"\""));
    assert_eq!(model("[a]"), format!("{at}.model: expected a text, found a list"));
    assert_eq!(
        model("openai/"),
        format!("{at}.model: expected a model after the provider, found \"openai/\"")
    );
    assert_eq!(
        error("model_list: [{model_name: c}]"),
        format!("{at}.model: missing: the model's name upstream, such as `openai/gpt-4o`")
    );
}

#[test]
fn one_deployment_must_not_be_left_out() {
    let shown =
        read("model_list:\n- {model_name: c, litellm_params: {model: bedrock/x}}").unwrap_err();
    let expected = "\
line 1: model_list: no deployment can be used: each is left out, as the warnings say
warning: line 2: model_list[0].litellm_params.api_base: left out: the API of `bedrock` is not spoken; put what speaks \
OpenAI's before it, as its `api_base`";
    assert_eq!(shown.to_string(), expected);
}

#[test]
fn an_address_is_absolute_and_plain() {
    let base = |base: &str| error(&params(&format!("api_base: '{base}'")));
    for wrong in
        ["host", "/v1", "ftp://host", "http://", "http://host:99999", "https://host:", "http://a b"]
    {
        let expected = "model_list[0].litellm_params.api_base: expected an absolute address such as `https://host/v1`";
        assert_eq!(base(wrong), format!("{expected}, found {wrong:?}"));
    }
    for secretive in ["https://me:pass@host", "https://host/?key=sk-1", "https://host/#here"] {
        let expected = "expected an address without credentials, query or fragment";
        assert_eq!(base(secretive), format!("model_list[0].litellm_params.api_base: {expected}"));
    }
}

#[test]
fn a_number_is_a_number_of_its_kind() {
    for (given, message) in [
        ("weight: -1", "weight: expected a number of at least 0, found -1"),
        ("weight: .nan", "weight: expected a number of at least 0, found NaN"),
        ("weight: .inf", "weight: expected a number of at least 0, found inf"),
        ("weight: true", "weight: expected a number of at least 0, found true"),
        ("weight: [1]", "weight: expected a number of at least 0, found a list"),
        ("rpm: 1.5", "rpm: expected a whole number of at least 0, found 1.5"),
        ("tpm: {a: 1}", "tpm: expected a whole number of at least 0, found a map"),
        ("timeout: 1e-12", "timeout: expected a number of seconds of at least 1e-9, found 1e-12"),
        ("order: first", "order: expected a whole number, found \"first\""),
        ("timeout: 1e300", "timeout: expected a number of seconds below 2^64, found 1e300"),
        (
            "max_parallel_requests: 99999999999",
            "max_parallel_requests: expected a whole number of at least 0, found 99999999999",
        ),
    ] {
        assert_eq!(error(&params(given)), format!("model_list[0].litellm_params.{message}"));
    }
}

#[test]
fn no_secret_and_no_variable_is_quoted() {
    let at = "model_list[0].litellm_params";
    assert_eq!(
        error(&params("api_key: {sk-secret: sk-secret}")),
        format!("{at}.api_key: expected a text")
    );
    assert_eq!(
        error(&params("api_key: 'sk-sécret'")),
        format!("{at}.api_key: expected visible ASCII characters only, as it is sent in a header")
    );
    let secret = "model_list: [{model_name: c, litellm_params: {model: os.environ/SECRET_PATH}}]";
    let shown = read(secret).unwrap_err().to_string();
    let expected = "left out: the value of environment variable SECRET_PATH does not begin with a known provider; say in \
                    `api_base` where its API in OpenAI's shape is";
    assert!(shown.ends_with(expected), "{shown}");
    assert_eq!(
        error(&params("weight: os.environ/OPENAI_API_KEY")),
        format!(
            "{at}.weight: expected a number of at least 0, found the value of environment variable OPENAI_API_KEY"
        )
    );
}

#[test]
fn a_text_that_may_be_a_secret_is_not_quoted() {
    let hidden = "a text that is not shown, as it may be a secret";
    for secret in ["sk-1", " sk-1", "AIzaSyA-0123456789abcdefghij", "a-name-that-is-far-too-long"] {
        for key in ["weight", "rpm", "timeout", "order", "max_parallel_requests", "api_base"] {
            let error = error(&params(&format!("{key}: '{secret}'")));
            assert!(error.ends_with(hidden), "{error}");
        }
        let error = error(&with(&format!("router_settings: {{routing_strategy: '{secret}'}}")));
        assert!(error.ends_with(hidden), "{error}");
    }
    for headers in
        ["{x-key: {sk-secret: sk-secret}}", "{x-key: 'sk-sécret'}", "sk-secret", "[sk-secret]"]
    {
        for key in ["extra_headers", "headers", "default_headers"] {
            let error = error(&params(&format!("{key}: {headers}")));
            assert!(!error.contains("sk-"), "{error}");
        }
    }
}

#[test]
fn a_token_that_would_have_to_be_fetched_is_none() {
    let text = "model_list: [{model_name: c, litellm_params: {model: azure/x, api_base: 'https://a.example', \
                azure_ad_token: oidc/github/x}}]";
    assert_eq!(
        error(text),
        "model_list[0].litellm_params.azure_ad_token: no token is fetched: expected the token itself, or use `api_key`"
    );
}

#[test]
fn a_master_key_is_a_key() {
    let master = |key: &str| error(&with(&format!("general_settings: {{master_key: {key}}}")));
    let at = "general_settings.master_key";
    assert_eq!(master("''"), format!("{at}: expected a key that is not empty"));
    assert_eq!(master("[sk-1]"), format!("{at}: expected a text"));
    assert_eq!(master("os.environ/UNSET"), format!("{at}: environment variable UNSET is not set"));
    assert_eq!(
        master("sk-ключ"),
        format!("{at}: expected visible ASCII characters only, as it is sent in a header")
    );
    assert_eq!(
        master("'sk-1 sk-2'"),
        format!("{at}: expected no white space in it, as it is sent in a header")
    );
    for (value, message) in [
        ("sk-ключ", "expected visible ASCII characters only, as it is sent in a header"),
        ("", "expected a key that is not empty"),
        (" ", "expected a key that is not empty"),
    ] {
        let environment = |name: &str| (name == "LITELLM_MASTER_KEY").then(|| value.to_owned());
        let shown = Config::from_yaml_with(&with(""), environment).unwrap_err().to_string();
        let expected =
            format!("line 1: {at}: environment variable LITELLM_MASTER_KEY: {message}\n");
        assert!(shown.starts_with(&expected), "{shown}");
        let given = with("general_settings: {master_key: sk-1}");
        assert!(Config::from_yaml_with(&given, environment).is_ok(), "the file's goes before");
    }
}

#[test]
fn a_variable_has_a_name() {
    for text in ["os.environ/", "os.environ/ "] {
        assert_eq!(
            error(&params(&format!("api_key: '{text}'"))),
            "model_list[0].litellm_params.api_key: expected the name of an environment variable after `os.environ/`"
        );
    }
}

#[test]
fn counts_by_kind_of_failure_are_counts() {
    let router = |settings: &str| error(&with(&format!("router_settings: {{{settings}}}")));
    assert_eq!(
        router("retry_policy: {TimeoutErrorRetries: -1}"),
        "router_settings.retry_policy.TimeoutErrorRetries: expected a whole number of at least 0, found -1"
    );
    assert_eq!(
        router("allowed_fails_policy: [1]"),
        "router_settings.allowed_fails_policy: expected a map, found a list"
    );
    assert_eq!(
        router("model_group_retry_policy: {chat: 3}"),
        "router_settings.model_group_retry_policy.chat: expected a map, found 3"
    );
    assert_eq!(
        router("model_group_retry_policy: []"),
        "router_settings.model_group_retry_policy: expected a map from a group to its retry policy, found a list"
    );
}

#[test]
fn an_id_is_given_once() {
    let text = "model_list:
        - {model_name: a, litellm_params: {model: gpt-4o}, model_info: {id: 7}}
        - {model_name: b, litellm_params: {model: gpt-4o, weight: x}, model_info: {id: '7'}}";
    assert_eq!(
        errors(text),
        [
            "model_list[1].model_info.id: \"7\" is already the id of model_list[0]",
            "model_list[1].litellm_params.weight: expected a number of at least 0, found \"x\"",
        ]
    );
}

#[test]
fn the_routers_settings_have_their_shapes() {
    for (given, message) in [
        ("disable_cooldowns: maybe", "disable_cooldowns: expected true or false, found \"maybe\""),
        (
            "cooldown_time: -1",
            "cooldown_time: expected a number of seconds of at least 0, found -1",
        ),
        (
            "retry_after: soon",
            "retry_after: expected a number of seconds of at least 0, found \"soon\"",
        ),
        ("timeout: 0", "timeout: expected a number of seconds greater than 0, found 0"),
        ("max_fallbacks: x", "max_fallbacks: expected a whole number of at least 0, found \"x\""),
        (
            "fallbacks: chat",
            "fallbacks: expected a list of maps from a group to its fallbacks, found a text",
        ),
        (
            "fallbacks: [chat]",
            "fallbacks[0]: expected a map from a group to its fallbacks, found a text",
        ),
        ("fallbacks: [{chat: []}]", "fallbacks[0].chat: expected at least one group"),
        (
            "fallbacks: {chat: [[a]]}",
            "fallbacks.chat[0]: expected the name of a group, found a list",
        ),
        ("default_fallbacks: {a: b}", "default_fallbacks.model: missing: the name of a group"),
        (
            "fallbacks: [{chat: [{model: [a]}]}]",
            "fallbacks[0].chat[0].model: expected the name of a group, found a list",
        ),
        (
            "model_group_alias: [a]",
            "model_group_alias: expected a map from an alias to a group, found a list",
        ),
        (
            "model_group_alias: {a: [b]}",
            "model_group_alias.a: expected the name of a group, found a list",
        ),
        (
            "model_group_alias: {a: {hidden: true}}",
            "model_group_alias.a.model: missing: the name of a group",
        ),
    ] {
        assert_eq!(
            error(&with(&format!("router_settings: {{{given}}}"))),
            format!("router_settings.{message}")
        );
    }
    assert_eq!(error(&with("router_settings: 1")), "router_settings: expected a map, found 1");
    assert_eq!(
        error(&with("litellm_settings: {request_timeout: x}")),
        "litellm_settings.request_timeout: expected a number of seconds greater than 0, found \"x\""
    );
}

#[test]
fn a_mistake_in_a_limit_a_budget_or_the_queue_has_its_place() {
    let at = "model_list[0].litellm_params";
    let deployment = |given: &str| error(&params(given));
    for (given, message) in [
        ("itpm: -1", "itpm: expected a whole number of at least 0, found -1"),
        ("tpd: [1]", "tpd: expected a whole number of at least 0, found a list"),
        (
            "max_budget: -1, budget_duration: 1d",
            "max_budget: expected a number of US dollars of at least 0, found -1",
        ),
        (
            "max_budget: 1, budget_duration: daily",
            "budget_duration: expected a time such as `30s`, `15m`, `12h`, `1d`, `2w` or `1mo`, found \"daily\"",
        ),
        (
            "rpd: 1, daily_reset_time: '24:00'",
            "daily_reset_time: expected a time of day in UTC, such as \"06:30\", found \"24:00\"",
        ),
        ("tags: eu", "tags: expected a list of tags, found a text"),
        ("adaptive_concurrency: 3", "adaptive_concurrency: expected true or false, found 3"),
    ] {
        assert_eq!(deployment(given), format!("{at}.{message}"));
    }
    let router = |settings: &str| error(&with(&format!("router_settings: {{{settings}}}")));
    for (given, message) in [
        (
            "routing_strategy_args: {ttl: 0}",
            "routing_strategy_args.ttl: expected a number of seconds greater than 0, found 0",
        ),
        (
            "optional_pre_call_checks: [session_afinity]",
            "optional_pre_call_checks[0]: expected one of `enforce_model_rate_limits`, `router_budget_limiting`, \
             `responses_api_deployment_check`, `session_affinity`, `prompt_caching`, `deployment_affinity`, \
             `forward_client_headers_by_model_group`, `encrypted_content_affinity`, found \"session_afinity\"",
        ),
        (
            "optional_pre_call_checks: session_affinity",
            "optional_pre_call_checks: expected a list of the names of checks, found a text",
        ),
        ("queue: {}", "queue.max_waiting: missing: how many requests may wait at a time"),
        (
            "queue: {max_waiting: 0}",
            "queue.max_waiting: expected a whole number greater than 0, found 0",
        ),
        (
            "queue: {max_waiting: 1, classes: [{up_to: 0, share: 2}]}",
            "queue.classes[0].share: expected a number from 0 to 1, found 2",
        ),
        (
            "overprovisioning_factor: 0.5",
            "overprovisioning_factor: expected a number of at least 1, found 0.5",
        ),
        (
            "quota_groups: {a: {rpm: x}}",
            "quota_groups.a.rpm: expected a whole number of at least 0, found \"x\"",
        ),
        (
            "provider_budget_config: {openai: {budget_limit: x, time_period: 1d}}",
            "provider_budget_config.openai.budget_limit: expected a number of US dollars of at least 0, found \"x\"",
        ),
    ] {
        assert_eq!(router(given), format!("router_settings.{message}"));
    }
}
