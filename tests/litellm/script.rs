//! Fleets of a configuration file over clients that follow a script: no network, and a clock that tests can stop.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, request::Builder};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_fleet::{
    BoxError, Deployment, Error,
    body::ReplayBody,
    config::{Config, ConfiguredFleet},
    error::{Refused, RefusedReason},
    fleet::Group,
    llm::RewrittenBody,
};

type Answered = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// What a host answers.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long it takes.
    pub(crate) after: Duration,
    /// Tokens of input and output that it tells.
    pub(crate) usage: Option<(u64, u64)>,
    pub(crate) header: Option<(&'static str, &'static str)>,
}

pub(crate) const OK: Answer =
    Answer { status: 200, after: Duration::ZERO, usage: None, header: None };

/// A fleet whose deployments are hosts `http://a`, `http://b` and so on, which are their ids too.
pub(crate) struct Scripted {
    layer: ConfiguredFleet,
    service: BoxCloneSyncService<Request<Full<Bytes>>, Answered, Error>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

/// A file with these settings, and these entries: a group, a host, and the rest of its `litellm_params`.
pub(crate) fn file(settings: &str, entries: &[(&str, &str, &str)]) -> String {
    let mut text = format!("{settings}\nmodel_list:\n");
    for (group, host, params) in entries {
        let (params, info) = params.split_once('|').unwrap_or((params, ""));
        writeln!(
            text,
            "- {{model_name: '{group}', model_info: {{id: {host}, {info}}}, litellm_params: {{model: openai/up, api_base: \
             'http://{host}', {params}}}}}"
        )
        .unwrap();
    }
    text
}

impl Scripted {
    /// The fleet of a file, whose hosts answer so.
    pub(crate) fn start(
        text: &str,
        answer: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        let config =
            Config::from_yaml_with(text, |_| None).unwrap_or_else(|error| panic!("{error}"));
        let layer = config.fleet().unwrap();
        let asked = Arc::<Mutex<HashMap<String, usize>>>::default();
        let counts = Arc::clone(&asked);
        let client = service_fn(move |request: Request<RewrittenBody<ReplayBody>>| {
            let host = request.uri().host().unwrap().to_owned();
            let Answer { status, after, usage, header } = answer(&host);
            *counts.lock().unwrap().entry(host).or_default() += 1;
            async move {
                // Those that are asked at once are with it at once, also where it takes no time.
                tokio::task::yield_now().await;
                tokio::time::sleep(after).await;
                let body = usage.map_or_else(|| "{}".to_owned(), |(input, output)| {
                    format!(
                        r#"{{"usage": {{"prompt_tokens": {input}, "completion_tokens": {output}}}}}"#
                    )
                });
                let head =
                    Response::builder().status(status).header("content-type", "application/json");
                let head =
                    header.into_iter().fold(head, |head, (name, value)| head.header(name, value));
                Ok::<_, Infallible>(head.body(Full::new(Bytes::from(body))).unwrap())
            }
        });
        let service = ServiceBuilder::new()
            .map_response(|answered: Response<_>| answered.map(boxed))
            .layer(config.inspect())
            .layer(&layer)
            .service(client);
        Self { layer, service: BoxCloneSyncService::new(service), asked }
    }

    /// The head and the body of the answer to `request`, which is still to be read.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Result<Answered, Error> {
        self.service.clone().oneshot(request).await
    }

    /// The status of the answer to `request`, once it is read.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<u16, Refused> {
        match self.open(request).await {
            Ok(answered) => {
                let status = answered.status().as_u16();
                answered.into_body().collect().await.unwrap();
                Ok(status)
            }
            Err(error) => Err(error.as_refused().unwrap_or_else(|| panic!("{error}")).clone()),
        }
    }

    pub(crate) async fn ask(&self, model: &str) -> Result<u16, Refused> {
        self.send(chat(model, "", |head| head)).await
    }

    /// Asks so often at the same time: how many were answered, and why the others were refused.
    pub(crate) async fn at_once(&self, model: &str, times: usize) -> (usize, Vec<RefusedReason>) {
        let all = join_all((0..times).map(|_| self.ask(model))).await;
        let answered = all.iter().filter(|one| **one == Ok(200)).count();
        (answered, all.iter().filter_map(|one| Some(one.as_ref().err()?.reason())).collect())
    }

    /// How often each of these hosts was asked.
    pub(crate) fn asked<const N: usize>(&self, hosts: [&str; N]) -> [usize; N] {
        let asked = self.asked.lock().unwrap();
        hosts.map(|host| asked.get(host).copied().unwrap_or_default())
    }

    pub(crate) fn deployment(&self, host: &str) -> Deployment {
        let mut members = self.layer.groups().iter().flat_map(Group::members);
        members.find(|(one, _)| one.id() == host).unwrap().0.clone()
    }
}

fn boxed<B>(body: B) -> UnsyncBoxBody<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

/// A request for a model, with further members of its body and with headers.
pub(crate) fn chat(
    model: &str,
    members: &str,
    headers: impl FnOnce(Builder) -> Builder,
) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model": "{model}", "messages": [], "max_tokens": 10{members}}}"#);
    headers(Request::post("/v1/chat/completions")).body(Full::from(body)).unwrap()
}
