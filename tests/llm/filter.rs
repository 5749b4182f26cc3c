//! Answers that the provider's filter has withheld.

use tower_fleet::fallback::FallbackPlan;

use super::*;

const FILTERED: [&str; 3] = [
    r#"{"id": "1", "choices": [{"index": 0, "message": {}, "finish_reason": "content_filter"}]}"#,
    r#"{"id": "1", "content": [], "stop_reason": "refusal"}"#,
    r#"{"id": "1", "status": "incomplete", "incomplete_details": {"reason": "content_filter"}}"#,
];

const LENIENT: &str = r#"{"from": "lenient"}"#;
const LENIENT_EVENT: &str = "data: {\"from\": \"lenient\"}\n\n";

/// What comes of a request whose first group answers so, with this plan.
async fn send(answer: Answer, plan: FallbackPlan, streamed: bool) -> String {
    let lenient = if streamed { stream().data(LENIENT_EVENT) } else { json(200, LENIENT) };
    let [strict, lenient] = [answer, lenient].map(|answer| Fake::new([answer]));
    let fleet = fleet()
        .group("strict", [member(&Deployment::new("strict"))])
        .group("lenient", [member(&Deployment::new("lenient"))])
        .fallback(plan)
        .build()
        .unwrap()
        .layer(client(&[("strict", &strict), ("lenient", &lenient)]));
    let ask = ask("strict", streamed);
    text(InspectLayer::new().layer(fleet).oneshot(ask).await.unwrap()).await
}

fn for_filtered() -> FallbackPlan {
    FallbackPlan::new().group_on(FailureKind::ContentPolicy, "strict", ["lenient"])
}

#[tokio::test(start_paused = true)]
async fn a_filtered_answer_goes_to_the_list_for_that_however_it_is_cut() {
    for body in FILTERED {
        for at in 0..body.len() {
            let (start, end) = body.as_bytes().split_at(at);
            let answer = send(json(200, start).data(end), for_filtered(), false).await;
            assert_eq!(answer, LENIENT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_such_a_list_it_is_an_answer_like_any_other() {
    let general = FallbackPlan::new().group("strict", ["lenient"]);
    for body in FILTERED {
        assert_eq!(send(json(200, body), general.clone(), false).await, body);
        assert_eq!(send(json(200, body), FallbackPlan::new(), false).await, body);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_a_part_is_left_is_one() {
    for body in [
        GOOD,
        r#"{"choices": [{"finish_reason": "stop"}, {"finish_reason": "content_filter"}]}"#,
        r#"{"choices": []}"#,
        r#"{"id": "refusal", "content": "content_filter"}"#,
    ] {
        assert_eq!(send(json(200, body), for_filtered(), false).await, body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_not_read_to_its_end() {
    let long = format!("{{\"pad\": \"{}\", ", "x".repeat(1024 * 1024)) + &FILTERED[0][1..];
    assert!(send(json(200, long.clone()), for_filtered(), false).await == long);
}

#[tokio::test(start_paused = true)]
async fn of_a_stream_only_the_first_chunk_is_looked_at() {
    let event = format!("data: {}\n\n", FILTERED[0]);
    let first = format!("data: {{\"choices\": []}}\n\n{event}");
    assert_eq!(send(stream().data(first), for_filtered(), true).await, LENIENT_EVENT);
    let later = stream().data("data: {\"choices\": []}\n\n").data(event.clone());
    assert!(send(later, for_filtered(), true).await.ends_with(&event));
}
