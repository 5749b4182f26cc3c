//! Settings of a file by what they do to requests over HTTP.

use std::sync::Arc;

use tower_fleet::{config::Config, error::RefusedReason, llm::PriceList};

use super::*;

/// What OpenAI answers to an input that is too long.
fn too_long() -> Answer {
    let body = r#"{"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}"#;
    Answer::status(400).body("application/json", body)
}

/// The fleet of a file with these entries, `{}` in each of which stands for a server's base, in order.
fn fleet(rest: &str, entries: &[(&str, &Upstream)]) -> Fleet {
    started(&Config::from_yaml_with(&text(rest, entries), |_| None).unwrap())
}

fn text(rest: &str, entries: &[(&str, &Upstream)]) -> String {
    let mut text = format!("{rest}\nmodel_list:\n");
    for (entry, server) in entries {
        writeln!(text, "- {{{}}}", entry.replace("{}", &server.base())).unwrap();
    }
    text
}

fn started(config: &Config) -> Fleet {
    let layer = config.fleet().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let service = InspectLayer::new().layer(layer.layer(client));
    Fleet { layer, service }
}

fn post(path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::post(path).body(Full::from(body)).unwrap()
}

const CHAT: &str =
    "model_name: chat, litellm_params: {model: openai/up, api_base: '{}'}, model_info: {id: 0}";
const LONG: &str =
    "model_name: long, litellm_params: {model: openai/up, api_base: '{}'}, model_info: {id: 1}";

#[tokio::test]
async fn an_input_that_is_too_long_goes_to_its_own_fallbacks() {
    let (short, long) = (Upstream::answering(too_long()).await, Upstream::status(200).await);
    let other = Upstream::status(200).await;
    let fleet = fleet(
        "router_settings: {context_window_fallbacks: [{chat: [long]}], fallbacks: [{chat: [other]}]}",
        &[
            (CHAT, &short),
            (LONG, &long),
            ("model_name: other, litellm_params: {model: openai/up, api_base: '{}'}", &other),
        ],
    );
    assert_eq!(fleet.ask("chat").await.status(), Some(200));
    assert_eq!((short.asked(), long.asked(), other.asked()), (1, 1, 0));
}

#[tokio::test]
async fn with_pre_call_checks_an_input_that_is_too_long_is_not_sent() {
    for (checks, sent) in [(true, 0), (false, 1)] {
        let (short, long) = (Upstream::status(200).await, Upstream::status(200).await);
        let chat = "model_name: chat, litellm_params: {model: openai/up, api_base: '{}'}, \
                    model_info: {max_input_tokens: 1}";
        let rest = format!(
            "router_settings: {{enable_pre_call_checks: {checks}, context_window_fallbacks: [{{chat: long}}]}}"
        );
        let fleet = fleet(&rest, &[(chat, &short), (LONG, &long)]);
        let body = r#"{"model": "chat", "messages": [{"role": "user", "content": "more than one token, surely"}]}"#;
        let request = post("/v1/chat/completions", body);
        let response = fleet.service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!((short.asked(), long.asked()), (sent, 1 - sent), "{checks}");
    }
}

#[tokio::test]
async fn an_endpoint_that_no_deployment_has_is_refused() {
    let server = Upstream::status(200).await;
    let chat = "model_name: chat, litellm_params: {model: openai/up, api_base: '{}'}, model_info: \
                {supported_endpoints: [/v1/embeddings], enforce_supported_endpoints: true}";
    let fleet = fleet("", &[(chat, &server)]);
    let error = fleet.ask("chat").await.result.unwrap_err();
    assert_eq!(error.as_refused().unwrap().reason(), RefusedReason::Unsupported);
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn retries_are_counted_by_kind_of_failure_and_group() {
    let server = Upstream::answering(Answer::status(500).header("retry-after", "0.01")).await;
    let other = Upstream::answering(Answer::status(500).header("retry-after", "0.01")).await;
    let fleet = fleet(
        "router_settings: {num_retries: 1, retry_policy: {InternalServerErrorRetries: 3}, \
         model_group_retry_policy: {long: {InternalServerErrorRetries: 0}}}",
        &[(CHAT, &server), (LONG, &other)],
    );
    fleet.ask("chat").await;
    fleet.ask("long").await;
    assert_eq!((server.asked(), other.asked()), (4, 1));
}

#[tokio::test]
async fn a_deployment_has_its_own_rules_of_being_set_aside() {
    let rules = [
        ("cooldown_time: 40", Some(40)),
        ("cooldown_time: 0", None),
        ("allowed_fails_policy: {AuthenticationErrorAllowedFails: 100}", None),
        ("allowed_fails: 100", Some(60)),
    ];
    for (rule, expected) in rules {
        let servers = servers([401, 200]).await;
        let one = format!(
            "model_name: chat, litellm_params: {{model: openai/up, api_base: '{{}}'}}, model_info: {{id: 0, {rule}}}"
        );
        let other = CHAT.replace("id: 0", "id: 1");
        let fleet = fleet(
            "router_settings: {num_retries: 0, cooldown_time: 60}",
            &[(&one, &servers[0]), (&other, &servers[1])],
        );
        while servers[0].asked() < 3 && fleet.aside(0).is_none() {
            fleet.ask("chat").await;
        }
        let aside = fleet.aside(0).map(|left| left.as_secs_f32());
        let ejections = fleet.deployment(0).health().totals().ejections;
        assert_eq!(ejections > 0, expected.is_some(), "{rule}");
        match (aside, expected) {
            // Up to a tenth more, so that several do not come back at once.
            (Some(left), Some(whole)) => {
                let whole = f32::from(u8::try_from(whole).unwrap());
                assert!(left > whole - 5.0 && left <= whole * 1.1, "{rule}: {left}");
            }
            (aside, expected) => assert_eq!((aside, expected), (None, None), "{rule}"),
        }
    }
}

#[tokio::test]
async fn what_a_deployment_does_not_say_of_being_set_aside_the_router_does() {
    let policy = |key: &str| format!("allowed_fails_policy: {{{key}: 100}}");
    for (router, own, status) in [
        (policy("AuthenticationErrorAllowedFails"), "cooldown_time: 40".to_owned(), 401),
        ("allowed_fails: 100".to_owned(), policy("NotFoundErrorAllowedFails"), 500),
    ] {
        let servers = servers([status, 200]).await;
        let one = CHAT.replace("id: 0", &format!("id: 0, {own}"));
        let other = CHAT.replace("id: 0", "id: 1");
        let fleet = fleet(
            &format!("router_settings: {{num_retries: 0, {router}}}"),
            &[(&one, &servers[0]), (&other, &servers[1])],
        );
        while servers[0].asked() < 6 && fleet.aside(0).is_none() {
            fleet.ask("chat").await;
        }
        assert_eq!(fleet.aside(0), None, "{router} {own}");
    }
}

#[tokio::test]
async fn the_default_of_a_retry_policy_is_for_kinds_without_a_count() {
    for (policy, asked) in [
        ("DefaultRetries: 3", 4),
        ("DefaultRetries: 0", 1),
        ("DefaultRetries: 3, InternalServerErrorRetries: 2", 3),
    ] {
        let server = Upstream::answering(Answer::status(500).header("retry-after", "0.01")).await;
        let rest = format!("router_settings: {{num_retries: 1, retry_policy: {{{policy}}}}}");
        fleet(&rest, &[(CHAT, &server)]).ask("chat").await;
        assert_eq!(server.asked(), asked, "{policy}");
    }
}

#[tokio::test]
async fn a_stream_has_a_limit_of_its_own() {
    let stream = Answer::status(200).body("text/event-stream", "data: {}\n\n");
    let (silent, server) = (Upstream::silent().await, Upstream::answering(stream).await);
    let fleet = fleet(
        "router_settings: {stream_timeout: 0.1, num_retries: 0, fallbacks: [{chat: long}]}",
        &[(CHAT, &silent), (LONG, &server)],
    );
    let body = r#"{"model": "chat", "stream": true, "messages": []}"#;
    let request = post("/v1/chat/completions", body);
    let answer = fleet.service.clone().oneshot(request);
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.expect("a limit");
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!((silent.asked(), server.asked()), (1, 1));
}

#[tokio::test]
async fn a_blocked_deployment_is_asked_nothing() {
    let servers = servers([200, 200]).await;
    let blocked = CHAT.replace("id: 0", "id: 0, blocked: true");
    let fleet =
        fleet("", &[(&blocked, &servers[0]), (&CHAT.replace("id: 0", "id: 1"), &servers[1])]);
    assert_eq!(fleet.failures("chat", 20).await, 0);
    assert_eq!((servers[0].asked(), servers[1].asked()), (0, 20));
}

#[tokio::test]
async fn a_400_goes_nowhere_else_where_the_file_says_so() {
    for (falls_back, status) in [(true, 200), (false, 400)] {
        let servers = servers([400, 200]).await;
        let rest = format!(
            "router_settings: {{fallback_on_unsupported_params: {falls_back}, fallbacks: [{{chat: long}}]}}"
        );
        let fleet = fleet(&rest, &[(CHAT, &servers[0]), (LONG, &servers[1])]);
        assert_eq!(fleet.ask("chat").await.status(), Some(status));
    }
}

#[tokio::test]
async fn each_provider_is_asked_in_its_own_manner() {
    let servers = servers([200; 3]).await;
    let fleet = fleet(
        "",
        &[
            (
                "model_name: chat, litellm_params: {model: azure/my-gpt, api_base: '{}', api_key: k1, \
                 api_version: 2024-10-21, extra_headers: {x-team: a}}",
                &servers[0],
            ),
            (
                "model_name: claude, litellm_params: {model: anthropic/claude-up, api_base: '{}', api_key: k2}",
                &servers[1],
            ),
            (
                "model_name: azure-token, litellm_params: {model: azure/my-gpt, api_base: '{}', azure_ad_token: t}",
                &servers[2],
            ),
        ],
    );
    fleet.ask("chat").await;
    let (head, _) = servers[0].latest();
    let path = "/v1/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21";
    assert_eq!(head.uri, path);
    assert_eq!(head.headers["api-key"], "k1");
    assert_eq!(head.headers["x-team"], "a");
    assert!(!head.headers.contains_key("authorization"));

    let body = r#"{"model": "claude", "max_tokens": 1, "messages": []}"#;
    let request = post("/v1/messages", body);
    fleet.service.clone().oneshot(request).await.unwrap();
    let (head, body) = servers[1].latest();
    assert_eq!(head.headers["x-api-key"], "k2");
    assert_eq!(head.uri.path(), "/v1/messages");
    assert!(body.starts_with(br#"{"model": "claude-up""#));

    fleet.ask("azure-token").await;
    let (head, _) = servers[2].latest();
    assert_eq!(head.headers["authorization"], "Bearer t");
    assert!(head.uri.query().unwrap().contains("api-version=2025-02-01-preview"));
}

#[tokio::test]
async fn what_an_answer_costs_is_counted_by_the_file_or_a_price_list() {
    let body = r#"{"usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}"#;
    let answer = Answer::status(200).body("application/json", body);
    let servers = join_all([(); 3].map(|()| Upstream::answering(answer.clone()))).await;
    let text = text(
        "",
        &[
            (
                "model_name: own, litellm_params: {model: openai/gpt-x, api_base: '{}', input_cost_per_token: 0, \
                 output_cost_per_token: 0.5}, model_info: {id: 0}",
                &servers[0],
            ),
            (
                "model_name: listed, litellm_params: {model: openai/gpt-x, api_base: '{}'}, model_info: {id: 1}",
                &servers[1],
            ),
            (
                "model_name: based, litellm_params: {model: azure/mine, api_base: '{}'}, model_info: {id: 2, \
                 base_model: azure/gpt-y}",
                &servers[2],
            ),
        ],
    );
    let list = r#"{
        "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 1, "output_cost_per_token": 2},
        "azure/gpt-y": {"litellm_provider": "azure", "input_cost_per_token": 3, "output_cost_per_token": 4}
    }"#;
    let mut config = Config::from_yaml_with(&text, |_| None).unwrap();
    config.prices = Some(Arc::new(PriceList::from_slice(list.as_bytes()).unwrap()));
    let fleet = started(&config);
    for (id, (group, cost)) in
        [("own", 5.0), ("listed", 120.0), ("based", 340.0)].iter().enumerate()
    {
        assert_eq!(fleet.ask(group).await.status(), Some(200));
        let totals = fleet.deployment(id).usage();
        assert_eq!((totals.usage.input, totals.usage.output), (100, 10), "{group}");
        assert!((totals.cost - cost).abs() < 1e-9, "{group}: {totals:?}");
    }
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_where_the_server_knows_how_to_tell() {
    for (provider, asked) in [("hosted_vllm", true), ("openai", false)] {
        let event = r#"data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}"#;
        let usage =
            r#"data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}"#;
        let stream = format!("{event}\n\n{usage}\n\ndata: [DONE]\n\n");
        let server =
            Upstream::answering(Answer::status(200).body("text/event-stream", stream.clone()))
                .await;
        let chat = CHAT.replace("openai/up", &format!("{provider}/up"));
        let fleet = fleet("", &[(&chat, &server)]);
        let body = r#"{"model": "chat", "stream": true, "messages": []}"#;
        let answer = fleet.service.clone().oneshot(post("/v1/chat/completions", body)).await;
        let answer = answer.unwrap().into_body().collect().await.unwrap().to_bytes();
        // What was not asked for on its behalf, the caller gets as it comes.
        let expected = if asked { stream.replace(&format!("{usage}\n\n"), "") } else { stream };
        assert_eq!(answer, expected, "{provider}");
        let (_, sent) = server.latest();
        let sent = String::from_utf8(sent.to_vec()).unwrap();
        assert_eq!(sent.contains(r#""include_usage":true"#), asked, "{sent}");
        assert_eq!(fleet.deployment(0).usage().usage.input, 7);
    }
}
