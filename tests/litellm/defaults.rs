//! What holds where the file is silent, and what the file may not say.

use tower_fleet::config::{Config, ConfigError};

use super::*;

#[tokio::test]
async fn two_retries_and_five_seconds_aside_are_the_defaults() {
    let server = Upstream::answering(Answer::status(500).header("retry-after", "0.01")).await;
    let fleet = File::new("").group("chat", [&server]).start();
    assert_eq!(fleet.ask("chat").await.status(), Some(500));
    assert_eq!(server.asked(), 3);

    let servers = servers([401, 200]).await;
    let fleet = File::new("num_retries: 0").group("chat", &servers).start();
    let begun = tokio::time::Instant::now();
    while servers[0].asked() == 0 {
        fleet.ask("chat").await;
    }
    let (aside, spent) = (fleet.aside(0).unwrap_or_default(), begun.elapsed());
    // A tenth more at most, so that several do not come back at once.
    assert!(aside <= Duration::from_millis(5500) && aside + spent >= Duration::from_secs(5));
}

#[tokio::test]
async fn allowed_fails_of_zero_sets_aside_at_the_first_failure_and_cooldowns_can_be_off() {
    for (setting, most) in
        [("allowed_fails: 0, cooldown_time: 60", 1), ("disable_cooldowns: true", 60)]
    {
        let servers = servers([500, 200]).await;
        let fleet =
            File::new(&format!("num_retries: 0, {setting}")).group("chat", &servers).start();
        let failures = fleet.failures("chat", 60).await;
        assert_eq!(failures, servers[0].asked());
        assert_eq!(fleet.aside(0).is_some(), most == 1);
        assert!(failures <= most && (most == 1 || failures > 5), "{setting}: {failures}");
    }
}

#[tokio::test]
async fn each_attempt_has_the_time_of_its_deployment() {
    let (silent, server) = (Upstream::silent().await, Upstream::status(200).await);
    let fleet = File::new("")
        .add("chat", &silent.base(), "order: 1, timeout: 0.1")
        .add("chat", &server.base(), "order: 2, timeout: 60")
        .start();
    let reply = fleet.ask("chat").await;
    assert_eq!((reply.status(), reply.asked()), (Some(200), vec!["0".into(), "1".into()]));
}

#[tokio::test]
async fn keys_come_from_the_environment_the_reader_is_given() {
    let server = Upstream::status(200).await;
    let params =
        format!("{{model: openai/up, api_base: '{}', api_key: os.environ/KEY}}", server.base());
    let text = format!("model_list: [{{model_name: chat, litellm_params: {params}}}]");
    let environment = |name: &str| (name == "KEY").then(|| "sk-from-there".to_owned());
    let layer = Config::from_yaml_with(&text, environment).unwrap().fleet().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = InspectLayer::new().layer(layer.layer(client)).oneshot(chat("chat")).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(server.latest().0.headers["authorization"], "Bearer sk-from-there");
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let file = |params: &str| {
        format!(
            "model_list: [{{model_name: chat, litellm_params: {{model: openai/up, {params}}}}}]"
        )
    };
    for (params, place) in [
        ("weight: heavy", "model_list[0].litellm_params.weight"),
        ("api_key: k, api_base: 'http://a b/'", "model_list[0].litellm_params.api_base"),
        ("api_key: \"two\\nlines\"", "model_list[0].litellm_params.api_key"),
    ] {
        let error = ConfiguredFleet::from_yaml(&file(params)).unwrap_err();
        let ConfigError::Invalid { errors, .. } = &error else { panic!("{error}") };
        assert_eq!(errors[0].place, place, "{error}");
        assert!(!error.to_string().contains("two\nlines"), "{error}");
    }
}
