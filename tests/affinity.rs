//! What keeps requests together, from their bodies and headers to the deployment that answers and back.

#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::time::advance;
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_fleet::{
    BoxError, Deployment, Served,
    balance::{Affinity, Balance, LeastBusy, PerRequest, Strategy, WeightedShuffle},
    cooldown::{CooldownLayer, CooldownPolicy},
    deployment::Status,
    llm::{AffinitySource, InspectLayer, MeterLayer},
    retry::{RetryLayer, RetryPolicy},
};

use self::support::{Answer, Fake, text};

const IDS: [&str; 3] = ["a", "b", "c"];

type Answered = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Answered, BoxError>;

/// Deployments that answer so, behind a strategy, with the whole of the layers that have to do with affinity.
struct Setting {
    stack: Stack,
    deployments: Vec<Deployment>,
}

impl Setting {
    fn new(strategy: impl Strategy, sources: &[AffinitySource], answers: [Vec<Answer>; 3]) -> Self {
        let deployments: Vec<_> = IDS.map(Deployment::new).into();
        let member = |(deployment, answers): (&Deployment, Vec<Answer>)| {
            let service = ServiceBuilder::new()
                .layer(CooldownLayer::new(CooldownPolicy::default().allowed_fails(0)))
                .layer(MeterLayer::new())
                .service(Fake::new(answers));
            (deployment.clone(), service)
        };
        let balance = Balance::new(strategy, deployments.iter().zip(answers).map(member)).seed(1);
        let stack = ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(boxed))
            .layer(InspectLayer::new().affinity(sources.iter().cloned()))
            .layer(RetryLayer::new(RetryPolicy::any_method()))
            .service(balance);
        let stack = ServiceExt::<Request<Full<Bytes>>>::map_err(stack, BoxError::from);
        Self { stack: BoxCloneSyncService::new(stack), deployments }
    }

    /// Who answers, once the answer is read.
    async fn asked(&self, request: Request<Full<Bytes>>) -> String {
        let response = self.stack.clone().oneshot(request).await.unwrap();
        let id = Served::of(&response).unwrap().deployment().id().to_owned();
        text(response).await;
        id
    }
}

fn boxed<B>(body: B) -> UnsyncBoxBody<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

fn request(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(path).body(Full::new(body.into())).unwrap()
}

fn of_session(session: &str) -> Request<Full<Bytes>> {
    let mut request = request("/v1/chat/completions", r#"{"model": "chat"}"#);
    request.headers_mut().insert("x-litellm-session-id", session.parse().unwrap());
    request
}

fn of_caller(key: &str, body: &'static str) -> Request<Full<Bytes>> {
    let mut request = request("/v1/chat/completions", body);
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

/// Goes on from the answer with this id, and has a session too.
fn continuing(id: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model": "chat", "previous_response_id": "{id}"}}"#);
    let mut request = request("/v1/responses", body);
    request.headers_mut().insert("x-litellm-session-id", "s".parse().unwrap());
    request
}

fn ok() -> Answer {
    Answer::status(200).header("content-type", "application/json").data("{}")
}

const DEFAULT: [AffinitySource; 2] =
    [AffinitySource::PreviousResponse, AffinitySource::SessionHeader];

#[tokio::test(start_paused = true)]
async fn a_session_stays_while_others_spread_and_spreads_when_it_is_hot() {
    let setting = Setting::new(Affinity::new(LeastBusy), &DEFAULT, IDS.map(|_| vec![ok()]));
    let home = setting.asked(of_session("s")).await;
    for _ in 0..10 {
        assert_eq!(setting.asked(of_session("s")).await, home);
    }
    let mut homes = Vec::new();
    for session in 0..30 {
        homes.push(setting.asked(of_session(&session.to_string())).await);
    }
    assert!(IDS.iter().all(|id| homes.iter().any(|home| home == id)), "{homes:?}");

    // Answers that nobody reads are in flight.
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(setting.stack.clone().oneshot(of_session("s")).await.unwrap());
    }
    let most = setting.deployments.iter().map(Deployment::in_flight).max();
    // Of 12 requests 1.25 times a third, and 2.
    assert_eq!(most, Some(7));
    drop(held);
    assert_eq!(setting.asked(of_session("s")).await, home);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_deployment_fails_moves_at_once_and_stays_until_its_time_is_over() {
    let ttl = Duration::from_secs(3600);
    for repins in [true, false] {
        let strategy = || Affinity::new(LeastBusy).ttl(ttl).repin_on_failure(repins);
        let calm = Setting::new(strategy(), &DEFAULT, IDS.map(|_| vec![ok()]));
        let home = calm.asked(of_session("s")).await;

        let fails_once = |id| if id == home { vec![Answer::status(500), ok()] } else { vec![ok()] };
        let setting = Setting::new(strategy(), &DEFAULT, IDS.map(fails_once));
        let moved = setting.asked(of_session("s")).await;
        assert_ne!(moved, home);
        assert_eq!(setting.asked(of_session("s")).await, moved);
        // Back from its cooldown, trials and all.
        advance(ttl / 2).await;
        for deployment in &setting.deployments {
            deployment.health().resume();
        }
        let back = setting.asked(of_session("s")).await;
        assert_eq!(back, *if repins { &moved } else { &home });
        advance(ttl / 2).await;
        assert_eq!(setting.asked(of_session("s")).await, back, "each use renews it");
        advance(ttl).await;
        assert_eq!(setting.asked(of_session("s")).await, home);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_goes_on_where_it_was_made_before_anything_else_counts() {
    let json = |id: &str| {
        let body = format!(
            r#"{{"object": "response", "output": [{{"id": "msg_1"}}], "id": "resp_{id}", "usage": null}}"#
        );
        ok_with("application/json", body)
    };
    let stream = |id: &str| {
        let event = |kind: &str| {
            format!(
                "event: {kind}\ndata: {{\"type\":\"{kind}\",\"response\":{{\"id\":\"resp_{id}\",\"usage\":null}}}}\n\n"
            )
        };
        let both = event("response.created") + &event("response.completed");
        ok_with("text/event-stream", both)
    };
    let kinds: [&dyn Fn(&str) -> Answer; 2] = [&json, &stream];
    for kind in kinds {
        let answers = IDS.map(|id| vec![kind(id)]);
        let setting = Setting::new(Affinity::new(LeastBusy), &DEFAULT, answers);
        for _ in 0..20 {
            setting.asked(request("/v1/responses", r#"{"model": "chat"}"#)).await;
        }
        for id in IDS {
            for _ in 0..5 {
                assert_eq!(setting.asked(continuing(&format!("resp_{id}"))).await, id);
            }
        }
        // One that nobody made goes with its session.
        let home = setting.asked(of_session("s")).await;
        assert_eq!(setting.asked(continuing("resp_x")).await, home);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_goes_on_where_it_was_made_while_that_is_still_coming_back() {
    let made = ok_with("application/json", r#"{"id": "resp_a", "output": []}"#);
    let answers = IDS.map(|id| match id {
        "a" => vec![made.clone(), Answer::status(500), ok()],
        _ => vec![ok()],
    });
    let setting = Setting::new(Affinity::new(LeastBusy), &DEFAULT, answers);
    while setting.asked(request("/v1/responses", r#"{"model": "chat"}"#)).await != "a" {}
    assert_ne!(setting.asked(continuing("resp_a")).await, "a", "it failed, so another helped out");
    advance(Duration::from_secs(60)).await;
    for _ in 0..50 {
        assert_eq!(setting.asked(continuing("resp_a")).await, "a");
    }
    let status = setting.deployments[0].health().status();
    assert!(matches!(status, Status::Ramping { .. }), "{status:?}");
}

fn ok_with(content_type: &str, body: impl Into<Bytes>) -> Answer {
    Answer::status(200).header("content-type", content_type).data(body)
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_kept_together_by_its_key_and_never_by_the_user_it_names() {
    let sources = [AffinitySource::Caller];
    let setting = Setting::new(Affinity::new(LeastBusy), &sources, IDS.map(|_| vec![ok()]));
    let home = setting.asked(of_caller("sk-1", r#"{"model": "chat", "user": "u1"}"#)).await;
    for body in [r#"{"model": "chat", "user": "u2"}"#, r#"{"model": "other"}"#] {
        for _ in 0..5 {
            assert_eq!(setting.asked(of_caller("sk-1", body)).await, home);
        }
    }
    let mut of_user = Vec::new();
    for _ in 0..20 {
        let named = r#"{"model": "chat", "user": "u1"}"#;
        of_user.push(setting.asked(request("/v1/chat/completions", named)).await);
    }
    assert!(IDS.iter().all(|id| of_user.iter().any(|one| one == id)), "{of_user:?}");
}

#[tokio::test(start_paused = true)]
async fn guesses_are_given_up_where_the_provider_has_no_cache_of_them() {
    const BODY: &str = r#"{"model": "chat", "prompt_cache_key": "k"}"#;
    for (cached, stays) in [(0, false), (1500, true)] {
        let usage = format!(
            r#"{{"choices": [], "usage": {{"prompt_tokens": 2000, "completion_tokens": 1, "prompt_tokens_details": {{"cached_tokens": {cached}}}}}}}"#
        );
        let answers = IDS.map(|_| vec![ok_with("application/json", usage.clone())]);
        let sources = [AffinitySource::SessionHeader, AffinitySource::PromptCacheKey];
        let setting = Setting::new(Affinity::new(LeastBusy), &sources, answers);
        let home = setting.asked(request("/v1/chat/completions", BODY)).await;
        for _ in 0..40 {
            setting.asked(request("/v1/chat/completions", BODY)).await;
        }
        let known = setting.deployments.iter().find(|one| one.id() == home).unwrap();
        assert_eq!(known.cached_share(), Some(f64::from(cached) / 2000.0));
        let mut later = Vec::new();
        for _ in 0..20 {
            later.push(setting.asked(request("/v1/chat/completions", BODY)).await);
        }
        assert_eq!(later.iter().all(|one| *one == home), stays, "{later:?}");
        let home = setting.asked(of_session("s")).await;
        for _ in 0..10 {
            assert_eq!(setting.asked(of_session("s")).await, home, "a session is no guess");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_picked_for_by_the_strategy_it_names() {
    let first = Affinity::new(LeastBusy);
    let strategy = PerRequest::new(WeightedShuffle).strategy("sticky", first);
    let setting = Setting::new(strategy, &DEFAULT, IDS.map(|_| vec![ok()]));
    let mut sticky = Vec::new();
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut request = of_session("s");
        request.headers_mut().insert("x-routing-strategy", "sticky".parse().unwrap());
        sticky.push(setting.asked(request).await);
        let mut request = of_session("s");
        request.headers_mut().insert("x-routing-strategy", "unknown".parse().unwrap());
        others.push(setting.asked(request).await);
    }
    assert!(sticky.iter().all(|one| *one == sticky[0]), "{sticky:?}");
    assert!(others.iter().any(|one| *one != others[0]), "{others:?}");
}
