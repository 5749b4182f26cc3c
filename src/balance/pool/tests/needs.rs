//! Deployments that lack what a request asks for are passed over.

use super::*;
use crate::trail::Demand;

fn tokens(count: u64) -> Demand {
    Demand { input_tokens: Some(count), ..Demand::default() }
}

fn region(name: &str) -> Demand {
    Demand { region: Some(name.into()), ..Demand::default() }
}

fn endpoint(path: &str) -> Demand {
    Demand { endpoint: Some(path.into()), ..Demand::default() }
}

fn images() -> Demand {
    Demand { images: true, ..Demand::default() }
}

fn pick_for(pool: &mut Pool, strategy: &impl Strategy, demand: &Demand) -> Result<Picked, Refused> {
    let (now, tried) = (Instant::now(), Tried::default());
    let demand = Some(demand);
    pool.pick(
        strategy,
        &Wish {
            now,
            tried: &tried,
            strict: false,
            beside: false,
            elsewhere: false,
            demand,
            explain: None,
        },
    )
}

/// The id of the next pick for `demand`, which is given back at once, or why there is none.
fn next_for(pool: &mut Pool, demand: &Demand) -> Result<String, RefusedReason> {
    let picked = pick_for(pool, &LeastBusy, demand).map_err(|refused| refused.reason())?;
    Ok(give_back(pool, picked))
}

fn always(pool: &mut Pool, demand: &Demand, id: &str) {
    for _ in 0..20 {
        assert_eq!(next_for(pool, demand).as_deref(), Ok(id));
    }
}

#[tokio::test(start_paused = true)]
async fn one_whose_input_limit_is_too_low_is_passed_over() {
    let (mut pool, _) = pool([
        Deployment::new("small").max_input_tokens(100),
        Deployment::new("large").max_input_tokens(1000).weight(1),
    ]);
    always(&mut pool, &tokens(101), "large");
    assert_eq!(next_for(&mut pool, &tokens(1001)), Err(RefusedReason::ContextWindow));
    let picks = (0..40).map(|_| next_for(&mut pool, &tokens(100)).expect("both can"));
    assert!(picks.into_iter().any(|id| id == "small"), "its limit itself is no more than it takes");
}

#[tokio::test(start_paused = true)]
async fn one_elsewhere_or_nowhere_known_is_passed_over() {
    let (mut pool, _) =
        pool([Deployment::new("eu").region("eu"), Deployment::new("us").region("us")]);
    always(&mut pool, &region("eu"), "eu");
    always(&mut pool, &region("us"), "us");
    let (mut pool, _) = super::pool([Deployment::new("anywhere")]);
    assert_eq!(next_for(&mut pool, &region("eu")), Err(RefusedReason::Unsupported));
}

#[tokio::test(start_paused = true)]
async fn a_region_is_within_the_areas_that_its_name_begins_with() {
    let (mut pool, _) = pool([Deployment::new("ireland").region("eu-west-1")]);
    for area in ["eu", "eu-west", "eu-west-1"] {
        always(&mut pool, &region(area), "ireland");
    }
    for other in ["e", "eu-", "eu-w", "eu-west-10", "eu-west-1-a", "us", "EU"] {
        assert_eq!(next_for(&mut pool, &region(other)), Err(RefusedReason::Unsupported), "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_without_the_endpoint_or_without_images_is_passed_over() {
    let (mut pool, _) = pool([
        Deployment::new("chat").endpoints(["/chat/completions"]),
        Deployment::new("all").images(false),
    ]);
    always(&mut pool, &endpoint("/embeddings"), "all");
    always(&mut pool, &images(), "chat");
    let both = Demand { images: true, ..endpoint("/embeddings") };
    assert_eq!(next_for(&mut pool, &both), Err(RefusedReason::Unsupported));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_input_would_do_only_where_nothing_else_is_missing() {
    let (mut pool, _) = pool([
        Deployment::new("eu").region("eu").max_input_tokens(100),
        Deployment::new("us").region("us"),
    ]);
    let of = |name, count| Demand { input_tokens: Some(count), ..region(name) };
    assert_eq!(next_for(&mut pool, &of("eu", 101)), Err(RefusedReason::ContextWindow));
    assert_eq!(next_for(&mut pool, &of("asia", 101)), Err(RefusedReason::Unsupported));
}

fn refusal_of(pool: &mut Pool, demand: &Demand) -> String {
    let group = Some("ctx".into());
    pick_for(pool, &LeastBusy, demand).expect_err("none can").in_group(group).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_how_long_the_input_is_and_what_the_roomiest_takes() {
    let (mut pool, _) = pool([
        Deployment::new("small").max_input_tokens(8),
        Deployment::new("large").max_input_tokens(16),
        Deployment::new("other").max_input_tokens(32).images(false),
    ]);
    let demand = Demand { images: true, ..tokens(52) };
    let said =
        "the input is too long for every deployment of group ctx: about 52 tokens, 16 at most";
    assert_eq!(refusal_of(&mut pool, &demand), said);
    let refused = pick_for(&mut pool, &LeastBusy, &demand).expect_err("too long");
    let lack = refused.lack().expect("it says");
    assert_eq!((lack.input_tokens, lack.max_input_tokens), (Some(52), Some(16)));
    assert!(!lack.images, "one takes them");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_no_deployment_has() {
    let chat = |id: &str| Deployment::new(id).endpoints(["/chat/completions"]);
    let (mut pool, _) =
        pool([chat("eu").region("eu").images(false), chat("us").region("us").max_input_tokens(9)]);
    let all = Demand { images: true, ..endpoint("/chat/completions") };
    for (demand, lack) in [
        (region("asia"), "the region `asia`"),
        (endpoint("/messages"), "the endpoint `/messages`"),
        (Demand { images: true, ..endpoint("/messages") }, "the endpoint `/messages`"),
        (Demand { region: Some("eu".into()), ..all.clone() }, "images, the region `eu`"),
        (
            Demand { input_tokens: Some(99), region: Some("eu-west".into()), ..all },
            "the region `eu-west`",
        ),
    ] {
        let said = format!("no deployment of group ctx has all that the request needs: {lack}");
        assert_eq!(refusal_of(&mut pool, &demand), said);
    }
    let (mut pool, _) = super::pool([Deployment::new("text").images(false)]);
    assert!(refusal_of(&mut pool, &images()).ends_with("needs: images"));
}

#[tokio::test(start_paused = true)]
async fn a_higher_order_serves_what_no_lower_one_can() {
    let (mut pool, _) = pool([
        Deployment::new("first").order(0).max_input_tokens(100),
        Deployment::new("second").order(1),
    ]);
    always(&mut pool, &tokens(100), "first");
    always(&mut pool, &tokens(101), "second");
}

#[tokio::test(start_paused = true)]
async fn the_wait_told_is_for_one_that_could_serve() {
    let (mut pool, keys) =
        pool([Deployment::new("small").max_input_tokens(100), Deployment::new("large")]);
    fail(&mut pool, keys[1], &HARD, FailureKind::RateLimited);
    let refused = pick_for(&mut pool, &LeastBusy, &tokens(101)).expect_err("small is too small");
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Cooling, Some(MINUTE)));

    set(&mut pool, keys[0], |small| small.health().pause());
    let held = {
        set(&mut pool, keys[1], |large| large.health().reset());
        pool.update(keys[1], Deployment::new("large").max_parallel_requests(1));
        pool.rebuild(Instant::now());
        pick_for(&mut pool, &LeastBusy, &tokens(101)).expect("it is back")
    };
    assert_eq!(next_for(&mut pool, &tokens(101)), Err(RefusedReason::Full));
    give_back(&mut pool, held);
}

#[tokio::test(start_paused = true)]
async fn the_last_resort_is_one_that_could_serve() {
    let (mut pool, keys) = pool([
        Deployment::new("small").max_input_tokens(100),
        Deployment::new("large").max_parallel_requests(9),
    ]);
    pool.max_ejected = 1.0;
    fail(&mut pool, keys[1], &SOFT, FailureKind::Server);
    assert_eq!(out(&pool), ["large"]);
    always(&mut pool, &tokens(101), "large");
    set(&mut pool, keys[0], |small| small.health().cool_for(MINUTE));
    always(&mut pool, &tokens(100), "large");
}

/// The fifth of them all is the only one with room.
fn is_always_the_fifth(strategy: &impl Strategy, pool: &mut Pool) {
    for _ in 0..20 {
        let picked = pick_for(pool, strategy, &tokens(9)).expect("one has room");
        assert!(!picked.spare, "no other has room");
        assert_eq!(give_back(pool, picked), "4");
    }
}

#[tokio::test(start_paused = true)]
async fn every_strategy_keeps_to_it() {
    let members = || {
        (0..6).map(|one| {
            let deployment = Deployment::new(one.to_string()).weight(one % 3 + 1);
            if one == 4 { deployment } else { deployment.max_input_tokens(u64::from(one)) }
        })
    };
    is_always_the_fifth(&LeastBusy, &mut pool(members()).0);
    is_always_the_fifth(&WeightedShuffle, &mut pool(members()).0);
    is_always_the_fifth(&RoundRobin, &mut pool(members()).0);
}

#[tokio::test(start_paused = true)]
async fn round_robin_keeps_its_turns_among_those_that_can() {
    let (mut pool, _) = pool([
        Deployment::new("a"),
        Deployment::new("b"),
        Deployment::new("small").max_input_tokens(1),
    ]);
    let mut turns = String::new();
    for _ in 0..6 {
        let picked = pick_for(&mut pool, &RoundRobin, &tokens(2)).expect("two have room");
        turns += &give_back(&mut pool, picked);
    }
    assert_eq!(turns, "ababab");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_comes_or_goes_counts_from_then_on() {
    let (mut pool, keys) = pool([Deployment::new("one")]);
    assert!(next_for(&mut pool, &tokens(9)).is_ok());
    pool.update(keys[0], Deployment::new("one").max_input_tokens(8));
    pool.rebuild(Instant::now());
    assert_eq!(next_for(&mut pool, &tokens(9)), Err(RefusedReason::ContextWindow));
    pool.update(keys[0], Deployment::new("one"));
    pool.rebuild(Instant::now());
    assert!(next_for(&mut pool, &tokens(9)).is_ok());
}
