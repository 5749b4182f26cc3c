//! Who waits, how many, and how long.

use bytes::Bytes;
use tower::Layer;
use tower_fleet::{
    GroupName,
    body::ReplayBody,
    fallback::{FallbackLayer, FallbackPlan},
    fleet::Fleet,
};

use super::*;

#[tokio::test(start_paused = true)]
async fn without_a_queue_a_full_set_refuses_at_once() {
    let one = Deployment::new("one").max_parallel_requests(1);
    let pool = Balance::new(LeastBusy, [(one, Endless)]);
    let _held = taken(&pool);
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Full));
    assert!(pool.members().waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses() {
    let (_, pool) = narrow(QueuePolicy::new(2));
    let _held = taken(&pool);
    let waiting = [waits(&pool, request()), waits(&pool, request())];
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::QueueFull));
    drop(waiting);
    let _waiting = waits(&pool, request());
}

#[tokio::test(start_paused = true)]
async fn a_full_line_says_when_a_deployment_will_be_back() {
    let (one, pool) = narrow(QueuePolicy::new(1));
    one.health().cool_for(Duration::from_secs(10));
    let _waiting = waits(&pool, request());
    let error = pool.clone().oneshot(request()).await.expect_err("the line is full");
    let wait = refused(&error).wait();
    assert_eq!(refused(&error).reason(), RefusedReason::QueueFull);
    assert_eq!(wait, Some(Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_line_of_no_places_lets_nobody_wait() {
    let (_, pool) = narrow(QueuePolicy::new(0));
    let _held = taken(&pool);
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::QueueFull));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_time_to_the_millisecond() {
    let (_, pool) = narrow(QueuePolicy::new(2).max_wait(Duration::from_secs(7)));
    let _held = taken(&pool);
    let began = Instant::now();
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::QueueTimeout));
    assert_eq!(began.elapsed(), Duration::from_secs(7));
    assert_eq!(pool.members().waiting(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_deadline_of_the_request() {
    let (_, pool) = narrow(QueuePolicy::new(2));
    let _held = taken(&pool);
    let (began, mut request) = (Instant::now(), request());
    Trail::start(&mut request).limit(began + Duration::from_secs(3));
    assert_eq!(reason(pool.oneshot(request).await), Some(RefusedReason::QueueTimeout));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_called_at_the_last_moment_is_served() {
    let (_, pool) = narrow(QueuePolicy::new(2).max_wait(Duration::from_secs(7)));
    let held = taken(&pool);
    let mut waiting = waits(&pool, request());
    advance(Duration::from_secs(7)).await;
    drop(held);
    assert_ready_ok!(waiting.poll());
}

#[tokio::test(start_paused = true)]
async fn an_endless_wait_is_no_overflow() {
    let (_, pool) = narrow(QueuePolicy::new(2).max_wait(Duration::MAX));
    let held = taken(&pool);
    let mut waiting = waits(&pool, request());
    drop(held);
    assert_ready_ok!(waiting.poll());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_refused_at_once() {
    let (one, pool) = narrow(QueuePolicy::new(10));
    let nowhere = pool.clone().oneshot(staying_in("mars")).await;
    assert_eq!(reason(nowhere), Some(RefusedReason::Unsupported));
    one.health().pause();
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Paused));
    one.health().resume();
    one.health().cool_for(Duration::from_secs(31));
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Cooling));
    pool.members().remove("one");
    assert_eq!(reason(pool.oneshot(request()).await), Some(RefusedReason::Empty));
}

#[tokio::test(start_paused = true)]
async fn one_that_came_while_another_was_called_learns_too_that_it_waits_in_vain() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let held = taken(&pool);
    let _called = waits(&pool, request());
    drop(held);
    let nowhere = pool.clone().oneshot(staying_in("mars")).await;
    assert_eq!(reason(nowhere), Some(RefusedReason::Unsupported));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_class_borrows_idle_places_and_yields_them() {
    let policy = QueuePolicy::new(10).class(PriorityClass::up_to(0, 0.3));
    let (_, pool) = narrow(policy);
    let held = taken(&pool);
    let mut crowd = Crowd::default();
    (0..10).for_each(|at| crowd.add(&pool, at, of_priority(9)));
    assert_eq!(pool.members().waiting(), [0, 10]);
    assert_eq!(reason(pool.clone().oneshot(of_priority(9)).await), Some(RefusedReason::QueueFull));
    for name in ["x", "y", "z"] {
        crowd.add(&pool, name, of_priority(0));
    }
    let ended = crowd.ended();
    let names: Vec<_> = ended.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["7", "8", "9"].map(|name| name), "those who came last made room");
    for (_, result) in ended {
        assert_eq!(reason(result), Some(RefusedReason::QueueFull));
    }
    assert_eq!(pool.members().waiting(), [3, 7]);
    // Beyond its share it has no claim on what the others have.
    assert_eq!(reason(pool.clone().oneshot(of_priority(0)).await), Some(RefusedReason::QueueFull));
    assert_eq!(crowd.order(held).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_fills_the_line_makes_room_for_another() {
    let (_, pool) = narrow(QueuePolicy::new(4));
    let held = taken(&pool);
    let mut crowd = Crowd::default();
    for at in 0..4 {
        crowd.add(&pool, format!("a{at}"), from("a"));
    }
    crowd.add(&pool, "b0", from("b"));
    crowd.add(&pool, "b1", from("b"));
    let ended = crowd.ended();
    assert_eq!(ended.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a2", "a3"]);
    // As many as the other: no claim to more.
    let more = pool.clone().oneshot(from("b")).await;
    assert_eq!(reason(more), Some(RefusedReason::QueueFull));
    assert_eq!(crowd.order(held), ["a0", "b0", "a1", "b1"]);
}

#[tokio::test(start_paused = true)]
async fn where_another_group_can_answer_nobody_waits_unless_told_to() {
    for waits_first in [false, true] {
        let policy = QueuePolicy::new(10).before_fallback(waits_first);
        let full = narrow(policy.max_wait(Duration::from_secs(5))).1;
        let _held = taken(&full);
        let other = Balance::new(LeastBusy, [(Deployment::new("other"), Endless)]);
        let fleet = Fleet::new([("full".into(), full), ("other".into(), other)], []);
        let plan = FallbackPlan::new().group("full", ["other"]);
        let mut request = Request::new(ReplayBody::from(Bytes::new()));
        GroupName::new("full").set(&mut request);
        let began = Instant::now();
        let answer = FallbackLayer::new(plan).layer(fleet).oneshot(request).await;
        assert_eq!(served(&answer.expect("an answer")), "other");
        assert_eq!(began.elapsed(), Duration::from_secs(if waits_first { 5 } else { 0 }));
    }
}
