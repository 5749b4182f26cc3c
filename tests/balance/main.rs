//! The balance through its public face.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a test may fail, and its numbers are small"
)]

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use tower::{Service, ServiceExt, service_fn};
use tower_fleet::{
    Deployment, Error, Served,
    balance::{Balance, LeastBusy},
    error::RefusedReason,
};

use self::script::Script;

mod choices;
mod endings;
mod members;
mod picks;
mod readiness;
mod script;
mod waiting;

fn request() -> Request<()> {
    Request::new(())
}

fn served<B>(response: &Response<B>) -> String {
    Served::of(response).expect("a balance was passed").deployment().id().to_owned()
}

fn reason<T>(result: Result<T, Error>) -> Option<RefusedReason> {
    Some(result.err()?.as_refused()?.reason())
}

/// Answers at once, with a body that does what the script says.
fn answering(
    script: Script,
) -> impl Service<
    Request<()>,
    Response = Response<Script>,
    Error = Infallible,
    Future: Future<Output = Result<Response<Script>, Infallible>> + Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |_: Request<()>| {
        let script = script.clone();
        async move { Ok(Response::new(script)) }
    })
}

/// Never answers.
fn silent()
-> impl Service<Request<()>, Response = Response<Script>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    service_fn(|_: Request<()>| std::future::pending())
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_refuses_and_one_put_in_is_used_at_once() {
    let pool = Balance::new(LeastBusy, []);
    let refused = pool.clone().oneshot(request()).await.expect_err("nothing is there");
    let refused = refused.as_refused().expect("a refusal");
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Empty, None));
    pool.members().insert(Deployment::new("a"), answering(Script::default()));
    assert_eq!(served(&pool.oneshot(request()).await.expect("a answers")), "a");
}

#[tokio::test(start_paused = true)]
async fn bodies_outlive_the_balance() {
    let a = Deployment::new("a");
    let pool =
        Balance::new(LeastBusy, [(a.clone(), answering(Script::new([script::Part::Stall])))]);
    let response = pool.clone().oneshot(request()).await.expect("an answer");
    let waiting = pool.clone().call(request());
    drop(pool);
    assert_eq!(a.in_flight(), 2);
    drop((response, waiting));
    assert_eq!(a.in_flight(), 0);
}

#[test]
fn handles_and_futures_can_be_sent_when_the_inner_ones_can() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn sent<T: Send>(_: &T) {}
    let mut pool = Balance::new(LeastBusy, [(Deployment::new("a"), answering(Script::default()))]);
    shared(&pool);
    shared(&pool.members());
    let future = pool.call(request());
    sent(&future);
    sent(&async {
        let response = future.await;
        sent(&response);
    });
    sent(&pool.members().drain("a"));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_cannot_be_sent_is_served_without_a_box() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let local = service_fn(move |request: Request<std::rc::Rc<()>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::task::yield_now().await;
            drop(request);
            Ok::<_, Infallible>(Response::new(Script::default()))
        }
    });
    let pool = Balance::new(LeastBusy, [(Deployment::new("a"), local)]);
    pool.oneshot(Request::new(std::rc::Rc::new(()))).await.expect("an answer");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
