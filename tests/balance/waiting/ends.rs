//! What ends a wait, and what is left of it.

use http_body::Body;
use tower_fleet::cooldown::{CooldownLayer, CooldownPolicy};

use super::{script::Part::Data, *};

#[tokio::test(start_paused = true)]
async fn the_end_of_a_body_serves_the_first_that_waits() {
    let one = Deployment::new("one").max_parallel_requests(1);
    let service = answering(Script::new([Data]).saying_end());
    let pool = Balance::new(LeastBusy, [(one, service)]).queue(QueuePolicy::new(1));
    let held = assert_ready_ok!(spawn(pool.clone().call(request())).poll());
    let mut waiting = spawn(pool.clone().call(request()));
    assert_pending!(waiting.poll());
    let mut body = spawn(held.into_body());
    assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).is_some());
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_serves_the_first_that_waits() {
    let one = Deployment::new("one").max_parallel_requests(1);
    let pool = Balance::new(LeastBusy, [(one.clone(), silent())]).queue(QueuePolicy::new(1));
    let held = pool.clone().call(request());
    let mut waiting = spawn(pool.clone().call(request()));
    assert_pending!(waiting.poll());
    drop(held);
    assert!(waiting.is_woken());
    assert_pending!(waiting.poll());
    assert_eq!((one.in_flight(), pool.members().waiting()), (1, vec![0]));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_polled_when_something_may_be_free_and_seldom_in_between() {
    let (one, pool) = narrow(QueuePolicy::new(100).max_wait(Duration::from_secs(3600)));
    let held = taken(&pool);
    let polls = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (polls, mut call) = (Arc::clone(&polls), Box::pin(pool.clone().call(request())));
            tokio::spawn(std::future::poll_fn(move |cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                call.as_mut().poll(cx)
            }))
        })
        .collect();
    // Until each knows how many they are.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let joined = polls.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1000)).await;
    let before = polls.load(Ordering::Relaxed);
    assert!(before - joined <= 10_010, "once a second at most: {}", before - joined);
    drop(held);
    for call in calls {
        drop(call.await.expect("no panic").expect("an answer"));
    }
    // One may be about to look.
    let polls = polls.load(Ordering::Relaxed) - before;
    assert!((10..=20).contains(&polls), "{polls}");
    assert_eq!(one.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_go_away_leave_no_trace() {
    let policy = QueuePolicy::new(10_000).class(PriorityClass::up_to(0, 0.5));
    let (one, pool) = narrow(policy);
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        let mut held = vec![taken(&pool)];
        let mut waiting: Vec<_> = (0..500)
            .map(|at| {
                let request = asking(|demand| {
                    demand.priority = Some(at % 3 - 1);
                    demand.caller = Some((at % 7).to_string().into());
                });
                let mut waiting = spawn(pool.clone().call(request));
                // Some are dropped before they were polled.
                if at % 10 > 0 {
                    assert_pending!(waiting.poll());
                }
                waiting
            })
            .collect();
        while !waiting.is_empty() {
            drop(waiting.swap_remove(rng.usize(0..waiting.len())));
            if rng.u8(0..4) == 0 {
                held.clear();
            }
            // Called ones may be dropped too: somebody else is called then.
            if rng.bool()
                && let Some(at) = waiting.iter().position(Spawn::is_woken)
                && let Poll::Ready(answer) = waiting[at].poll()
            {
                drop(waiting.swap_remove(at));
                held.push(answer.expect("an answer"));
            }
        }
        assert!(held.len() <= 1);
        assert_eq!(pool.members().waiting(), [0, 0]);
        assert_eq!(one.in_flight(), held.len());
    }
    drop(taken(&pool));
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_away_when_it_is_called_hands_the_call_on() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let held = taken(&pool);
    let [first, mut second] = [waits(&pool, request()), waits(&pool, request())];
    drop(held);
    assert!(first.is_woken() && !second.is_woken());
    drop(first);
    assert!(second.is_woken());
    assert_ready_ok!(second.poll());
}

#[tokio::test(start_paused = true)]
async fn one_whose_time_is_up_when_it_is_called_is_served() {
    let (_, pool) = narrow(QueuePolicy::new(10).max_wait(Duration::from_secs(1)));
    let held = taken(&pool);
    let mut waiting = waits(&pool, request());
    drop(held);
    advance(Duration::from_secs(2)).await;
    assert_ready_ok!(waiting.poll());
}

#[tokio::test(start_paused = true)]
async fn several_that_come_free_serve_as_many_at_once() {
    let one = Deployment::new("one").max_parallel_requests(5);
    let pool = Balance::new(LeastBusy, [(one, Endless)]).queue(QueuePolicy::new(10));
    let held: Vec<_> = (0..5).map(|_| taken(&pool)).collect();
    let mut waiting: Vec<_> = (0..7).map(|_| waits(&pool, request())).collect();
    drop(held);
    let woken: Vec<_> = waiting.iter().map(Spawn::is_woken).collect();
    assert_eq!(woken, [true, true, true, true, true, false, false]);
    // In whatever order they are polled.
    let held: Vec<_> =
        waiting[..5].iter_mut().rev().map(|one| assert_ready_ok!(one.poll())).collect();
    assert!(waiting[5..].iter_mut().all(|one| one.poll().is_pending()));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_member_put_in_serves_all_it_can() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let _held = taken(&pool);
    let mut crowd = Crowd::default();
    (0..4).for_each(|at| crowd.add(&pool, at, request()));
    pool.members().insert(Deployment::new("two").max_parallel_requests(3), Endless);
    let ended = crowd.ended();
    assert_eq!(ended.iter().map(|(name, _)| &**name).collect::<String>(), "012");
    assert_eq!(pool.members().waiting(), [1]);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_members_that_went_are_refused() {
    let (pool, _in_eu, _in_us) = two_regions(QueuePolicy::new(10));
    let mut crowd = Crowd::default();
    for region in ["us", "eu", "us", "eu"] {
        crowd.add(&pool, region, staying_in(region));
    }
    pool.members().remove("eu");
    let reasons = |ended: VecDeque<(String, Result<Answer, Error>)>| {
        let reasons = ended.into_iter().map(|(name, result)| (name, reason(result)));
        reasons.collect::<Vec<_>>()
    };
    let of = |name: &str, reason| (name.to_owned(), Some(reason));
    let unsupported = of("eu", RefusedReason::Unsupported);
    assert_eq!(reasons(crowd.ended()), [unsupported.clone(), unsupported]);
    drop(pool.members().drain("us"));
    let empty = of("us", RefusedReason::Empty);
    assert_eq!(reasons(crowd.ended()), [empty.clone(), empty]);
    assert_eq!(pool.members().waiting(), [0]);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_one_that_is_paused_are_refused() {
    let (one, pool) = narrow(QueuePolicy::new(10));
    let _held = taken(&pool);
    let mut crowd = Crowd::default();
    (0..3).for_each(|at| crowd.add(&pool, at, request()));
    one.health().pause();
    let ended = crowd.ended();
    assert_eq!(ended.len(), 3);
    for (_, result) in ended {
        assert_eq!(reason(result), Some(RefusedReason::Paused));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_that_goes_out_for_too_long_is_refused_and_else_served_when_it_is_back() {
    let (one, pool) = narrow(QueuePolicy::new(10).max_wait(Duration::from_secs(10)));
    let held = taken(&pool);
    let mut waiting = waits(&pool, request());
    one.health().cool_for(Duration::from_secs(4));
    assert_pending!(waiting.poll());
    drop(held);
    assert_pending!(waiting.poll());
    advance(Duration::from_millis(3999)).await;
    assert_pending!(waiting.poll());
    advance(Duration::from_millis(2)).await;
    assert!(waiting.is_woken());
    let _held = assert_ready_ok!(waiting.poll());
    let mut waiting = waits(&pool, request());
    one.health().cool_for(Duration::from_secs(11));
    assert!(waiting.is_woken());
    let error = assert_ready_err!(waiting.poll());
    assert_eq!(refused(&error).reason(), RefusedReason::Cooling);
    assert_eq!(refused(&error).wait(), Some(Duration::from_secs(11)));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_trial_serves_those_who_wait_for_it() {
    let policy = CooldownPolicy::default().cooldown_time(Duration::from_secs(5));
    let [one, two] = ["one", "two"].map(Deployment::new);
    let layer = CooldownLayer::new(policy);
    let service = tower::Layer::layer(&layer, answering(Script::new([Data]).saying_end()));
    let members = [(one.clone(), service.clone()), (two.clone(), service)];
    let pool = Balance::new(LeastBusy, members).queue(QueuePolicy::new(20));
    // By hand, so that they are not asked as the last resort.
    for member in [&one, &two] {
        member.health().cool_for(Duration::from_secs(5));
    }
    let calls = (0..20).map(|_| tokio::spawn(pool.clone().oneshot(request())));
    let calls: Vec<_> = calls.collect();
    let began = Instant::now();
    for call in calls {
        let response = call.await.expect("no panic").expect("an answer");
        drop(response.into_body());
    }
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_time_waited_is_on_the_trail() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let held = taken(&pool);
    let mut request = request();
    let trail = Trail::start(&mut request);
    let mut waiting = waits(&pool, request);
    advance(Duration::from_secs(3)).await;
    drop(held);
    assert_ready_ok!(waiting.poll());
    let steps = trail.attempts();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].waited(), Some(Duration::from_secs(3)));
    assert_eq!(steps[0].started(), trail.started() + Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn another_policy_refuses_those_who_wait_by_the_one_before() {
    let (_, pool) = narrow(QueuePolicy::new(10));
    let _held = taken(&pool);
    let mut before = waits(&pool, request());
    let pool = pool.queue(QueuePolicy::new(1));
    let _after = waits(&pool, request());
    assert!(before.is_woken());
    let error = assert_ready_err!(before.poll());
    assert_eq!(refused(&error).reason(), RefusedReason::QueueFull);
    assert_eq!(pool.members().waiting(), [1]);
}
