//! What a fleet that verifies its responses makes of them, and what reaches the caller.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod filter;
mod first_chunk;
mod golden;
mod meaning;
mod places;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Deployment, Error, Trail,
    balance::RoundRobin,
    body::ReplayBody,
    cooldown::CooldownPolicy,
    fleet::{FleetBuilder, FleetLayer},
    llm::{InspectLayer, VerifyLayer},
    outcome::{FailureKind, HttpClassify},
    retry::RetryPolicy,
    trail::Step,
    upstream::Upstream,
};

use self::support::{Answer, Fake, FakeBody, secs, text};

/// A client that reaches each fake by its name as host.
fn client(
    fakes: &[(&'static str, &Fake)],
) -> impl Service<
    Request<ReplayBody>,
    Response = Response<FakeBody>,
    Error = BoxError,
    Future: Send + 'static,
>
+ Clone
+ Send
+ Sync
+ 'static
+ use<> {
    let fakes: Vec<_> = fakes.iter().map(|(name, fake)| (*name, (*fake).clone())).collect();
    service_fn(move |request: Request<ReplayBody>| {
        let host = request.uri().host().unwrap();
        let (_, fake) = fakes.iter().find(|(name, _)| *name == host).unwrap();
        fake.clone().oneshot(request)
    })
}

/// A deployment that is reached under its own name.
fn member(deployment: &Deployment) -> (Deployment, Upstream) {
    (deployment.clone(), Upstream::new(&format!("http://{}/v1", deployment.id())).unwrap())
}

/// A fleet that tries one deployment after the other, judging as for inference APIs.
fn fleet() -> FleetBuilder<VerifyLayer> {
    FleetLayer::builder()
        .strategy(RoundRobin)
        .retry(RetryPolicy::any_method().classify(HttpClassify::inference()))
        .cooldown(CooldownPolicy::new(HttpClassify::inference()))
        .attempt_layer(VerifyLayer::new())
}

fn ask(model: &str, stream: bool) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model": "{model}", "stream": {stream}, "messages": []}}"#);
    Request::post("/chat/completions").body(Full::new(body.into())).unwrap()
}

fn json(status: u16, body: impl Into<Bytes>) -> Answer {
    Answer::status(status).header("content-type", "application/json").data(body)
}

fn stream() -> Answer {
    Answer::status(200).header("content-type", "text/event-stream; charset=utf-8")
}

fn html() -> Answer {
    Answer::status(200).header("content-type", "text/html").data("<html>Please log in</html>")
}

const GOOD: &str = r#"{"id": "1", "choices": [{"finish_reason": "stop"}]}"#;

fn good() -> Answer {
    json(200, GOOD)
}

/// A group, `chat`, of deployments that answer so, each always the same; asked in this order.
struct Group<S> {
    fakes: Vec<Fake>,
    deployments: Vec<Deployment>,
    service: S,
}

const NAMES: [&str; 3] = ["first", "second", "third"];

fn group<const N: usize>(answers: [Answer; N]) -> Group<impl Chat> {
    group_of(answers, fleet())
}

fn group_of<const N: usize>(
    answers: [Answer; N],
    fleet: FleetBuilder<VerifyLayer>,
) -> Group<impl Chat> {
    let fakes = answers.map(|answer| Fake::new([answer]));
    let named: Vec<_> = NAMES.into_iter().zip(&fakes).collect();
    let deployments: Vec<_> = named.iter().map(|(name, _)| Deployment::new(*name)).collect();
    let fleet = fleet.group("chat", deployments.iter().map(member)).build().unwrap();
    let service = InspectLayer::new().layer(fleet.layer(client(&named)));
    Group { fakes: fakes.into(), deployments, service }
}

impl<S: Chat> Group<S> {
    /// What comes of a request for JSON, and how each attempt failed; none for a success.
    async fn ask(&self) -> (Result<Response<S::Body>, Error>, Vec<Option<FailureKind>>) {
        self.send(ask("chat", false)).await
    }

    /// The same for a request for a stream.
    async fn ask_stream(&self) -> (Result<Response<S::Body>, Error>, Vec<Option<FailureKind>>) {
        self.send(ask("chat", true)).await
    }

    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> (Result<Response<S::Body>, Error>, Vec<Option<FailureKind>>) {
        let trail = Trail::start(&mut request);
        let result = self.service.clone().oneshot(request).await;
        let kind = |step: &Step| Some(step.outcome()?.failure()?.kind());
        (result, trail.attempts().iter().map(kind).collect())
    }

    fn asked(&self) -> Vec<usize> {
        self.fakes.iter().map(Fake::count).collect()
    }

    /// What is in flight, as the deployments and as the client count.
    fn live(&self) -> usize {
        let in_flight: usize = self.deployments.iter().map(Deployment::in_flight).sum();
        assert_eq!(in_flight, self.fakes.iter().map(Fake::live).sum::<usize>());
        in_flight
    }
}

/// A service that answers requests of callers.
trait Chat:
    Service<
        Request<Full<Bytes>>,
        Response = Response<<Self as Chat>::Body>,
        Error = Error,
        Future: Send,
    > + Clone
{
    type Body: Body<Data = Bytes, Error = BoxError> + Send + 'static;
}

impl<S, R> Chat for S
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Error, Future: Send> + Clone,
    R: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    type Body = R;
}
