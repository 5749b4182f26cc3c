//! The strategies that go by what is in flight.

use tower_fleet::balance::{
    HotCold, LeastBusy, LowestLatency, PowerOfTwo, PreferIdle, WeightedShuffle,
};

use super::*;

fn members<const N: usize>() -> [Deployment; N] {
    std::array::from_fn(|index| Deployment::new(index.to_string()))
}

fn silent<const N: usize>(members: &[Deployment; N]) -> [(Deployment, Fake); N] {
    members.each_ref().map(|one| (one.clone(), Fake::new([Answer::never()])))
}

#[tokio::test(start_paused = true)]
async fn of_two_the_other_one_is_never_busier() {
    let all = members::<2>();
    let pool = pool(PowerOfTwo, silent(&all));
    for count in 1..=40 {
        let held = hold(&pool, count);
        let loads = all.each_ref().map(Deployment::in_flight);
        assert!(loads[0].abs_diff(loads[1]) <= 1, "{loads:?}");
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn two_choices_spread_a_burst_far_better_than_one() {
    fn worst(strategy: impl Strategy) -> usize {
        let all = members::<50>();
        let held = hold(&pool(strategy, silent(&all)), 500);
        let worst = all.iter().map(Deployment::in_flight).max();
        drop(held);
        worst.unwrap()
    }
    let (exact, two, one) = (worst(LeastBusy), worst(PowerOfTwo), worst(WeightedShuffle));
    assert_eq!(exact, 10);
    assert!(two <= 14 && one >= 16, "{two} {one}");
}

#[tokio::test(start_paused = true)]
async fn two_choices_are_even_among_equals_and_follow_the_weights() {
    let all = members::<3>();
    let even = pool(PowerOfTwo, all.each_ref().map(|one| (one.clone(), answering(0))));
    for _ in 0..3000 {
        send(&even, get()).await;
    }
    let picks = all.map(|one| one.picked());
    assert!(chi_square(&picks) < LIMIT_OF_3, "{picks:?}");

    let weighted = [1, 2, 4].map(|weight| Deployment::new(weight.to_string()).weight(weight));
    let pool = pool(PowerOfTwo, silent(&weighted));
    let held = hold(&pool, 700);
    let loads = weighted.each_ref().map(Deployment::in_flight);
    let wanted = [100, 200, 400];
    assert!(loads.iter().zip(wanted).all(|(load, wanted)| load.abs_diff(wanted) <= 8), "{loads:?}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_lone_one_is_both_choices() {
    let all = members::<1>();
    let held = hold(&pool(PowerOfTwo, silent(&all)), 3);
    assert_eq!(all[0].in_flight(), 3);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn an_idle_one_goes_before_all_others() {
    let all = members::<10>();
    let pool = pool(PreferIdle::new(WeightedShuffle), silent(&all));
    let mut held = Vec::new();
    for _ in 0..10 {
        held.extend(hold(&pool, 1));
    }
    assert!(all.iter().all(|one| one.in_flight() == 1), "each is idle once");
    held.extend(hold(&pool, 5));
    assert_eq!(all.iter().map(Deployment::in_flight).sum::<usize>(), 15, "then any will do");
}

#[tokio::test(start_paused = true)]
async fn among_the_idle_the_inner_strategy_picks() {
    let [fast, slow] = ["fast", "slow"].map(Deployment::new);
    let pool = pool(
        PreferIdle::new(LowestLatency::new().explore(0.0)),
        [(fast.clone(), answering(100)), (slow.clone(), answering(5000))],
    );
    for _ in 0..2 {
        send(&pool, get()).await;
    }
    let first = hold(&pool, 1);
    assert_eq!((fast.in_flight(), slow.in_flight()), (1, 0));
    let second = hold(&pool, 1);
    assert_eq!((fast.in_flight(), slow.in_flight()), (1, 1), "though fifty times as slow");
    let others = hold(&pool, 10);
    assert_eq!((fast.in_flight(), slow.in_flight()), (11, 1));
    drop((first, second, others));
}

#[tokio::test(start_paused = true)]
async fn the_fastest_of_those_that_are_not_hot_is_picked() {
    let all = members::<5>();
    let times = [100, 200, 300, 400, 500];
    let members: Vec<_> = all.iter().cloned().zip(times.map(answering)).collect();
    let latency = LowestLatency::new().explore(0.0);
    let pool = Balance::new(HotCold::new().quantile(0.8).latency(latency), members).seed(5);
    for _ in 0..5 {
        send(&pool, get()).await;
    }
    let loads = || all.each_ref().map(Deployment::in_flight);
    let mut held = hold(&pool, 1);
    assert_eq!(loads(), [1, 0, 0, 0, 0], "the fastest, where none is busier than most");
    held.extend(hold(&pool, 1));
    assert_eq!(loads(), [1, 1, 0, 0, 0], "now it is hot, and the next is the fastest of the cold");
    held.extend(hold(&pool, 1));
    assert_eq!(loads(), [2, 1, 0, 0, 0], "with two of five at one, one is not hot");
    held.extend(hold(&pool, 100));
    let most = loads().into_iter().max().unwrap();
    assert!(loads()[0] == most && loads()[4] < most, "{:?}", loads());
}

#[tokio::test(start_paused = true)]
async fn where_only_hot_ones_are_left_the_least_busy_is_picked() {
    let all = members::<5>();
    let pool = pool(HotCold::new().quantile(0.0), silent(&all));
    let held = hold(&pool, 23);
    let mut loads = all.each_ref().map(Deployment::in_flight);
    loads.sort_unstable();
    assert_eq!(loads, [4, 4, 5, 5, 5], "at a quantile of 0 only the least busy are cold");
    drop(held);
}
