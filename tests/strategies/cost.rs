//! Lowest cost.

use tower_fleet::{
    balance::LowestCost,
    deployment::{Price, PriceTier},
};

use super::*;

fn priced(id: &'static str, input: f64, output: f64) -> Deployment {
    Deployment::new(id).price(Price::new(input, output))
}

async fn picked<const N: usize>(
    members: [Deployment; N],
    change: impl FnOnce(&mut Demand),
) -> String {
    let pool = pool(LowestCost, members.map(|one| (one, answering(0))));
    served(&pool.oneshot(asking(change)).await)
}

#[tokio::test(start_paused = true)]
async fn a_price_of_nothing_is_the_cheapest_and_an_unknown_one_the_last() {
    let members =
        || [Deployment::new("unknown"), priced("paid", 1e-6, 1e-6), priced("free", 0.0, 0.0)];
    // LiteLLM takes a price of 0 for none.
    assert_eq!(picked(members(), |_| {}).await, "free");
    let [unknown, paid, free] = members();
    free.health().pause();
    assert_eq!(picked([unknown.clone(), paid.clone(), free], |_| {}).await, "paid");
    paid.health().pause();
    assert_eq!(picked([unknown, paid], |_| {}).await, "unknown");
}

#[tokio::test(start_paused = true)]
async fn it_is_the_cost_of_this_request() {
    let members = || [priced("cheap input", 1.0, 10.0), priced("cheap output", 4.0, 4.0)];
    let prompt = |input, output| {
        move |demand: &mut Demand| {
            demand.input_tokens = Some(input);
            demand.output_tokens = Some(output);
        }
    };
    assert_eq!(picked(members(), prompt(10_000, 100)).await, "cheap input");
    assert_eq!(picked(members(), prompt(10, 100)).await, "cheap output");
    // The most that an answer may have is not what it has.
    assert_eq!(picked(members(), prompt(600, 100_000)).await, "cheap input");
}

#[tokio::test(start_paused = true)]
async fn a_long_input_is_priced_by_its_tier() {
    let mut tier = PriceTier::above(1000);
    tier.input = Some(9.0);
    let mut price = Price::new(1.0, 1.0);
    price.tiers = vec![tier];
    let members = || [Deployment::new("tiered").price(price.clone()), priced("flat", 2.0, 2.0)];
    let input = |tokens| move |demand: &mut Demand| demand.input_tokens = Some(tokens);
    assert_eq!(picked(members(), input(1000)).await, "tiered");
    assert_eq!(picked(members(), input(1001)).await, "flat");
}

#[tokio::test(start_paused = true)]
async fn equal_prices_are_spread_by_least_busy() {
    let members = ["a", "b", "c"].map(|id| priced(id, 1e-6, 2e-6));
    let pool = pool(LowestCost, members.each_ref().map(|one| (one.clone(), answering(10))));
    let held = hold(&pool, 30);
    assert_eq!(members.each_ref().map(Deployment::in_flight), [10; 3]);
    drop(held);
    let before = members.each_ref().map(Deployment::picked);
    for _ in 0..3000 {
        send(&pool, get()).await;
    }
    let picks: Vec<_> =
        members.iter().zip(before).map(|(one, before)| one.picked() - before).collect();
    // LiteLLM takes the first of them, always.
    assert!(chi_square(&picks) < LIMIT_OF_3, "{picks:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_answer_is_expected_where_none_was_counted() {
    let members = || [priced("cheap input", 1.0, 10.0), priced("cheap output", 4.0, 4.0)];
    let input = |tokens| move |demand: &mut Demand| demand.input_tokens = Some(tokens);
    // 256 tokens of output cost as much more there as 512 of input do here.
    assert_eq!(picked(members(), input(511)).await, "cheap output");
    assert_eq!(picked(members(), input(513)).await, "cheap input");
}

#[cfg(feature = "llm")]
#[tokio::test(start_paused = true)]
async fn the_output_of_the_answers_so_far_is_expected_of_the_next() {
    use tower::Layer;
    use tower_fleet::llm::MeterLayer;

    let usage = r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1000}}"#;
    let json = Answer::status(200).header("content-type", "application/json").data(usage);
    let members = [priced("cheap input", 1.0, 10.0), priced("cheap output", 4.0, 4.0)];
    let meter = MeterLayer::new().layer(Fake::new([json]));
    let pool = Balance::new(LowestCost, members.clone().map(|one| (one, meter.clone())));
    for _ in 0..2 {
        let mut request = asking(|demand| demand.input_tokens = Some(600));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = "/v1/chat/completions".parse().unwrap();
        support::text(pool.clone().oneshot(request).await.unwrap()).await;
    }
    assert_eq!(members.map(|one| one.picked()), [1, 1], "the first was long: the next will be");
}
