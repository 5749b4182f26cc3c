//! Errors within answers that began as successes.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, ServiceExt};
use tower_fleet::{
    Deployment, Trail,
    balance::{Balance, LeastBusy},
    cooldown::{Cooldown, CooldownPolicy},
    deployment::Status,
    llm::MeterLayer,
    outcome::{FailureKind, HttpClassify},
};

use super::{
    ends::Told,
    support::{Answer, Fake},
};

const DELTA: &str = r#"{"choices":[{"delta":{"content":"four and four"}}]}"#;

fn stream(events: &[&str]) -> Answer {
    let answer = Answer::status(200).header("content-type", "text/event-stream");
    let answer = answer.data(": processing\n\n");
    events.iter().fold(answer, |answer, event| answer.data(format!("data: {event}\n\n")))
}

fn json(text: &str) -> Answer {
    let answer = Answer::status(200).header("content-type", "application/json");
    text.as_bytes().chunks(7).fold(answer, |answer, chunk| answer.data(chunk.to_owned()))
}

/// A deployment whose every answer is `answer`, and what is learned of it when `frames` frames of one are read.
struct Case {
    eu: Deployment,
    answer: Answer,
    meter: MeterLayer,
    frames: usize,
}

impl Case {
    fn new(answer: Answer) -> Self {
        Self { eu: Deployment::new("eu"), answer, meter: MeterLayer::new(), frames: usize::MAX }
    }

    async fn failure(&self) -> Option<FailureKind> {
        let client = self.meter.layer(Fake::new([self.answer.clone()]));
        let client = Cooldown::new(client, CooldownPolicy::default());
        let balance = Balance::new(LeastBusy, [(self.eu.clone(), client)]);
        let mut request =
            Request::post("/v1/chat/completions").body(Empty::<Bytes>::new()).unwrap();
        let trail = Trail::start(&mut request);
        let mut body = balance.oneshot(request).await.unwrap().into_body();
        for _ in 0..self.frames {
            if body.frame().await.is_none() {
                break;
            }
        }
        drop(body);
        trail.attempts()[0].outcome().unwrap().failure().map(|failure| failure.kind())
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_a_stream_that_has_begun_is_a_failure_of_its_kind() {
    for (events, kind) in [
        (&[r#"{"error":{"message":"no","code":503}}"#][..], FailureKind::Overloaded),
        (&[DELTA, r#"{"error":{"code":"rate_limit_exceeded"}}"#], FailureKind::RateLimited),
        (&[DELTA, r#"{"id":"1","choices":[],"error":"it broke"}"#, "[DONE]"], FailureKind::Server),
        (
            &[
                r#"{"type":"message_start","message":{"usage":{"input_tokens":9}}}"#,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ],
            FailureKind::Overloaded,
        ),
        (&[r#"{"type":"error","code":"insufficient_quota"}"#], FailureKind::QuotaExhausted),
        (&[r#"{"object":"error","message":"no","code":400}"#], FailureKind::BadRequest),
        (
            &[
                r#"{"type":"response.created","response":{"status":"in_progress","error":null}}"#,
                r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}"#,
            ],
            FailureKind::RateLimited,
        ),
        (&[r#"{"type":"response.failed","response":{"error":null}}"#], FailureKind::Server),
        (&[r#"{"choices":[],"x_groq":{"error":"over_capacity"}}"#], FailureKind::Server),
    ] {
        assert_eq!(Case::new(stream(events)).failure().await, Some(kind), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_looks_like_an_error_is_a_success() {
    for event in [
        r#"{"error":null,"choices":[]}"#,
        r#"{"error":"","choices":[]}"#,
        r#"{"choices":[{"delta":{"content":"{\"error\":{}}"},"error":{}}]}"#,
        r#"{"type":"response.incomplete","response":{"error":null}}"#,
        r#"{"error":{"#,
    ] {
        assert_eq!(Case::new(stream(&[event])).failure().await, None, "{event}");
    }
    for text in [r#"{"error":null,"choices":[]}"#, r#"{"choices":[{"error":{}}]}"#, r#"{"error":{"#]
    {
        assert_eq!(Case::new(json(text)).failure().await, None, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_json_of_a_success_is_a_failure_of_its_kind() {
    let long = format!(r#"{{"error":{{"code":401,"message":"{}"}}}}"#, "x".repeat(20_000));
    for (text, kind) in [
        (r#"{"error":{"code":429,"message":"no"}}"#, FailureKind::RateLimited),
        (
            r#"{"id":"1","choices":[],"error" : {"type":"overloaded_error"} }"#,
            FailureKind::Overloaded,
        ),
        (r#"{"error":"it broke"}"#, FailureKind::Server),
        (&long, FailureKind::Server),
    ] {
        assert_eq!(Case::new(json(text)).failure().await, Some(kind), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_learned_of_by_a_reader_who_then_leaves() {
    let answer = stream(&[DELTA, r#"{"error":{"code":500}}"#, DELTA]);
    let read = async |frames| Case { frames, ..Case::new(answer.clone()) }.failure().await;
    assert_eq!(read(3).await, Some(FailureKind::Server));
    assert_ne!(read(2).await, Some(FailureKind::Server));
}

#[tokio::test(start_paused = true)]
async fn several_errors_within_answers_set_a_deployment_aside() {
    let case = Case::new(stream(&[DELTA, r#"{"error":{"code":500}}"#]));
    for failed in 1..=3 {
        case.failure().await;
        let totals = case.eu.health().totals();
        assert_eq!((totals.succeeded, totals.failed), (0, failed));
    }
    let mut all = 3;
    while !matches!(case.eu.health().status(), Status::Cooling { .. }) {
        case.failure().await;
        all += 1;
        assert!(all < 50, "{:?}", case.eu.health().status());
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_within_an_error_means_what_the_classifier_says() {
    let classify = HttpClassify::inference()
        .status(StatusCode::INTERNAL_SERVER_ERROR, FailureKind::BadRequest);
    let case = Case::new(stream(&[r#"{"error":{"code":500}}"#]));
    let case = Case { meter: MeterLayer::new().classify(classify), ..case };
    assert_eq!(case.failure().await, Some(FailureKind::BadRequest));
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_an_error_is_not_whole_and_passes_as_it_is() {
    let told = Told::default();
    let events = [DELTA, r#"{"type":"response.failed","response":{}}"#, "[DONE]"];
    let body = told.answer(stream(&events)).await.into_body().collect().await.unwrap();
    let got = String::from_utf8(body.to_bytes().into()).unwrap();
    assert!(events.iter().all(|event| got.contains(event)), "{got}");
    assert_eq!(told.take(), ["input 50, output 4, estimated; cut"]);
    // What failed before anything came of it has taken nothing that is known.
    let body = told.answer(stream(&[r#"{"error":{"code":500}}"#])).await.into_body();
    body.collect().await.unwrap();
    assert_eq!(told.take(), ["unknown; cut"]);
}
