use std::time::Duration;

use futures_util::future::join_all;
use tower::Layer;
use tower_fleet::{
    Deployment,
    balance::{Balance, LeastBusy},
    deployment::Price,
    error::RefusedReason,
    llm::{Meter, MeterLayer},
    quota::{Calendar, Limit, Quota, Window},
};

use super::{
    ask, refusal, request,
    support::{Answer, Fake, secs},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A cent for a token of the input or the output: a request is expected to cost 1.10.
fn priced(id: &str) -> Deployment {
    Deployment::new(id).price(Price::new(0.01, 0.01))
}

fn a_day(dollars: f64) -> Limit {
    Limit::dollars(dollars, Window::Rolling(DAY))
}

/// Answers after a second, with so many tokens of output.
fn answering(output: u64) -> (Meter<Fake>, Fake) {
    let body =
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":100,"completion_tokens":{output}}}}}"#);
    let answer = Answer::status(200).header("content-type", "application/json").data(body);
    let fake = Fake::new([answer.after(secs(1))]);
    (MeterLayer::new().layer(fake.clone()), fake)
}

#[tokio::test(start_paused = true)]
async fn fifty_at_once_overshoot_a_nearly_spent_budget_by_one_estimates_error_at_most() {
    // 1.50 each, and 1.10 by estimate.
    let (client, fake) = answering(50);
    let eu = priced("eu").limit(a_day(100.0));
    let fleet = Balance::new(LeastBusy, [(eu.clone(), client)]);
    // Leaves 1.00 + 1.50 of the hundred.
    for _ in 0..65 {
        ask(&fleet, request(&[])).await.unwrap();
    }
    let answers = join_all((0..50).map(|_| ask(&fleet, request(&[])))).await;
    let refused: Vec<_> = answers.into_iter().filter(Result::is_err).map(refusal).collect();
    assert_eq!(fake.count(), 65 + 2, "two fit by estimate");
    assert!(refused.iter().all(|refused| refused.reason() == RefusedReason::Budget));
    assert_eq!(refused.len(), 48);
    let spent = eu.usage().cost;
    assert!((100.0..=100.0 + 2.0 * 0.4).contains(&spent), "{spent}");
    assert_eq!(refusal(ask(&fleet, request(&[])).await).reason(), RefusedReason::Budget);
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_never_exceeded_in_any_day_and_the_refusal_says_when_it_ends() {
    let (client, fake) = answering(10);
    let fleet = Balance::new(LeastBusy, [(priced("eu").limit(a_day(2.2)), client)]);
    ask(&fleet, request(&[])).await.unwrap();
    tokio::time::advance(secs(3600)).await;
    ask(&fleet, request(&[])).await.unwrap();
    let refused = refusal(ask(&fleet, request(&[])).await);
    assert_eq!(refused.reason(), RefusedReason::Budget);
    // The first took a second, and so did the second.
    let wait = refused.wait().unwrap();
    assert_eq!(wait + secs(3600) + secs(2), DAY);
    tokio::time::advance(wait.saturating_sub(Duration::from_nanos(1))).await;
    refusal(ask(&fleet, request(&[])).await);
    tokio::time::advance(Duration::from_nanos(1)).await;
    ask(&fleet, request(&[])).await.unwrap();
    refusal(ask(&fleet, request(&[])).await);
    assert_eq!(fake.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_a_maximum_is_unlimited() {
    // LiteLLM refuses every request of one.
    let (client, _) = answering(10);
    let (other, _) = answering(10);
    let provider = Quota::new("openai", []);
    let dear = Quota::new("azure", [a_day(1.0)]);
    let fleet = Balance::new(
        LeastBusy,
        [(priced("openai").quota(&provider), client), (priced("azure").quota(&dear), other)],
    );
    for _ in 0..20 {
        ask(&fleet, request(&[])).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_provider_is_passed_over_for_another() {
    let (client, spent) = answering(10);
    let (other, fresh) = answering(10);
    let provider = Quota::new("openai", [a_day(2.5)]);
    let fleet = Balance::new(
        LeastBusy,
        [
            (priced("chat").quota(&provider).order(1), client.clone()),
            (priced("code").quota(&provider).order(1), client),
            (priced("elsewhere").order(2), other),
        ],
    );
    for _ in 0..5 {
        ask(&fleet, request(&[])).await.unwrap();
    }
    assert_eq!((spent.count(), fresh.count()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn nothing_may_be_spent_of_a_budget_of_nothing() {
    // LiteLLM does not hold anyone to it.
    let (client, fake) = answering(10);
    for deployment in [priced("eu"), Deployment::new("unpriced")] {
        let fleet = Balance::new(LeastBusy, [(deployment.limit(a_day(0.0)), client.clone())]);
        let refused = refusal(ask(&fleet, request(&[])).await);
        assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Budget, None));
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_costs_more_than_the_whole_budget_is_too_large() {
    let (client, _) = answering(10);
    let fleet = Balance::new(LeastBusy, [(priced("eu").limit(a_day(1.0)), client)]);
    let refused = refusal(ask(&fleet, request(&[])).await);
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::TooLarge, None));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_without_a_price_costs_nothing_and_its_answers_are_counted() {
    let (client, _) = answering(10);
    let free = Deployment::new("free").limit(a_day(0.01));
    let fleet = Balance::new(LeastBusy, [(free.clone(), client)]);
    for _ in 0..9 {
        ask(&fleet, request(&[])).await.unwrap();
    }
    assert_eq!(free.usage().unpriced, 9);
}

#[tokio::test(start_paused = true)]
async fn what_costs_less_than_expected_leaves_the_rest() {
    // Expected to cost 1.10, it costs 1.01.
    let (client, fake) = answering(1);
    let fleet = Balance::new(LeastBusy, [(priced("eu").limit(a_day(3.15)), client)]);
    for _ in 0..3 {
        ask(&fleet, request(&[])).await.unwrap();
    }
    assert_eq!(refusal(ask(&fleet, request(&[])).await).reason(), RefusedReason::Budget);
    assert_eq!(fake.count(), 3, "by estimate two would be all");
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_a_tag_concerns_those_who_carry_it() {
    let (client, fake) = answering(10);
    let team = Quota::new("team a", [a_day(2.2)]).for_tag("team-a");
    let fleet = Balance::new(LeastBusy, [(priced("eu").quota(&team), client)]);
    for _ in 0..3 {
        ask(&fleet, request(&["team-b"])).await.unwrap();
        ask(&fleet, request(&[])).await.unwrap();
    }
    ask(&fleet, request(&["team-a"])).await.unwrap();
    ask(&fleet, request(&["x", "team-a"])).await.unwrap();
    let refused = refusal(ask(&fleet, request(&["team-a"])).await);
    assert_eq!(refused.reason(), RefusedReason::Budget);
    assert!(refused.wait().is_some());
    ask(&fleet, request(&["team-b"])).await.unwrap();
    assert_eq!(fake.count(), 9);
    let [used] = team.usage()[..] else { panic!() };
    assert_eq!(used.used, 2_200_000_000);
}

#[tokio::test(start_paused = true)]
async fn two_fleets_in_a_process_share_nothing() {
    // In LiteLLM a second router inherits the budgets of the first.
    let (client, _) = answering(10);
    let fleet = |budget| Balance::new(LeastBusy, [(priced("eu").limit(budget), client.clone())]);
    let (poor, rich) = (fleet(a_day(1.2)), fleet(a_day(100.0)));
    ask(&poor, request(&[])).await.unwrap();
    refusal(ask(&poor, request(&[])).await);
    for _ in 0..9 {
        ask(&rich, request(&[])).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_of_the_calendar_is_over_at_its_end() {
    let (client, fake) = answering(10);
    let budget = Limit::dollars(1.2, Calendar::daily());
    let fleet = Balance::new(LeastBusy, [(priced("eu").limit(budget), client)]);
    ask(&fleet, request(&[])).await.unwrap();
    let wait = refusal(ask(&fleet, request(&[])).await).wait().unwrap();
    assert!(wait <= DAY);
    tokio::time::advance(wait).await;
    ask(&fleet, request(&[])).await.unwrap();
    let next = refusal(ask(&fleet, request(&[])).await).wait().unwrap();
    // A day later, less the second of the answer: not 24 hours after it.
    assert!(next + Duration::from_millis(900) < DAY && next + secs(2) > DAY, "{next:?}");
    assert_eq!(fake.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_there_is_an_answer_pays_for_the_input() {
    // A dollar of input and ten cents of output each.
    let fake = Fake::new([Answer::status(200).after(secs(60))]);
    let eu = priced("eu").limit(a_day(5.0));
    let fleet = Balance::new(LeastBusy, [(eu.clone(), fake.clone())]);
    for _ in 0..20 {
        let _ = tokio::time::timeout(secs(50), ask(&fleet, request(&[]))).await;
    }
    assert_eq!(fake.count(), 4, "the fifth does not fit");
    assert_eq!(eu.limits()[0].used, 4_000_000_000);
}
