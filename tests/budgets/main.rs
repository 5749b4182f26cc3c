//! Money that may be spent, what providers say is left, and accounts that several deployments share.

#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod account;
mod money;
mod reported;
#[path = "../support/mod.rs"]
mod support;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Empty;
use tower::{Service, ServiceExt};
use tower_fleet::{Demand, Error, error::Refused};

type Sent = Request<Empty<Bytes>>;

/// A request of a hundred tokens for ten, which carries these tags.
fn request(tags: &[&str]) -> Sent {
    let mut request = Request::post("/v1/chat/completions").body(Empty::new()).unwrap();
    let mut demand = Demand::default();
    demand.input_tokens = Some(100);
    demand.output_tokens = Some(10);
    demand.tags = tags.iter().map(|tag| (*tag).into()).collect();
    demand.set(&mut request);
    request
}

/// Asks and reads the answer to its end.
async fn ask<S, R>(service: &S, request: Sent) -> Result<Response<()>, Error>
where
    S: Service<Sent, Response = Response<R>, Error = Error> + Clone,
    R: Body,
{
    let (head, body) = service.clone().oneshot(request).await?.into_parts();
    let _ = http_body_util::BodyExt::collect(body).await;
    Ok(Response::from_parts(head, ()))
}

fn refusal<T>(result: Result<T, Error>) -> Refused {
    result.err().unwrap().as_refused().unwrap().clone()
}
