//! A pick says what it saw.

use super::{super::Draft, *};
use crate::{
    balance::{
        Affinity, AnyStrategy, Candidates, Choice, HotCold, LowestCost, PerRequest, PreferIdle,
    },
    deployment::Price,
    quota::Limit,
    trail::{Considered, Demand, Explanation, Removed},
};

fn explain(
    pool: &mut Pool,
    strategy: &impl Strategy,
    demand: Option<&Demand>,
    tried: &Tried,
) -> Explanation {
    let (now, draft) = (Instant::now(), Draft::default());
    let explain = Some(&draft);
    let wish = Wish { demand, explain, ..Wish::past(tried) };
    let picked = pool.pick(strategy, &wish).map(|picked| give_back(pool, picked));
    let explanation = draft.finish(now, None, picked.as_ref().err().cloned());
    let told = explanation.picked().map(|one| one.deployment().id());
    assert_eq!(told, picked.as_deref().ok(), "{explanation}");
    explanation
}

/// What removed each, by its id.
fn removed(explanation: &Explanation) -> Vec<(&str, Option<Removed>)> {
    explanation.considered().iter().map(|one| (one.deployment().id(), one.removed())).collect()
}

/// The score of each.
fn scores(explanation: &Explanation) -> Vec<Option<f64>> {
    explanation.considered().iter().map(Considered::score).collect()
}

fn asking() -> Demand {
    Demand {
        input_tokens: Some(9),
        endpoint: Some("/chat".into()),
        images: true,
        tags: vec!["a".into()],
        region: Some("eu".into()),
        ..Demand::default()
    }
}

#[tokio::test(start_paused = true)]
async fn it_says_what_keeps_each_from_the_request() {
    let able = |id: &str| Deployment::new(id).region("eu-1").tags(["a"]).order(1);
    let (mut pool, keys) = pool([
        able("paused"),
        able("cooling"),
        able("weightless").weight(0),
        able("full").max_parallel_requests(1),
        able("small").max_input_tokens(8),
        able("abroad").region("us"),
        able("embeds").endpoints(["/embeddings"]),
        able("blind").images(false),
        able("other").tags(["b"]),
        able("tried"),
        able("picked"),
        able("later").order(2),
    ]);
    pool.max_ejected = 1.0;
    // The full one takes what no other can.
    let demand = Demand { tags: vec!["&full".into()], ..Demand::default() };
    pool.update(keys[3], able("full").max_parallel_requests(1).tags(["a", "full"]));
    pool.rebuild(Instant::now());
    let held = pick_for(&mut pool, &LeastBusy, &demand).expect("it is free");
    set(&mut pool, keys[0], |one| one.health().pause());
    fail(&mut pool, keys[1], &HARD, FailureKind::RateLimited);
    let mut tried = Tried::default();
    tried.add(pool.deployment(keys[9]).expect("it is there"));
    let explanation = explain(&mut pool, &LeastBusy, Some(&asking()), &tried);
    let cooling = Removed::Cooling { wait: MINUTE, cause: Some(FailureKind::RateLimited) };
    let said = [
        ("paused", Some(Removed::Paused)),
        ("cooling", Some(cooling)),
        ("weightless", Some(Removed::Weight)),
        ("full", Some(Removed::Full)),
        ("small", Some(Removed::ContextWindow)),
        ("abroad", Some(Removed::Region)),
        ("embeds", Some(Removed::Endpoint)),
        ("blind", Some(Removed::Images)),
        ("other", Some(Removed::Tags)),
        ("tried", Some(Removed::Tried)),
        ("picked", None),
        ("later", Some(Removed::Order)),
    ];
    assert_eq!(removed(&explanation), said);
    assert_eq!(explanation.considered()[3].in_flight(), 1);
    give_back(&mut pool, held);
}

#[tokio::test(start_paused = true)]
async fn it_stands_as_before_the_pick() {
    let (mut pool, _) = pool([Deployment::new("one").max_parallel_requests(1)]);
    let explanation = explain(&mut pool, &LeastBusy, None, &Tried::default());
    assert_eq!(removed(&explanation), [("one", None)]);
    assert_eq!(explanation.considered()[0].in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_tried_is_a_candidate_again_where_nothing_else_is_left() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    let mut tried = Tried::default();
    for key in &keys {
        tried.add(pool.deployment(*key).expect("it is there"));
    }
    let explanation = explain(&mut pool, &LeastBusy, None, &tried);
    assert_eq!(removed(&explanation), [("a", None), ("b", None)]);
}

#[tokio::test(start_paused = true)]
async fn it_tells_the_scores() {
    /// The later the letter the better.
    struct Backwards;

    impl Strategy for Backwards {
        fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
            let score = |one: &Deployment| -f64::from(one.id().as_bytes()[0] - b'a');
            candidates.only(
                |one| one.deployment().id() != "c",
                |some| some.lowest(|one| score(one.deployment())),
            )
        }
    }

    let (mut pool, keys) = pool(weighted(&[1, 1, 1, 1]));
    set(&mut pool, keys[3], |one| one.health().pause());
    let explanation = explain(&mut pool, &Backwards, None, &Tried::default());
    assert_eq!(scores(&explanation), [Some(-0.0), Some(-1.0), None, None]);
    assert_eq!(explanation.picked().map(|one| one.deployment().id()), Some("b"));
    assert_eq!(
        explanation.considered()[2].removed(),
        None,
        "it is the strategy that passed it over"
    );
}

#[tokio::test(start_paused = true)]
async fn the_level_is_the_score_of_the_least_busy() {
    let (mut pool, _) = pool(weighted(&[2, 1]));
    let held: Vec<_> = (0..5).map(|_| pick(&mut pool).expect("one can be picked")).collect();
    let explanation = explain(&mut pool, &LeastBusy, None, &Tried::default());
    let levels = explanation.considered().iter().map(|one| f64::from(one.in_flight()));
    let levels: Vec<_> =
        levels.zip([2.0, 1.0]).map(|(held, slots)| Some((held / slots).floor())).collect();
    assert_eq!(scores(&explanation), levels);
    assert_eq!(
        scores(&explain(&mut pool, &WeightedShuffle, None, &Tried::default())),
        [None, None]
    );
    give_all_back(&mut pool, held);
}

#[tokio::test(start_paused = true)]
async fn the_last_resort_is_picked_although_it_was_removed() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    pool.max_ejected = 1.0;
    fail(&mut pool, keys[1], &SOFT, FailureKind::Server);
    set(&mut pool, keys[0], |one| one.health().pause());
    let explanation = explain(&mut pool, &LeastBusy, None, &Tried::default());
    let picked = explanation.picked().expect("the last resort");
    let cooling = Removed::Cooling { wait: MINUTE, cause: Some(FailureKind::Server) };
    assert_eq!((picked.deployment().id(), picked.removed()), ("b", Some(cooling)));
}

#[tokio::test(start_paused = true)]
async fn one_on_trial_is_a_candidate_until_its_places_are_taken() {
    let (mut pool, keys) = pool(weighted(&[1]));
    fail(&mut pool, keys[0], &HARD, FailureKind::RateLimited);
    advance(MINUTE).await;
    let (now, draft, tried) = (Instant::now(), Draft::default(), Tried::default());
    let explain = Some(&draft);
    let wish = Wish { elsewhere: true, explain, ..Wish::past(&tried) };
    let probes = Recovery::default().probes;
    let held: Vec<_> =
        (0..probes).map(|_| pool.pick(&LeastBusy, &wish).expect("a trial")).collect();
    let refused = pool.pick(&LeastBusy, &wish).expect_err("no place is left");
    let explanation = draft.finish(now, None, Some(refused));
    assert_eq!(removed(&explanation), [("a", Some(Removed::OnTrial))]);
    give_all_back(&mut pool, held);

    let (draft, now) = (Draft::default(), Instant::now());
    let explain = Some(&draft);
    let wish = Wish { elsewhere: true, explain, ..Wish::past(&tried) };
    let last = pool.pick(&LeastBusy, &wish).expect("a trial");
    assert_eq!(removed(&draft.finish(now, None, None)), [("a", None)]);
    succeed(&mut pool, last);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ramping_says_its_share() {
    let (mut pool, keys) = pool(weighted(&[1, 1]));
    fail(&mut pool, keys[0], &HARD, FailureKind::RateLimited);
    advance(MINUTE).await;
    // On trial, until one that was let through succeeds.
    while pool.members[0].ramp.is_none() {
        let picked = pick(&mut pool).expect("one can be picked");
        succeed(&mut pool, picked);
    }
    let tried = Tried::default();
    let shares: Vec<_> = (0..100)
        .filter_map(|_| explain(&mut pool, &LeastBusy, None, &tried).considered()[0].removed())
        .collect();
    assert!(shares.iter().all(|one| matches!(one, Removed::Ramping { share } if *share < 1.0)));
    assert!(!shares.is_empty() && shares.len() < 100, "{} of 100 passed it over", shares.len());
}

#[tokio::test(start_paused = true)]
async fn the_order_picked_from_is_the_one_spilt_to() {
    let (mut pool, keys) = pool([
        Deployment::new("first").order(0),
        Deployment::new("broken").order(0),
        Deployment::new("next").order(1),
    ]);
    pool.set_spill(Some(1.0));
    set(&mut pool, keys[1], |one| one.health().pause());
    let mut spilt = 0;
    for _ in 0..100 {
        let explanation = explain(&mut pool, &LeastBusy, None, &Tried::default());
        let is_spilt = explanation.picked().is_some_and(|one| one.deployment().id() == "next");
        let order = Some(Removed::Order);
        let (first, next) = if is_spilt { (order, None) } else { (None, order) };
        let said = [("first", first), ("broken", Some(Removed::Paused)), ("next", next)];
        assert_eq!(removed(&explanation), said);
        spilt += u32::from(is_spilt);
    }
    assert!((20..80).contains(&spilt), "{spilt}");
}

#[tokio::test(start_paused = true)]
async fn it_says_what_is_short_and_for_how_long() {
    let (mut pool, keys) = pool([
        Deployment::new("spent").rpm(1),
        Deployment::new("poor").limit(Limit::dollars(1.0, MINUTE)).price(Price::new(1.0, 0.0)),
        Deployment::new("small").tpm(5),
        Deployment::new("large").tpm(1_000_000),
    ]);
    let tried = Tried::default();
    let others = [keys[1], keys[2], keys[3]];
    for key in &others {
        set(&mut pool, *key, |one| one.health().pause());
    }
    let held = pick(&mut pool).expect("one may take it");
    for key in &others {
        set(&mut pool, *key, |one| one.health().resume());
    }
    let demand = Demand { input_tokens: Some(10), ..Demand::default() };
    let explanation = explain(&mut pool, &LeastBusy, Some(&demand), &tried);
    let said = removed(&explanation);
    assert!(matches!(said[0].1, Some(Removed::Limited { wait: Some(wait), .. }) if wait <= MINUTE));
    assert_eq!(said[1].1, Some(Removed::TooLarge), "ten dollars of one");
    assert_eq!(said[2].1, Some(Removed::TooLarge), "ten tokens of five");
    assert_eq!(said[3], ("large", None));
    assert!(explanation.picked().is_some_and(|one| one.deployment().id() == "large"));
    give_back(&mut pool, held);
}

/// The lines of the table, the names and counts cut off but for the first line.
fn told(pool: &mut Pool, strategy: &impl Strategy, demand: Option<&Demand>) -> Vec<String> {
    let text = explain(pool, strategy, demand, &Tried::default()).to_string();
    let short = |line: &str| line.split_once("in flight  ").map_or(line, |(_, it)| it).to_owned();
    text.lines().map(short).collect()
}

fn of_price(id: &str, dollars: f64) -> Deployment {
    Deployment::new(id).price(Price::new(dollars, dollars))
}

#[tokio::test(start_paused = true)]
async fn it_names_the_strategy_that_picked_and_who_asked_it() {
    let strategy = PerRequest::new(LeastBusy).strategy("cheap", AnyStrategy::new(LowestCost));
    let strategy = Affinity::new(strategy);
    let (mut pool, _) = pool([of_price("a", f64::from(0.1_f32)), Deployment::new("b")]);
    let mut demand = Demand { input_tokens: Some(1), output_tokens: Some(0), ..Demand::default() };
    demand.strategy = Some("cheap".into());
    let said = [
        "picked a by Affinity, PerRequest, LowestCost: the request names \"cheap\"",
        "dollars 0.1: picked",
        "has no price",
    ];
    assert_eq!(told(&mut pool, &strategy, Some(&demand)), said);
    demand.strategy = Some("dear".into());
    let first = &told(&mut pool, &strategy, Some(&demand))[0];
    let said = "by Affinity, PerRequest, LeastBusy: the request names \"dear\", which is not known here; at random \
                of 2 equals";
    assert!(first.ends_with(said), "{first}");
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_decides_between_equal_scores() {
    let equal = ["a", "b", "c"].map(|id| of_price(id, 1.0));
    let (mut pool, _) = pool(equal);
    let tried = Tried::default();
    let wish = Wish::past(&tried);
    let mut held = Vec::new();
    for tie in
        ["at random of 3 equals", "at random of 2 equals", "the least busy of 3 that are as good"]
    {
        assert!(told(&mut pool, &LowestCost, None)[0].ends_with(&format!("LowestCost: {tie}")));
        held.push(pool.pick(&LowestCost, &wish).expect("one can be picked"));
    }
    give_all_back(&mut pool, held);
}

#[tokio::test(start_paused = true)]
async fn what_a_strategy_leaves_out_says_why() {
    let strategies = [
        (AnyStrategy::new(PreferIdle::new(LeastBusy)), "is not idle", "load 0: picked"),
        (
            AnyStrategy::new(HotCold::new().quantile(0.0)),
            "is hot",
            "expected seconds 0, is to be tried: picked",
        ),
    ];
    for (strategy, left_out, picked) in strategies {
        let (mut pool, _) = pool(weighted(&[1, 1]));
        let held = pick(&mut pool).expect("one can be picked");
        let mut said = told(&mut pool, &strategy, None).split_off(1);
        said.sort();
        let mut expected = [left_out, picked];
        expected.sort_unstable();
        assert_eq!(said, expected);
        give_back(&mut pool, held);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_told_by_its_place_and_its_ranks_and_an_answer_by_who_gave_it() {
    let strategy = Affinity::new(LeastBusy);
    let (mut pool, _) = pool(weighted(&[1, 1]));
    let mut demand = Demand { affinity: Some("a secret".into()), ..Demand::default() };
    let first = told(&mut pool, &strategy, Some(&demand)).split_off(1);
    let ranks = ["rank for the key 1: picked", "rank for the key 2"];
    assert!(first == ranks || first == [ranks[1], "rank for the key 1: picked"], "{first:?}");
    let home = first.iter().position(|one| one.ends_with("picked")).unwrap_or_default();
    let then = told(&mut pool, &strategy, Some(&demand)).split_off(1);
    assert_eq!(then[home], "has the key: picked");
    strategy.pins().answer("resp_1", &Deployment::new("b"));
    demand.continues = Some("resp_1".into());
    let said = told(&mut pool, &strategy, Some(&demand));
    assert_eq!(said[2], "gave the answer that goes on: picked");
    assert!(!said.concat().contains("secret"));
}
