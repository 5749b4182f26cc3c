//! What a deployment responds: a byte for the size of its chunks, one for what was asked, one for the status, one for
//! the content type, then the body.

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Deployment, Error, Trail,
    balance::{BalanceLayer, RoundRobin},
    body::ReplayBody,
    cooldown::CooldownLayer,
    llm::{InspectLayer, VerifyLayer},
    outcome::FailureKind,
    upstream::Upstream,
};

use super::support::{chunked, now, read};

const ENDPOINTS: [&str; 4] =
    ["/v1/chat/completions", "/v1/embeddings", "/v1/messages", "/v1/models"];
const STATUSES: [u16; 16] =
    [200, 200, 200, 201, 204, 307, 400, 401, 402, 403, 404, 413, 422, 429, 500, 529];
const KINDS: [Option<&str>; 8] = [
    None,
    Some("application/json"),
    Some("application/json; charset=utf-8"),
    Some("application/problem+json"),
    Some("text/event-stream"),
    Some("text/html"),
    Some("text/plain"),
    Some(""),
];

#[derive(Clone, Copy, Debug)]
struct Exchange<'a> {
    endpoint: &'static str,
    stream: bool,
    breaks: bool,
    status: u16,
    kind: Option<&'static str>,
    body: &'a [u8],
}

/// A response that was handed on, or an error in its place; and what the attempt was found to be.
#[derive(Debug, PartialEq)]
struct Seen {
    response: Result<(u16, Vec<u8>, bool), String>,
    found: Option<FailureKind>,
}

/// What a response means does not depend on how it is cut, but that a stream is handed on with what has come of it, so
/// that of one in pieces less may be known; what is handed on is handed on untouched, to its end or to where it breaks; and
/// a failure by its status stays one.
pub fn run(data: &[u8]) {
    let [size, asked, status, kind, body @ ..] = data else { return };
    let exchange = Exchange {
        endpoint: ENDPOINTS[usize::from(asked & 3)],
        stream: asked & 4 != 0,
        breaks: asked & 8 != 0,
        status: STATUSES[usize::from(status & 15)],
        kind: KINDS[usize::from(kind & 7)],
        body,
    };
    let seen = exchange.run(0);
    let in_pieces = exchange.run(usize::from(*size).max(1));
    let may_be_a_stream = matches!(exchange.kind, None | Some("" | "text/event-stream"));
    if exchange.stream && may_be_a_stream && exchange.status < 400 {
        assert!(seen.found.is_some() || in_pieces.found.is_none(), "{exchange:?}");
    } else {
        assert_eq!(seen, in_pieces, "{exchange:?}");
    }

    match &seen.response {
        Ok(response) => {
            assert_eq!(
                *response,
                (exchange.status, body.to_vec(), !exchange.breaks),
                "{exchange:?}"
            );
        }
        Err(error) => {
            assert!(!error.is_empty());
            assert!(exchange.status < 400, "{exchange:?}");
        }
    }
    // To whoever judges in general, a 404 is a server that does its job.
    let failed = exchange.status >= 400 && exchange.status != 404;
    assert!(seen.found.is_some() || !failed, "{exchange:?}");
}

impl Exchange<'_> {
    fn run(self, chunk: usize) -> Seen {
        let answer = self.body.to_vec();
        let deployment = service_fn(move |_: Request<ReplayBody>| {
            let response = Response::builder().status(self.status);
            let response = match self.kind {
                Some(kind) => response.header(CONTENT_TYPE, kind),
                None => response,
            };
            let response = response.body(chunked(&answer, chunk, self.breaks));
            async move { response.map_err(BoxError::from) }
        });
        let to = Upstream::new("http://deployment").expect("a URL");
        let stack = ServiceBuilder::new()
            .layer(InspectLayer::new())
            .layer(BalanceLayer::new(RoundRobin, [(Deployment::new("a"), to)]))
            .layer(CooldownLayer::default())
            .layer(VerifyLayer::new())
            .service(deployment);
        let asks = format!(r#"{{"model":"m","stream":{}}}"#, self.stream);
        let body = ReplayBody::from(Bytes::from(asks));
        let mut request = Request::post(self.endpoint).body(body).expect("a request");
        let trail = Trail::start(&mut request);
        let response = now(async {
            let response =
                stack.oneshot(request).await.map_err(|error: Error| error.to_string())?;
            let (head, body) = response.into_parts();
            let (got, whole) = read(body).await;
            Ok((head.status.as_u16(), got, whole))
        });
        let attempts = trail.attempts();
        let failure = attempts[0].outcome().and_then(|outcome| outcome.failure());
        Seen { response, found: failure.map(|failure| failure.kind()) }
    }
}
