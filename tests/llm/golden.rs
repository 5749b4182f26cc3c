//! The errors of each provider, through the whole stack.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;

#[derive(Deserialize)]
struct Golden {
    status: u16,
    kind: String,
    body: Box<RawValue>,
}

#[tokio::test(start_paused = true)]
async fn every_providers_error_is_an_attempt_of_the_kind_it_means_and_reaches_the_caller() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/errors");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Golden { status, kind, body } =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (result, kinds) = group([json(status, body.get().to_owned())]).ask().await;
        assert_eq!(kinds[0].unwrap().as_str(), kind, "{}", path.display());
        assert_eq!(text(result.unwrap()).await, body.get());
    }
}
