//! `cargo run -p tower-fleet-example-grpc`

use tower_fleet::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tower_fleet_example_grpc::run().await
}
