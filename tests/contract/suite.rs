//! What every layer must do, whatever it is for.

use std::{error::Error as StdError, fmt, pin::pin};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_ready, task};
use tower::{Service, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, Error,
    body::ReplayBody,
    error::{Refused, RefusedReason},
};

use crate::support::{Answer, Fake, secs};

/// A service as Tower wants it. Its response future and body can go to another thread, so that it can serve anywhere.
pub(crate) trait Contract:
    Service<
        Request<ReplayBody>,
        Response = Response<Self::Body>,
        Error: Into<BoxError> + Send,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
    type Body: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static;
}

impl<S, R> Contract for S
where
    S: Service<
            Request<ReplayBody>,
            Response = Response<R>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
    R: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Body = R;
}

/// Puts the layer over a fake.
type Over<S, E> = fn(Fake<E>, Deployment) -> S;

/// An error of the service below.
pub(crate) trait Fault: Into<BoxError> + Send + 'static {
    fn fault() -> Self;
    fn is(error: &(dyn StdError + 'static)) -> bool;
}

#[derive(Debug)]
pub(crate) enum Plain {
    Down,
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl StdError for Plain {}

impl Fault for Plain {
    fn fault() -> Self {
        Self::Down
    }

    fn is(error: &(dyn StdError + 'static)) -> bool {
        error.is::<Self>()
    }
}

impl Fault for BoxError {
    fn fault() -> Self {
        Plain::Down.into()
    }

    fn is(error: &(dyn StdError + 'static)) -> bool {
        error.is::<Plain>()
    }
}

impl Fault for Error {
    fn fault() -> Self {
        Refused::new(RefusedReason::Full).into()
    }

    fn is(error: &(dyn StdError + 'static)) -> bool {
        let refused = error.downcast_ref::<Self>().and_then(Self::as_refused);
        refused.is_some_and(|refused| refused.reason() == RefusedReason::Full)
    }
}

fn get() -> Request<ReplayBody> {
    Request::get("/path").body(ReplayBody::empty()).unwrap()
}

fn deployment() -> Deployment {
    Deployment::new("one")
}

/// A response with a wait at every point where there can be one.
fn slow() -> Answer {
    Answer::status(200).after(secs(1)).data("first ").data("second").pausing(secs(1))
}

/// One request, to the last byte of its response.
async fn journey<S: Contract>(service: S) -> Result<Bytes, BoxError> {
    let response = service.oneshot(get()).await.map_err(Into::into)?;
    Ok(response.into_body().collect().await.map_err(Into::into)?.to_bytes())
}

pub(crate) async fn calls_only_what_is_ready<S: Contract>(over: Over<S, BoxError>) {
    let fake = Fake::new([slow()]).ready_after(secs(5));
    let service = over(fake.clone(), deployment());
    let start = Instant::now();
    let (one, other) = tokio::join!(journey(service.clone()), journey(service));
    assert_eq!((one.unwrap(), other.unwrap()), ("first second".into(), "first second".into()));
    let times: Vec<_> = fake.calls().iter().map(|call| call.at - start).collect();
    assert!(times.iter().all(|time| *time >= secs(5) && *time < secs(6)), "{times:?}");
    assert_eq!(times.len(), 2);
}

pub(crate) async fn one_handle_makes_many_calls<S: Contract>(over: Over<S, BoxError>) {
    let fake = Fake::new([slow()]).ready_after(secs(1));
    let mut service = over(fake.clone(), deployment());
    let mut calls = Vec::new();
    for _ in 0..3 {
        let ready = service.ready().await.map_err(Into::into).unwrap();
        calls.push(tokio::spawn(ready.call(get())));
        // A clone of a service that is ready need not be.
        drop(service.clone());
    }
    for call in calls {
        let response = call.await.unwrap().map_err(Into::into).unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(fake.count(), 3);
}

pub(crate) async fn wakes_only_when_there_is_something_to_do<S: Contract>(over: Over<S, BoxError>) {
    let fake = Fake::new([slow()]).ready_after(secs(1));
    let mut journey = task::spawn(journey(over(fake.clone(), deployment())));
    // Readiness, head, and two pieces of body, each a second away.
    for _ in 0..4 {
        assert!(journey.poll().is_pending());
        assert!(!journey.is_woken(), "it woke itself");
        sleep(secs(1) / 2).await;
        assert!(!journey.is_woken(), "something woke it while nothing happened");
        sleep(secs(1) / 2).await;
        assert!(journey.is_woken());
    }
    assert_ready!(journey.poll()).unwrap();
    assert_eq!(fake.ready_polls(), 2, "the readiness was asked without a wake");
}

pub(crate) async fn dropped_at_any_await_it_leaves_nothing_behind<S: Contract>(
    over: Over<S, BoxError>,
) {
    let failing = Answer::status(503).after(secs(1)).data("no").pausing(secs(1));
    let mut awaits = 0;
    let mut ended = false;
    while !ended {
        let fake = Fake::new([failing.clone(), slow()]).ready_after(secs(1));
        let deployment = deployment();
        let service = over(fake.clone(), deployment.clone());
        let mut journey = task::spawn(journey(service.clone()));
        for _ in 0..awaits {
            ended = journey.poll().is_ready();
            assert!(ended || !journey.is_woken(), "it woke itself after {awaits} polls");
            while !ended && !journey.is_woken() {
                sleep(secs(1) / 4).await;
            }
        }
        drop(journey);
        assert_eq!((fake.live(), deployment.in_flight()), (0, 0), "after {awaits} polls");

        let calls = fake.count();
        sleep(secs(3600)).await;
        assert_eq!(fake.count(), calls, "called after {awaits} polls and a drop");
        awaits += 1;
    }
    assert!(awaits >= 4, "only {awaits} awaits");
}

pub(crate) async fn a_failed_readiness_is_an_error<S: Contract, E: Fault>(over: Over<S, E>) {
    let fake = Fake::failing_with(E::fault, [Answer::status(200)]).unready();
    let deployment = deployment();
    let error = journey(over(fake.clone(), deployment.clone())).await.unwrap_err();
    assert_passed::<E>(&*error);
    assert_eq!((fake.count(), deployment.in_flight()), (0, 0));
}

pub(crate) async fn errors_pass_through<S: Contract, E: Fault>(over: Over<S, E>) {
    let fake = Fake::failing_with(E::fault, [Answer::error().after(secs(1))]);
    let deployment = deployment();
    let error = journey(over(fake.clone(), deployment.clone())).await.unwrap_err();
    assert_passed::<E>(&*error);
    assert_eq!((fake.live(), deployment.in_flight()), (0, 0));
}

/// The error of the service below is there, under one of ours at most.
fn assert_passed<E: Fault>(error: &(dyn StdError + 'static)) {
    let chain: Vec<_> = std::iter::successors(Some(error), |error| (*error).source()).collect();
    assert!(chain.iter().any(|error| E::is(*error)), "{chain:?}");
    assert!(chain.iter().filter(|error| error.is::<Error>()).count() <= 1, "{chain:?}");
}

pub(crate) async fn request_and_response_pass_through<S: Contract>(over: Over<S, BoxError>) {
    let answer = Answer::status(418)
        .header("x-answer", "short and stout")
        .data("tea")
        .data("pot")
        .trailer("x-end", "spout");
    let fake = Fake::new([answer]);
    let deployment = deployment();
    let body = ReplayBody::new(Full::new(Bytes::from("leaves")), ReplayBody::DEFAULT_LIMIT);
    let mut request = Request::put("/pot?lid=1").header("x-ask", "tea").body(body).unwrap();
    request.extensions_mut().insert("an extension");

    let service = over(fake.clone(), deployment.clone());
    let response = service.oneshot(request).await.map_err(Into::into).unwrap();
    let [call] = &fake.calls()[..] else { panic!("{} calls", fake.count()) };
    assert_eq!((call.head.method.as_str(), call.head.uri.path()), ("PUT", "/pot"));
    assert_eq!(
        (call.head.uri.query(), &call.head.headers["x-ask"]),
        (Some("lid=1"), &"tea".parse().unwrap())
    );
    assert_eq!(call.head.extensions.get(), Some(&"an extension"));
    assert_eq!(call.body.as_deref(), Some(&b"leaves"[..]));

    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["x-answer"], "short and stout");
    let mut body = pin!(response.into_body());
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame.map_err(Into::into).unwrap());
    }
    let data: Vec<_> = frames.iter().filter_map(|frame| frame.data_ref()).collect();
    assert_eq!(data, ["tea", "pot"]);
    let trailers = frames.last().and_then(|frame| frame.trailers_ref()).unwrap();
    assert_eq!(trailers["x-end"], "spout");
    assert_eq!(deployment.in_flight(), 0, "the body has ended");
}
