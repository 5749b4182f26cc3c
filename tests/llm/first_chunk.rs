//! A success that is none.

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower_fleet::deployment::Status;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_web_page_is_retried_on_the_sibling_and_counts_against_the_first() {
    let group = group([html(), good()]);
    for _ in 0..6 {
        let (result, _) = group.ask().await;
        assert_eq!(text(result.unwrap()).await, GOOD);
    }
    assert_eq!(group.asked(), [3, 6]);
    assert!(matches!(group.deployments[0].health().status(), Status::Cooling { .. }));
    assert_eq!(group.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json_is_malformed_where_json_was_asked_for() {
    for (answer, why) in [
        (html(), "expected JSON, got text/html"),
        (Answer::status(200).data("<html>"), "expected JSON, got something else"),
        (Answer::status(200), "expected JSON, got an empty body"),
        (json(200, ""), "expected JSON, got an empty body"),
        (json(200, " \r\n\t"), "expected JSON, got an empty body"),
        (json(200, "").trailer("x-end", "end"), "expected JSON, got an empty body"),
        (json(200, "data: {}\n\n"), "expected JSON, got something else"),
        (json(200, "\"text\""), "expected JSON, got something else"),
        (stream().data("data: {}\n\n"), "expected JSON, got an event stream"),
    ] {
        let group = group([answer]);
        let (result, kinds) = group.ask().await;
        let message = result.err().unwrap().to_string();
        assert_eq!(message, format!("the response is not what was asked for: {why}"));
        assert!(kinds.iter().all(|kind| *kind == Some(FailureKind::Malformed)), "{kinds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn json_passes_by_whatever_name() {
    for content_type in
        ["application/json", "Application/JSON; charset=utf-8", "application/problem+json", ""]
    {
        for body in [GOOD, " \n{\"x\": 1}", "[]", "{}"] {
            let answer = Answer::status(200).data(body);
            let named = !content_type.is_empty();
            let group =
                group([if named { answer.header("content-type", content_type) } else { answer }]);
            let (result, kinds) = group.ask().await;
            assert_eq!((text(result.unwrap()).await.as_str(), kinds), (body, vec![None]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_an_event_stream_is_malformed_where_one_was_asked_for() {
    for (answer, why) in [
        (html(), "text/html"),
        (good(), "JSON"),
        (stream(), "an empty body"),
        (stream().data("\n\n"), "an empty body"),
        (stream().data("<html>"), "something else"),
        (stream().data(GOOD), "something else"),
        (stream().data("dat"), "something else"),
        (stream().data("datum: {}\n\n"), "something else"),
    ] {
        let group = group([answer]);
        let (result, kinds) = group.ask_stream().await;
        let message = result.err().unwrap().to_string();
        let expected = "the response is not what was asked for: expected an event stream, got ";
        assert_eq!(message, format!("{expected}{why}"));
        assert!(kinds.iter().all(|kind| *kind == Some(FailureKind::Malformed)), "{kinds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_passes_as_soon_as_its_first_event_begins_and_comes_chunk_by_chunk() {
    for first in [
        "data: {\"id\": 1}\n\n",
        "data:{\"id\"",
        "data: [DONE]\n\n",
        "event: message_start\ndata: {\"type\": \"message_start\"",
        "id: 1\r\ndata: text",
        "retry: 5\nevent: x\ndata: 1\n",
        ": waiting\n\n",
        "\u{feff}\r\ndata: {}",
    ] {
        let answer = stream().data(first).data("").data("data: 2\n\n").data("data: 3\n\n");
        let group = group([answer.trailer("x-end", "end").pausing(secs(1))]);
        let start = Instant::now();
        let (result, _) = group.ask_stream().await;
        assert_eq!(start.elapsed(), secs(1), "{first}");
        let mut body = std::pin::pin!(result.unwrap().into_body());
        let mut chunks = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => chunks.push((data, start.elapsed())),
                Err(frame) => assert_eq!(frame.into_trailers().unwrap()["x-end"], "end"),
            }
        }
        let expected = [first, "", "data: 2\n\n", "data: 3\n\n"];
        let expected = expected.iter().zip([1, 2, 3, 4]);
        let expected: Vec<_> = expected.map(|(text, at)| ((*text).into(), secs(at))).collect();
        assert_eq!(chunks, expected);
        assert_eq!(group.live(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_passes_wherever_its_chunks_are_cut() {
    let whole =
        "\u{feff}\r\n: ok\n\nid: 1\nevent: error_report\nretry: 9\ndata: {\"error_count\": 0}\n\n";
    for at in 0..=whole.len() {
        let (start, end) = whole.as_bytes().split_at(at);
        let group = group([stream().data(start).data(end)]);
        let (result, kinds) = group.ask_stream().await;
        assert_eq!((text(result.unwrap()).await.as_str(), kinds), (whole, vec![None]), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_with_an_error_has_failed_wherever_its_chunks_are_cut() {
    for whole in [
        "data: {\"error\": {\"code\": 429, \"message\": \"slow down\"}}\n\n",
        "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"rate_limit_error\"}}\n\n",
        "event: error\r\ndata: {\"message\": \"slow down\", \"code\": \"rate_limit_exceeded\"}\r\n\r\n",
        "{\"error\": {\"code\": \"rate_limit_exceeded\"}}",
    ] {
        for at in 0..whole.len() {
            let (start, end) = whole.as_bytes().split_at(at);
            let group = group([stream().data(start).data(end), stream().data("data: {}\n\n")]);
            let (result, kinds) = group.ask_stream().await;
            assert_eq!(text(result.unwrap()).await, "data: {}\n\n");
            assert_eq!(kinds, [Some(FailureKind::RateLimited), None], "{whole} at {at}");
        }
        let group = group([stream().data(whole)]);
        let (result, _) = group.ask_stream().await;
        assert_eq!(text(result.unwrap()).await, whole);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_names_itself_late_is_found_in_the_first_event() {
    let event =
        "data: {\"id\": 1, \"choices\": [], \"error\": {\"code\": 502, \"message\": \"x\"}}\n\n";
    let group = group([stream().data(": waiting\n\n".to_owned() + event)]);
    let (_, kinds) = group.ask_stream().await;
    assert_eq!(kinds.last(), Some(&Some(FailureKind::Server)));
}

#[tokio::test(start_paused = true)]
async fn an_error_object_is_the_failure_that_it_means_whatever_the_status_and_the_type() {
    let body = r#"{"error": {"message": "Too long.", "code": "context_length_exceeded"}}"#;
    for streamed in [false, true] {
        for at in 0..body.len() {
            let (start, end) = body.as_bytes().split_at(at);
            let group = group([json(200, start).data(end), good()]);
            let (result, kinds) = group.send(ask("chat", streamed)).await;
            assert_eq!(text(result.unwrap()).await, body);
            assert_eq!(kinds, [Some(FailureKind::ContextWindow)], "at {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_object_is_found_anywhere_in_an_answer_that_comes_in_one_chunk() {
    let body = r#"{"id": 1, "choices": [], "error": {"code": 429, "message": "Busy."}, "x": 1}"#;
    for streamed in [false, true] {
        let fine = if streamed { stream().data("data: 1\n\n") } else { good() };
        let group = group([json(200, body), fine]);
        let (result, kinds) = group.send(ask("chat", streamed)).await;
        assert!(result.is_ok());
        assert_eq!(kinds, [Some(FailureKind::RateLimited), None]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_many_small_chunks_is_read_once() {
    let message = "x".repeat(50_000);
    let object = format!("{{\"error\": {{\"message\": \"{message}\", \"code\": 429}}}}");
    let event = format!("data: {object}\n\n");
    for (whole, answer, other) in [
        (object, json(200, ""), good()),
        (event.clone(), stream(), stream().data("data: 1\n\n")),
        (event.replace('\n', "\r"), stream(), stream().data("data: 1\n\n")),
    ] {
        let streamed = !whole.starts_with('{');
        let bytes = whole.bytes().fold(answer, |answer, byte| answer.data([byte].to_vec()));
        let group = group([bytes, other]);
        let (_, kinds) = group.send(ask("chat", streamed)).await;
        assert_eq!(kinds, [Some(FailureKind::RateLimited), None]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_only_mentions_errors_is_none() {
    for body in [
        r#"{"error": null, "id": 1}"#,
        r#"{"type": "message", "error": "no"}"#,
        r#"{"object": "list", "data": []}"#,
        r#"{"object": "errors"}"#,
        r#"{"id": "error", "error": null}"#,
        r#"{"id": 1, "error": {}}"#,
        r#"{"id": 1, "choices": [{"error": {"code": 500}}]}"#,
    ] {
        for at in 0..body.len() {
            let (start, end) = body.as_bytes().split_at(at);
            let group = group([json(200, start).data(end)]);
            let (result, kinds) = group.ask().await;
            assert_eq!((text(result.unwrap()).await.as_str(), kinds), (body, vec![None]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_before_its_first_chunk_is_retried_and_else_an_error() {
    for (broken, ask) in [
        (json(200, "").broken(), ask("chat", false)),
        (stream().broken(), ask("chat", true)),
        (stream().data("dat").broken(), ask("chat", true)),
    ] {
        let good = if broken_is_json(&ask) { good() } else { stream().data("data: 1\n\n") };
        let both = group([broken.clone(), good]);
        let (result, kinds) = both.send(ask.clone()).await;
        assert!(result.is_ok());
        assert_eq!(kinds, [Some(FailureKind::Truncated), None]);

        let (result, kinds) = group([broken]).send(ask).await;
        assert!(
            matches!(result, Err(Error::Truncated(cause)) if cause.to_string() == "the body broke")
        );
        assert!(kinds.iter().all(|kind| *kind == Some(FailureKind::Truncated)), "{kinds:?}");
    }
}

fn broken_is_json(ask: &Request<Full<Bytes>>) -> bool {
    let body = ask.body().clone();
    let body = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes();
    body.windows(5).any(|window| window == b"false")
}

#[tokio::test(start_paused = true)]
async fn a_response_that_failed_is_better_than_a_body_that_broke_later() {
    let group = group([json(503, "busy"), stream().broken()]);
    let (result, _) = group.ask_stream().await;
    assert_eq!(text(result.unwrap()).await, "busy");
}

#[tokio::test(start_paused = true)]
async fn a_stall_before_the_first_chunk_is_a_time_out() {
    let hangs = stream().data("data: 1\n\n").pausing(secs(60));
    let group = group_of([hangs, stream().data("data: 2\n\n")], fleet().timeout(secs(5)));
    let (result, kinds) = group.ask_stream().await;
    assert_eq!(text(result.unwrap()).await, "data: 2\n\n");
    assert_eq!(kinds, [Some(FailureKind::Timeout), None]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_inspected_and_what_has_no_body_passes() {
    let fake = |answer| Fake::new([answer]);
    for (method, answer) in [
        ("POST", html()),
        ("GET", html()),
        ("HEAD", json(200, "")),
        ("POST", Answer::status(204)),
        ("POST", Answer::status(304)),
    ] {
        let request = Request::builder().method(method).body(ReplayBody::empty()).unwrap();
        let service = VerifyLayer::new().layer(fake(answer));
        assert!(service.oneshot(request).await.is_ok(), "{method}");
    }
    for answer in [Answer::status(204), Answer::status(304), Answer::status(302)] {
        let service = VerifyLayer::new().layer(fake(answer));
        assert!(InspectLayer::new().layer(service).oneshot(ask("chat", true)).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn of_an_encoded_body_only_the_content_type_is_judged() {
    let encoded = |answer: Answer| answer.header("content-encoding", "gzip");
    for (answer, streamed, passes) in [
        (encoded(json(200, "\u{1f}")), false, true),
        (encoded(json(200, "\u{1f}")), true, false),
        (encoded(stream().data("\u{1f}")), true, true),
        (encoded(html()), false, false),
        (html().header("content-encoding", "identity"), false, false),
    ] {
        let (result, _) = group([answer]).send(ask("chat", streamed)).await;
        assert_eq!(result.is_ok(), passes);
    }
}

#[tokio::test(start_paused = true)]
async fn of_an_endpoint_that_is_not_known_only_a_web_page_is_malformed() {
    for (answer, passes) in
        [(html(), false), (Answer::status(200).header("content-type", "audio/mpeg"), true)]
    {
        let mut request = ask("chat", false);
        *request.uri_mut() = "/v1/audio/speech".parse().unwrap();
        let (result, _) = group([answer]).send(request).await;
        assert_eq!(result.is_ok(), passes);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_success_that_does_not_come_whole_is_the_servers() {
    let event = stream().data("event: error\n");
    let object = json(200, "{\"error\": {\"code\":");
    let fine = stream().data("data: 1\n\n");
    for (answer, other, streamed) in [(event, fine, true), (object, good(), false)] {
        let group = group([answer.data("data: x").pausing(secs(60)), other]);
        let start = Instant::now();
        let (result, kinds) = group.send(ask("chat", streamed)).await;
        assert_eq!(kinds, [Some(FailureKind::Server), None]);
        assert!(result.is_ok());
        assert_eq!(start.elapsed(), secs(62));
    }
}
