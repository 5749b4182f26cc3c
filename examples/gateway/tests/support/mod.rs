//! Fake deployments that keep what they got, and a gateway before them.

#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use futures_util::stream;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::mpsc,
};
use tower_fleet::config::Config;
use tower_fleet_gateway::Gateway;

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A fake deployment.
pub(crate) struct Upstream {
    pub(crate) base: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Upstream {
    pub(crate) async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Got) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send,
    {
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let kept = Arc::clone(&got);
        let handler = move |request: axum::extract::Request| {
            let (answer, kept) = (answer.clone(), Arc::clone(&kept));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let one = Got {
                    method: head.method,
                    path: head.uri.to_string(),
                    headers: head.headers,
                    body: String::from_utf8(body.into()).unwrap(),
                };
                kept.lock().unwrap().push(one.clone());
                answer(one).await
            }
        };
        Self { base: serve(Router::new().fallback(handler)).await, got }
    }

    /// One that always answers so.
    pub(crate) async fn fixed(
        status: u16,
        headers: &'static [(&str, &str)],
        body: &'static str,
    ) -> Self {
        Self::start(move |_| async move { response(status, headers, body) }).await
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response {
    let builder = Response::builder().status(status);
    let builder =
        headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(Body::from(body)).unwrap()
}

/// A response body that gets its chunks, and its end, from the sender.
pub(crate) fn channel() -> (mpsc::UnboundedSender<&'static str>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let chunks = stream::unfold(receiver, |mut receiver| async {
        Some((Ok::<_, std::convert::Infallible>(receiver.recv().await?), receiver))
    });
    (sender, Body::from_stream(chunks))
}

/// The response of a stream of events.
pub(crate) fn events(body: Body) -> Response {
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

/// An address where nothing listens, nor ever will: the port stays taken, or what is started next might get it.
pub(crate) fn nowhere() -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    format!("http://{address}")
}

/// One entry of a `model_list`.
pub(crate) fn entry(group: &str, id: &str, base: &str, more: &str) -> String {
    format!(
        "- {{model_name: {group}, model_info: {{id: {id}}}, \
            litellm_params: {{model: openai/{id}-model, api_base: \"{base}/v1\", api_key: key-of-{id}{more}}}}}\n"
    )
}

/// Starts a gateway and returns its address.
pub(crate) async fn gateway(entries: &[String], rest: &str) -> String {
    let yaml = format!("model_list:\n{}{rest}", entries.concat());
    started(&Config::from_yaml_with(&yaml, |_| None).unwrap()).await
}

/// Starts the gateway that `config` describes and returns its address.
pub(crate) async fn started(config: &Config) -> String {
    let gateway = Gateway::new(config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let forever = || std::future::pending();
    tokio::spawn(tower_fleet_gateway::serve(listener, gateway, forever(), forever()));
    format!("http://{address}")
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Deployment, attempts, fallbacks.
    pub(crate) fn fleet(&self) -> [Option<&str>; 3] {
        ["x-fleet-deployment", "x-fleet-attempts", "x-fleet-fallbacks"]
            .map(|name| self.header(name))
    }
}

pub(crate) async fn open(request: Request<String>) -> hyper::Response<Incoming> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let sent = client.request(request.map(|body| Full::new(Bytes::from(body))));
    tokio::time::timeout(PATIENCE, sent).await.expect("an answer in time").unwrap()
}

pub(crate) async fn send(request: Request<String>) -> Answer {
    let (head, body) = open(request).await.into_parts();
    let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("a body in time");
    let body = String::from_utf8(body.unwrap().to_bytes().into()).unwrap();
    Answer { status: head.status, headers: head.headers, body }
}

pub(crate) async fn get(url: String) -> Answer {
    send(Request::get(url).body(String::new()).unwrap()).await
}

pub(crate) fn ask(url: &str, model: &str) -> Request<String> {
    let body = format!(r#"{{"messages": [], "model": "{model}", "temperature": 0.10}}"#);
    let request = Request::post(format!("{url}/v1/chat/completions"));
    request.header("content-type", "application/json").body(body).unwrap()
}

pub(crate) fn ask_for_a_stream(url: &str, model: &str) -> Request<String> {
    let body = format!(r#"{{"model": "{model}", "stream": true}}"#);
    post(url, "/v1/chat/completions", &body)
}

pub(crate) fn post(url: &str, path: &str, body: &str) -> Request<String> {
    Request::post(format!("{url}{path}")).body(body.into()).unwrap()
}

/// The type and the message of an error in Anthropic's shape, which is checked.
pub(crate) fn anthropic_error(answer: &Answer, status: u16) -> [String; 2] {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["error", "type"]);
    assert_eq!(json["type"], "error");
    let error = json["error"].as_object().unwrap();
    assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type"]);
    ["type", "message"].map(|key| error[key].as_str().unwrap().to_owned())
}

/// What `/fleet` says of the deployment `id`.
pub(crate) async fn state(url: &str, id: &str) -> Value {
    let fleet = get(format!("{url}/fleet")).await.json();
    let all = fleet["deployments"].as_array().unwrap();
    all.iter().find(|one| one["id"] == id).unwrap().clone()
}
