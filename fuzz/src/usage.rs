//! What a provider answers: a byte for the size of its chunks, one for what it is, then its body.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Demand,
    body::ReplayBody,
    deployment::Usage,
    llm::{InspectLayer, MeterLayer, Metered},
};

use super::support::{chunked, now, read};

const ENDPOINTS: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/",
];

/// What is asked, and how it is answered.
#[derive(Clone, Copy, Debug)]
struct Exchange<'a> {
    endpoint: &'static str,
    events: bool,
    /// The caller did not ask for the usage of a stream.
    hides: bool,
    breaks: bool,
    body: &'a [u8],
}

/// What the client got, whether whole, and what was told of it.
#[derive(Debug, PartialEq)]
struct Seen {
    got: Vec<u8>,
    whole: bool,
    told: Vec<Option<Usage>>,
}

/// However a body is cut, the counts are the same, told once, and the client gets all of it, but for the events that tell
/// of a usage it did not ask for; and of a plain JSON answer they are what it says.
pub fn run(data: &[u8]) {
    let [size, kind, body @ ..] = data else { return };
    let exchange = Exchange {
        endpoint: ENDPOINTS[usize::from(kind & 7)],
        events: kind & 8 != 0,
        hides: kind & 16 != 0,
        breaks: kind & 32 != 0,
        body,
    };
    let seen = exchange.run(0);
    assert_eq!(seen, exchange.run(usize::from(*size).max(1)));

    assert_eq!(seen.whole, !exchange.breaks);
    assert_eq!(seen.told.len(), 1);
    if exchange.events && exchange.hides {
        assert!(is_left_of(&seen.got, body));
    } else {
        assert_eq!(seen.got, body);
    }
    if !exchange.events
        && exchange.endpoint == ENDPOINTS[0]
        && let Some((input, output)) = plain(body)
    {
        let usage = seen.told[0].expect("a usage");
        assert_eq!((usage.input, usage.output, usage.estimated), (input, output, false));
    }
}

impl Exchange<'_> {
    fn run(self, chunk: usize) -> Seen {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let meter = MeterLayer::new().include_usage(true).on_usage(move |metered: &Metered<'_>| {
            tell.lock().expect("no panic").push(metered.usage);
        });
        let answer = self.body.to_vec();
        let provider = service_fn(move |_: Request<ReplayBody>| {
            let kind = if self.events { "text/event-stream" } else { "application/json" };
            let body = chunked(&answer, chunk, self.breaks);
            let response = Response::builder().header(CONTENT_TYPE, kind).body(body);
            async move { response.map_err(BoxError::from) }
        });
        let stack = ServiceBuilder::new().layer(InspectLayer::new()).layer(meter).service(provider);
        let asks = format!(
            r#"{{"model":"m","stream":{},"stream_options":{{"include_usage":{}}}}}"#,
            self.events, !self.hides
        );
        let mut request = Request::post(self.endpoint)
            .body(ReplayBody::from(Bytes::from(asks)))
            .expect("a request");
        let mut demand = Demand::default();
        demand.input_tokens = Some(7);
        demand.set(&mut request);
        let (got, whole) = now(async {
            let response = stack.oneshot(request).await.expect("an answer");
            read(response.into_body()).await
        });
        let told = std::mem::take(&mut *told.lock().expect("no panic"));
        Seen { got, whole, told }
    }
}

/// Whether `left` is what is left of `whole` when stretches of it are taken out.
fn is_left_of(left: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    left.iter().all(|byte| whole.any(|other| other == byte))
}

/// The tokens of the input and of the output, where an answer says them once, in the plainest way.
fn plain(body: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(body).ok()?;
    let answer: Value = serde_json::from_str(text).ok()?;
    let names = ["choices", "usage", "prompt_tokens", "completion_tokens"];
    if names.iter().any(|name| text.matches(name).count() != 1) || text.contains('\\') {
        return None;
    }
    answer.get("choices")?.as_array()?;
    let usage = answer.get("usage")?.as_object()?;
    let is_plain = usage.keys().all(|name| names.contains(&&**name));
    let count = |name| usage.get(name).and_then(Value::as_u64);
    is_plain.then_some((count(names[2])?, count(names[3])?))
}
