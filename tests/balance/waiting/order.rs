//! Who goes first.

use std::sync::Mutex;

use futures_util::future::poll_immediate;
use tokio::{task::JoinSet, time::sleep};
use tower_fleet::quota::{Limit, Quota};

use super::*;

#[tokio::test(start_paused = true)]
async fn those_who_came_first_go_first() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let held = taken(&pool);
    let mut crowd = Crowd::default();
    (0..10).for_each(|at| crowd.add(&pool, at, request()));
    assert_eq!(crowd.order(held).concat(), "0123456789");
}

#[tokio::test(start_paused = true)]
async fn callers_take_turns_so_one_that_sends_much_delays_another_by_one() {
    let (_, pool) = narrow(QueuePolicy::new(2000));
    let held = taken(&pool);
    let mut crowd = Crowd::default();
    (0..1000).for_each(|_| crowd.add(&pool, "a", from("a")));
    crowd.add(&pool, "b", from("b"));
    crowd.add(&pool, "c", from("c"));
    crowd.add(&pool, "b", from("b"));
    let order = crowd.order(held).concat();
    assert_eq!((&order[..7], order.len()), ("abcabaa", 1003));
}

#[tokio::test(start_paused = true)]
async fn requests_that_name_no_caller_are_one_callers() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let held = taken(&pool);
    let mut crowd = Crowd::default();
    (0..3).for_each(|_| crowd.add(&pool, "-", request()));
    crowd.add(&pool, "a", from("a"));
    assert_eq!(crowd.order(held).concat(), "-a--");
}

#[tokio::test(start_paused = true)]
async fn classes_go_by_priority_and_each_gets_its_share_while_it_waits() {
    let policy = QueuePolicy::new(1000)
        .class(PriorityClass::up_to(10, 0.2))
        .class(PriorityClass::up_to(0, 0.6));
    let (_, pool) = narrow(policy);
    let held = taken(&pool);
    let mut crowd = Crowd::default();
    for (name, priority) in [("c", 50), ("b", 10), ("a", -1)] {
        (0..60).for_each(|_| crowd.add(&pool, name, of_priority(priority)));
    }
    assert_eq!(pool.members().waiting(), [60, 60, 60]);
    let order = crowd.order(held).concat();
    let count = |part: &str| ["a", "b", "c"].map(|name| part.matches(name).count());
    assert!(order.starts_with("aaa"), "{order}");
    // Whatever ten are looked at: six, two and two, give or take the one on its way.
    for start in (0..90).step_by(10) {
        let [a, b, c] = count(&order[start..start + 10]);
        assert!((5..=8).contains(&a) && (1..=3).contains(&b) && (1..=3).contains(&c), "{order}");
    }
    // The shares of a class that is done go to the first that waits.
    let rest = &order[order.rfind('a').expect("some") + 1..];
    let [_, b, c] = count(&rest[..10]);
    assert!(b > c, "{rest}");
}

#[tokio::test(start_paused = true)]
async fn a_class_without_a_share_waits_until_no_other_does() {
    let policy = QueuePolicy::new(100).class(PriorityClass::up_to(0, 1.0));
    let (_, pool) = narrow(policy);
    let held = taken(&pool);
    let mut crowd = Crowd::default();
    (0..3).for_each(|_| crowd.add(&pool, "z", of_priority(1)));
    (0..20).for_each(|_| crowd.add(&pool, "a", of_priority(0)));
    assert_eq!(crowd.order(held).concat(), "a".repeat(20) + "zzz");
}

#[tokio::test(start_paused = true)]
async fn a_class_that_waited_in_vain_does_not_catch_up_all_at_once() {
    let policy = QueuePolicy::new(1000).class(PriorityClass::up_to(0, 0.5));
    let (pool, in_eu, in_us) = two_regions(policy);
    let mut crowd = Crowd::default();
    let low = |demand: &mut Demand| {
        (demand.priority, demand.region) = (Some(1), Some("eu".into()));
    };
    (0..50).for_each(|_| crowd.add(&pool, "z", asking(low)));
    (0..50).for_each(|_| crowd.add(&pool, "u", staying_in("us")));
    (0..50).for_each(|_| crowd.add(&pool, "e", staying_in("eu")));
    assert_eq!(crowd.order(in_us).concat(), "u".repeat(50));
    let order = crowd.order(in_eu).concat();
    let low = order[..20].matches('z').count();
    assert!((9..=12).contains(&low), "{order}");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_priority_has_the_default_one() {
    let policy = QueuePolicy::new(100).class(PriorityClass::up_to(5, 1.0));
    let (_, pool) = narrow(policy.clone());
    let _held = taken(&pool);
    let _waiting = waits(&pool, request());
    assert_eq!(pool.members().waiting(), [1, 0]);
    let (_, pool) = narrow(policy.default_priority(6));
    let _held = taken(&pool);
    let _waiting = waits(&pool, request());
    assert_eq!(pool.members().waiting(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_that_needs_something_else_holds_nobody_up_and_keeps_its_turn() {
    let (pool, in_eu, in_us) = two_regions(QueuePolicy::new(10));
    let mut crowd = Crowd::default();
    crowd.add(&pool, "1", staying_in("eu"));
    crowd.add(&pool, "2", staying_in("eu"));
    crowd.add(&pool, "3", staying_in("us"));
    crowd.add(&pool, "4", request());
    drop(in_us);
    let (name, in_us) = crowd.ended().pop_front().expect("one is served");
    assert_eq!((&*name, served(in_us.as_ref().expect("an answer"))), ("3", "us".to_owned()));
    assert_eq!(crowd.order(in_eu).concat(), "124");
}

#[tokio::test(start_paused = true)]
async fn a_new_request_does_not_take_what_another_is_called_for() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let held = taken(&pool);
    let mut early = waits(&pool, request());
    drop(held);
    assert!(early.is_woken());
    let mut late = waits(&pool, request());
    let held = assert_ready_ok!(early.poll());
    assert!(!late.is_woken());
    drop(held);
    assert_ready_ok!(late.poll());
}

#[tokio::test(start_paused = true)]
async fn a_new_request_does_not_take_the_place_of_a_deployment_that_is_just_back() {
    let (one, pool) = narrow(QueuePolicy::new(10));
    one.health().cool_for(Duration::from_secs(5));
    let mut early = waits(&pool, request());
    advance(Duration::from_secs(5)).await;
    let _late = waits(&pool, request());
    assert_ready_ok!(early.poll());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_deployment_to_be_back_is_served_in_order_when_it_is() {
    let (one, pool) = narrow(QueuePolicy::new(10));
    one.health().cool_for(Duration::from_secs(5));
    let (began, order) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let mut calls = JoinSet::new();
    for at in 0..10 {
        let (call, order) = (pool.clone().oneshot(request()), Arc::clone(&order));
        calls.spawn(async move {
            drop(call.await.expect("an answer"));
            order.lock().expect("no panic").push((at, began.elapsed()));
        });
    }
    calls.join_all().await;
    let expected: Vec<_> = (0..10).map(|at| (at, Duration::from_secs(5))).collect();
    assert_eq!(*order.lock().expect("no panic"), expected);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_in_line_can_use_is_taken_at_once_by_one_who_comes() {
    let (pool, in_eu, _in_us) = two_regions(QueuePolicy::new(10));
    let mut crowd = Crowd::default();
    crowd.add(&pool, "us", staying_in("us"));
    drop(in_eu);
    assert!(crowd.ended().is_empty());
    assert_eq!(served(&taken(&pool)), "eu");
}

#[tokio::test(start_paused = true)]
async fn those_behind_ones_that_are_called_and_never_polled_are_served() {
    for (places, unpolled) in [(1, 1), (1, 3), (2, 1), (2, 3)] {
        let one = Deployment::new("one").max_parallel_requests(places);
        let pool = Balance::new(LeastBusy, [(one, Endless)]).queue(QueuePolicy::new(10));
        let held: Vec<_> = (0..places).map(|_| taken(&pool)).collect();
        let _unpolled: Vec<_> = (0..unpolled).map(|_| waits(&pool, request())).collect();
        let behind = tokio::spawn(pool.clone().oneshot(request()));
        sleep(Duration::from_millis(10)).await;
        drop(held);
        let free = Instant::now();
        drop(behind.await.expect("no panic").expect("an answer"));
        assert!(free.elapsed() < Duration::from_secs(2), "{:?}", free.elapsed());
        drop(taken(&pool));
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_comes_takes_what_is_left_beside_those_in_line() {
    // With more places in line or without.
    for most in [1, 5] {
        let one = Deployment::new("one").max_parallel_requests(10);
        let pool = Balance::new(LeastBusy, [(one, Endless)]).queue(QueuePolicy::new(most));
        let held: Vec<_> = (0..10).map(|_| taken(&pool)).collect();
        let mut early = waits(&pool, request());
        drop(held);
        let _late: Vec<_> = (0..9).map(|_| taken(&pool)).collect();
        let last = poll_immediate(pool.clone().oneshot(request())).await;
        assert_eq!(last.map(reason), (most == 1).then_some(Some(RefusedReason::QueueFull)));
        assert_ready_ok!(early.poll());
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_comes_leaves_the_one_place_that_another_needs_unless_it_would_be_refused() {
    for most in [1, 5] {
        let (pool, in_eu, in_us) = two_regions(QueuePolicy::new(most));
        let mut early = waits(&pool, staying_in("us"));
        drop((in_eu, in_us));
        let late = poll_immediate(pool.clone().oneshot(request())).await;
        assert_eq!(late.is_some(), most == 1);
        drop(late);
        assert_eq!(served(&assert_ready_ok!(early.poll())), "us");
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_share_a_quota_take_turns() {
    for many in [0, 1] {
        let key = Quota::new("key", [Limit::parallel(1)]);
        let group = |id| Balance::new(LeastBusy, [(Deployment::new(id).quota(&key), Endless)]);
        let groups = ["a", "b"].map(|id| group(id).queue(QueuePolicy::new(100)));
        let held = taken(&groups[0]);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut calls = JoinSet::new();
        for (group, count) in [(many, 20), (1 - many, 5)] {
            for _ in 0..count {
                let (call, order) = (groups[group].clone().oneshot(request()), Arc::clone(&order));
                calls.spawn(async move {
                    let answer = call.await.expect("an answer");
                    order.lock().expect("no panic").push(group);
                    drop(answer);
                });
            }
        }
        sleep(Duration::from_millis(1)).await;
        drop(held);
        calls.join_all().await;
        let order = order.lock().expect("no panic");
        assert!(order[..10].chunks(2).all(|two| two[0] != two[1]), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_called_and_never_polled_holds_up_nobody_for_long() {
    let (one, pool) = narrow(QueuePolicy::new(10));
    let held = taken(&pool);
    let stuck = waits(&pool, request());
    drop(held);
    let mut late = waits(&pool, request());
    advance(Duration::from_millis(99)).await;
    assert!(!late.is_woken());
    advance(Duration::from_millis(2)).await;
    assert!(late.is_woken());
    drop(assert_ready_ok!(late.poll()));
    advance(Duration::from_secs(1)).await;
    drop(taken(&pool));
    drop(stuck);
    assert_eq!((one.in_flight(), pool.members().waiting()), (0, vec![0]));
}
