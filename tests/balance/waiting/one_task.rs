//! Requests that are polled whether they are woken or not, as those of one task are: whenever one of them is woken, in
//! any order.

use tokio::time::sleep;
use tower_fleet::quota::Limit;

use super::*;

/// Takes one request at a time, as one of its limits or both of them say, whose ends are told one by one.
fn one_at_a_time() -> [Deployment; 3] {
    let one = || Deployment::new("one");
    [
        one().max_parallel_requests(1),
        one().limit(Limit::parallel(1)),
        one().max_parallel_requests(1).limit(Limit::parallel(1)),
    ]
}

#[tokio::test(start_paused = true)]
async fn urgent_requests_of_one_task_go_first_and_in_order() {
    for one in one_at_a_time() {
        let policy = QueuePolicy::new(10).default_priority(1).class(PriorityClass::up_to(0, 1.0));
        let pool = Balance::new(LeastBusy, [(one, Endless)]).queue(policy);
        let began = Instant::now();
        let answered = |request| {
            let call = pool.clone().oneshot(request);
            async move {
                let answer = call.await.expect("an answer");
                sleep(Duration::from_secs(1)).await;
                drop(answer);
                began.elapsed().as_secs()
            }
        };
        let (plain, urgent) = (|| answered(request()), || answered(of_priority(0)));
        // Each time it begins with another of them.
        let times = tokio::join!(plain(), plain(), urgent(), urgent(), urgent(), urgent());
        assert_eq!(times, (1, 6, 2, 3, 4, 5));
    }
}

#[tokio::test(start_paused = true)]
async fn in_whatever_order_they_are_polled_those_in_front_go_first() {
    let mut rng = fastrand::Rng::with_seed(5);
    for one in one_at_a_time().into_iter().cycle().take(60) {
        let members = [(one, Endless), (Deployment::new("two").max_parallel_requests(2), Endless)];
        let pool = Balance::new(LeastBusy, members).queue(QueuePolicy::new(20));
        let mut held: Vec<_> = (0..3).map(|_| taken(&pool)).collect();
        let mut waiting: Vec<_> = (0..20).map(|at| (at, waits(&pool, request()))).collect();
        while !waiting.is_empty() {
            let ends = rng.usize(1..=held.len());
            rng.shuffle(&mut held);
            held.truncate(held.len() - ends);
            let first = 20 - waiting.len();
            let expected: Vec<_> = (first..20).take(ends).collect();
            let mut served = Vec::new();
            while let Some(at) = rng.choice(0..waiting.len()) {
                if let Poll::Ready(answer) = waiting[at].1.poll() {
                    held.push(answer.expect("an answer"));
                    served.push(waiting.remove(at).0);
                }
                if waiting.iter().all(|(_, one)| !one.is_woken()) {
                    break;
                }
            }
            served.sort_unstable();
            assert_eq!(served, expected);
        }
    }
}

/// Three that are called one after the other, when there is room for one alone.
fn three_called_for_one_place() -> (Pool, [Waiting; 3]) {
    let [one, two] = ["one", "two"].map(|id| Deployment::new(id).max_parallel_requests(1));
    let members = [(one, Endless), (two.clone(), Endless)];
    let pool = Balance::new(LeastBusy, members).queue(QueuePolicy::new(10));
    let held = [taken(&pool), taken(&pool)];
    let waiting = [(); 3].map(|()| waits(&pool, request()));
    drop(held);
    two.health().pause();
    assert!(waiting.iter().all(Spawn::is_woken));
    (pool, waiting)
}

#[tokio::test(start_paused = true)]
async fn one_that_is_called_later_goes_first_only_if_there_is_room_for_both() {
    let (pool, [mut first, mut second, mut third]) = three_called_for_one_place();
    assert_pending!(third.poll());
    assert_pending!(second.poll());
    let held = assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    drop(held);
    assert_pending!(third.poll());
    drop(assert_ready_ok!(second.poll()));
    drop(assert_ready_ok!(third.poll()));
    assert_eq!(pool.members().waiting(), [0]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_called_later_goes_first_where_the_other_goes_away_or_does_not_come() {
    for goes_away in [true, false] {
        let (_pool, [first, mut second, mut third]) = three_called_for_one_place();
        assert_pending!(second.poll());
        assert_pending!(third.poll());
        let stuck = Some(first).filter(|_| !goes_away);
        if stuck.is_some() {
            advance(Duration::from_millis(99)).await;
            assert!(!second.is_woken() && !third.is_woken());
            advance(Duration::from_millis(2)).await;
        }
        assert!(second.is_woken());
        assert_pending!(third.poll());
        drop(assert_ready_ok!(second.poll()));
        assert!(third.is_woken());
        drop(assert_ready_ok!(third.poll()));
    }
}
