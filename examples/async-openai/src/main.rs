//! `cargo run -p tower-fleet-example-async-openai`

use tower_fleet::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tower_fleet_example_async_openai::run().await
}
