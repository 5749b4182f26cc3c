//! No key is ever shown: keys go everywhere a key can be given, and everything that can be printed is searched for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![cfg(all(feature = "config", feature = "hyper"))]

#[path = "support/upstream.rs"]
mod upstream;

use std::{
    error::Error as StdError,
    fmt::{Debug, Display},
    future::{Future, poll_fn},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio_test::assert_pending;
use tower::{Layer, Service, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, Error, Served, Trail,
    balance::{BalanceLayer, LeastBusy},
    config::{Config, ConfigError},
    llm::InspectLayer,
    upstream::{Secret, Upstream},
};

use self::upstream::Answer;

/// In every key; what follows it says where the key was given.
const MARK: &str = "hunter2";

fn search(what: &str, shown: &impl Debug) {
    for text in [format!("{shown:?}"), format!("{shown:#?}")] {
        assert!(!text.contains(MARK), "{what}: {text}");
    }
}

fn search_error(what: &str, error: &(dyn StdError + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        search(what, &error);
        search_text(what, error);
        next = error.source();
    }
}

fn search_text(what: &str, shown: &(impl Display + ?Sized)) {
    let text = shown.to_string();
    assert!(!text.contains(MARK), "{what}: {text}");
}

/// A client for whatever body a stack sends.
#[derive(Clone, Debug)]
struct Http(Client<HttpConnector, UnsyncBoxBody<Bytes, BoxError>>);

impl Http {
    fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl<B> Service<Request<B>> for Http
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Incoming>;
    type Error = legacy::Error;
    type Future = legacy::ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), legacy::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> legacy::ResponseFuture {
        self.0.request(request.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

/// What a client sends that uses keys of its own in every way there is.
fn from_a_client(model: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model": "{model}", "messages": []}}"#);
    Request::post("/v1/chat/completions?key=hunter2-query&beta=true")
        .header("authorization", "Bearer hunter2-bearer")
        .header("x-api-key", "hunter2-x-api-key")
        .header("api-key", "hunter2-api-key")
        .header("cookie", "session=hunter2-cookie")
        .header("proxy-authorization", "Basic hunter2-proxy")
        .body(Full::from(body))
        .unwrap()
}

fn config(base: &str, dead: &str) -> Config {
    let text = format!(
        r#"
model_list:
  - model_name: chat
    litellm_params: {{model: openai/gpt-4o, api_base: "{base}", api_key: hunter2-file}}
  - model_name: dead
    litellm_params: {{model: openai/gpt-4o, api_base: "{dead}", api_key: os.environ/MY_KEY}}
  - model_name: hosted
    litellm_params: {{model: groq/llama-3}}
    api_key: hunter2-misplaced
  - model_name: azure
    litellm_params: {{model: azure/d, api_base: "{dead}", api_version: "2024-10-21", api_key: hunter2-azure,
      extra_headers: {{x-token: hunter2-extra}}, azure_ad_token: hunter2-entra, client_secret: hunter2-client}}
  - model_name: anthropic
    litellm_params: {{model: anthropic/claude, api_key: os.environ/CLAUDE_KEY}}
general_settings: {{master_key: hunter2-master, misspelt_key: hunter2-unknown}}
"#
    );
    Config::from_yaml_with(&text, environment).unwrap()
}

/// All that is asked for is there, but for the addresses of providers.
fn environment(name: &str) -> Option<String> {
    let address = name.ends_with("_API_BASE") || name.ends_with("_BASE_URL");
    (!address).then(|| format!("hunter2-{name}"))
}

#[tokio::test]
async fn neither_a_configuration_nor_its_fleet_shows_a_key() {
    let config = config("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1");
    let keys = config.deployments.iter().map(|one| one.api_key.as_ref().unwrap().expose());
    let expected = ["file", "MY_KEY", "GROQ_API_KEY", "azure", "CLAUDE_KEY"];
    assert_eq!(keys.collect::<Vec<_>>(), expected.map(|key| format!("hunter2-{key}")));
    assert!(config.master_key.is_some() && !config.deployments[3].headers.is_empty());
    search("the configuration", &config);
    assert!(!config.warnings.is_empty());
    for warning in &config.warnings {
        search_text("a warning", warning);
    }
    let fleet = config.fleet().unwrap();
    search("the fleet's layer", &fleet);
    search("its groups", &fleet.groups());
    search("the stack", &InspectLayer::new().layer(fleet.layer(Http::new())));
}

#[test]
fn an_error_of_a_configuration_shows_no_key() {
    let entry = |params: &str| {
        format!("model_list: [{{model_name: m, litellm_params: {{model: openai/m, {params}}}}}]")
    };
    for text in [
        entry("api_base: 'https://me:hunter2@a.example/v1'"),
        entry("api_base: 'https://a.example/v1?api-key=hunter2'"),
        entry("api_base: 'hunter2@'"),
        entry("api_key: 'hunter2 hunter2'"),
        entry("api_key: \"hunter2\\n.\""),
        entry("api_key: [hunter2]"),
        entry("api_key: {a: hunter2}"),
        entry("api_base: os.environ/BASE"),
        entry("rpm: os.environ/LIMIT"),
        entry("timeout: os.environ/LIMIT"),
        entry("extra_headers: {x-token: \"hunter2\\n.\"}"),
        entry("extra_headers: hunter2"),
        entry("input_cost_per_token: os.environ/PRICE"),
        entry("api_key: hunter2-in-a-list") + "\ngeneral_settings: {master_key: \"hunter2\\n.\"}",
        entry("api_key: a")
            + "\nenvironment_variables: hunter2\ngeneral_settings: {master_key: [hunter2]}",
    ] {
        let error = Config::from_yaml_with(&text, environment).unwrap_err();
        assert!(matches!(error, ConfigError::Invalid { .. }), "{text}: {error}");
        search_error(&text, &error);
    }
}

#[tokio::test]
async fn no_provider_s_upstream_shows_a_key() {
    let key = Secret::new("hunter2-key").unwrap();
    search("a secret", &key);
    let key = Some(&key);
    for upstream in [
        Upstream::openai("https://a.example/v1", key),
        Upstream::azure("https://a.example", "d", Some("2024-10-21"), key),
        Upstream::azure("https://a.example", "d", None, key),
        Upstream::anthropic("https://a.example", key),
        Upstream::new("https://a.example"),
    ] {
        let upstream = upstream.unwrap();
        let upstream = upstream.header("x-token", "hunter2-header").unwrap();
        let upstream = upstream.default_header("x-secret", "hunter2-default").unwrap();
        let upstream = upstream.query("key", "hunter2-query");
        search("an upstream", &upstream);
        search("its service", &upstream.layer(Http::new()));
        let deployments = [(Deployment::new("a"), upstream.clone())];
        let layer = BalanceLayer::new(LeastBusy, deployments);
        search("a balance's layer", &layer);
        search("a balance", &layer.layer(Http::new()));

        // What the layers below could print.
        let shown = tower::service_fn(|request: Request<()>| async move {
            Ok::<_, BoxError>(format!("{:?}", request.headers()))
        });
        let request = Request::new(());
        search("the headers sent", &upstream.layer(shown).oneshot(request).await.unwrap());
    }
    for base in ["https://me:hunter2@a.example", "https://a.example?key=hunter2", "hunter2@"] {
        for upstream in [
            Upstream::new(base),
            Upstream::openai(base, key),
            Upstream::azure(base, "d", Some("2024-10-21"), key),
            Upstream::azure(base, "d", None, key),
            Upstream::anthropic(base, key),
        ] {
            search_error(base, &upstream.unwrap_err());
        }
    }
    let upstream = Upstream::new("https://a.example").unwrap();
    search_error("a header's error", &upstream.header("a", "hunter2\n").unwrap_err());
    search_error("a secret's error", &Secret::new("hunter2\n.").unwrap_err());
}

#[tokio::test]
async fn no_future_no_trail_and_no_error_shows_a_key() {
    let server = upstream::Upstream::silent().await;
    let (_socket, dead) = upstream::dead();
    let fleet = config(&server.base(), &dead).fleet().unwrap();
    let service = InspectLayer::new().layer(fleet.layer(Http::new()));

    let mut request = from_a_client("chat");
    let trail = Trail::start(&mut request);
    let mut call = Box::pin(service.clone().oneshot(request));
    while server.asked() == 0 {
        poll_fn(|cx| {
            assert_pending!(call.as_mut().poll(cx));
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    search("the call in flight", &call);
    search("its trail", &trail);
    drop(call);

    // Without the oneshot around it, whose future shows less.
    let mut ready = service.clone();
    ServiceExt::<Request<Full<Bytes>>>::ready(&mut ready).await.unwrap();
    search("the response's future", &ready.call(from_a_client("chat")));

    for model in ["dead", "nobody's"] {
        let mut request = from_a_client(model);
        let trail = Trail::start(&mut request);
        let error: Error = service.clone().oneshot(request).await.unwrap_err();
        search_error(model, &error);
        search("the trail of a failure", &trail);
    }
}

#[tokio::test]
async fn only_a_deployment_s_own_key_reaches_it_and_what_it_answers_is_its_own() {
    let server = upstream::Upstream::answering(Answer::status(401)).await;
    let key = Secret::new("hunter2-ours").unwrap();
    let upstream = Upstream::openai(&server.base(), Some(&key)).unwrap();
    let service = BalanceLayer::new(LeastBusy, [(Deployment::new("a"), upstream)]);
    let response = service.layer(Http::new()).oneshot(from_a_client("chat")).await.unwrap();
    search("who served", &Served::of(&response));
    search("the response", &response);
    let body = response.into_body();
    search("its body", &body);
    assert_eq!(body.collect().await.unwrap().to_bytes(), r#"{"answered": 401}"#);

    let (head, _) = server.latest();
    let got = format!("{} {:?}", head.uri, head.headers);
    assert_eq!(head.headers["authorization"], "Bearer hunter2-ours");
    assert_eq!(got.matches(MARK).count(), 1, "{got}");
    assert_eq!(head.uri, "/v1/chat/completions?beta=true");
}
