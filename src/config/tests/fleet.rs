//! What of a file reaches the deployments.

use std::{sync::Arc, time::Duration};

use super::valid;
use crate::{
    Deployment,
    deployment::{Price, Status},
    llm::PriceList,
    quota::{Calendar, Limit},
};

/// The deployments of the fleet that a file makes.
fn deployments(text: &str) -> Vec<Deployment> {
    let fleet = valid(text).fleet().unwrap();
    let members = fleet.groups().iter().flat_map(|group| group.members().to_vec());
    members.map(|(deployment, _)| deployment).collect()
}

/// The deployments of a file with these two entries and router settings.
fn two(settings: &str, first: &str, second: &str) -> [Deployment; 2] {
    let entry = |it| format!("\n- {{model_name: chat, {it}}}");
    let text =
        format!("router_settings: {{{settings}}}\nmodel_list:{}{}", entry(first), entry(second));
    deployments(&text).try_into().unwrap()
}

const PLAIN: &str = "litellm_params: {model: gpt-4o}";

#[test]
fn limits_of_the_deployment_go_before_the_routers() {
    let [own, none] = two(
        "default_max_parallel_requests: 3",
        "litellm_params: {model: gpt-4o, max_parallel_requests: 9, timeout: 1, stream_timeout: 2, num_retries: 0}",
        PLAIN,
    );
    assert_eq!(own.get_max_parallel_requests(), Some(9));
    assert_eq!(none.get_max_parallel_requests(), Some(3));
    assert_eq!(own.get_timeout(), Some(Duration::from_secs(1)));
    assert_eq!(own.get_stream_timeout(), Some(Duration::from_secs(2)));
    assert_eq!((own.get_retries(), none.get_retries()), (Some(0), None));
    let [unlimited, _] = two(
        "default_max_parallel_requests: 3",
        "litellm_params: {model: gpt-4o, max_parallel_requests: 0}",
        PLAIN,
    );
    assert_eq!(unlimited.get_max_parallel_requests(), None);
}

#[test]
fn a_blocked_deployment_is_paused() {
    let [blocked, other] = two("", &format!("{PLAIN}, model_info: {{blocked: true}}"), PLAIN);
    assert!(matches!(blocked.health().status(), Status::Paused), "{blocked:?}");
    assert!(!matches!(other.health().status(), Status::Paused), "{other:?}");
}

#[test]
fn what_a_deployment_can_take_counts_with_pre_call_checks_only() {
    let able = "litellm_params: {model: gpt-4o, region_name: eu}, model_info: {max_input_tokens: 100, \
                supports_vision: false, supported_endpoints: [/v1/embeddings], enforce_supported_endpoints: true}";
    for checks in [true, false] {
        let [one, _] = two(&format!("enable_pre_call_checks: {checks}"), able, PLAIN);
        assert_eq!(one.get_region(), checks.then_some("eu"));
        assert_eq!(one.get_max_input_tokens(), checks.then_some(100));
        assert_eq!(one.get_images(), checks.then_some(false));
        // In LiteLLM too this is none of those checks.
        assert_eq!(one.get_endpoints().map(|them| &*them[0]), Some("/embeddings"));
    }
}

#[test]
fn what_a_price_list_says_of_a_model_counts_where_the_file_is_silent() {
    let list = r#"{"gpt-4o": {"litellm_provider": "openai", "max_input_tokens": 100, "supports_vision": false}}"#;
    let entry = |info| format!("\n- {{model_name: chat, {PLAIN}, model_info: {{{info}}}}}");
    for checks in [true, false] {
        let mut config = valid(&format!(
            "router_settings: {{enable_pre_call_checks: {checks}}}\nmodel_list:{}{}",
            entry(""),
            entry("max_input_tokens: 7, supports_vision: true")
        ));
        config.prices = Some(Arc::new(PriceList::from_slice(list.as_bytes()).unwrap()));
        let fleet = config.fleet().unwrap();
        let able = fleet.groups()[0]
            .members()
            .iter()
            .map(|(one, _)| (one.get_max_input_tokens(), one.get_images()));
        let expected = [(Some(100), Some(false)), (Some(7), Some(true))];
        let expected = expected.map(|able| if checks { able } else { (None, None) });
        assert_eq!(able.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_price_is_known_where_the_file_gives_one() {
    let [priced, unknown] = two(
        "",
        "litellm_params: {model: gpt-4o, input_cost_per_token: 2e-6, output_cost_per_reasoning_token: 5e-6}",
        PLAIN,
    );
    let mut price = Price::new(2e-6, 0.0);
    price.reasoning = Some(5e-6);
    assert_eq!(priced.get_price(), Some(&price));
    assert_eq!(unknown.get_price(), None);
    let [free, _] = two(
        "",
        "litellm_params: {model: gpt-4o, input_cost_per_token: 0, output_cost_per_token: 0}",
        PLAIN,
    );
    assert_eq!(free.get_price(), Some(&Price::new(0.0, 0.0)));
}

#[test]
fn a_deployment_is_a_target_by_its_id() {
    for setting in [
        "fallbacks: [{chat: [eu]}]",
        "default_fallbacks: [eu]",
        "context_window_fallbacks: [{chat: [eu]}]",
        "content_policy_fallbacks: [{chat: [eu]}]",
        "model_group_alias: {europe: eu}",
    ] {
        let entry = |id| format!("{{model_name: chat, {PLAIN}, model_info: {{id: {id}}}}}");
        let text = format!(
            "model_list: [{}, {}]\nrouter_settings: {{{setting}}}",
            entry("eu"),
            entry("us")
        );
        let fleet = valid(&text).fleet().unwrap();
        let names: Vec<_> = fleet.groups().iter().map(|group| group.name().as_str()).collect();
        assert_eq!(names, ["chat", "eu"], "{setting}");
    }
}

#[test]
fn usage_is_asked_of_those_that_surely_tell_it() {
    for (params, asked) in [
        ("model: gpt-4o", true),
        ("model: openai/x, api_base: 'http://gpu'", false),
        ("model: openai/x, api_base: 'http://gpu', stream_options: {include_usage: true}", true),
        ("model: gpt-4o, stream_options: {include_usage: false}", false),
        ("model: hosted_vllm/x, api_base: 'http://gpu'", true),
        ("model: mistral/x", false),
        ("model: anthropic/x", true),
        ("model: azure/x, api_base: 'https://a', api_version: 2024-06-01", false),
        ("model: azure/x, api_base: 'https://a', api_version: 2024-09-01-preview", true),
        ("model: azure/x, api_base: 'https://a', api_version: latest", true),
    ] {
        let [one, _] = two("", &format!("litellm_params: {{{params}}}"), PLAIN);
        assert_eq!(one.get_stream_usage(), Some(asked), "{params}");
    }
}

#[test]
fn what_litellm_derives_of_rates_bounds_the_requests_at_a_time() {
    for (params, parallel) in [
        ("max_parallel_requests: 2, rpm: 9, tpm: 1000", Some(2)),
        ("max_parallel_requests: 0, rpm: 9", None),
        ("rpm: 9, tpm: 1000", Some(9)),
        ("tpm: 5000", Some(30)),
        ("tpm: 1", Some(1)),
        ("itpm: 9", Some(3)),
        ("", Some(3)),
    ] {
        let entry = format!("litellm_params: {{model: gpt-4o, {params}}}");
        let [one, _] = two("default_max_parallel_requests: 3", &entry, PLAIN);
        assert_eq!(one.get_max_parallel_requests(), parallel, "{params}");
    }
}

#[test]
fn limits_are_the_deployments_own_or_those_it_shares() {
    let own = "litellm_params: {model: gpt-4o, rpm: 1, otpm: 2, rpd: 3, daily_reset_time: '06:00', max_budget: 4, \
               budget_duration: 1mo}, model_info: {quota_group: key, adaptive_concurrency: true}";
    let day = Calendar::daily().at(Duration::from_secs(6 * 3600));
    let always =
        [Limit::otpm(2), Limit::rpd(3).within(day), Limit::dollars(4.0, Calendar::monthly())];
    let limits = |one: &Deployment| one.limits().iter().map(|it| it.limit).collect::<Vec<_>>();
    let settings = "provider_budget_config: {openai: {budget_limit: 1, time_period: 1d}}";
    let [one, other] = two(settings, own, PLAIN);
    assert_eq!(limits(&one), always);
    let names =
        |one: &Deployment| one.quotas().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (names(&one), names(&other)),
        (vec!["key".to_owned(), "provider openai".to_owned()], vec!["provider openai".to_owned()])
    );
    assert!(one.get_adaptive_concurrency().is_some() && other.get_adaptive_concurrency().is_none());
    assert!(one.get_reported_limits() && other.get_reported_limits());

    let enforced = format!("{settings}, optional_pre_call_checks: [enforce_model_rate_limits]");
    let [one, _] = two(&enforced, own, PLAIN);
    assert_eq!(limits(&one), [&[Limit::rpm(1)][..], &always].concat());
}
