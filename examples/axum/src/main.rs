//! `cargo run -p tower-fleet-example-axum`

use tower_fleet::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tower_fleet_example_axum::run().await
}
