//! Deployments with a capacity that only their times or refusals show, under load from a closed loop of callers.

#![expect(clippy::cast_precision_loss, reason = "a few tokens")]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::AtomicUsize},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
use tower::{Service, ServiceExt};

use super::*;
use crate::{
    Attempt,
    balance::{Balance, LeastBusy},
};

const CALLERS: usize = 100;
/// What ends a round of a small limit.
const FEWEST_OF_A_ROUND: usize = 20;
const PACE: Duration = Duration::from_millis(100);

/// What a deployment does with more than it can bear.
#[derive(Clone, Copy)]
enum Excess {
    Queues,
    Refuses(StatusCode),
}

/// Works on a number of requests at a time that it tells nobody.
#[derive(Clone)]
struct Hidden {
    places: Arc<Semaphore>,
    excess: Excess,
    /// Requests answered or refused.
    seen: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    /// Every fourth request has a long prompt, which takes its time.
    prompts: bool,
    /// The tokens of every third answer, which take theirs.
    long: Arc<AtomicUsize>,
    /// The tokens of answers are counted.
    metered: bool,
    /// How many times the pace it takes.
    slower: Arc<AtomicUsize>,
}

impl Hidden {
    fn new(capacity: usize, excess: Excess) -> Self {
        Self {
            places: Arc::new(Semaphore::new(capacity)),
            excess,
            seen: Arc::default(),
            refused: Arc::default(),
            prompts: false,
            long: Arc::default(),
            metered: false,
            slower: Arc::new(AtomicUsize::new(1)),
        }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes places away as they come free.
    async fn lose(&self, count: u32) {
        self.places.acquire_many(count).await.unwrap().forget();
    }
}

impl Service<Request<String>> for Hidden {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let this = self.clone();
        // Between a half and one and a half of the pace.
        let mut time = PACE.mul_f64(0.5 + fastrand::f64());
        time *= u32::try_from(this.slower.load(Ordering::Relaxed)).unwrap();
        let input = Demand::of(&request).and_then(|demand| demand.input_tokens).unwrap_or(0);
        time += PACE * u32::try_from(input / 2_000).unwrap();
        let output =
            if fastrand::u8(0..3) == 0 { this.long.load(Ordering::Relaxed) as u64 } else { 0 };
        time += PACE.mul_f64(output as f64 / 10.0);
        // As a meter does.
        let sample = Attempt::of(&request).filter(|_| this.metered).and_then(|attempt| {
            attempt.deployment().sample_whole(attempt.started(), Demand::of(&request))
        });
        Box::pin(async move {
            this.seen.fetch_add(1, Ordering::Relaxed);
            let place = match this.excess {
                Excess::Queues => this.places.acquire().await.unwrap(),
                Excess::Refuses(status) => {
                    let Ok(place) = this.places.try_acquire() else {
                        this.refused.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_millis(1)).await;
                        let refusal = Response::builder().status(status);
                        return Ok(refusal.body(String::new()).unwrap());
                    };
                    place
                }
            };
            sleep(time).await;
            drop(place);
            if let Some(sample) = sample {
                sample.whole(output);
            }
            Ok(Response::new(String::from("answer")))
        })
    }
}

struct Load {
    hidden: Hidden,
    deployment: Deployment,
    _callers: JoinSet<()>,
}

impl Load {
    /// Callers who ask again as soon as they have an answer, and a little later where they got none.
    fn new(hidden: Hidden, policy: AdaptiveConcurrency) -> Self {
        fastrand::seed(7);
        let deployment = Deployment::new("hidden").adaptive_concurrency(policy);
        let pool = Balance::new(LeastBusy, [(deployment.clone(), hidden.clone())]).seed(7);
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (pool, hidden) = (pool.clone(), hidden.clone());
            callers.spawn(async move {
                loop {
                    let mut request = Request::new(String::new());
                    let input = if hidden.prompts && caller % 4 == 0 { 20_000 } else { 0 };
                    Demand { input_tokens: Some(input), ..Demand::default() }.set(&mut request);
                    let answer = pool.clone().oneshot(request).await;
                    if !answer.is_ok_and(|answer| answer.status().is_success()) {
                        sleep(PACE.mul_f64(0.5 + fastrand::f64())).await;
                    }
                }
            });
        }
        Self { hidden, deployment, _callers: callers }
    }

    fn limit(&self) -> u32 {
        self.deployment.concurrency_limit().unwrap()
    }

    /// The limits seen while so many further requests are sent.
    async fn limits_over(&self, requests: usize) -> Vec<u32> {
        let end = self.hidden.seen() + requests;
        let mut limits = Vec::new();
        while self.hidden.seen() < end {
            sleep(PACE / 2).await;
            limits.push(self.limit());
        }
        limits
    }
}

/// That the middle half of them is about `capacity`: not below 0.6 of it, not above `times` as much and two.
#[track_caller]
fn assert_near(limits: &[u32], capacity: u32, times: f64) {
    let mut sorted = limits.to_vec();
    sorted.sort_unstable();
    let quarter = sorted.len() / 4;
    let (low, high) = (sorted[quarter], sorted[sorted.len() - 1 - quarter]);
    let capacity = f64::from(capacity);
    assert!(f64::from(low) >= capacity * 0.6 - 1.0, "{low} is too low: {limits:?}");
    assert!(f64::from(high) <= capacity * times + 2.0, "{high} is too high: {limits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_queues_is_given_little_more_than_it_works_on() {
    for (capacity, initial) in [(5, 20), (20, 20), (20, 5), (40, 20), (20, 100)] {
        let policy = AdaptiveConcurrency::new().initial(initial);
        let load = Load::new(Hidden::new(capacity as usize, Excess::Queues), policy);
        load.limits_over(2_000).await;
        assert_near(&load.limits_over(2_000).await, capacity, 1.8);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_refuses_is_given_what_it_takes() {
    let cases = [(429, 5, 20), (429, 20, 5), (429, 20, 100), (503, 20, 20), (529, 40, 20)];
    for (status, capacity, initial) in cases {
        let refuses = Excess::Refuses(StatusCode::from_u16(status).unwrap());
        let policy = AdaptiveConcurrency::new().initial(initial);
        let load = Load::new(Hidden::new(capacity as usize, refuses), policy);
        load.limits_over(2_000).await;
        let before = load.hidden.refused();
        assert_near(&load.limits_over(2_000).await, capacity, 1.1);
        let turned_away = load.hidden.refused() - before;
        assert!(turned_away < 200, "{turned_away} of 2,000 were refused");
    }
}

#[tokio::test(start_paused = true)]
async fn additive_increase_needs_no_times() {
    let refuses = Excess::Refuses(StatusCode::TOO_MANY_REQUESTS);
    let load = Load::new(Hidden::new(30, refuses), AdaptiveConcurrency::refusals_only());
    load.limits_over(2_000).await;
    let limits = load.limits_over(2_000).await;
    assert_near(&limits, 30, 1.1);
    assert!(limits.iter().all(|limit| *limit > 20), "never a quarter: {limits:?}");
}

#[tokio::test(start_paused = true)]
async fn the_limit_follows_a_capacity_that_changes() {
    for excess in [Excess::Queues, Excess::Refuses(StatusCode::TOO_MANY_REQUESTS)] {
        let load = Load::new(Hidden::new(30, excess), AdaptiveConcurrency::new());
        load.limits_over(2_000).await;
        load.hidden.lose(20).await;
        load.limits_over(1_500).await;
        assert_near(&load.limits_over(1_000).await, 10, 1.8);
        load.hidden.places.add_permits(30);
        load.limits_over(2_500).await;
        assert_near(&load.limits_over(2_000).await, 40, 1.8);
    }
}

/// The limits of a deployment that works on 40 at a time, while every third answer grows from `before` tokens to so
/// many.
async fn limits_as_answers_grow(before: usize, tokens: usize, metered: bool) -> Vec<u32> {
    let hidden = Hidden { prompts: true, metered, ..Hidden::new(40, Excess::Queues) };
    hidden.long.store(before, Ordering::Relaxed);
    let load = Load::new(hidden, AdaptiveConcurrency::new());
    load.limits_over(2_500).await;
    load.hidden.long.store(tokens, Ordering::Relaxed);
    load.limits_over(2_000).await
}

#[tokio::test(start_paused = true)]
async fn long_answers_among_short_ones_are_not_taken_for_load() {
    assert_near(&limits_as_answers_grow(50, 50, false).await, 40, 2.0);
    assert_near(&limits_as_answers_grow(200, 200, true).await, 40, 2.0);
}

#[tokio::test(start_paused = true)]
async fn answers_may_grow_where_their_tokens_are_counted() {
    assert_near(&limits_as_answers_grow(0, 200, true).await, 40, 2.0);
}

#[tokio::test(start_paused = true)]
async fn the_bounds_hold_whatever_comes() {
    let refuses = Excess::Refuses(StatusCode::TOO_MANY_REQUESTS);
    for (capacity, excess, at_last) in
        [(0, refuses, 3..=3), (1, Excess::Queues, 3..=8), (1_000, Excess::Queues, 8..=30)]
    {
        let policy = AdaptiveConcurrency::new().min(3).initial(10).max(30);
        let load = Load::new(Hidden::new(capacity, excess), policy);
        let limits = load.limits_over(2_000).await;
        assert!(limits.iter().all(|limit| (3..=30).contains(limit)), "{limits:?}");
        let half = &limits[limits.len() / 2..];
        assert!(half.iter().all(|limit| at_last.contains(limit)), "{half:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_given_up_and_other_failures_say_nothing() {
    let hidden = Hidden::new(0, Excess::Queues);
    let deployment = Deployment::new("stuck").adaptive_concurrency(AdaptiveConcurrency::new());
    let pool = Balance::new(LeastBusy, [(deployment.clone(), hidden)]);
    for _ in 0..200 {
        let stuck = pool.clone().oneshot(Request::new(String::new()));
        assert!(tokio::time::timeout(PACE, stuck).await.is_err(), "it never answers");
    }
    for status in [400, 401, 404, 500] {
        let refuses = Hidden::new(0, Excess::Refuses(StatusCode::from_u16(status).unwrap()));
        let pool = Balance::new(LeastBusy, [(deployment.clone(), refuses)]);
        for _ in 0..200 {
            pool.clone().oneshot(Request::new(String::new())).await.unwrap();
        }
    }
    assert_eq!(deployment.concurrency_limit(), Some(20));
}

#[tokio::test(start_paused = true)]
async fn refusals_at_one_time_are_one_cut() {
    let deployment = Deployment::new("full").adaptive_concurrency(AdaptiveConcurrency::new());
    let refusal = Response::builder().status(429).body(()).unwrap();
    let samples: Vec<_> =
        (0..10).map(|_| deployment.sample(Instant::now(), None).unwrap()).collect();
    sleep(PACE).await;
    for sample in samples {
        sample.head(&refusal);
    }
    assert_eq!(deployment.concurrency_limit(), Some(18));
    let later = deployment.sample(Instant::now(), None).unwrap();
    sleep(PACE).await;
    later.head(&refusal);
    assert_eq!(deployment.concurrency_limit(), Some(16));
}

#[tokio::test(start_paused = true)]
async fn time_outs_and_judged_failures_cut_too() {
    let deployment = Deployment::new("full").adaptive_concurrency(AdaptiveConcurrency::new());
    let sample = || deployment.sample(Instant::now(), None).unwrap();
    let error = Error::from_service(std::io::Error::from(std::io::ErrorKind::TimedOut));
    sample().error(&error);
    assert_eq!(deployment.concurrency_limit(), Some(18));
    sleep(PACE).await;
    // A success by its status; its body told of an overload.
    let mut response = Response::new(());
    let judged = Outcome::Failure(Failure::new(FailureKind::Overloaded));
    Answered::entry(response.extensions_mut()).outcome = Some(judged);
    sample().head(&response);
    assert_eq!(deployment.concurrency_limit(), Some(16));
}

#[tokio::test(start_paused = true)]
async fn a_full_member_has_room_again_once_the_limit_has_grown() {
    let policy = AdaptiveConcurrency::refusals_only().initial(1);
    let deployment = Deployment::new("hidden").adaptive_concurrency(policy);
    let member = (deployment.clone(), Hidden::new(10, Excess::Queues));
    let pool = Balance::new(LeastBusy, [member]);
    let ask = || pool.clone().oneshot(Request::new(String::new()));
    let held = ask().await.unwrap();
    assert!(ask().await.is_err(), "one at a time");
    // Of another balance it is a member of, some of them given up.
    for request in 0..FEWEST_OF_A_ROUND {
        let sample = deployment.sample(Instant::now(), None).unwrap();
        sleep(PACE).await;
        if request % 2 == 0 {
            sample.head(&Response::new(()));
        }
    }
    assert_eq!(deployment.concurrency_limit(), Some(2));
    let second = ask().await.unwrap();
    assert!(ask().await.is_err(), "two at a time");
    drop((held, second));
}

#[tokio::test(start_paused = true)]
async fn of_a_stream_the_first_bytes_are_awaited() {
    let policy = AdaptiveConcurrency::refusals_only().initial(1);
    let deployment = Deployment::new("hidden").adaptive_concurrency(policy);
    let member = (deployment.clone(), Hidden::new(10, Excess::Queues));
    let pool = Balance::new(LeastBusy, [member]);
    let stream = || async {
        let mut request = Request::new(String::new());
        Demand { stream: true, ..Demand::default() }.set(&mut request);
        pool.clone().oneshot(request).await.unwrap().into_body()
    };
    for _ in 0..2 * FEWEST_OF_A_ROUND {
        drop(stream().await);
    }
    assert_eq!(deployment.concurrency_limit(), Some(1), "heads alone");
    for _ in 0..FEWEST_OF_A_ROUND {
        stream().await.collect().await.unwrap();
    }
    assert_eq!(deployment.concurrency_limit(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn the_lower_of_the_two_limits_holds() {
    let policy = AdaptiveConcurrency::new().initial(7);
    let deployment = Deployment::new("both").adaptive_concurrency(policy);
    assert_eq!(deployment.parallel_limit(), Some(7));
    assert_eq!(deployment.clone().max_parallel_requests(5).parallel_limit(), Some(5));
    assert_eq!(deployment.max_parallel_requests(9).parallel_limit(), Some(7));
    assert_eq!(Deployment::new("none").parallel_limit(), None);
}

/// Sends so many requests, one each hundredth of a second, to a deployment that never queues; tells how many were
/// refused and the limit after each.
async fn refused_of(
    requests: usize,
    hidden: &Hidden,
    deployment: &Deployment,
) -> (usize, Vec<u32>) {
    let pool = Balance::new(LeastBusy, [(deployment.clone(), hidden.clone())]);
    let (mut asked, mut limits) = (JoinSet::new(), Vec::new());
    for _ in 0..requests {
        let answer = pool.clone().oneshot(Request::new(String::new()));
        // An answer kept would keep its place.
        asked.spawn(async { answer.await.is_err() });
        sleep(PACE / 10).await;
        limits.extend(deployment.concurrency_limit());
    }
    let refused = asked.join_all().await.into_iter().filter(|refused| *refused).count();
    (refused, limits)
}

#[tokio::test(start_paused = true)]
async fn a_deployment_slower_for_good_has_its_new_pace_found() {
    for (before, after) in [(2, 20), (2, 10), (1, 10)] {
        let hidden = Hidden::new(100_000, Excess::Queues);
        let policy = AdaptiveConcurrency::new();
        let deployment = Deployment::new("slower").adaptive_concurrency(policy);
        hidden.slower.store(before, Ordering::Relaxed);
        refused_of(2_000, &hidden, &deployment).await;
        let used = u32::try_from(before).unwrap() * 10;
        hidden.slower.store(after, Ordering::Relaxed);
        let (_, limits) = refused_of(10_000, &hidden, &deployment).await;
        let least = limits.iter().min().unwrap();
        assert!(*least >= used / 4, "{before} to {after}: {least}");
        let wanted = u32::try_from(after).unwrap() * 10;
        assert!(limits[9_999] >= wanted, "{before} to {after}: {}", limits[9_999]);
        assert_eq!(refused_of(1_000, &hidden, &deployment).await.0, 0, "{before} to {after}");
        hidden.slower.store(before, Ordering::Relaxed);
        assert_eq!(refused_of(1_000, &hidden, &deployment).await.0, 0, "faster again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_whose_times_stay_is_not_measured_at_its_most() {
    let hidden = Hidden::new(100_000, Excess::Queues);
    hidden.slower.store(2, Ordering::Relaxed);
    // Far enough above the twenty in flight for no chance to reach it.
    let policy = AdaptiveConcurrency::new().max(32);
    let deployment = Deployment::new("healthy").adaptive_concurrency(policy);
    let (refused, _) = refused_of(500, &hidden, &deployment).await;
    assert!(refused < 60, "{refused}");
    assert_eq!(refused_of(5_000, &hidden, &deployment).await.0, 0);
}

#[test]
fn deployments_that_grow_slow_at_once_are_not_tried_at_once() {
    let policy = AdaptiveConcurrency::new();
    let rounds = [0, 1, 2].map(|seed| {
        let mut state = State::new(&policy, seed);
        (1..10).find(|_| {
            for _ in 0..FEWEST_OF_A_ROUND {
                let place = state.begin(&policy, 20).unwrap();
                state.answered(&policy, place, Kind::Head, 1.0);
            }
            state.limit(&policy) < 20
        })
    });
    assert_eq!(rounds, [Some(2), Some(3), Some(4)]);
}
