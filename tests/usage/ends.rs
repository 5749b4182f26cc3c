//! Where counts go, and how an answer's end decides them.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Demand, Deployment, GroupName, Trail,
    balance::{Balance, LeastBusy},
    body::ReplayBody,
    cooldown::{Cooldown, CooldownPolicy},
    deployment::Price,
    fleet::Fleet,
    llm::{InspectLayer, Meter, MeterLayer, Metered, PriceList, RewriteModelLayer},
};

use super::{
    support::{Answer, Fake},
    text,
};

const JSON: &str = r#"{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":10}}"#;
const DELTA: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"four and four\"}}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":10}}\n\n";

fn json() -> Answer {
    Answer::status(200).header("content-type", "application/json")
}

fn events() -> Answer {
    Answer::status(200).header("content-type", "text/event-stream")
}

/// What the hook was told, a line for each answer.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn layer(&self) -> MeterLayer {
        let told = self.clone();
        MeterLayer::new().on_usage(move |metered: &Metered<'_>| {
            let whole = if metered.whole { "whole" } else { "cut" };
            told.0.lock().unwrap().push(format!("{}; {whole}", text(metered.usage)));
        })
    }

    fn over(&self, answer: Answer) -> Meter<Fake> {
        self.layer().layer(Fake::new([answer]))
    }

    /// What comes of a request for a chat completion.
    pub(crate) async fn answer(
        &self,
        answer: Answer,
    ) -> Response<impl Body<Data = Bytes, Error: std::fmt::Debug>> {
        send(self.over(answer)).await
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn request() -> Request<Empty<Bytes>> {
    let mut request = Request::post("/v1/chat/completions").body(Empty::new()).unwrap();
    let mut demand = Demand::default();
    demand.input_tokens = Some(50);
    demand.set(&mut request);
    request
}

async fn send<S, R>(service: S) -> Response<R>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<R>, Error: Into<BoxError>>,
{
    service.oneshot(request()).await.map_err(Into::into).unwrap()
}

/// Reads so many frames, and drops the rest.
async fn read<B: Body<Error: Into<BoxError>> + Unpin>(answer: Response<B>, frames: usize) {
    let mut body = answer.into_body();
    for _ in 0..frames {
        let _ = body.frame().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_told_to_deployment_trail_and_hook_once() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&seen);
    let layer = MeterLayer::new().on_usage(move |metered: &Metered<'_>| {
        let Metered { deployment, group, model, cost, whole, .. } = metered;
        let line = (deployment.unwrap().id().to_owned(), group.unwrap().to_string());
        tell.lock().unwrap().push((line, model.unwrap().to_owned(), cost.unwrap(), *whole));
    });
    let eu = Deployment::new("eu").model("gpt-4o").price(Price::new(0.5, 2.0));
    let client = layer.layer(Fake::new([json().data(JSON)]));
    let fleet = Balance::new(LeastBusy, [(eu.clone(), client)]);
    let mut request = request();
    GroupName::new("chat").set(&mut request);
    let trail = Trail::start(&mut request);

    let answer = fleet.oneshot(request).await.unwrap();
    assert_eq!(eu.usage().answers, 0);
    assert!(trail.attempts()[0].spent().is_none());
    read(answer, 3).await;

    assert_eq!(
        *seen.lock().unwrap(),
        [(("eu".into(), "chat".into()), "gpt-4o".into(), 70.0, true)]
    );
    let totals = eu.usage();
    assert_eq!((totals.usage.input, totals.usage.output, totals.answers), (100, 10, 1));
    let spent = *trail.attempts()[0].spent().unwrap();
    assert_eq!(
        (text(Some(spent.usage)), spent.cost),
        ("input 100, output 10".to_owned(), Some(70.0))
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_early_is_estimated_by_its_text() {
    let told = Told::default();
    let stream = || events().data(DELTA).data(DELTA);
    let estimate = "input 50, output 7, estimated";

    read(send(told.over(stream().data(DELTA).data(USAGE))).await, 2).await;
    assert_eq!(told.take(), [format!("{estimate}; cut")]);
    read(send(told.over(stream().broken())).await, 9).await;
    assert_eq!(told.take(), [format!("{estimate}; cut")]);
    read(send(told.over(stream())).await, 9).await;
    assert_eq!(told.take(), [format!("{estimate}; cut")]);
    read(send(told.over(stream().trailer("x", "y"))).await, 9).await;
    assert_eq!(told.take(), [format!("{estimate}; cut")]);
    read(send(told.over(stream())).await, 0).await;
    assert_eq!(told.take(), ["input 50, estimated; cut"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_after_its_last_event_is_whole() {
    let told = Told::default();
    let stream = events().data(DELTA).data(USAGE).data("data: [DONE]\n\n").data("\n");
    read(send(told.over(stream)).await, 3).await;
    assert_eq!(told.take(), ["input 100, output 10; whole"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_say_its_end_is_not_whole_but_no_failure() {
    const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const GOES_ON: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n";
    const MESSAGE: &str =
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
    let told = Told::default();
    for (path, last, how) in [
        ("/v1/chat/completions", DELTA, "cut"),
        ("/v1/chat/completions", GOES_ON, "cut"),
        ("/v1/chat/completions", STOP, "whole"),
        ("/v1/chat/completions", STOP.trim_end(), "whole"),
        ("/v1/chat/completions", "data: [DONE]", "whole"),
        ("/v1/messages", DELTA, "cut"),
        ("/v1/messages", MESSAGE, "whole"),
        ("/v1/messages", "data: {\"type\":\"message_stop\"}\n\n", "whole"),
        ("/v1/completions", DELTA, "whole"),
        ("/elsewhere", DELTA, "whole"),
    ] {
        let eu = Deployment::new("eu");
        let client = told.over(events().data(DELTA).data(last));
        let client = Cooldown::new(client, CooldownPolicy::default());
        let mut request = request();
        *request.uri_mut() = path.parse().unwrap();
        let fleet = Balance::new(LeastBusy, [(eu.clone(), client)]);
        read(fleet.oneshot(request).await.unwrap(), 9).await;
        let told = told.take().concat();
        assert!(told.ends_with(&format!("; {how}")), "{path} {last}: {told}");
        assert_eq!(eu.health().totals().succeeded, 1, "{path} {last}");
    }
    // Whoever leaves before the usage comes has not read it to its end.
    read(send(told.over(events().data(STOP).data(USAGE))).await, 1).await;
    assert_eq!(told.take(), ["input 50, estimated; cut"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_unknown_and_not_nothing() {
    let told = Told::default();
    let eu = Deployment::new("eu");
    for answer in [
        json().header("content-encoding", "gzip").data(JSON),
        Answer::status(200).header("content-type", "audio/mpeg").data(JSON),
        json().data(r#"{"object": "none of it"}"#),
        json().data("no JSON"),
    ] {
        let client = told.over(answer);
        read(send(Balance::new(LeastBusy, [(eu.clone(), client)])).await, 9).await;
        assert_eq!(told.take(), ["unknown; whole"]);
    }
    assert_eq!(eu.usage().answers, 0);
    let plain = json().header("content-encoding", "identity").data(JSON);
    read(send(told.over(plain)).await, 9).await;
    assert_eq!(told.take(), ["input 100, output 10; whole"]);
}

#[tokio::test(start_paused = true)]
async fn failures_and_other_methods_are_not_counted() {
    let told = Told::default();
    read(send(told.over(Answer::status(429).data(JSON))).await, 9).await;
    let mut get = request();
    *get.method_mut() = Method::GET;
    read(told.over(json().data(JSON)).oneshot(get).await.unwrap(), 9).await;
    drop(told.over(Answer::never()).oneshot(request()));
    assert_eq!(told.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_known_endpoint_is_counted_but_not_estimated() {
    let told = Told::default();
    let to = |path: &str| {
        let mut request = request();
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    read(told.over(json().data(JSON)).oneshot(to("/v1/rerank")).await.unwrap(), 9).await;
    let none = JSON.replace("usage", "other");
    read(told.over(json().data(none.clone())).oneshot(to("/v1/rerank")).await.unwrap(), 9).await;
    read(told.over(json().data(none)).oneshot(to("/v1/completions")).await.unwrap(), 9).await;
    assert_eq!(
        told.take(),
        ["input 100, output 10; whole", "unknown; whole", "input 50, estimated; whole"]
    );
}

#[tokio::test(start_paused = true)]
async fn chunks_errors_and_trailers_pass_as_they_are() {
    let told = Told::default();
    let stream = events().data("data: {\"cho").data("").data("ices\":[]}\n\n").trailer("x", "y");
    let mut body = send(told.over(stream)).await.into_body();
    for expected in ["data: {\"cho", "", "ices\":[]}\n\n"] {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), expected);
    }
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["x"], "y");
    assert!(body.frame().await.is_none());

    let mut body = send(told.over(events().data(DELTA).broken())).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "the body broke");
}

/// Reads a stream without its usage as an HTTP stack does, not on where the body says that it is over: whether its
/// length was announced, and what came.
async fn read_as_a_server<S, R>(client: S) -> (bool, String)
where
    S: Service<Request<ReplayBody>, Response = Response<R>, Error: Into<BoxError>> + Clone,
    R: Body<Error = Infallible> + Unpin,
{
    let stack = ServiceBuilder::new()
        .layer(InspectLayer::new())
        .layer(MeterLayer::new().include_usage(true))
        .service(client);
    let asks = r#"{"model":"chat","stream":true}"#.to_owned();
    let request = Request::post("/v1/chat/completions").body(asks).unwrap();
    let answer = stack.oneshot(request).await.unwrap();
    let announced = answer.headers().contains_key("content-length")
        || answer.body().size_hint().exact().is_some();
    let (mut body, mut read) = (answer.into_body(), Vec::new());
    while !body.is_end_stream() {
        // A server looks for the end again when it is woken.
        match std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await {
            Poll::Ready(Some(frame)) => read.extend(frame.unwrap().into_data().unwrap()),
            Poll::Ready(None) => break,
            Poll::Pending => {}
        }
    }
    (announced, String::from_utf8(read).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_model_that_a_wildcard_stands_for_is_priced_by_the_list() {
    let list = br#"{
        "llama": {"litellm_provider": "other", "input_cost_per_token": 1, "output_cost_per_token": 1},
        "groq/llama": {"litellm_provider": "groq", "input_cost_per_token": 2, "output_cost_per_token": 2},
        "gpt": {"litellm_provider": "openai", "input_cost_per_token": 3, "output_cost_per_token": 3}
    }"#;
    let list = Arc::new(PriceList::from_slice(list).unwrap());
    let plain = || Deployment::new("eu").model("*");
    for (deployment, asked, cost) in [
        (plain(), "llama", Some(110.0)),
        (plain().provider("groq"), "llama", Some(220.0)),
        (plain().provider("openai"), "gpt", Some(330.0)),
        (plain().provider("groq"), "gpt", None),
        (plain().price(Price::new(4.0, 4.0)), "llama", Some(440.0)),
        (Deployment::new("eu").model("llama"), "llama", None),
    ] {
        let meter = MeterLayer::new().prices(Arc::clone(&list));
        let members = [(deployment.clone(), meter.layer(Fake::new([json().data(JSON)])))];
        let fleet = Fleet::new([(GroupName::new("*"), Balance::new(LeastBusy, members))], []);
        let mut request = request();
        GroupName::new(asked).set(&mut request);
        let trail = Trail::start(&mut request);
        read(fleet.oneshot(request).await.unwrap(), 9).await;
        let case = format!("{asked} of {:?}", deployment.get_provider());
        assert_eq!(trail.attempts()[0].spent().unwrap().cost, cost, "{case}");
        let totals = deployment.usage();
        assert_eq!(
            (totals.cost, totals.unpriced),
            (cost.unwrap_or(0.0), u64::from(cost.is_none()))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_one_who_asked_for_the_usage_hides_it() {
    let (asks, wants) =
        (r#"{"model":"chat","stream":true}"#, r#""stream_options":{"include_usage":true}"#);
    let asks_itself = format!(r#"{{"model":"chat","stream":true,{wants}}}"#);
    for (layer, deployment, body, asked, hidden) in [
        (false, None, asks, false, false),
        (true, None, asks, true, true),
        (false, Some(true), asks, true, true),
        (true, Some(false), asks, false, false),
        (true, Some(true), &*asks_itself, true, false),
        (true, None, r#"{"model":"chat"}"#, false, false),
    ] {
        let client = Fake::new([events().data(DELTA).data(USAGE)]);
        let sent = client.clone();
        let stack =
            MeterLayer::new().include_usage(layer).layer(RewriteModelLayer::new().layer(client));
        let mut eu = Deployment::new("eu");
        if let Some(ask) = deployment {
            eu = eu.stream_usage(ask);
        }
        let stack = InspectLayer::new().layer(Balance::new(LeastBusy, [(eu, stack)]));
        let request = Request::post("/v1/chat/completions").body(body.to_owned()).unwrap();
        let got = stack.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        let case = format!("layer {layer}, deployment {deployment:?}, {body}");
        assert_eq!(got.to_bytes() == DELTA, hidden, "{case}");
        let calls = sent.calls();
        let sent = str::from_utf8(calls[0].body.as_ref().unwrap()).unwrap();
        assert_eq!(sent.contains(wants), asked, "{case}: {sent}");
    }
}

/// A body whose end comes to light only after its last chunk, as over HTTP/2.
struct Late(Option<Bytes>);

impl Body for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            // Nothing was polled for it, and yet the body is over.
            Some(chunk) if chunk.is_empty() => {
                self.0 = None;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(chunk))))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[tokio::test]
async fn what_is_held_comes_before_an_end_that_is_known_late() {
    let chunk = "data: {\"id\":";
    let client = service_fn(move |_: Request<ReplayBody>| async move {
        let late = Late(Some(Bytes::from_static(chunk.as_bytes())));
        Response::builder().header("content-type", "text/event-stream").body(late)
    });
    assert_eq!(read_as_a_server(client).await, (false, chunk.to_owned()));
}

#[tokio::test]
async fn a_stream_that_hides_something_announces_no_length_and_ends_where_it_says() {
    let unended = "data: {\"id\":";
    for (stream, expected) in [
        (format!("{DELTA}{USAGE}"), DELTA.to_owned()),
        (USAGE.to_owned(), String::new()),
        (format!("{DELTA}{unended}"), format!("{DELTA}{unended}")),
    ] {
        let client = service_fn(move |_: Request<ReplayBody>| {
            let answer = Response::builder()
                .header("content-type", "text/event-stream")
                .header("content-length", stream.len())
                .body(Full::<Bytes>::from(stream.clone()));
            async { answer }
        });
        assert_eq!(read_as_a_server(client).await, (false, expected));
    }
}
