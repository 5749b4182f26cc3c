//! The example runs.

use tower_fleet::BoxError;

#[tokio::test]
async fn the_example_runs_to_its_end() -> Result<(), BoxError> {
    tokio::spawn(tower_fleet_example_async_openai::run()).await?
}
