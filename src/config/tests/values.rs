use std::{fmt::Write, time::Duration};

use super::{params, read, valid, with};
use crate::config::{Config, ConfigError, DeploymentConfig, RoutingStrategy, weights};

#[test]
fn a_whole_file_is_read() {
    let config = valid(include_str!("full.yaml"));
    let [first, second, wild, local] = &config.deployments[..] else { panic!("{config:?}") };

    assert_eq!((&*first.model_name, &*first.id, &*first.place), ("chat", "17", "model_list[0]"));
    assert_eq!((first.provider.as_deref(), &*first.model), (Some("openai"), "gpt-4o"));
    assert_eq!(first.api_base, "https://api.openai.com/v1");
    assert_eq!(first.api_key.as_ref().unwrap().expose(), "sk-file");
    assert_eq!(
        (first.weight, first.limits.rpm, first.limits.tpm, first.order),
        (Some(1.5), None, Some(100_000), Some(1))
    );
    assert_eq!(
        (first.timeout, first.limits.max_parallel_requests),
        (Some(Duration::from_secs(30)), Some(0))
    );
    assert_eq!(first.mode.as_deref(), Some("chat"));

    assert_eq!((&*second.id, second.provider.as_deref()), ("chat/2", Some("hosted_vllm")));
    assert_eq!(second.model, "meta-llama/Llama-3.3-70B-Instruct");
    assert_eq!(second.api_base, "http://[::1]:8000/v1");
    assert_eq!(
        (second.timeout, second.limits.max_parallel_requests),
        (Some(Duration::from_millis(2500)), Some(8))
    );
    assert_eq!(weights(&config.deployments[..2]), [3, 1]);

    assert_eq!(
        (&*wild.id, &*wild.model, &*wild.api_base),
        ("groq/*/1", "*", "https://api.groq.com/openai/v1")
    );
    assert_eq!(wild.api_key.as_ref().unwrap().expose(), "sk-groq");

    assert_eq!((local.provider.as_deref(), &*local.model), (None, "meta-llama/Llama-3.1-8B"));
    assert_eq!(local.api_base, "http://gpu-1:8000");
    assert!(local.api_key.is_none());

    let router = &config.router;
    assert_eq!(router.routing_strategy, RoutingStrategy::LeastBusy);
    assert_eq!(
        (router.num_retries, router.allowed_fails, router.max_fallbacks),
        (Some(3), Some(4), Some(2))
    );
    assert_eq!(router.cooldown_time, Some(Duration::from_millis(500)));
    assert_eq!(
        (router.timeout, router.retry_after),
        (Some(Duration::from_secs(600)), Some(Duration::from_secs(1)))
    );
    assert!(!router.disable_cooldowns);
    let fallbacks: Vec<_> =
        router.fallbacks.iter().map(|it| (&*it.group, it.targets.join(" "))).collect();
    let expected =
        [("chat", "local groq/llama-3.3-70b-versatile"), ("local", "chat"), ("groq/*", "gpt-4")];
    assert_eq!(fallbacks, expected.map(|(group, targets)| (group, targets.to_owned())));
    assert_eq!(router.default_fallbacks, ["local"]);
    let aliases: Vec<_> =
        router.model_group_alias.iter().map(|it| (&*it.name, &*it.target, it.hidden)).collect();
    assert_eq!(aliases, [("gpt-4", "chat", false), ("gpt-4-hidden", "groq/gpt", true)]);

    assert_eq!(config.master_key.as_ref().unwrap().expose(), "sk-master");

    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "line 2: shared: unknown key",
            "line 34: router_settings.optional_pre_call_checks: without `enforce_model_rate_limits`, so `rpm` and `tpm` of \
             deployments are weights and bound the requests at a time, but not those in a minute, as in LiteLLM",
            "line 49: litellm_settings.num_retries: overridden by `router_settings.num_retries`",
            "line 53: litellm_settings.drop_params: not honoured: requests and answers are not translated: what is sent \
             is what arrives; send what the provider takes",
        ]
    );
}

#[test]
fn a_silent_file_leaves_every_setting_open() {
    let router = valid(&with("")).router;
    assert_eq!(router.routing_strategy, RoutingStrategy::SimpleShuffle);
    assert_eq!(
        (router.num_retries, router.allowed_fails, router.max_fallbacks),
        (None, None, None)
    );
    assert_eq!((router.cooldown_time, router.retry_after, router.timeout), (None, None, None));
    assert!(router.fallbacks.is_empty() && router.default_fallbacks.is_empty());
    assert!(router.model_group_alias.is_empty() && !router.disable_cooldowns);
}

#[test]
fn a_single_letter_is_a_name() {
    let config = Config::from_yaml(
        "model_list: [{model_name: n, litellm_params: {model: y, api_base: \"http://a.example\"}}]",
    );
    let config = config.unwrap();
    assert_eq!((&*config.deployments[0].model_name, &*config.deployments[0].model), ("n", "y"));
}

#[test]
fn null_is_as_if_the_key_were_not_there() {
    let config = valid(&with(
        "router_settings: {num_retries: ~, fallbacks: , routing_strategy: null}\ngeneral_settings:",
    ));
    assert_eq!((config.router.num_retries, config.warnings.len()), (None, 0));
}

#[test]
fn a_number_or_a_flag_may_come_from_the_environment() {
    let config = valid(&with(
        "router_settings: {num_retries: os.environ/COUNT, disable_cooldowns: os.environ/ON}",
    ));
    assert_eq!((config.router.num_retries, config.router.disable_cooldowns), (Some(7), true));
    assert_eq!(valid(&params("rpm: 1e6")).deployments[0].limits.rpm, Some(1_000_000));
}

#[test]
fn only_a_known_provider_is_split_off() {
    let split = |model: &str| {
        let yaml = format!(
            "model_list: [{{model_name: '*', litellm_params: {{model: '{model}', api_base: 'https://a.test'}}}}]"
        );
        let deployment = valid(&yaml).deployments.remove(0);
        (deployment.provider, deployment.model)
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(split("gpt-4o"), (None, "gpt-4o".into()));
    assert_eq!(split("openai/*"), (some("openai"), "*".into()));
    assert_eq!(split("meta-llama/Llama-3"), (None, "meta-llama/Llama-3".into()));
    assert_eq!(split("openrouter/openai/gpt-4o"), (some("openrouter"), "openai/gpt-4o".into()));
    assert_eq!(split("anthropic/claude"), (some("anthropic"), "claude".into()));
}

#[test]
fn the_environments_key_goes_to_the_providers_own_address_only() {
    let key = |more: &str| {
        let deployment: DeploymentConfig = valid(&params(more)).deployments.remove(0);
        deployment.api_key.map(|key| key.expose().to_owned())
    };
    assert_eq!(key("").as_deref(), Some("sk-openai"));
    assert_eq!(key("api_base: 'http://elsewhere.test/v1'"), None);
    assert_eq!(key("api_key: ''"), None);
    assert_eq!(key("api_key: 12345").as_deref(), Some("12345"));
}

#[test]
fn a_derived_id_counts_within_its_group_and_avoids_those_given() {
    let config = valid(
        "model_list:
        - {model_name: a, litellm_params: {model: gpt-4o}}
        - {model_name: b, litellm_params: {model: gpt-4o}}
        - {model_name: a, litellm_params: {model: gpt-4o}, model_info: {id: a/3}}
        - {model_name: a, litellm_params: {model: gpt-4o}}
        - {model_name: a, litellm_params: {model: gpt-4o}}",
    );
    let ids: Vec<_> = config.deployments.iter().map(|it| &*it.id).collect();
    assert_eq!(ids, ["a/1", "b/1", "a/3", "a/4", "a/5"]);
}

#[test]
fn weights_come_from_the_first_source_that_gives_any_traffic() {
    let of = |members: &[&str]| {
        let member =
            |it: &&str| format!("\n- {{model_name: a, litellm_params: {{model: gpt-4o, {it}}}}}");
        let yaml = format!("model_list:{}", members.iter().map(member).collect::<String>());
        weights(&valid(&yaml).deployments)
    };
    assert_eq!(of(&["", ""]), [1, 1]);
    assert_eq!(of(&["weight: 3", ""]), [3, 1]);
    assert_eq!(of(&["weight: 0", ""]), [0, 1]);
    assert_eq!(of(&["weight: 0", "weight: 0"]), [1, 1]);
    assert_eq!(of(&["rpm: 60000", "rpm: 20000", ""]), [3, 1, 2]);
    assert_eq!(of(&["rpm: 10, tpm: 1", "rpm: 20, tpm: 1"]), [1, 2]);
    assert_eq!(of(&["rpm: 0", "tpm: 10", "tpm: 30"]), [2, 1, 3]);
    assert_eq!(of(&["weight: 2, rpm: 1", "rpm: 100"]), [2, 1]);
}

#[test]
fn debug_shows_no_secret() {
    let config = valid(&params("api_key: sk-hidden"));
    let shown = format!("{config:?}");
    assert!(shown.contains("api_key: Some(Secret(..))") && !shown.contains("sk-hidden"), "{shown}");
}

#[test]
fn a_file_is_read_from_disk() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests/full.yaml");
    // Whether the variables it names are set is not for this test to say.
    assert!(!matches!(Config::from_file(path), Err(ConfigError::Read { .. })));
    let error = Config::from_file("/no/such/file").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /no/such/file");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_file_too_deep_or_too_large_is_refused() {
    let mut bomb = "a0: &a0 x\n".to_owned();
    for n in 1..40 {
        writeln!(bomb, "a{n}: &a{n} [*a{0}, *a{0}]", n - 1).unwrap();
    }
    for text in [bomb, "[".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(matches!(read(&text), Err(ConfigError::Syntax { .. })));
    }
}

#[test]
fn a_file_torn_anywhere_neither_panics_nor_shows_a_secret() {
    let full = include_str!("full.yaml").replace("os.environ/OPENAI_KEY", "sk-written-down");
    for end in (0..full.len()).step_by(3) {
        for text in [&full[..end], &full[end..]] {
            let shown = match read(text) {
                Ok(config) => format!("{config:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("sk-"), "{shown}");
        }
    }
}
