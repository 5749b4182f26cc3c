//! The stacks that are measured, and the one way a request is sent through each of them.
//!
//! `cargo bench -p tower-fleet-benches` times them beside each other. What repeats exactly is gated: heap allocations by
//! `tests/allocations.rs`, the spread of a load by `tests/spread.rs`, what strategies do to response times by
//! `tests/strategies.rs`, instructions by the script `instructions`.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tower::{
    Layer, Service, ServiceExt,
    balance::p2c,
    discover::ServiceList,
    load::{CompleteOnResponse, PendingRequests},
    util::rng::HasherRng,
};
use tower_fleet::{
    BoxError, Deployment,
    balance::{Balance, LeastBusy, Strategy},
    cooldown::{Cooldown, CooldownPolicy},
    fallback::{Fallback, FallbackPlan},
    llm::{Inspect, InspectLayer, Meter, MeterLayer},
    retry::{Retry, RetryPolicy},
    timeout::{Timeout, TimeoutLayer},
};

pub mod sim;
pub mod spread;

/// The body of a request, where nothing else is said.
pub type Nothing = Empty<Bytes>;

/// The body of a response: one frame, so that it ends after its head, as most do.
pub type Answer = Full<Bytes>;

/// Of the random choices.
pub const SEED: u64 = 7;

/// A client that answers at once.
#[derive(Clone, Copy, Debug)]
pub struct Immediate;

impl<B> Service<Request<B>> for Immediate {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Answer>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(answer_body())))
    }
}

/// The same, but with one entry in the extensions of each request and response: what it costs to attach anything at all.
#[derive(Clone, Copy, Debug)]
pub struct Attaching;

/// Of some size, for an entry of no size needs no allocation.
#[derive(Clone)]
struct Attached(#[expect(dead_code, reason = "for its size")] u64);

impl<B> Service<Request<B>> for Attaching {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Answer>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(Attached(0));
        drop(black_box(request));
        let mut response = Response::new(answer_body());
        response.extensions_mut().insert(Attached(0));
        ready(Ok(response))
    }
}

fn answer_body() -> Answer {
    Full::new(Bytes::from_static(b"{}"))
}

/// A client that answers at once with a stream of so many chunks, all there.
#[derive(Clone, Copy, Debug)]
pub struct Streaming(pub u32);

/// The body of [`Streaming`]'s answers.
#[derive(Debug)]
pub struct Chunks(u32);

impl<B> Service<Request<B>> for Streaming {
    type Response = Response<Chunks>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Chunks>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(Chunks(self.0))))
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: word\n\n")))))
    }
}

/// A client that answers at once with a stream of so many events, as OpenAI's chat completions send them.
#[derive(Clone, Copy, Debug)]
pub struct Deltas {
    /// How many chunks.
    pub chunks: u32,
    /// Two chunks make one event; else each chunk is one.
    pub halved: bool,
}

/// The body of [`Deltas`]' answers.
#[derive(Debug)]
pub struct Events {
    left: u32,
    halved: bool,
}

const DELTA: &[u8] = br#"data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}

"#;

impl<B> Service<Request<B>> for Deltas {
    type Response = Response<Events>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Events>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        drop(black_box(request));
        let mut response = Response::new(Events { left: self.chunks, halved: self.halved });
        let kind = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        ready(Ok(response))
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        let (begin, end) = DELTA.split_at(DELTA.len() / 2);
        let chunk = match (self.halved, left % 2) {
            (false, _) => DELTA,
            (true, 1) => begin,
            (true, _) => end,
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
    }
}

/// A meter alone.
#[must_use]
pub fn metered(client: Deltas) -> Meter<Deltas> {
    MeterLayer::new().layer(client)
}

/// A meter below an inspection, where the usage at a stream's end is hidden.
#[must_use]
pub fn hiding(client: Deltas) -> Inspect<Meter<Deltas>> {
    InspectLayer::new().layer(MeterLayer::new().include_usage(true).layer(client))
}

/// A request for a chat completion as a stream.
#[must_use]
pub fn chat() -> Request<Answer> {
    let mut request = Request::new(Full::new(Bytes::from_static(
        br#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"stream":true}"#,
    )));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
    request
}

/// As many deployments as said, each reached by a clone of `client`.
pub fn members<S: Clone>(count: usize, client: S) -> impl Iterator<Item = (Deployment, S)> {
    (0..count).map(move |index| (Deployment::new(format!("deployment-{index}")), client.clone()))
}

/// Balance alone.
pub fn balance<P: Strategy>(strategy: P, count: usize) -> Balance<Immediate, P> {
    Balance::new(strategy, members(count, Immediate)).seed(SEED)
}

/// Balance over cooldown.
#[must_use]
pub fn cooldown(count: usize) -> Balance<Cooldown<Immediate>, LeastBusy> {
    cooldown_over(Immediate, count)
}

fn cooldown_over<C: Clone + Send + Sync + 'static>(
    client: C,
    count: usize,
) -> Balance<Cooldown<C>, LeastBusy> {
    let client = Cooldown::new(client, CooldownPolicy::default());
    Balance::new(LeastBusy, members(count, client)).seed(SEED)
}

/// Balance over cooldown over timeout.
#[must_use]
pub fn timeout(
    count: usize,
    layer: TimeoutLayer,
) -> Balance<Cooldown<Timeout<Immediate>>, LeastBusy> {
    let client = layer.layer(Immediate);
    let client = Cooldown::new(client, CooldownPolicy::default());
    Balance::new(LeastBusy, members(count, client)).seed(SEED)
}

/// Retry over balance over cooldown.
#[must_use]
pub fn retry(count: usize) -> Retry<Balance<Cooldown<Immediate>, LeastBusy>> {
    retry_over(Immediate, count)
}

fn retry_over<C: Clone + Send + Sync + 'static>(
    client: C,
    count: usize,
) -> Retry<Balance<Cooldown<C>, LeastBusy>> {
    Retry::new(cooldown_over(client, count), RetryPolicy::any_method().shares_copy(true))
}

/// The full core stack over one client: fallback over retry over balance over cooldown.
pub type Core<C> = Fallback<Retry<Balance<Cooldown<C>, LeastBusy>>>;

/// The full core stack.
#[must_use]
pub fn core(count: usize) -> Core<Immediate> {
    core_over(Immediate, count)
}

/// The full core stack over `client`.
pub fn core_over<C: Clone + Send + Sync + 'static>(client: C, count: usize) -> Core<C> {
    Fallback::new(retry_over(client, count), FallbackPlan::new().otherwise(["another"]))
}

/// `tower`'s balance.
pub type P2c<S, B = Nothing> = p2c::Balance<ServiceList<Vec<PendingRequests<S>>>, Request<B>>;

/// `tower`'s balance, over requests in flight; a fixed seed makes its choices repeatable.
pub fn power_of_two<S, B>(clients: impl IntoIterator<Item = S>) -> P2c<S, B>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    let counted = |client| PendingRequests::new(client, CompleteOnResponse::default());
    let clients = clients.into_iter().map(counted).collect::<Vec<_>>();
    let rng = HasherRng::with_hasher(std::hash::BuildHasherDefault::<
        std::collections::hash_map::DefaultHasher,
    >::default());
    p2c::Balance::from_rng(ServiceList::new(clients), rng)
}

/// A request without a body and with as many headers as said.
#[must_use]
pub fn request(headers: u8) -> Request<Nothing> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
    for index in 0..headers {
        // Made at run time, as those of a request read from a connection: cloning them counts references.
        let name = HeaderName::try_from(format!("x-some-header-{index}"));
        let value = HeaderValue::try_from(format!("some value of a usual length, {index}"));
        if let (Ok(name), Ok(value)) = (name, value) {
            request.headers_mut().append(name, value);
        }
    }
    request
}

/// Sends a request and gives the response, its body unread.
///
/// # Panics
///
/// Where the service fails, for nothing here can.
pub async fn answer<S, B, R>(service: &mut S, request: Request<B>) -> Response<R>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    let Ok(ready) = service.ready().await else { unreachable!("a service that is always ready") };
    let Ok(response) = ready.call(request).await else { unreachable!("a client that never fails") };
    response
}

/// Sends a request and reads the response to its end.
pub async fn exchange<S, B, R>(service: &mut S, request: Request<B>)
where
    S: Service<Request<B>, Response = Response<R>>,
    R: http_body::Body,
{
    let mut body = pin!(answer(service, request).await.into_body());
    while body.frame().await.is_some() {}
}

/// The output of a future that is ready at once.
///
/// # Panics
///
/// Where it is not.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a future that is ready at once"),
    }
}
