//! What a server needs of the stacks it keeps in its state, checked by the compiler over hyper's client.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer};
use tower_fleet::{
    BoxError, Deployment,
    balance::{BalanceLayer, LeastBusy},
    body::ReplayBody,
    cooldown::CooldownLayer,
    fallback::{FallbackLayer, FallbackPlan},
    fleet::{FleetLayer, Stack},
    retry::RetryLayer,
    timeout::TimeoutLayer,
    upstream::{InvalidUrl, Upstream},
};
use tower_service::Service;

/// The body a server has of its caller: `Send` at most.
type CallersBody = UnsyncBoxBody<Bytes, Infallible>;

const fn can_be_shared_and_spawned<S, R>(_: &S)
where
    S: Service<Request<CallersBody>, Response = Response<R>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
}

const fn can_be_spawned<F: Future + Send + 'static>(_: &F) {}

fn client<B>() -> Client<HttpConnector, B>
where
    B: Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

fn members() -> Result<[(Deployment, Upstream); 1], InvalidUrl> {
    Ok([(Deployment::new("eu"), Upstream::new("http://eu.example")?)])
}

#[test]
fn the_canonical_stack_can_be_shared_and_spawned() -> Result<(), BoxError> {
    let fleet = FleetLayer::builder().group("chat", members()?).build()?;
    let stack: Stack<Client<HttpConnector, ReplayBody>> = fleet.layer(client());
    can_be_shared_and_spawned(&stack);
    Ok(())
}

#[test]
fn a_stack_by_hand_can_be_shared_and_spawned() -> Result<(), BoxError> {
    let stack = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(8))
        .layer(FallbackLayer::new(FallbackPlan::new()))
        .layer(RetryLayer::default())
        .layer(BalanceLayer::new(LeastBusy, members()?))
        .layer(CooldownLayer::default())
        .layer(TimeoutLayer::unlimited())
        .service(client());
    can_be_shared_and_spawned(&stack);
    Ok(())
}

#[test]
fn what_keeps_no_copy_of_the_request_takes_any_body() -> Result<(), BoxError> {
    let stack = ServiceBuilder::new()
        .layer(BalanceLayer::new(LeastBusy, members()?))
        .layer(CooldownLayer::default())
        .layer(TimeoutLayer::unlimited())
        .service(client::<CallersBody>());
    can_be_shared_and_spawned(&stack);
    Ok(())
}

#[test]
fn a_task_can_call_the_canonical_stack() -> Result<(), BoxError> {
    let fleet = FleetLayer::builder().group("chat", members()?).build()?;
    let stack: Stack<Client<HttpConnector, ReplayBody>> = fleet.layer(client());
    can_be_spawned(&async move { stack.oneshot(Request::new(CallersBody::default())).await });
    Ok(())
}
