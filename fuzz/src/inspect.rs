//! A client's request: a byte for the size of its chunks, then its body.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Deployment, GroupName,
    balance::{Balance, RoundRobin},
    body::ReplayBody,
    llm::{InspectLayer, RewriteModelLayer, RewrittenBody},
};

use super::support::{chunked, now, read};

/// The name a deployment knows its model by.
const MODEL: &str = "the \"model\" of\\a\ndeployment";

/// What a deployment got: the name of the group, and the body.
#[derive(Clone, Debug, PartialEq)]
struct Sent(String, Vec<u8>);

/// Nothing but the model's name changes on the way, however the body is cut, and the group is the name it had.
pub fn run(data: &[u8]) {
    let Some((&size, body)) = data.split_first() else { return };
    let sent = send(body, 0);
    assert_eq!(sent, send(body, size.into()));

    let parsed = serde_json::from_slice::<Value>(body);
    let (Some(Sent(group, sent)), Ok(mut expected)) = (sent, parsed) else { return };
    assert_eq!(expected["model"], group);
    expected["model"] = MODEL.into();
    assert_eq!(serde_json::from_slice::<Value>(&sent).expect("JSON"), expected);
}

/// Nothing, if the request is refused.
fn send(body: &[u8], chunk: usize) -> Option<Sent> {
    let deployment = service_fn(|request: Request<RewrittenBody<ReplayBody>>| async move {
        let group = GroupName::of(&request).expect("a group").as_str().to_owned();
        let (sent, whole) = read(request.into_body()).await;
        assert!(whole, "the body came to its end");
        let mut response = Response::new(Empty::<Bytes>::new());
        response.extensions_mut().insert(Sent(group, sent));
        Ok::<_, BoxError>(response)
    });
    let member = (Deployment::new("a").model(MODEL), RewriteModelLayer.layer(deployment));
    let stack = InspectLayer::new().layer(Balance::new(RoundRobin, [member]));
    let request =
        Request::post("/v1/chat/completions").body(chunked(body, chunk)).expect("a request");
    now(stack.oneshot(request)).ok()?.extensions_mut().remove()
}
