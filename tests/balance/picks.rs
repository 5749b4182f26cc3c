//! Who gets a request.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use tokio::time::sleep;
use tower::Layer;
use tower_fleet::{
    balance::{BalanceLayer, Candidate, Candidates, Choice, RoundRobin, Strategy},
    cooldown::CooldownLayer,
    retry::{RetryLayer, RetryPolicy},
    upstream::Upstream,
};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_burst_in_one_tick_spreads_exactly() {
    let members = ["a", "b", "c"].map(Deployment::new);
    let peaks: [_; 3] = std::array::from_fn(|_| Arc::new([(); 2].map(|()| AtomicUsize::new(0))));
    let pool = Balance::new(
        LeastBusy,
        members.iter().zip(&peaks).map(|(one, peak)| {
            let peak = Arc::clone(peak);
            let service = service_fn(move |_: Request<()>| {
                let peak = Arc::clone(&peak);
                async move {
                    let now = peak[0].fetch_add(1, Ordering::Relaxed) + 1;
                    peak[1].fetch_max(now, Ordering::Relaxed);
                    sleep(Duration::from_millis(10)).await;
                    peak[0].fetch_sub(1, Ordering::Relaxed);
                    Ok::<_, Infallible>(Response::new(Script::default()))
                }
            });
            (one.clone(), service)
        }),
    );
    let calls: Vec<_> = (0..30).map(|_| tokio::spawn(pool.clone().oneshot(request()))).collect();
    for call in calls {
        drop(call.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(members.map(|one| (one.picked(), one.in_flight())), [(10, 0); 3]);
    assert_eq!(peaks.map(|peak| peak[1].load(Ordering::Relaxed)), [10; 3]);
}

#[tokio::test(start_paused = true)]
async fn sequential_calls_spread_evenly() {
    const CALLS: u64 = 3000;
    let members = ["a", "b", "c"].map(Deployment::new);
    let to = || Upstream::new("http://127.0.0.1").expect("a base");
    let pool = BalanceLayer::new(LeastBusy, members.iter().map(|one| (one.clone(), to())))
        .seed(11)
        .layer(answering(Script::default()));
    for _ in 0..CALLS {
        drop(pool.clone().oneshot(request()).await.expect("an answer"));
    }
    let want = CALLS as f64 / 3.0;
    let square: f64 = members.iter().map(|one| (one.picked() as f64 - want).powi(2) / want).sum();
    assert!(square < 13.82, "{square}: {:?}", members.map(|one| one.picked()));
}

#[tokio::test(start_paused = true)]
async fn as_many_as_the_limits_allow_are_taken_and_the_next_is_refused_as_full() {
    let (one, five) = (
        Deployment::new("one").max_parallel_requests(1),
        Deployment::new("five").max_parallel_requests(5),
    );
    let mut pool = Balance::new(LeastBusy, [(one.clone(), silent()), (five.clone(), silent())]);
    let held: Vec<_> = (0..6).map(|_| pool.call(request())).collect();
    assert_eq!((one.in_flight(), five.in_flight()), (1, 5));
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Full));
    assert_eq!((one.picked() + five.picked(), one.in_flight() + five.in_flight()), (6, 6));
    drop(held);
    let _again = pool.call(request());
    assert_eq!(one.in_flight() + five.in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_next_order_answers_for_one_that_is_limited_and_then_directly() {
    let (first, second) = (Deployment::new("first").order(1), Deployment::new("second").order(2));
    let cooled = |status: StatusCode| {
        CooldownLayer::default().layer(service_fn(move |_: Request<_>| async move {
            let mut response = Response::new(Script::default());
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }))
    };
    let pool = RetryLayer::new(RetryPolicy::any_method()).layer(Balance::new(
        LeastBusy,
        [
            (first.clone(), cooled(StatusCode::TOO_MANY_REQUESTS)),
            (second.clone(), cooled(StatusCode::OK)),
        ],
    ));
    for _ in 0..5 {
        let response = pool.clone().oneshot(Request::new(Full::<Bytes>::default())).await;
        let response = response.expect("an answer");
        assert_eq!((response.status(), served(&response)), (StatusCode::OK, "second".to_owned()));
    }
    assert_eq!((first.picked(), second.picked()), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn one_without_an_order_comes_after_those_with_one() {
    let (unset, set) = (Deployment::new("unset"), Deployment::new("set").order(7));
    let pool = Balance::new(
        LeastBusy,
        [unset, set.clone()].map(|one| (one, answering(Script::default()))),
    );
    for _ in 0..10 {
        assert_eq!(served(&pool.clone().oneshot(request()).await.expect("an answer")), "set");
    }
    set.health().pause();
    assert_eq!(served(&pool.oneshot(request()).await.expect("an answer")), "unset");
}

#[tokio::test(start_paused = true)]
async fn one_without_a_weight_has_weight_one() {
    let (plain, double) = (Deployment::new("plain"), Deployment::new("double").weight(2));
    let pool = Balance::new(
        RoundRobin,
        [plain.clone(), double.clone()].map(|one| (one, answering(Script::default()))),
    );
    for _ in 0..30 {
        drop(pool.clone().oneshot(request()).await.expect("an answer"));
    }
    assert_eq!((plain.picked(), double.picked()), (10, 20));
}

#[tokio::test(start_paused = true)]
async fn a_strategy_of_ones_own_is_a_few_lines() {
    struct Pack;

    impl Strategy for Pack {
        fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
            Some(candidates.iter().max_by_key(Candidate::in_flight)?.choose())
        }
    }

    let members = ["a", "b", "c"].map(|id| Deployment::new(id).max_parallel_requests(4));
    let mut pool = Balance::new(Pack, members.clone().map(|one| (one, silent())));
    let _held: Vec<_> = (0..8).map(|_| pool.call(request())).collect();
    let mut loads = members.map(|one| one.in_flight());
    loads.sort_unstable();
    assert_eq!(loads, [0, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_wants_none_refuses() {
    struct Never;

    impl Strategy for Never {
        fn pick(&self, _: &mut Candidates<'_>) -> Option<Choice> {
            None
        }
    }

    let a = Deployment::new("a");
    let pool = Balance::new(Never, [(a.clone(), silent())]);
    assert!(reason(pool.oneshot(request()).await).is_some());
    assert_eq!((a.in_flight(), a.picked()), (0, 0), "a refusal counts nowhere");
}

#[tokio::test(start_paused = true)]
async fn requests_held_by_many_threads_are_picked_exactly() {
    let members: BTreeMap<_, _> =
        (0..4).map(|index| (index, Deployment::new(index.to_string()))).collect();
    let pool = Balance::new(LeastBusy, members.values().map(|one| (one.clone(), silent())));
    let held: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mut pool = pool.clone();
                scope.spawn(move || (0..100).map(|_| pool.call(request())).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(members.values().all(|one| one.in_flight() == 100));
    drop(held);
    assert!(members.values().all(|one| one.in_flight() == 0));
}
