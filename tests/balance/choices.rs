//! Levels, tags, and why a request went where it went: through the stack, and at the layers that set them.

use std::time::Duration;

use tower::Layer;
use tower_fleet::{
    Demand, Trail,
    balance::{BalanceLayer, QueuePolicy, TagMatch},
    cooldown::CooldownLayer,
    error::Refused,
    fallback::{FallbackLayer, FallbackPlan},
    fleet::FleetLayer,
    retry::{RetryLayer, RetryPolicy},
    trail::{Considered, Removed},
    upstream::Upstream,
};

use super::*;

fn to() -> Upstream {
    Upstream::new("http://127.0.0.1").expect("a base")
}

fn tagged(tags: &[&str]) -> Request<()> {
    let mut request = request();
    let mut demand = Demand::default();
    demand.tags = tags.iter().map(|tag| (*tag).into()).collect();
    demand.set(&mut request);
    request
}

#[tokio::test(start_paused = true)]
async fn half_of_a_level_takes_seven_tenths_where_it_spills() {
    let members = ["a", "b"].map(|id| Deployment::new(id).order(1));
    let next = Deployment::new("next").order(2);
    members[1].health().pause();
    let all = members.iter().chain([&next]).map(|one| (one.clone(), to()));
    let pool =
        BalanceLayer::new(LeastBusy, all).spill(1.4).seed(5).layer(answering(Script::default()));
    for _ in 0..2000 {
        drop(pool.clone().oneshot(request()).await.expect("an answer"));
    }
    // Within four standard deviations.
    let first = members[0].picked();
    assert!((1318..1482).contains(&first), "{first}");
    assert_eq!(first + next.picked(), 2000);
}

#[tokio::test(start_paused = true)]
async fn a_level_that_is_left_takes_all_by_default() {
    let (first, second) = (Deployment::new("first").order(1), Deployment::new("second"));
    let broken = Deployment::new("broken").order(1);
    broken.health().pause();
    let all = [&first, &broken, &second].map(|one| (one.clone(), answering(Script::default())));
    let pool = Balance::new(LeastBusy, all);
    for _ in 0..100 {
        drop(pool.clone().oneshot(request()).await.expect("an answer"));
    }
    assert_eq!((first.picked(), second.picked()), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn the_layer_and_the_balance_match_tags_as_they_are_told() {
    let members = || [Deployment::new("a").tags(["x"]), Deployment::new("b").tags(["x", "y"])];
    let over = |how| {
        let all = members().map(|one| (one, to()));
        BalanceLayer::new(LeastBusy, all).tags(how).layer(answering(Script::default()))
    };
    let all = over(TagMatch::All);
    for _ in 0..20 {
        let response = all.clone().oneshot(tagged(&["x", "y"])).await.expect("b has both");
        assert_eq!(served(&response), "b");
    }
    let refused = all.oneshot(tagged(&["x", "z"])).await.map(drop);
    let lack = refused.as_ref().err().and_then(Error::as_refused).and_then(Refused::lack);
    assert_eq!(lack.expect("it says").tags, ["x".into(), "z".into()]);
    assert_eq!(reason(refused), Some(RefusedReason::Unsupported));
    assert!(over(TagMatch::Any).oneshot(tagged(&["x", "z"])).await.is_ok());
    let plain = members().map(|one| (one, answering(Script::default())));
    let ignoring = Balance::new(LeastBusy, plain).tags(TagMatch::Ignore);
    assert!(ignoring.oneshot(tagged(&["&z"])).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_fleet_spills_and_matches_tags() {
    let one = |id: &str, order| Deployment::new(id).tags(["x"]).order(order);
    let (first, broken, next) = (one("first", 0), one("broken", 0), one("next", 1));
    broken.health().pause();
    let members = [&first, &broken, &next].map(|one| (one.clone(), to()));
    let fleet = FleetLayer::builder()
        .group("chat", members)
        .strategy(LeastBusy)
        .tags(TagMatch::All)
        .spill(1.0)
        .build()
        .expect("a fleet");
    let client =
        service_fn(|_: Request<_>| async { Ok::<_, Infallible>(Response::new(Script::default())) });
    let fleet = fleet.layer(client);
    let asking = |tags: &[&str]| {
        let mut request = tagged(tags).map(|()| http_body_util::Empty::<bytes::Bytes>::new());
        tower_fleet::GroupName::new("chat").set(&mut request);
        request
    };
    for _ in 0..200 {
        drop(fleet.clone().oneshot(asking(&["x"])).await.expect("an answer"));
    }
    assert!(first.picked().abs_diff(next.picked()) < 60, "{} {}", first.picked(), next.picked());
    let refused = fleet.oneshot(asking(&["x", "y"])).await;
    assert_eq!(reason(refused), Some(RefusedReason::Unsupported));
}

#[tokio::test(start_paused = true)]
async fn each_pick_of_a_retried_request_is_explained() {
    let failing = |status: u16| {
        CooldownLayer::default().layer(service_fn(move |_: Request<_>| async move {
            let mut response = Response::new(Script::default());
            *response.status_mut() = status.try_into().expect("a status");
            Ok::<_, Infallible>(response)
        }))
    };
    let (limited, well) = (Deployment::new("limited").order(1), Deployment::new("well").order(2));
    let members = [(limited, failing(429)), (well, failing(200))];
    let stack = RetryLayer::new(RetryPolicy::any_method()).layer(Balance::new(LeastBusy, members));
    let mut request = request().map(|()| http_body_util::Empty::<bytes::Bytes>::new());
    let trail = Trail::explain(&mut request);
    let response = stack.oneshot(request).await.expect("an answer");
    assert_eq!(served(&response), "well");

    let explanations = trail.explanations();
    let picked = explanations.iter().map(|one| one.picked().expect("one").deployment().id());
    assert_eq!(picked.collect::<Vec<_>>(), ["limited", "well"]);
    let removed = |pick: usize| explanations[pick].considered().iter().map(Considered::removed);
    assert_eq!(removed(0).collect::<Vec<_>>(), [None, Some(Removed::Order)]);
    assert!(matches!(removed(1).next(), Some(Some(Removed::Cooling { cause: Some(_), .. }))));
    let starts = trail.attempts().into_iter().map(|step| step.started());
    assert!(starts.eq(explanations.iter().map(|one| one.at())));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_explained_with_the_group_it_came_from() {
    let full = Deployment::new("full").max_parallel_requests(1);
    let cooling = Deployment::new("cooling");
    cooling.health().cool_for(Duration::from_secs(9));
    let members = [&full, &cooling].map(|one| (one.clone(), silent()));
    let mut pool = Balance::new(LeastBusy, members);
    let _held = pool.call(request());
    let mut request = request();
    tower_fleet::GroupName::new("chat").set(&mut request);
    let trail = Trail::explain(&mut request);
    let refused = pool.oneshot(request).await.map(drop).expect_err("no place is left");

    let explanations = trail.explanations();
    let [only] = &explanations[..] else { panic!("{explanations:?}") };
    assert_eq!(only.refused(), refused.as_refused());
    assert_eq!(only.group().map(tower_fleet::GroupName::as_str), Some("chat"));
    let table = "\
refused: every deployment of group chat has all the requests it may have at a time
  full     1 in flight  has all the requests it may have at a time
  cooling  0 in flight  is cooling for 9.0 s more";
    assert_eq!(only.to_string(), table);
    assert!(trail.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_noted_unless_it_is_asked_for() {
    let pool = Balance::new(LeastBusy, [(Deployment::new("a"), answering(Script::default()))]);
    let mut request = request();
    let trail = Trail::start(&mut request);
    drop(pool.oneshot(request).await.expect("an answer"));
    assert_eq!((trail.attempt_count(), trail.explanations().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_picks_of_a_fallback_are_explained_too() {
    let (down, up) = (Deployment::new("down"), Deployment::new("up"));
    down.health().pause();
    let fleet = tower_fleet::fleet::Fleet::new(
        [("chat", down), ("backup", up)].map(|(name, one)| {
            let service = service_fn(|_: Request<_>| async {
                Ok::<_, Infallible>(Response::new(Script::default()))
            });
            (tower_fleet::GroupName::new(name), Balance::new(LeastBusy, [(one, service)]))
        }),
        [],
    );
    let plan = FallbackPlan::new().group("chat", ["backup"]);
    let stack = FallbackLayer::new(plan).layer(fleet);
    let mut request = request().map(|()| http_body_util::Empty::<bytes::Bytes>::new());
    tower_fleet::GroupName::new("chat").set(&mut request);
    let trail = Trail::explain(&mut request);
    assert_eq!(served(&stack.oneshot(request).await.expect("the backup answers")), "up");
    let all = trail.explanations();
    let groups = all.iter().filter_map(|one| one.group()).map(tower_fleet::GroupName::as_str);
    assert_eq!(groups.collect::<Vec<_>>(), ["chat", "backup"]);
    assert!(all[0].refused().is_some() && all[1].picked().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_explained_by_the_refusal_before_and_the_pick_after_it() {
    let one = Deployment::new("one").max_parallel_requests(1);
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Script::default()))
    });
    let pool = Balance::new(LeastBusy, [(one, service)]).queue(QueuePolicy::new(5));
    let held = pool.clone().oneshot(request()).await.expect("it is free");
    let mut request = request();
    let trail = Trail::explain(&mut request);
    let mut waiting = tokio_test::task::spawn(pool.oneshot(request));
    assert!(waiting.poll().is_pending());
    drop(held);
    assert!(waiting.await.is_ok());
    let all = trail.explanations();
    let told = all.iter().map(|one| (one.refused().map(Refused::reason), one.picked().is_some()));
    let expected = [(Some(RefusedReason::Full), false), (None, true)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
