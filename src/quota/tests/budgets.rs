//! Money: what is reserved, what is settled, and whom a budget concerns.

use super::*;
use crate::{Deployment, deployment::Price};

const CENT: u64 = 10_000_000;

fn cost(dollars: u64) -> Charge {
    Charge { dollars, ..charge(1, 1) }
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    /// Asks with this estimate.
    Ask(u64),
    /// One of those under way costs this much.
    Pay(u64),
    Pass(Duration),
}

fn turn() -> impl Strategy<Value = (Turn, prop::sample::Index)> {
    let cents = || 1..60_u64;
    let turn = prop_oneof![
        5 => cents().prop_map(|cents| Turn::Ask(cents * CENT)),
        4 => cents().prop_map(|cents| Turn::Pay(cents * CENT)),
        1 => (1..20_u32).prop_map(|hours| Turn::Pass(hours * 60 * WINDOW)),
    ];
    (turn, any::<prop::sample::Index>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// In any day no more is spent than the budget and what the requests cost beyond their estimates.
    #[test]
    fn no_day_costs_more_than_its_budget_and_the_errors_of_estimates(
        turns in prop::collection::vec(turn(), 1..100),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let day = 24 * 60 * WINDOW;
            let budget = Quota::budget("all", [Limit::dollars(2.0, day)]);
            let quotas = together([budget.clone()]);
            let mut out = Vec::new();
            // When, what it cost by then, and by how much that is above the estimate.
            let mut spent: Vec<(Instant, u64, u64)> = Vec::new();
            for (turn, which) in turns {
                match turn {
                    Turn::Pass(time) => advance(time).await,
                    Turn::Ask(estimate) => {
                        if let Some(taken) = take(&quotas, &cost(estimate)) {
                            out.push((taken, spent.len(), estimate));
                            spent.push((Instant::now(), estimate, 0));
                        }
                    }
                    Turn::Pay(paid) if !out.is_empty() => {
                        let index = which.index(out.len());
                        let (reservation, index, estimate) = out.swap_remove(index);
                        let hold = reservation.hold();
                        hold.sent();
                        #[expect(clippy::cast_precision_loss, reason = "whole cents")]
                        hold.settle(&usage(1, 1), Some(paid as f64 / 1e9));
                        let at = spent[index].0;
                        spent[index] = (at, paid.min(estimate), 0);
                        if paid > estimate {
                            let more = paid - estimate;
                            spent.push((Instant::now(), more, more));
                        }
                    }
                    Turn::Pay(_) => {}
                }
                let now = Instant::now();
                let within = || spent.iter().filter(|(at, ..)| now - *at < day);
                let sum: u64 = within().map(|(_, cost, _)| cost).sum();
                let errors: u64 = within().map(|(.., error)| error).sum();
                prop_assert!(sum <= 200 * CENT + errors);
                prop_assert_eq!(used(&budget), [sum]);
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_for_a_tag_is_for_those_who_carry_it() {
    let team = Quota::new("team", [Limit::dollars(1.0, WINDOW)]).for_tag("a");
    let mut demand = Demand::default();
    assert!(!team.concerns(None) && !team.concerns(Some(&demand)));
    demand.tags = vec!["b".into()];
    assert!(!team.concerns(Some(&demand)));
    demand.tags.push("a".into());
    assert!(team.concerns(Some(&demand)));
    assert!(Quota::budget("all", []).concerns(None));
}

#[tokio::test(start_paused = true)]
async fn budgets_for_two_tags_made_from_one_hold_each_by_itself() {
    let base = Quota::budget("teams", [Limit::dollars(1.0, WINDOW)]);
    let [a, b] = ["a", "b"].map(|tag| base.clone().for_tag(tag));
    let _of_a = take(&together([a.clone()]), &cost(100 * CENT)).unwrap();
    assert!(take(&together([a.clone()]), &cost(CENT)).is_none());
    assert!(take(&together([b.clone()]), &cost(CENT)).is_some());
    let both = Deployment::new("both").price(Price::new(0.01, 0.01)).quota(&a).quota(&b);
    let demand = |tag: &str| Demand {
        input_tokens: Some(1),
        output_tokens: Some(1),
        tags: vec![tag.into()],
        ..Demand::default()
    };
    assert!(both.shortage(Some(&demand("a")), Instant::now()).is_some());
    assert!(both.shortage(Some(&demand("b")), Instant::now()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_budget_keeps_its_kind_with_the_usage_of_another() {
    let before = Quota::new("team", [Limit::dollars(1.0, WINDOW)]).for_tag("a");
    let reservation = take(&together([before.clone()]), &cost(30 * CENT));
    let after =
        Quota::new("team", [Limit::dollars(5.0, WINDOW)]).for_tag("a").with_usage_of(&before);
    assert_eq!(used(&after), [30 * CENT]);
    assert!(after.is_tagged() && !after.is_account());
    drop(reservation);
}

#[test]
fn nothing_is_a_limit_of_money_and_of_nothing_else() {
    assert!(Limit::dollars(0.0, WINDOW).is_set() && !Limit::rpm(0).is_set());
    let none = Quota::budget("none", [Limit::dollars(-1.0, WINDOW)]);
    assert!(take(&together([none.clone()]), &cost(0)).is_none());
    assert!(none.headroom(Instant::now()) <= 0.0);
    assert_eq!(
        Limit::dollars(2.5, Calendar::monthly()).to_string(),
        "2.5 dollars in a calendar month"
    );
}
