//! The example runs; and a router can be a deployment's service itself.

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::StatusCode,
    response::Response,
    routing::get,
};
use tower::{Layer, Service, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, Served,
    balance::{Balance, RoundRobin},
    cooldown::{Cooldown, CooldownLayer},
    fleet::Stack,
    retry::{Retry, RetryPolicy},
};
use tower_fleet_example_axum::Fleet;

type InProcess = Retry<Balance<Cooldown<Router>, RoundRobin>>;

const fn can_be_shared_and_spawned<S, R>()
where
    S: Service<Request, Response = Response<R>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    R: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
}

const _: () = can_be_shared_and_spawned::<Fleet, _>();
const _: () = can_be_shared_and_spawned::<Stack<Router>, _>();
const _: () = can_be_shared_and_spawned::<InProcess, _>();

#[tokio::test]
async fn the_example_runs_to_its_end() -> Result<(), BoxError> {
    tokio::spawn(tower_fleet_example_axum::run()).await?
}

#[tokio::test]
async fn a_router_is_a_deployments_service() -> Result<(), BoxError> {
    let answering =
        |status: StatusCode| Router::new().route("/", get(move || async move { status }));
    let cooldown = CooldownLayer::default();
    let routers = [("down", StatusCode::BAD_GATEWAY), ("well", StatusCode::OK)]
        .map(|(id, status)| (Deployment::new(id), cooldown.layer(answering(status))));
    let pool = InProcess::new(Balance::new(RoundRobin, routers), RetryPolicy::new());

    let response = pool.oneshot(Request::get("/").body(Body::empty())?).await?;
    let served = Served::of(&response).ok_or("nobody served it")?;
    assert_eq!((response.status(), served.deployment().id()), (StatusCode::OK, "well"));
    assert_eq!(served.trail().map(tower_fleet::Trail::attempt_count), Some(2));
    Ok(())
}
