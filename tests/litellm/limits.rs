//! Limits and budgets of a file by what they do to requests.

use std::time::Duration;

use tokio::time::advance;
use tower_fleet::{deployment::Status, error::RefusedReason as Reason};

use super::script::{Answer, OK, Scripted, chat, file};

const ENFORCED: &str = "router_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}";
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn as_many_requests_as_its_rpm_are_answered_in_a_minute_and_the_next_when_it_is_over() {
    // LiteLLM's strategies by usage answer one fewer, and half as many where the check is on too.
    let both = "router_settings: {routing_strategy: usage-based-routing-v2, \
                optional_pre_call_checks: [enforce_model_rate_limits]}";
    for settings in [
        ENFORCED,
        both,
        "router_settings: {routing_strategy: usage-based-routing}",
        "router_settings: {routing_strategy: latency-based-routing}",
        "router_settings: {routing_strategy: cost-based-routing}",
    ] {
        let text = file(settings, &[("chat", "a", "rpm: 10, max_parallel_requests: 0")]);
        let fleet = Scripted::start(&text, |_| OK);
        assert_eq!(fleet.at_once("chat", 30).await, (10, vec![Reason::Limited; 20]), "{settings}");
        let refused = fleet.ask("chat").await.unwrap_err();
        assert_eq!(refused.wait(), Some(MINUTE), "{settings}");
        advance(MINUTE).await;
        assert_eq!(fleet.at_once("chat", 11).await.0, 10, "{settings}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_rpm_that_is_not_enforced_bounds_the_requests_at_a_time() {
    let text =
        file("", &[("chat", "a", "rpm: 5"), ("code", "b", "tpm: 500"), ("any", "c", "tpm: 1")]);
    let fleet = Scripted::start(&text, |_| OK);
    for (model, limit) in [("chat", 5), ("code", 3), ("any", 1)] {
        assert_eq!(
            fleet.at_once(model, 9).await,
            (limit, vec![Reason::Full; 9 - limit]),
            "{model}"
        );
        assert_eq!(fleet.at_once(model, limit).await.0, limit, "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sibling_answers_for_one_that_has_had_its_share() {
    // In LiteLLM the refusal reaches the caller, and sets the deployment aside.
    let text = file(ENFORCED, &[("chat", "a", "rpm: 1"), ("chat", "b", "")]);
    let fleet = Scripted::start(&text, |_| OK);
    for _ in 0..30 {
        assert_eq!(fleet.ask("chat").await, Ok(200));
    }
    assert_eq!(fleet.asked(["a", "b"]), [1, 29]);
    assert_eq!(fleet.deployment("a").health().totals().ejections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_requests_at_a_time_outlasts_any_pause() {
    // LiteLLM forgets it after ten idle minutes, and has room for 200 of them: then four are in flight.
    let hosts: Vec<_> = (0..300).map(|index| format!("h{index}")).collect();
    let entries: Vec<_> =
        hosts.iter().map(|host| (&**host, &**host, "max_parallel_requests: 2")).collect();
    let fleet = Scripted::start(&file("", &entries), |_| OK);
    let mut held = Vec::new();
    for host in &hosts {
        held.push(fleet.open(chat(host, "", |head| head)).await.unwrap());
    }
    advance(Duration::from_secs(3 * 3600)).await;
    for host in &hosts {
        held.push(fleet.open(chat(host, "", |head| head)).await.unwrap());
        assert_eq!(fleet.ask(host).await.unwrap_err().reason(), Reason::Full);
    }
    drop(held);
    assert_eq!(fleet.ask("h0").await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn what_is_limited_by_name_is_limited_without_any_check() {
    for (limit, answered) in [("itpm: 20", 20), ("otpm: 20", 2), ("rpd: 3", 3), ("tpd: 33", 3)] {
        let params = format!("{limit}, max_parallel_requests: 0");
        // What the answers tell is what the requests were expected to take.
        let fleet = Scripted::start(&file("", &[("chat", "a", &params)]), |_| Answer {
            usage: Some((1, 10)),
            ..OK
        });
        let (count, refused) = fleet.at_once("chat", 30).await;
        assert_eq!(count, answered, "{limit}");
        assert!(refused.iter().all(|reason| *reason == Reason::Limited), "{limit}: {refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_lets_nothing_through() {
    for (settings, params) in [
        (ENFORCED, "rpm: 0"),
        (ENFORCED, "tpm: 0"),
        ("", "itpm: 0"),
        ("", "rpd: 0"),
        ("", "max_budget: 0, budget_duration: 1d"),
        ("router_settings: {quota_groups: {key: {rpm: 0}}}", "|quota_group: key"),
    ] {
        let text = file(settings, &[("chat", "a", params), ("chat", "b", "")]);
        let fleet = Scripted::start(&text, |_| OK);
        assert_eq!(fleet.at_once("chat", 20).await.0, 20, "{params}");
        assert_eq!(fleet.asked(["a", "b"]), [0, 20], "{params}");
    }
}

#[tokio::test(start_paused = true)]
async fn deployments_of_one_quota_group_are_limited_together_wherever_they_are() {
    let settings = "router_settings: {quota_groups: {key: {rpm: 3, max_parallel_requests: 2}}, \
                    default_fallbacks: [b]}";
    let text = file(
        settings,
        &[
            ("chat", "a", "|quota_group: key"),
            ("code", "b", "|quota_group: key"),
            ("code", "c", "max_parallel_requests: 1"),
        ],
    );
    let fleet = Scripted::start(&text, |_| OK);
    let held = fleet.open(chat("chat", "", |head| head)).await.unwrap();
    // One more at a time; the fallback `b` is a group of its own, and no way around that.
    let (answered, refused) = fleet.at_once("chat", 2).await;
    assert_eq!((answered, refused), (1, vec![Reason::Full]));
    drop(held);
    assert_eq!(fleet.ask("chat").await, Ok(200));
    assert_eq!(fleet.ask("chat").await.unwrap_err().reason(), Reason::Limited);
    assert_eq!(fleet.ask("b").await.unwrap_err().reason(), Reason::Limited);
    assert_eq!(fleet.ask("code").await, Ok(200));
    assert_eq!(fleet.asked(["b", "c"])[1], 1);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_of_one_sets_its_quota_group_aside() {
    let settings = "router_settings: {num_retries: 0}";
    let text = file(
        settings,
        &[
            ("chat", "a", "|quota_group: key"),
            ("code", "b", "|quota_group: key"),
            ("other", "c", ""),
        ],
    );
    let limited = Answer { status: 429, header: Some(("retry-after", "20")), ..OK };
    let fleet = Scripted::start(&text, move |host| if host == "a" { limited } else { OK });
    assert_eq!(fleet.ask("chat").await, Ok(429));
    let is_aside =
        |host| matches!(fleet.deployment(host).health().status(), Status::Cooling { .. });
    assert_eq!(["a", "b", "c"].map(is_aside), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_is_left_counts_for_every_deployment_of_a_file() {
    let text = file("", &[("chat", "a", ""), ("chat", "b", "")]);
    let spent = Answer { header: Some(("x-ratelimit-remaining-requests", "0")), ..OK };
    let fleet = Scripted::start(&text, move |host| if host == "a" { spent } else { OK });
    for _ in 0..20 {
        assert_eq!(fleet.ask("chat").await, Ok(200));
    }
    let [a, b] = fleet.asked(["a", "b"]);
    assert!(a <= 1 && b >= 19, "{a} {b}");
}

const PRICED: &str = "input_cost_per_token: 0, output_cost_per_token: 0.1";

/// An answer that costs a dollar, as expected.
fn dollar(_: &str) -> Answer {
    Answer { usage: Some((1, 10)), ..OK }
}

#[tokio::test(start_paused = true)]
async fn a_deployments_budget_is_for_its_time() {
    let params = format!("{PRICED}, max_budget: 3, budget_duration: 1h, max_parallel_requests: 0");
    let fleet = Scripted::start(&file("", &[("chat", "a", &params)]), dollar);
    assert_eq!(fleet.at_once("chat", 9).await, (3, vec![Reason::Budget; 6]));
    let wait = fleet.ask("chat").await.unwrap_err().wait().unwrap();
    assert_eq!(wait, Duration::from_secs(3600));
    advance(wait).await;
    assert_eq!(fleet.at_once("chat", 9).await.0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_provider_has_a_budget_for_all_its_deployments_and_one_without_a_limit_is_unlimited() {
    // LiteLLM takes the deployments of a provider without a limit for those of one that has spent it.
    let settings = "router_settings: {provider_budget_config: {openai: {budget_limit: 3, time_period: 1d}, groq: {}}}";
    let text = file(settings, &[("chat", "a", PRICED), ("code", "b", PRICED)]);
    let groq = "- {model_name: free, litellm_params: {model: groq/x, api_base: 'http://c', output_cost_per_token: 1}}";
    let fleet = Scripted::start(&format!("{text}{groq}"), dollar);
    assert_eq!(fleet.at_once("chat", 2).await.0, 2);
    assert_eq!(fleet.at_once("code", 2).await, (1, vec![Reason::Budget]));
    assert_eq!(fleet.at_once("free", 20).await.0, 20);
}

#[tokio::test(start_paused = true)]
async fn a_second_fleet_in_the_process_has_nothing_of_the_firsts_budgets() {
    // In LiteLLM it has the first one's.
    let settings =
        "router_settings: {provider_budget_config: {openai: {budget_limit: 1, time_period: 1d}}}";
    let with = Scripted::start(&file(settings, &[("chat", "a", PRICED)]), dollar);
    let twin = Scripted::start(&file(settings, &[("chat", "a", PRICED)]), dollar);
    let without = Scripted::start(&file("", &[("chat", "a", PRICED)]), dollar);
    assert_eq!(with.at_once("chat", 3).await.0, 1);
    assert_eq!(twin.at_once("chat", 3).await.0, 1);
    assert_eq!(without.at_once("chat", 3).await.0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_tags_budget_is_for_the_requests_that_carry_it() {
    let settings =
        "litellm_settings: {tag_budget_config: {'team:a': {max_budget: 2, budget_duration: 1d}}}";
    let text = file(settings, &[("chat", "a", PRICED), ("code", "b", PRICED)]);
    let fleet = Scripted::start(&text, dollar);
    let tagged = |model| chat(model, r#", "metadata": {"tags": ["team:a"]}"#, |head| head);
    assert_eq!(fleet.send(tagged("chat")).await, Ok(200));
    assert_eq!(fleet.send(tagged("code")).await, Ok(200));
    assert_eq!(fleet.send(tagged("chat")).await.unwrap_err().reason(), Reason::Budget);
    assert_eq!(fleet.ask("chat").await, Ok(200));
}
