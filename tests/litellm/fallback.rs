//! Which groups stand in.

use tower_fleet::{GroupName, error::RefusedReason, outcome::FailureKind};

use super::*;

/// The statuses that LiteLLM falls back on at once, and those that it first retries on the same deployment.
const STATUSES: [u16; 12] = [400, 401, 404, 413, 422, 403, 408, 409, 429, 500, 502, 503];

#[tokio::test]
async fn a_lone_deployment_that_fails_is_left_for_the_fallback_at_once() {
    // LiteLLM first asks it once more on 403, 408, 409, 429 and 5xx, and sleeps 2 to 2.6 s.
    for status in STATUSES {
        let failing = Upstream::answering(Answer::status(status).header("retry-after", 59)).await;
        let spare = Upstream::status(200).await;
        let fleet = File::new("fallbacks: [{chat: [spare]}]")
            .group("chat", [&failing])
            .group("spare", [&spare])
            .start();
        let reply = fleet.ask("chat").await;
        assert_eq!(reply.status(), Some(200), "{status}");
        assert_eq!((failing.asked(), spare.asked()), (1, 1), "{status}");
    }
}

/// A group `0`, which fails, and seven more, of which the one at `good` answers.
async fn eight(good: usize, fallbacks: &str) -> (Vec<Upstream>, Fleet) {
    let statuses = [0, 1, 2, 3, 4, 5, 6, 7].map(|at| if at == good { 200 } else { 400 });
    let servers = servers(statuses).await;
    let file = File::new(&format!("fallbacks: [{fallbacks}]"));
    let groups = servers.iter().enumerate();
    let file = groups.fold(file, |file, (at, server)| file.group(&format!("g{at}"), [server]));
    (servers, file.start())
}

const FLAT: &str = "{g0: [g1, g2, g3, g4, g5, g6, g7]}";
const CHAIN: &str =
    "{g0: [g1]}, {g1: [g2]}, {g2: [g3]}, {g3: [g4]}, {g4: [g5]}, {g5: [g6]}, {g6: [g7]}";

#[tokio::test]
async fn five_groups_are_tried_at_most_of_a_list_and_of_a_chain() {
    // LiteLLM bounds the depth: it tries all seven of a list.
    for fallbacks in [FLAT, CHAIN] {
        let (servers, fleet) = eight(7, fallbacks).await;
        assert_eq!(fleet.ask("g0").await.status(), Some(400));
        let asked: Vec<_> = servers.iter().map(Upstream::asked).collect();
        assert_eq!(asked, [1, 1, 1, 1, 1, 1, 0, 0]);
    }
}

#[tokio::test]
async fn the_number_of_fallbacks_is_the_number_tried() {
    // LiteLLM reports 1 when the second one answers.
    for fallbacks in [FLAT, CHAIN] {
        let (_servers, fleet) = eight(2, fallbacks).await;
        let reply = fleet.ask("g0").await;
        assert_eq!(reply.status(), Some(200));
        assert_eq!(reply.trail.fallbacks(), [GroupName::new("g1"), GroupName::new("g2")]);
        assert_eq!(reply.asked(), ["0", "1", "2"]);
    }
}

#[tokio::test]
async fn when_all_fail_the_first_answer_is_returned_and_the_trail_lists_the_others() {
    // LiteLLM appends the others to the text of its message.
    let servers = servers([401, 500, 429]).await;
    let fleet = File::new("num_retries: 0, fallbacks: [{a: [b, c]}]")
        .group("a", &servers[..1])
        .group("b", &servers[1..2])
        .group("c", &servers[2..])
        .start();
    let reply = fleet.ask("a").await;
    assert_eq!(reply.result.as_ref().unwrap(), &(401, Bytes::from(r#"{"answered": 401}"#)));
    let steps = reply.trail.attempts();
    let kinds = steps.iter().map(|step| step.outcome().unwrap().failure().unwrap().kind());
    let expected = [FailureKind::Unauthorized, FailureKind::Server, FailureKind::RateLimited];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_wildcard_is_anchored_at_both_ends_and_its_part_goes_into_the_upstream_name() {
    // In LiteLLM `x-*-mini` also takes `x-4-mini-extra`.
    let server = Upstream::status(200).await;
    let fleet = File::new("").model("x-*-mini", "openai/up-*", &server.base(), "").start();
    assert_eq!(fleet.ask("x-4-mini").await.status(), Some(200));
    assert!(server.latest().1.starts_with(br#"{"model": "up-4","#));
    let error = fleet.ask("x-4-mini-extra").await.result.unwrap_err();
    assert_eq!(error.as_refused().unwrap().reason(), RefusedReason::UnknownGroup);
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn aliases_default_fallbacks_and_ids_lead_to_their_deployments() {
    // As in LiteLLM.
    let servers = servers([503, 503, 200]).await;
    let settings = "num_retries: 0, model_group_alias: {nick: chat}, \
                    fallbacks: [{chat: ['1', chat]}], default_fallbacks: [spare]";
    let fleet = File::new(settings)
        .group("chat", &servers[..1])
        .group("other", &servers[1..2])
        .group("spare", &servers[2..])
        .start();
    assert_eq!(fleet.ask("nick").await.asked(), ["0", "1", "2"], "a deployment's id, its default");
    assert_eq!(fleet.ask("nobody").await.asked(), ["2"]);
}
