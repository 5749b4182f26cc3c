//! What was measured in LiteLLM 1.109.1 against servers of its own, and what happens here instead: a configuration
//! file, real HTTP over loopback, and nothing known but what went in and came out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![cfg(all(feature = "config", feature = "hyper"))]

mod balance;
mod bodies;
mod cooldown;
mod defaults;
mod fallback;
mod limits;
mod retry;
mod routing;
mod script;
mod settings;
#[path = "../support/upstream.rs"]
mod upstream;

use std::{fmt::Write, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt};
use tower_fleet::{
    Deployment, Error, Trail,
    body::ReplayBody,
    config::ConfiguredFleet,
    deployment::Status,
    fleet::{Group, Stack},
    llm::AttemptLayer,
    llm::{Inspect, InspectLayer, RewrittenBody},
};

use self::upstream::{Answer, Upstream};

type Http = Client<HttpConnector, RewrittenBody<ReplayBody>>;

/// Requests to a fleet as a LiteLLM file configures it.
#[derive(Clone)]
struct Fleet {
    layer: ConfiguredFleet,
    service: Inspect<Stack<Http, AttemptLayer>>,
}

/// The text of a configuration file.
#[derive(Default)]
struct File {
    text: String,
}

/// What became of a request.
#[derive(Debug)]
struct Reply {
    result: Result<(u16, Bytes), Error>,
    trail: Trail,
}

impl File {
    /// A file whose `router_settings` are these.
    fn new(settings: &str) -> Self {
        Self { text: format!("router_settings: {{{settings}}}\nmodel_list:\n") }
    }

    /// Adds a deployment with the model `openai/up` and further `litellm_params`; the ids are numbers, from 0.
    fn add(self, model_name: &str, base: &str, params: &str) -> Self {
        self.model(model_name, "openai/up", base, params)
    }

    fn model(mut self, model_name: &str, model: &str, base: &str, params: &str) -> Self {
        let id = self.text.matches("model_name").count();
        let params = format!("model: {model:?}, api_base: {base:?}, api_key: sk-test, {params}");
        let name = format!("model_name: {model_name:?}, model_info: {{id: '{id}'}}");
        writeln!(self.text, "- {{{name}, litellm_params: {{{params}}}}}").unwrap();
        self
    }

    /// Adds the servers as deployments of one group.
    fn group<'a>(self, name: &str, servers: impl IntoIterator<Item = &'a Upstream>) -> Self {
        servers.into_iter().fold(self, |file, server| file.add(name, &server.base(), ""))
    }

    fn start(self) -> Fleet {
        let layer =
            ConfiguredFleet::from_yaml(&self.text).unwrap_or_else(|error| panic!("{error}"));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let service = InspectLayer::new().layer(layer.layer(client));
        Fleet { layer, service }
    }
}

impl Fleet {
    /// Asks for `model`. No answer within twenty seconds is a failed test: nothing here may wait that long.
    async fn ask(&self, model: &str) -> Reply {
        let mut request = chat(model);
        let trail = Trail::start(&mut request);
        let answer = async {
            let response = self.service.clone().oneshot(request).await?;
            let status = response.status().as_u16();
            Ok((status, response.into_body().collect().await.unwrap().to_bytes()))
        };
        let result = tokio::time::timeout(Duration::from_secs(20), answer).await;
        Reply { result: result.expect("an answer in time"), trail }
    }

    /// Asks so often, one after the other: how many did not get a 200.
    async fn failures(&self, model: &str, times: usize) -> usize {
        let mut failures = 0;
        for _ in 0..times {
            failures += usize::from(self.ask(model).await.status() != Some(200));
        }
        failures
    }

    /// Asks so often at the same time: the statuses.
    async fn at_once(&self, model: &str, times: usize) -> Vec<Option<u16>> {
        let replies = join_all((0..times).map(|_| self.ask(model))).await;
        replies.iter().map(Reply::status).collect()
    }

    /// The head and the body of the response, which is still to be read.
    async fn open(&self, model: &str) -> Response<impl Body<Data = Bytes> + Unpin + use<>> {
        self.service.clone().oneshot(chat(model)).await.unwrap().map(Box::pin)
    }

    fn deployment(&self, id: usize) -> Deployment {
        let mut members = self.layer.groups().iter().flat_map(Group::members);
        members.find(|(one, _)| one.id() == id.to_string()).unwrap().0.clone()
    }

    /// For how long the deployment is still set aside.
    fn aside(&self, id: usize) -> Option<Duration> {
        match self.deployment(id).health().status() {
            Status::Cooling { until, .. } => Some(until - tokio::time::Instant::now()),
            _ => None,
        }
    }
}

impl Reply {
    fn status(&self) -> Option<u16> {
        self.result.as_ref().ok().map(|(status, _)| *status)
    }

    /// The ids of the deployments asked, in order.
    fn asked(&self) -> Vec<String> {
        let steps = self.trail.attempts();
        steps.iter().map(|step| step.deployment().unwrap().id().to_owned()).collect()
    }
}

fn chat(model: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model": "{model}", "messages": []}}"#);
    Request::post("/chat/completions").body(Full::from(body)).unwrap()
}

/// Servers that answer with these statuses.
async fn servers<const N: usize>(statuses: [u16; N]) -> Vec<Upstream> {
    join_all(statuses.map(Upstream::status)).await
}
