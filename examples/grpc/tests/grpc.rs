//! The example runs, and a stack over tonic's channels can be shared and spawned.

use http::{Request, Response};
use tonic::body::Body;
use tower::Service;
use tower_fleet::{BoxError, fleet::Stack};
use tower_fleet_example_grpc::{Fleet, ReplayChannel};

const fn can_be_shared_and_spawned<S, R>()
where
    S: Service<Request<Body>, Response = Response<R>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    R: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
}

const _: () = can_be_shared_and_spawned::<Fleet, _>();
const _: () = can_be_shared_and_spawned::<Stack<ReplayChannel>, _>();

#[tokio::test]
async fn the_example_runs_to_its_end() -> Result<(), BoxError> {
    tokio::spawn(tower_fleet_example_grpc::run()).await?
}
