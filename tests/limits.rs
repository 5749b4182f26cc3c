//! Limits through the public face: how many requests pass, and what becomes of what a request took.

#![allow(clippy::expect_used, reason = "a test may fail")]

use std::{
    convert::Infallible,
    future::{pending, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::future::{join_all, poll_immediate};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::{sync::Semaphore, time::advance};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_fleet::{
    Attempt, BoxError, Demand, Deployment, Error, Served,
    balance::{Balance, LeastBusy, WeightedShuffle},
    cooldown::CooldownLayer,
    deployment::{Status, Usage},
    error::RefusedReason,
    quota::{Limit, Quota},
};

const MINUTE: Duration = Duration::from_secs(60);

type Body = Full<bytes::Bytes>;

fn request() -> Request<()> {
    Request::new(())
}

/// Asks for so many tokens, of which ten are output.
fn asking(tokens: u64) -> Request<()> {
    let mut demand = Demand::default();
    (demand.input_tokens, demand.output_tokens) = (Some(tokens - 10), Some(10));
    let mut request = request();
    demand.set(&mut request);
    request
}

fn hello() -> Response<Body> {
    Response::new(Body::from("hello"))
}

fn refusal<T>(result: &Result<T, Error>) -> Option<(RefusedReason, Option<Duration>)> {
    let refused = result.as_ref().err()?.as_refused()?;
    Some((refused.reason(), refused.wait()))
}

fn used(quota: &Quota) -> Vec<u64> {
    quota.usage().iter().map(|usage| usage.used).collect()
}

fn served<B>(response: &Response<B>) -> String {
    Served::of(response).expect("a balance was passed").deployment().id().to_owned()
}

/// Answers at once.
fn client() -> impl Service<
    Request<()>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(|_: Request<()>| ready(Ok(hello())))
}

#[tokio::test(start_paused = true)]
async fn five_in_a_minute_are_five() {
    let balance = Balance::new(LeastBusy, [(Deployment::new("a").rpm(5), client())]);
    for turn in 0..3 {
        let mut passed = 0;
        let refused = loop {
            match balance.clone().oneshot(request()).await {
                Ok(_) => passed += 1,
                Err(error) => break refusal(&Err::<(), _>(error)),
            }
        };
        assert_eq!((passed, refused), (5, Some((RefusedReason::Limited, Some(MINUTE)))), "{turn}");
        advance(MINUTE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_as_many_pass_as_may_of_many_at_once() {
    for limit in [5, 10] {
        let balance = Balance::new(WeightedShuffle, [(Deployment::new("a").rpm(limit), client())]);
        let calls = (0..200).map(|_| tokio::spawn(balance.clone().oneshot(request())));
        let answers = join_all(calls).await;
        let passed = answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
        assert_eq!(passed as u64, limit);
    }
}

#[tokio::test(start_paused = true)]
async fn the_sibling_of_one_that_has_had_its_share_answers_and_nothing_cools() {
    let client = CooldownLayer::default().layer(client());
    let members = [Deployment::new("small").rpm(2), Deployment::new("large").rpm(100)];
    let balance = Balance::new(LeastBusy, members.clone().map(|one| (one, client.clone())));
    let mut small = 0;
    for _ in 0..30 {
        let response = balance.clone().oneshot(request()).await.expect("one of them answers");
        small += usize::from(served(&response) == "small");
    }
    assert_eq!(small, 2);
    assert!(members.iter().all(|one| one.health().status() == Status::Ready));
}

#[tokio::test(start_paused = true)]
async fn every_place_is_used_before_one_is_refused() {
    let members = [("one", 1), ("five", 5)];
    let members = members.map(|(id, limit)| Deployment::new(id).max_parallel_requests(limit));
    let balance = Balance::new(WeightedShuffle, members.map(|one| (one, client())));
    for _ in 0..50 {
        let calls = (0..6).map(|_| balance.clone().oneshot(request()));
        let answers = join_all(calls).await;
        assert!(answers.iter().all(Result::is_ok), "none is refused");
        let seventh = balance.clone().oneshot(request()).await;
        assert_eq!(refusal(&seventh), Some((RefusedReason::Full, None)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_places_holds_after_any_idle_time() {
    let deployment = Deployment::new("a").max_parallel_requests(2);
    let balance = Balance::new(LeastBusy, [(deployment, client())]);
    let held = balance.clone().oneshot(request()).await.expect("there is a place");
    advance(Duration::from_secs(100_000)).await;
    let second = balance.clone().oneshot(request()).await.expect("there is a place");
    assert_eq!(
        refusal(&balance.clone().oneshot(request()).await),
        Some((RefusedReason::Full, None))
    );
    drop((held, second));
    assert!(balance.oneshot(request()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn however_many_quotas_there_are_none_is_forgotten() {
    let quotas: Vec<_> = (0..1000).map(|n| Quota::new(n.to_string(), [Limit::rpd(1)])).collect();
    let members = quotas.iter().map(|quota| (Deployment::new(quota.name()).quota(quota), client()));
    let balance = Balance::new(LeastBusy, members);
    for _ in 0..1000 {
        assert!(balance.clone().oneshot(request()).await.is_ok());
    }
    assert!(quotas.iter().all(|quota| used(quota) == [1]));
    let (reason, _) = refusal(&balance.oneshot(request()).await).expect("all have had theirs");
    assert_eq!(reason, RefusedReason::Limited);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_in_two_groups_has_one_set_of_limits() {
    let deployment = Deployment::new("a").rpm(6).max_parallel_requests(2);
    let one = Balance::new(LeastBusy, [(deployment.clone(), client())]);
    let other = Balance::new(LeastBusy, [(deployment.clone(), client())]);
    for reason in [RefusedReason::Full, RefusedReason::Full, RefusedReason::Limited] {
        let (first, second) =
            (one.clone().oneshot(request()).await, other.clone().oneshot(request()).await);
        assert!(first.is_ok() && second.is_ok());
        for balance in [&one, &other] {
            let third = balance.clone().oneshot(request()).await;
            assert_eq!(refusal(&third).map(|(reason, _)| reason), Some(reason));
            assert_eq!(deployment.in_flight(), 2);
        }
    }
    for balance in [one, other] {
        let wait = refusal(&balance.oneshot(request()).await);
        assert_eq!(wait, Some((RefusedReason::Limited, Some(MINUTE))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_is_known_in_every_group() {
    let quota = Quota::new("key", [Limit::parallel(1), Limit::tpm(100)]);
    let balance =
        |id: &str| Balance::new(LeastBusy, [(Deployment::new(id).quota(&quota), client())]);
    let (one, other) = (balance("a"), balance("b"));
    let held = one.clone().oneshot(asking(60)).await.expect("there is room");
    let refused = other.clone().oneshot(asking(30)).await;
    assert_eq!(refusal(&refused), Some((RefusedReason::Full, None)));
    drop(held);
    assert!(other.oneshot(asking(40)).await.is_ok());
    let refused = one.oneshot(asking(20)).await;
    assert_eq!(refusal(&refused), Some((RefusedReason::Limited, Some(MINUTE))));
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_takes_nothing() {
    let quota = Quota::new("key", [Limit::rpm(10), Limit::tpm(100), Limit::parallel(5)]);
    let member = |id: &str| Deployment::new(id).quota(&quota);

    // Dropped before it was polled.
    let balance = Balance::new(LeastBusy, [(member("a"), client()), (member("b"), client())]);
    let call = balance.clone().call(asking(60));
    assert_eq!(used(&quota), [1, 60, 1]);
    drop(call);
    assert_eq!(used(&quota), [0, 0, 0]);

    // Dropped while no service is ready; only one is asked, as they are limited.
    let closed =
        || tower::limit::ConcurrencyLimit::with_semaphore(client(), Arc::new(Semaphore::new(0)));
    let balance = Balance::new(LeastBusy, [(member("a"), closed()), (member("b"), closed())]);
    let mut call = Box::pin(balance.oneshot(asking(40)));
    assert!(poll_immediate(&mut call).await.is_none());
    assert_eq!(used(&quota), [1, 40, 1]);
    drop(call);
    assert_eq!(used(&quota), [0, 0, 0]);

    // Surely not sent, as its error says.
    let unreachable = service_fn(|_: Request<()>| {
        ready(Err::<Response<Body>, _>(io::Error::from(io::ErrorKind::ConnectionRefused)))
    });
    let balance = Balance::new(LeastBusy, [(member("a"), unreachable)]);
    assert!(balance.oneshot(asking(60)).await.is_err());
    assert_eq!(used(&quota), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_counts_as_a_request_alone_and_what_was_left_as_its_input_too() {
    let quota = Quota::new("key", [Limit::rpm(10), Limit::tpm(100), Limit::parallel(5)]);
    let member = || Deployment::new("a").quota(&quota);

    // Dropped while the answer was awaited.
    let silent = service_fn(|_: Request<()>| pending::<Result<Response<Body>, Infallible>>());
    let balance = Balance::new(LeastBusy, [(member(), silent)]);
    let mut call = Box::pin(balance.oneshot(asking(60)));
    assert!(poll_immediate(&mut call).await.is_none());
    assert_eq!(used(&quota), [1, 60, 1]);
    drop(call);
    assert_eq!(used(&quota), [1, 50, 0]);

    // Timed out below.
    let late = service_fn(|_: Request<()>| {
        ready(Err::<Response<Body>, _>(io::Error::from(io::ErrorKind::TimedOut)))
    });
    let balance = Balance::new(LeastBusy, [(member(), late)]);
    assert!(balance.oneshot(asking(40)).await.is_err());
    assert_eq!(used(&quota), [2, 80, 0]);
    advance(MINUTE).await;

    // An error that does not say whether it was sent.
    let broken =
        service_fn(|_: Request<()>| ready(Err::<Response<Body>, _>(BoxError::from("broken"))));
    let balance = Balance::new(LeastBusy, [(member(), broken)]);
    assert!(balance.oneshot(asking(60)).await.is_err());
    assert_eq!(used(&quota), [1, 0, 0]);

    // Refused by the deployment.
    let refusing = service_fn(|_: Request<()>| {
        let mut response = hello();
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        ready(Ok::<_, Infallible>(response))
    });
    let balance = Balance::new(LeastBusy, [(member(), refusing)]);
    let response = balance.oneshot(asking(60)).await.expect("it answers");
    assert_eq!(used(&quota), [2, 60, 1]);
    drop(response);
    assert_eq!(used(&quota), [2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_what_was_expected_until_someone_knows_better() {
    let quota = Quota::new("key", [Limit::rpm(10), Limit::tpm(100), Limit::parallel(5)]);
    let member = || Deployment::new("a").quota(&quota);

    // Nobody tells, whether the body is read or dropped.
    let balance = Balance::new(LeastBusy, [(member(), client())]);
    let response = balance.clone().oneshot(asking(30)).await.expect("it answers");
    response.into_body().collect().await.expect("it is whole");
    drop(balance.clone().oneshot(asking(30)).await.expect("it answers"));
    assert_eq!(used(&quota), [2, 60, 0]);
    let refused = balance.clone().oneshot(asking(50)).await;
    assert_eq!(refusal(&refused), Some((RefusedReason::Limited, Some(MINUTE))));
    advance(MINUTE).await;

    // A layer tells, sooner or later: of less, or of more than there is.
    let attempts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&attempts);
    let told = service_fn(move |request: Request<()>| {
        kept.lock().expect("nobody panics").push(Attempt::of(&request).expect("a balance").clone());
        ready(Ok::<_, Infallible>(hello()))
    });
    let settle = |tokens: u64| {
        let mut usage = Usage::default();
        (usage.input, usage.output) = (tokens - 1, 1);
        attempts.lock().expect("nobody panics").pop().expect("one").settle(&usage, None);
    };
    let balance = Balance::new(LeastBusy, [(member(), told)]);
    let response = balance.clone().oneshot(asking(90)).await.expect("it answers");
    settle(20);
    assert_eq!(used(&quota), [1, 20, 1]);
    drop(response);
    assert_eq!(used(&quota), [1, 20, 0]);
    advance(MINUTE / 2).await;
    drop(balance.clone().oneshot(asking(80)).await.expect("it fits now"));
    advance(MINUTE / 4).await;
    settle(150);
    assert_eq!(used(&quota), [2, 170, 0]);
    let refused = balance.oneshot(asking(31)).await;
    // What was above the limit was entered when it was known.
    assert_eq!(refusal(&refused), Some((RefusedReason::Limited, Some(MINUTE))));
}

#[test]
fn from_many_threads_and_groups_no_place_is_taken_twice_or_lost() {
    let quota = Quota::new("key", [Limit::parallel(2)]);
    let limited = Deployment::new("a").max_parallel_requests(2);
    for deployment in [limited, Deployment::new("b").quota(&quota)] {
        let groups = [(); 2].map(|()| Balance::new(LeastBusy, [(deployment.clone(), client())]));
        let send = |group: &Balance<_, _>| {
            let answer = poll_immediate(Box::pin(group.clone().oneshot(request())));
            tokio_test::block_on(answer).expect("it answers at once").ok()
        };
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for group in groups.iter().cycle().take(4) {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let Some(answer) = send(group) else { continue };
                        most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(answer);
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.into_inner()));
        for group in &groups {
            let two = [send(group), send(group)];
            assert!(two.iter().all(Option::is_some), "a place is lost");
            assert!(send(group).is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_guess_keeps_no_request_away_for_good() {
    let small = Deployment::new("small").tpm(100);
    let pool = Balance::new(LeastBusy, [(small.clone(), client())]);
    // Nothing says how long the answer may become; a short answer would be more than all there is.
    let mut demand = Demand::default();
    demand.input_tokens = Some(40);
    let mut unbounded = request();
    demand.clone().set(&mut unbounded);
    assert!(pool.clone().oneshot(unbounded.clone()).await.is_ok());
    assert_eq!(small.limits()[0].used, 100, "it may take all");
    let refused = refusal(&pool.clone().oneshot(unbounded).await);
    assert_eq!(refused, Some((RefusedReason::Limited, Some(MINUTE))));

    // What a request says is no guess.
    let mut bounded = request();
    demand.output_tokens = Some(200);
    demand.set(&mut bounded);
    let refused = refusal(&pool.clone().oneshot(bounded).await);
    assert_eq!(refused.map(|(reason, _)| reason), Some(RefusedReason::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_places_that_comes_later_counts_those_in_flight() {
    let before = Quota::new("key", [Limit::rpm(100)]);
    let after = Quota::new("key", [Limit::rpm(100), Limit::parallel(2)]).with_usage_of(&before);
    let shared = [&before, &after].map(|quota| Deployment::new("a").quota(quota));
    let own = [Deployment::new("a").rpm(100), Deployment::new("a").limit(Limit::parallel(2))];
    for [before, after] in [shared, own] {
        let balance = Balance::new(LeastBusy, [(before, client())]);
        let send = || poll_immediate(Box::pin(balance.clone().oneshot(request())));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(send().await.expect("it answers at once").expect("there is room"));
        }
        balance.members().insert(after, client());
        for _ in 0..2 {
            assert!(send().await.expect("it is refused at once").is_err());
            held.pop();
        }
        held.push(send().await.expect("it answers at once").expect("one of two is free"));
        assert!(send().await.expect("it is refused at once").is_err());
        drop(held);
        let _held = [send().await, send().await].map(|sent| sent.expect("at once").expect("free"));
        assert!(send().await.expect("it is refused at once").is_err());
    }
}
