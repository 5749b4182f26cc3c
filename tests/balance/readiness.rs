//! The readiness of the picked service is driven by the response.

use std::{
    io,
    sync::Mutex,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{advance, sleep};
use tokio_test::{assert_pending, assert_ready, task};
use tower::limit::ConcurrencyLimit;
use tower_fleet::{
    Demand, Trail,
    outcome::{Failure, FailureKind},
    quota::{Limit, Quota},
};

use super::*;

/// A service whose readiness is set by hand. A clone must be ready before it is called; cloning forgets that.
struct Gate {
    state: Arc<Mutex<(Readiness, Vec<Waker>)>>,
    was_ready: bool,
}

#[derive(Clone, Copy)]
enum Readiness {
    Ready,
    Pending,
    Failing,
}

impl Gate {
    fn new(readiness: Readiness) -> Self {
        Self { state: Arc::new(Mutex::new((readiness, Vec::new()))), was_ready: false }
    }

    fn set(&self, readiness: Readiness) {
        let mut state = self.state.lock().expect("no panic");
        state.0 = readiness;
        state.1.drain(..).for_each(Waker::wake);
    }
}

impl Clone for Gate {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), was_ready: false }
    }
}

impl<B> Service<Request<B>> for Gate {
    type Response = Response<Script>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<Script>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock().expect("no panic");
        match state.0 {
            Readiness::Ready => {
                self.was_ready = true;
                Poll::Ready(Ok(()))
            }
            Readiness::Pending => {
                state.1.push(cx.waker().clone());
                Poll::Pending
            }
            Readiness::Failing => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
        }
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.was_ready), "called before it was ready");
        std::future::ready(Ok(Response::new(Script::default())))
    }
}

fn gates<const N: usize>(
    readiness: [Readiness; N],
) -> (Balance<Gate, LeastBusy>, [Deployment; N], [Gate; N]) {
    let gates = readiness.map(Gate::new);
    let mut name = b'a'..;
    let members = gates
        .each_ref()
        .map(|_| Deployment::new(char::from(name.next().expect("few")).to_string()));
    let pool = Balance::new(LeastBusy, members.iter().cloned().zip(gates.iter().cloned()));
    (pool, members, gates)
}

use Readiness::{Failing, Pending, Ready};

#[tokio::test(start_paused = true)]
async fn the_very_clone_that_was_ready_is_called() {
    let (pool, ..) = gates([Ready, Ready]);
    for _ in 0..20 {
        pool.clone().oneshot(request()).await.expect("an answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_readiness_fails_is_passed_over_and_stays() {
    let (pool, [a, b], [gate, _]) = gates([Failing, Ready]);
    for _ in 0..20 {
        let mut request = Request::new("whole".to_owned());
        let trail = Trail::start(&mut request);
        let response = pool.clone().oneshot(request).await.expect("b answers");
        assert_eq!(served(&response), "b");
        let steps = trail.attempts();
        assert!(steps.len() == 1 || steps[0].deployment().is_some_and(|one| one.id() == "a"));
    }
    assert!(a.picked() > 0, "it was picked before it failed");
    assert_eq!((a.in_flight(), b.picked()), (0, 20));
    gate.set(Ready);
    pool.members().remove("b");
    assert_eq!(served(&pool.oneshot(request()).await.expect("a answers")), "a");
}

#[tokio::test(start_paused = true)]
async fn the_error_is_the_last_members_own_when_the_readiness_of_all_fails() {
    let (pool, members, _) = gates([Failing, Failing, Failing]);
    let Err(error) = pool.oneshot(request()).await else { panic!("it answered") };
    assert_eq!(Failure::from_error(&error), Failure::new(FailureKind::Connect).not_sent());
    let Error::NotReady(error) = error else { panic!("{error:?}") };
    assert!(error.is::<io::Error>());
    assert!(members.iter().all(|one| (one.picked(), one.in_flight()) == (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn another_is_used_while_one_is_pending_and_the_loser_keeps_nothing() {
    let limited = |script: Script| ConcurrencyLimit::new(answering(script), 1);
    let [full, free] = [limited(Script::default()), limited(Script::default())];
    let (a, b) = (Deployment::new("a"), Deployment::new("b"));
    let pool = Balance::new(LeastBusy, [(a.clone(), full.clone()), (b, free.clone())]);
    for _ in 0..20 {
        let mut permit = full.clone();
        permit.ready().await.expect("never closed");
        assert_eq!(served(&pool.clone().oneshot(request()).await.expect("b answers")), "b");
        assert_eq!(a.in_flight(), 0);
        drop(permit);
        for service in [&full, &free] {
            let ready = task::spawn(()).enter(|cx, _| service.clone().poll_ready(cx));
            assert!(ready.is_ready(), "a permit is lost");
        }
    }
    assert!(a.picked() > 0, "it was picked first at times");
}

#[tokio::test(start_paused = true)]
async fn the_first_to_be_ready_gets_the_request_when_all_are_pending() {
    for first in 0..3 {
        let (pool, members, gates) = gates([Pending, Pending, Pending]);
        let mut future = task::spawn(pool.clone().oneshot(request()));
        assert_pending!(future.poll());
        assert!(members.iter().all(|one| one.in_flight() == 1), "all three are asked");
        gates[first].set(Ready);
        assert!(future.is_woken());
        let response = assert_ready!(future.poll()).expect("an answer");
        assert_eq!(served(&response), members[first].id());
        drop((response, future));
        assert!(members.iter().all(|one| one.in_flight() == 0));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_two_others_are_asked_and_a_pending_request_holds_no_more_when_dropped() {
    let (pool, members, _) = gates([Pending; 6]);
    let mut future = task::spawn(pool.oneshot(request()));
    for _ in 0..3 {
        assert_pending!(future.poll());
        assert_eq!(members.iter().map(Deployment::in_flight).sum::<usize>(), 3);
    }
    drop(future);
    assert_eq!(members.iter().map(Deployment::in_flight).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lone_pending_member_is_waited_for() {
    let (pool, [a], [gate]) = gates([Pending]);
    let mut future = task::spawn(pool.oneshot(request()));
    assert_pending!(future.poll());
    assert!(!future.is_woken(), "it must not wake itself");
    gate.set(Ready);
    assert!(future.is_woken());
    assert!(assert_ready!(future.poll()).is_ok());
    assert_eq!(a.picked(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_whose_cooldown_ended_meanwhile_takes_over_from_one_that_fails_late() {
    let (pool, [_, b], [gate, _]) = gates([Pending, Ready]);
    b.health().cool_for(Duration::from_secs(5));
    let mut request = request();
    let trail = Trail::start(&mut request);
    let mut future = task::spawn(pool.oneshot(request));
    assert_pending!(future.poll());
    advance(Duration::from_secs(10)).await;
    gate.set(Failing);
    let response = assert_ready!(future.poll()).expect("b answers");
    assert_eq!(served(&response), "b");
    let steps = trail.attempts();
    assert_eq!(steps[0].took(), Some(Duration::from_secs(10)));
    assert_eq!(steps[1].started() - steps[0].started(), Duration::from_secs(10));
    assert_eq!(steps[1].took(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_member_removed_between_the_pick_and_the_call_still_serves_the_request() {
    let (mut pool, [a], [gate]) = gates([Pending]);
    let waiting = tokio::spawn(pool.call(request()));
    sleep(Duration::from_secs(1)).await;
    pool.members().remove("a");
    gate.set(Ready);
    assert_eq!(served(&waiting.await.expect("no panic").expect("a answers")), "a");
    assert_eq!(a.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_contender_has_what_the_request_asks_for_too() {
    let (failing, ready) = (Gate::new(Failing), Gate::new(Ready));
    let balance = Balance::new(
        LeastBusy,
        [
            (Deployment::new("failing").order(0), failing),
            (Deployment::new("small").order(1).max_input_tokens(1), ready.clone()),
            (Deployment::new("large").order(2), ready),
        ],
    );
    let mut demand = Demand::default();
    demand.input_tokens = Some(2);
    let mut request = Request::new(());
    demand.set(&mut request);
    assert_eq!(served(&balance.oneshot(request).await.expect("large answers")), "large");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_refused_for_what_another_takes_while_it_waits_for_readiness() {
    let bounds: [fn(Deployment) -> Deployment; 4] = [
        |one| one.max_parallel_requests(1),
        |one| one.rpm(1),
        |one| one.limit(Limit::parallel(1)),
        |one| one.quota(&Quota::new("key", [Limit::rpm(1)])),
    ];
    for bound in bounds {
        let gate = Gate::new(Pending);
        let members = ["a", "b", "c"].map(|id| (bound(Deployment::new(id)), gate.clone()));
        let pool = Balance::new(LeastBusy, members);
        let mut three = [(); 3].map(|()| task::spawn(pool.clone().oneshot(request())));
        for one in &mut three {
            assert_pending!(one.poll());
        }
        gate.set(Ready);
        let mut served: Vec<_> = three
            .iter_mut()
            .map(|one| served(&assert_ready!(one.poll()).expect("each has its own")))
            .collect();
        served.sort();
        assert_eq!(served, ["a", "b", "c"]);
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_pending_one_only_those_without_limits_are_asked() {
    let gates = [Pending, Pending, Ready].map(Gate::new);
    let [first, limited, free] = [
        Deployment::new("first").order(0).rpm(9),
        Deployment::new("limited").order(1).rpm(9),
        Deployment::new("free").order(2),
    ];
    let members = [first, limited.clone(), free].into_iter().zip(gates.clone());
    let pool = Balance::new(LeastBusy, members);
    assert_eq!(served(&pool.clone().oneshot(request()).await.expect("free answers")), "free");
    assert_eq!(limited.picked(), 0);
    // One that fails is replaced by whoever is next, limits or not.
    let [first, limited, _] = gates;
    first.set(Failing);
    limited.set(Ready);
    assert_eq!(served(&pool.oneshot(request()).await.expect("limited answers")), "limited");
}
