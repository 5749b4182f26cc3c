//! The set changes while requests are in flight.

use std::time::Duration;

use tokio_test::{assert_pending, assert_ready, task};
use tower_fleet::deployment::Status;

use super::{script::Part::Stall, *};

fn open() -> Script {
    Script::new([Stall])
}

#[tokio::test(start_paused = true)]
async fn a_request_finishes_undisturbed_when_its_member_goes() {
    let (a, b) = (Deployment::new("a"), Deployment::new("b"));
    let pool = Balance::new(LeastBusy, [(a.clone(), answering(open()))]);
    let response = pool.clone().oneshot(request()).await.expect("a answers");
    let removed = pool.members().remove("a").expect("it was there");
    assert_eq!((removed.id(), removed.in_flight()), ("a", 1));
    assert!(pool.members().list().is_empty());
    assert_eq!(pool.members().remove("a").map(|one| one.id().to_owned()), None);
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Empty));

    pool.members().replace([(b.clone(), answering(open()))]);
    let second = pool.clone().oneshot(request()).await.expect("b answers");
    assert_eq!(served(&second), "b");
    pool.members().replace([]);
    assert_eq!((a.in_flight(), b.in_flight()), (1, 1));
    drop((response, second));
    assert_eq!((a.in_flight(), b.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_done_with_the_last_request_and_not_before() {
    let pool = Balance::new(LeastBusy, [(Deployment::new("a"), answering(open()))]);
    let first = pool.clone().oneshot(request()).await.expect("a answers");
    let second = pool.clone().oneshot(request()).await.expect("a answers");
    let mut drained = task::spawn(pool.members().drain("a"));
    assert_pending!(drained.poll());
    let mut again = task::spawn(pool.members().drain("a"));
    assert_pending!(again.poll());
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Empty));
    drop(first);
    assert_pending!(drained.poll());
    assert!(!drained.is_woken());
    drop(second);
    assert!(drained.is_woken());
    assert_ready!(drained.poll());
    assert_ready!(again.poll());
    pool.members().drain("a").await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_or_unknown_member_is_drained_at_once_and_a_drain_needs_no_one_to_wait() {
    let a = Deployment::new("a");
    let pool = Balance::new(LeastBusy, [(a.clone(), answering(open()))]);
    pool.members().drain("nobody").await;
    assert_eq!(pool.members().list().len(), 1);
    drop(pool.members().drain("a"));
    assert!(pool.members().list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_service_of_a_member_that_went_is_dropped() {
    let kept = Arc::new(());
    let holding = |kept: &Arc<()>| {
        let kept = Arc::clone(kept);
        service_fn(move |_: Request<()>| {
            let _ = &kept;
            async { Ok::<_, Infallible>(Response::new(open())) }
        })
    };
    let pool = Balance::new(LeastBusy, [(Deployment::new("a"), holding(&kept))]);
    pool.members().insert(Deployment::new("a"), holding(&kept));
    assert_eq!(Arc::strong_count(&kept), 2, "the one before is gone");
    let response = pool.clone().oneshot(request()).await.expect("a answers");
    drop(pool.members().drain("a"));
    assert_eq!(Arc::strong_count(&kept), 2);
    drop(response);
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[tokio::test(start_paused = true)]
async fn one_put_in_under_the_same_id_keeps_the_vitals() {
    let old = Deployment::new("a");
    let pool = Balance::new(LeastBusy, [(old.clone(), answering(open()))]);
    let response = pool.clone().oneshot(request()).await.expect("a answers");
    old.health().cool_for(Duration::from_secs(60));
    pool.members().insert(Deployment::new("a").max_parallel_requests(1), answering(open()));
    let [now] = &pool.members().list()[..] else { panic!("one member") };
    assert_eq!((now.in_flight(), now.get_max_parallel_requests()), (1, Some(1)));
    assert!(matches!(now.health().status(), Status::Cooling { .. }));
    now.health().reset();
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Full));
    drop(response);
    assert_eq!(old.in_flight(), 0);
    drop(pool.oneshot(request()).await.expect("there is place again"));
    assert_eq!(old.picked(), 2);
}

#[tokio::test(start_paused = true)]
async fn late_results_of_one_that_left_do_not_touch_the_one_put_in_its_place() {
    let pool = Balance::new(LeastBusy, [(Deployment::new("a"), answering(open()))]);
    let late = pool.clone().oneshot(request()).await.expect("the old one answers");
    let old = pool.members().remove("a").expect("it was there");
    let new = Deployment::new("a").max_parallel_requests(1);
    pool.members().insert(new.clone(), answering(open()));
    let held = pool.clone().oneshot(request()).await.expect("the new one answers");
    old.health().pause();
    drop(late);
    assert_eq!((old.in_flight(), new.in_flight(), new.health().status()), (0, 1, Status::Ready));
    assert_eq!(reason(pool.clone().oneshot(request()).await), Some(RefusedReason::Full));
    drop(held);
    assert_eq!(served(&pool.oneshot(request()).await.expect("there is place")), "a");
}

#[tokio::test(start_paused = true)]
async fn one_put_in_while_its_namesake_drains_is_another() {
    let pool = Balance::new(LeastBusy, [(Deployment::new("a"), answering(open()))]);
    let late = pool.clone().oneshot(request()).await.expect("the old one answers");
    let mut drained = task::spawn(pool.members().drain("a"));
    assert_pending!(drained.poll());
    let new = Deployment::new("a");
    pool.members().insert(new.clone(), answering(open()));
    let held = pool.clone().oneshot(request()).await.expect("the new one answers");
    drop(late);
    assert_ready!(drained.poll());
    assert_eq!(new.in_flight(), 1);
    drop(held);
    assert_eq!(pool.members().list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn health_set_by_hand_is_heeded_by_the_next_pick() {
    let (a, b) = (Deployment::new("a"), Deployment::new("b"));
    let members =
        [(a.clone(), answering(Script::default())), (b.clone(), answering(Script::default()))];
    let pool = Balance::new(LeastBusy, members);
    a.health().pause();
    for _ in 0..10 {
        assert_eq!(served(&pool.clone().oneshot(request()).await.expect("b answers")), "b");
    }
    a.health().resume();
    b.health().pause();
    assert_eq!(served(&pool.clone().oneshot(request()).await.expect("a answers")), "a");
    a.health().pause();
    assert_eq!(reason(pool.oneshot(request()).await), Some(RefusedReason::Paused));
}
