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

const ROLE: &str = "data: {\"choices\": [{\"index\": 0, \"delta\": {\"role\": \"assistant\", \"content\": \"\"}, \"finish_reason\": null}]}\n\n";
const TEXT: &str = "data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"Hi\"}, \"finish_reason\": null}]}\n\n";
const WITHHELD: &str = "data: {\"choices\": [{\"index\": 0, \"delta\": {}, \"finish_reason\": \"content_filter\"}]}\n\n";

/// Streams of which the filter has withheld all, as OpenAI, Azure, Anthropic and OpenAI's responses send them.
fn withheld() -> [String; 4] {
    let azure = "data: {\"choices\": [], \"prompt_filter_results\": [{\"prompt_index\": 0}]}\n\n";
    [
        format!(": ok\n\n{ROLE}{WITHHELD}data: [DONE]\n\n"),
        format!("{azure}{ROLE}{WITHHELD}").replace('\n', "\r\n"),
        "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {\"stop_reason\": null}}\n\n\
         event: ping\ndata: {\"type\": \"ping\"}\n\n\
         event: content_block_start\ndata: {\"type\": \"content_block_start\", \"content_block\": {\"type\": \"text\", \"text\": \"\"}}\n\n\
         event: message_delta\ndata: {\"type\": \"message_delta\", \"delta\": {\"stop_reason\": \"refusal\"}}\n\n"
            .to_owned(),
        "data: {\"type\": \"response.created\", \"response\": {\"error\": null, \"incomplete_details\": null}}\n\n\
         data: {\"type\": \"response.output_item.added\", \"item\": {}}\n\n\
         data: {\"type\": \"response.incomplete\", \"response\": {\"incomplete_details\": {\"reason\": \"content_filter\"}}}\n\n"
            .to_owned(),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_filtered_before_its_first_content_goes_to_the_list_for_that() {
    for body in withheld() {
        for at in 0..body.len() {
            let (start, end) = body.split_at(at);
            let answer = stream().data(start.to_owned()).data(end.to_owned());
            let answer = send(answer, for_filtered(), true).await;
            assert_eq!(answer, LENIENT_EVENT, "{body} at {at}");
        }
        let bytes = body.bytes().fold(stream(), |answer, byte| answer.data([byte].to_vec()));
        assert_eq!(send(bytes, for_filtered(), true).await, LENIENT_EVENT, "{body}");
        assert_eq!(send(stream().data(body.clone()), FallbackPlan::new(), true).await, body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_which_a_part_is_left_is_an_answer() {
    let other = ROLE.replace("\"index\": 0", "\"index\": 1");
    let stopped =
        "data: {\"choices\": [{\"index\": 0, \"delta\": {}, \"finish_reason\": \"stop\"}]}\n\n";
    for body in [
        format!("{ROLE}{TEXT}{WITHHELD}"),
        format!("{ROLE}{other}{WITHHELD}"),
        format!("{ROLE}{stopped}{WITHHELD}"),
        format!("{ROLE}data: [DONE]\n\n{WITHHELD}"),
        ROLE.repeat(60) + WITHHELD,
        format!(": {}\n\n{WITHHELD}", "x".repeat(16 * 1024)),
        ROLE.to_owned(),
        ": ok\n\n".to_owned(),
    ] {
        let chunks = body.split_inclusive("\n\n").map(str::to_owned);
        let answer = chunks.fold(stream(), Answer::data);
        assert_eq!(send(answer, for_filtered(), true).await, body);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_stream_that_may_go_elsewhere_is_held_and_only_until_its_first_content() {
    for (plan, begins) in [(for_filtered(), 3), (FallbackPlan::new(), 1)] {
        let strict = Fake::new([stream().data(ROLE).data(": ok\n\n").data(TEXT).pausing(secs(1))]);
        let other = Fake::new([stream().data(LENIENT_EVENT)]);
        let fleet = fleet()
            .group("strict", [member(&Deployment::new("strict"))])
            .group("lenient", [member(&Deployment::new("lenient"))])
            .fallback(plan)
            .build()
            .unwrap()
            .layer(client(&[("strict", &strict), ("lenient", &other)]));
        let start = tokio::time::Instant::now();
        let response = InspectLayer::new().layer(fleet).oneshot(ask("strict", true)).await;
        assert_eq!(start.elapsed(), secs(begins));
        assert_eq!(text(response.unwrap()).await, format!("{ROLE}: ok\n\n{TEXT}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_before_the_first_content_is_the_failure_it_means() {
    for error in [
        "data: {\"error\": {\"code\": \"content_filter\", \"message\": \"No.\"}}\n\n",
        "event: error\ndata: {\"code\": \"content_filter\"}\n\n",
        "data: {\"type\": \"response.failed\", \"response\": {\"error\": {\"code\": \"content_filter\"}}}\n\n",
        "event: error\rdata: {\"code\":\rdata: \"content_filter\"}\r\r",
    ] {
        let answer = stream().data(ROLE).data(error);
        assert_eq!(send(answer, for_filtered(), true).await, LENIENT_EVENT, "{error}");
        let late = stream().data(ROLE).data(TEXT).data(error);
        let expected = format!("{ROLE}{TEXT}{error}");
        assert_eq!(send(late, for_filtered(), true).await, expected);
    }
}
