//! `cargo run -p tower-fleet-example-reqwest`

use tower_fleet::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tower_fleet_example_reqwest::run().await
}
