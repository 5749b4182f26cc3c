//! Requests that wait for a place.

use std::{
    collections::VecDeque,
    fmt::Display,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, advance};
use tokio_test::{
    assert_pending, assert_ready, assert_ready_err, assert_ready_ok,
    task::{Spawn, spawn},
};
use tower_fleet::{
    Demand, Trail,
    balance::{PriorityClass, QueuePolicy, ResponseBody, ResponseFuture},
    error::Refused,
};

use super::{script::Part::Stall, *};

mod bounds;
mod ends;
mod one_task;
mod order;
mod stress;
mod wakes;

/// Answers at once, with a body that never ends.
#[derive(Clone)]
struct Endless;

impl<B> Service<Request<B>> for Endless {
    type Response = Response<Script>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Script>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Script::new([Stall]))))
    }
}

type Pool = Balance<Endless, LeastBusy>;
type Answer = Response<ResponseBody<Script>>;
type Waiting = Spawn<ResponseFuture<Endless, LeastBusy, ()>>;

/// Over one deployment that takes one request at a time.
fn narrow(policy: QueuePolicy) -> (Deployment, Pool) {
    let one = Deployment::new("one").max_parallel_requests(1);
    (one.clone(), Balance::new(LeastBusy, [(one, Endless)]).queue(policy))
}

fn asking(demand: impl FnOnce(&mut Demand)) -> Request<()> {
    let (mut request, mut asked) = (request(), Demand::default());
    demand(&mut asked);
    asked.set(&mut request);
    request
}

fn from(caller: &str) -> Request<()> {
    asking(|demand| demand.caller = Some(caller.into()))
}

fn of_priority(priority: i32) -> Request<()> {
    asking(|demand| demand.priority = Some(priority))
}

fn staying_in(region: &str) -> Request<()> {
    asking(|demand| demand.region = Some(region.into()))
}

/// A request that is served at once.
fn taken(pool: &Pool) -> Answer {
    assert_ready_ok!(spawn(pool.clone().call(request())).poll())
}

fn waits(pool: &Pool, request: Request<()>) -> Waiting {
    let mut waiting = spawn(pool.clone().call(request));
    assert_pending!(waiting.poll());
    waiting
}

/// Over one deployment in the EU and one in the US, each of which has the one request it takes: first that in the EU.
fn two_regions(policy: QueuePolicy) -> (Pool, Answer, Answer) {
    let regions = ["eu", "us"];
    let members = regions
        .map(|id| Deployment::new(id).region(id).max_parallel_requests(1))
        .map(|one| (one, Endless));
    let pool = Balance::new(LeastBusy, members).queue(policy);
    let [eu, us] =
        regions.map(|region| assert_ready_ok!(spawn(pool.clone().call(staying_in(region))).poll()));
    (pool, eu, us)
}

fn refused(error: &Error) -> &Refused {
    error.as_refused().expect("a refusal")
}

/// Requests that wait, by name, and are polled only when they are woken.
#[derive(Default)]
struct Crowd(Vec<(String, Waiting)>);

impl Crowd {
    fn add(&mut self, pool: &Pool, name: impl Display, request: Request<()>) {
        self.0.push((name.to_string(), waits(pool, request)));
    }

    /// Polls whoever is woken as long as anyone is; those that have ended.
    fn ended(&mut self) -> VecDeque<(String, Result<Answer, Error>)> {
        let mut ended = VecDeque::new();
        while let Some(at) = self.0.iter_mut().position(|(_, waiting)| waiting.is_woken()) {
            if let Poll::Ready(result) = self.0[at].1.poll() {
                ended.push_back((self.0.remove(at).0, result));
            }
        }
        ended
    }

    /// The order in which they are served by one place.
    fn order(&mut self, mut held: Answer) -> Vec<String> {
        let mut order = Vec::new();
        loop {
            drop(held);
            let mut ended = self.ended();
            let Some((name, result)) = ended.pop_front() else { return order };
            assert!(ended.is_empty(), "one place, two answers");
            held = result.expect("an answer");
            order.push(name);
        }
    }
}
