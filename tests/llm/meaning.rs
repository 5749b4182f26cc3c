//! What an error body changes, and what it leaves.

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower_fleet::{
    deployment::{Cause, Status},
    fallback::FallbackPlan,
};

use super::*;

const TOO_LONG: &str = r#"{"error": {"code": "context_length_exceeded", "message": "Too long."}}"#;

/// Under a status that sets nothing aside.
const UNPAID: &str = r#"{"error": {"code": "billing_hard_limit_reached", "message": "Pay."}}"#;

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_long_goes_to_the_list_for_that_and_not_to_the_general_one() {
    let [short, other, long] =
        [json(400, TOO_LONG), good(), good()].map(|answer| Fake::new([answer]));
    let plan = FallbackPlan::new().group("short", ["other"]).group_on(
        FailureKind::ContextWindow,
        "short",
        ["long"],
    );
    let of = |name: &str| [member(&Deployment::new(name))];
    let fleet = fleet()
        .group("short", of("short"))
        .group("other", of("other"))
        .group("long", of("long"))
        .fallback(plan)
        .build()
        .unwrap()
        .layer(client(&[("short", &short), ("other", &other), ("long", &long)]));
    let response = InspectLayer::new().layer(fleet).oneshot(ask("short", false)).await.unwrap();
    assert_eq!(text(response).await, GOOD);
    assert_eq!((short.count(), other.count(), long.count()), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_long_is_not_retried_and_harms_nobody() {
    let group = group([json(400, TOO_LONG), good()]);
    let (result, kinds) = group.ask().await;
    assert_eq!(text(result.unwrap()).await, TOO_LONG);
    assert_eq!(kinds, [Some(FailureKind::ContextWindow)]);
    assert_eq!(group.deployments[0].health().status(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_comes_as_an_event_under_its_status_is_read() {
    let body = format!("data: {TOO_LONG}\n\n");
    let group = group([Answer::status(400).data(body.clone())]);
    let (result, kinds) = group.ask_stream().await;
    assert_eq!(text(result.unwrap()).await, body);
    assert_eq!(kinds, [Some(FailureKind::ContextWindow)]);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_no_deployment_has_sets_none_aside_and_is_tried_on_each() {
    for body in [
        "",
        "404 page not found\n",
        r#"{"detail": "Not Found"}"#,
        r#"{"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}"#,
        r#"{"error": {"code": "404", "message": "Resource not found"}}"#,
        r#"{"error": {"message": "Invalid URL (POST /v1/messages)", "type": "invalid_request_error"}}"#,
    ] {
        let group = group([json(404, body), json(404, body)]);
        let (result, kinds) = group.ask().await;
        assert_eq!(text(result.unwrap()).await, body);
        assert_eq!(kinds, [Some(FailureKind::NotFound); 2], "{body}");
        for deployment in &group.deployments {
            assert_eq!(deployment.health().status(), Status::Ready, "{body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_too_large_set_nobody_aside_however_many_there_are() {
    let body = r#"{"error": {"code": "rate_limit_exceeded", "message": "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 90000."}}"#;
    let group = group([json(429, body), json(429, body)]);
    for _ in 0..20 {
        group.ask().await.0.unwrap();
    }
    for deployment in &group.deployments {
        assert_eq!(deployment.health().status(), Status::Ready);
        assert_eq!(deployment.health().totals().cancelled, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_gone_sets_its_deployment_aside_at_once() {
    for body in [
        r#"{"error": {"code": "model_not_found", "message": "No such model."}}"#,
        r#"{"error": "model 'llama-none' not found"}"#,
    ] {
        let group = group([json(404, body), good()]);
        let (result, _) = group.ask().await;
        assert_eq!(text(result.unwrap()).await, GOOD);
        let status = group.deployments[0].health().status();
        assert!(matches!(status, Status::Cooling { .. }), "{body}: {status:?}");
    }
}

const WAF: &str = "<html><title>Blocked</title></html>";
const GONE: &str = r#"{"error": {"code": "model_not_found", "message": "No such model."}}"#;

#[tokio::test(start_paused = true)]
async fn what_one_request_may_be_the_reason_of_sets_nothing_aside_alone_but_counts() {
    for (status, body) in [
        (404, r#"{"error": {"message": "Item with id 'rs_123' not found.", "param": "input"}}"#),
        (
            404,
            r#"{"type": "error", "error": {"type": "not_found_error", "message": "File not found"}}"#,
        ),
        (404, r#"{"message": "no Route matched with those values"}"#),
        (404, "<html><title>404 Not Found</title></html>"),
        (410, "gone"),
        (403, WAF),
        (403, r#"{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "The file."}}"#),
        (403, r#"{"error": {"message": "Not for you: 'invalid_api_key'"}}"#),
    ] {
        let group = group([json(status, body), good()]);
        let (result, _) = group.ask().await;
        assert_eq!(text(result.unwrap()).await, GOOD, "{body}");
        let health = group.deployments[0].health();
        assert_eq!(health.status(), Status::Ready, "{body}");
        for _ in 0..20 {
            let _ = group.ask().await;
        }
        assert_ne!(health.status(), Status::Ready, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_the_caller_has_chosen_through_a_wildcard_sets_nothing_aside_alone() {
    for (own, ready) in [(None, true), (Some("eu-*"), true), (Some("gpt-4o"), false)] {
        let (deployment, fake) = (Deployment::new("wild"), Fake::new([json(404, GONE)]));
        let deployment = match own {
            Some(model) => deployment.model(model),
            None => deployment,
        };
        let fleet = fleet().group("gpt-*", [member(&deployment)]).build().unwrap();
        let service = InspectLayer::new().layer(fleet.layer(client(&[("wild", &fake)])));
        let response = service.oneshot(ask("gpt-none", false)).await.unwrap();
        assert_eq!(text(response).await, GONE);
        assert_eq!(deployment.health().status() == Status::Ready, ready, "{own:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_larger_than_its_limit_harms_nobody_and_is_not_waited_for() {
    let body = r#"{"error": {"code": "rate_limit_exceeded", "message": "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 120000."}}"#;
    let group = group([json(429, body).header("retry-after", "20"), good()]);
    let start = Instant::now();
    let (result, kinds) = group.ask().await;
    assert_eq!(text(result.unwrap()).await, GOOD);
    assert_eq!(kinds, [Some(FailureKind::RateLimited), None]);
    assert_eq!(group.deployments[0].health().status(), Status::Ready);
    assert_eq!(start.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_sets_its_deployment_aside_at_once() {
    for (status, body) in [
        (401, WAF),
        (403, r#"{"error": {"code": "invalid_api_key", "message": "No such key."}}"#),
        (403, r#"{"error": {"message": "The API key you provided is invalid."}}"#),
    ] {
        let group = group([json(status, body), good()]);
        let (result, _) = group.ask().await;
        assert_eq!(text(result.unwrap()).await, GOOD);
        let status = group.deployments[0].health().status();
        assert!(matches!(status, Status::Cooling { .. }), "{body}: {status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_request_that_was_not_inspected_the_status_is_believed() {
    let breaker = tower_fleet::cooldown::CooldownPolicy::new(HttpClassify::inference());
    for status in [403, 404] {
        let service = tower_fleet::cooldown::CooldownLayer::new(breaker.clone())
            .layer(VerifyLayer::new().layer(Fake::new([json(status, WAF)])));
        service.clone().oneshot(Request::new(ReplayBody::empty())).await.unwrap();
        assert_ne!(service.health().status(), Status::Ready, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_quota_sets_the_deployment_aside_at_once_whatever_the_status() {
    for status in [400, 403, 429, 500] {
        let group = group([json(status, UNPAID), good()]);
        let (result, kinds) = group.ask().await;
        assert_eq!(text(result.unwrap()).await, GOOD);
        assert_eq!(kinds, [Some(FailureKind::QuotaExhausted), None], "{status}");
        let Status::Cooling { cause, .. } = group.deployments[0].health().status() else {
            panic!("it is not cooling after a {status}");
        };
        assert_eq!(cause, Cause::Failed(FailureKind::QuotaExhausted));
    }
}

#[tokio::test(start_paused = true)]
async fn the_delay_of_the_head_stays_with_the_kind_of_the_body() {
    let body = r#"{"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}"#;
    let group = group([json(400, body).header("retry-after", "30"), good()]);
    let (_, kinds) = group.ask().await;
    assert_eq!(kinds, [Some(FailureKind::Overloaded), None]);
    let Status::Cooling { until, .. } = group.deployments[0].health().status() else {
        panic!("it is not cooling");
    };
    assert_eq!(until - Instant::now(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_has_written_sets_nothing_aside() {
    let body = r#"{"error": {"message": "Invalid value: 'invalid_api_key insufficient_quota'"}}"#;
    let group = group([json(400, body)]);
    let (result, kinds) = group.ask().await;
    assert_eq!(
        (result.unwrap().status().as_u16(), kinds),
        (400, vec![Some(FailureKind::BadRequest)])
    );
    assert_eq!(group.deployments[0].health().status(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn an_error_body_reaches_the_caller_byte_for_byte_however_long_it_is() {
    for size in [0, 1, 1000, 65_535, 65_536, 65_537, 1_000_000] {
        let body = format!(r#"{{"error": {{"code": "x", "message": "{}"}}}}"#, "y".repeat(size));
        let (start, end) = body.split_at(body.len() / 3);
        let answer = json(503, start.to_owned()).data(end.to_owned()).trailer("x-end", "end");
        let group = group([answer]);
        let (result, _) = group.ask().await;
        let response = result.unwrap();
        assert_eq!(response.status(), 503);
        let read = response.into_body().collect().await.unwrap();
        assert_eq!(read.trailers().unwrap()["x-end"], "end");
        assert!(read.to_bytes() == body, "of {size} bytes");
        assert_eq!(group.live(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_the_status_alone_decides() {
    let padding = " ".repeat(64 * 1024);
    let group = group([json(400, padding).data(UNPAID)]);
    let (result, kinds) = group.ask().await;
    assert_eq!(kinds, [Some(FailureKind::BadRequest)]);
    assert!(text(result.unwrap()).await.ends_with(UNPAID));
}

#[tokio::test(start_paused = true)]
async fn an_error_body_that_does_not_come_is_not_waited_for() {
    let group = group([json(429, UNPAID).pausing(secs(60)), good()]);
    let start = Instant::now();
    let (result, kinds) = group.ask().await;
    assert_eq!(text(result.unwrap()).await, GOOD);
    assert_eq!(kinds, [Some(FailureKind::RateLimited), None]);
    assert_eq!(start.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_body_does_not_come_within_the_time_limit_is_still_that_error() {
    let limited = json(429, UNPAID).header("retry-after", "30").after(secs(1)).pausing(secs(60));
    let group = group_of([limited, good()], fleet().timeout(secs(2)));
    let start = Instant::now();
    let (result, kinds) = group.ask().await;
    assert_eq!(text(result.unwrap()).await, GOOD);
    assert_eq!(kinds, [Some(FailureKind::RateLimited), None]);
    assert_eq!(start.elapsed(), secs(2));
    let Status::Cooling { until, .. } = group.deployments[0].health().status() else { panic!() };
    assert_eq!(until, Instant::now() + secs(30));
}

#[tokio::test(start_paused = true)]
async fn an_error_body_that_breaks_off_leaves_the_status() {
    let group = group([json(400, "{\"error\": ").broken()]);
    let (result, kinds) = group.ask().await;
    let response = result.unwrap();
    assert_eq!((response.status().as_u16(), kinds), (400, vec![Some(FailureKind::BadRequest)]));
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_error_is_judged_whether_or_not_the_request_was_inspected() {
    let fake = Fake::new([json(400, UNPAID)]);
    let breaker = tower_fleet::cooldown::CooldownLayer::default();
    let service = breaker.layer(VerifyLayer::new().layer(fake));
    for (method, cools) in [("HEAD", false), ("GET", true)] {
        let request = Request::builder().method(method).body(ReplayBody::empty()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(service.health().status() != Status::Ready, cools, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_classifier_does_not_call_a_failure_is_none_whatever_the_body_says() {
    let classify = HttpClassify::new().status(http::StatusCode::BAD_REQUEST, None);
    let layer = VerifyLayer::new().classify(classify);
    let breaker = tower_fleet::cooldown::CooldownLayer::default();
    let service = breaker.layer(layer.layer(Fake::new([json(400, UNPAID)])));
    service.clone().oneshot(Request::new(ReplayBody::empty())).await.unwrap();
    assert_eq!(service.health().status(), Status::Ready);
}
