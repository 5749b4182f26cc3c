//! Times what reading and preparing the body of a request costs, beside what a `serde_json::Value` would.
//!
//! `cargo bench -p tower-fleet-benches --bench llm` prints microseconds a request and ratios against the goal. The body
//! goes through an inspection, a balance of one and the rewriting of its model's name, to a client that reads it; the
//! other way parses it, sets the name and writes it. Both run in one process, interleaved, and the median of several
//! rounds counts.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::{Layer, Service, service_fn};
use tower_fleet::{
    BoxError, Deployment,
    balance::{Balance, LeastBusy},
    body::ReplayBody,
    llm::{InspectLayer, MeterLayer, RewriteModelLayer, RewrittenBody},
};
use tower_fleet_benches::now;

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    println!("inspect and rewrite, median         ours, us   Value, us   Value / ours");
    for (name, goal, body) in bodies() {
        // About as many bytes in each round, however long the body.
        let (rounds, requests) =
            if full { (15, (4 << 20) / body.len().max(4 << 10) + 1) } else { (1, 1) };
        let (mut ours, mut value) = (Vec::new(), Vec::new());
        let mut service = stack();
        for _ in 0..rounds {
            ours.push(time(requests, || send(&mut service, &body)));
            value.push(time(requests, || round_trip(&body)));
        }
        let (ours, value) = (median(ours), median(value));
        print!("{name:<34} {ours:>9.2}   {value:>9.2}   {:>12.1}", value / ours);
        match goal {
            Some(goal) => println!("   goal: at least {goal}"),
            None => println!(),
        }
    }
}

/// The bodies, and how many times as fast as a `Value` the goal is.
fn bodies() -> Vec<(String, Option<f64>, Bytes)> {
    let mut bodies = Vec::new();
    for (size, len) in [("1 KB", 1 << 10), ("20 KB", 20 << 10), ("1 MB", 1 << 20)] {
        let goal = (len == 20 << 10).then_some(5.0);
        bodies.push((
            format!("{size}, many messages with escapes"),
            goal,
            body(many_messages(len)),
        ));
        bodies.push((format!("{size}, one long text"), goal, body(one_text(len))));
    }
    bodies.push(("10 MB, an image".to_owned(), None, body(image(10 << 20))));
    bodies
}

fn body(messages: Value) -> Bytes {
    let mut body = json!({"model": "chat", "stream": true, "temperature": 0.7, "max_tokens": 1024});
    body["messages"] = messages;
    body.to_string().into()
}

/// A chat about source code, as it comes: an escape every line or two, quotes in between.
fn many_messages(len: usize) -> Value {
    let text = "Why does this fail?\n```rust\nlet name = map.get(\"name\").unwrap_or(&\"none\".to_owned());\n\
                println!(\"hello, {name}\");\n```\nIt says \"temporary value dropped while borrowed\", and I do not \
                see which one is meant by that. Please explain it to me.\n";
    let message = |at: usize| {
        let role = if at.is_multiple_of(2) { "user" } else { "assistant" };
        json!({"role": role, "content": text})
    };
    (0..len.div_ceil(text.len() + 60)).map(message).collect()
}

fn one_text(len: usize) -> Value {
    json!([{"role": "user", "content": "It was a bright cold day in spring. ".repeat(len / 36)}])
}

fn image(len: usize) -> Value {
    let url = format!("data:image/png;base64,{}", "iVBORw0KGgoAAAANSUhEUgAA".repeat(len / 24));
    json!([{"role": "user", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]}])
}

fn stack() -> impl Service<Request<Full<Bytes>>, Response = Response<impl http_body::Body>> {
    let client = service_fn(async |request: Request<RewrittenBody<ReplayBody>>| {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            black_box(frame?);
        }
        Ok::<_, BoxError>(Response::new(Full::new(Bytes::new())))
    });
    let deployment = Deployment::new("eu").model("gpt-4o-2024");
    let prepared =
        MeterLayer::new().include_usage(true).layer(RewriteModelLayer::new().layer(client));
    InspectLayer::new().layer(Balance::new(LeastBusy, [(deployment, prepared)]))
}

fn send<S>(service: &mut S, body: &Bytes)
where
    S: Service<Request<Full<Bytes>>>,
{
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
    now(async {
        assert!(service.call(request).await.is_ok());
    });
}

fn round_trip(body: &Bytes) {
    let value: Result<Value, _> = serde_json::from_slice(body);
    let written = value.map(|mut value| {
        value["model"] = "gpt-4o-2024".into();
        value["stream_options"] = json!({"include_usage": true});
        serde_json::to_vec(&value)
    });
    assert!(black_box(written).is_ok_and(|written| written.is_ok()));
}

/// The time of one request, in microseconds.
fn time(requests: usize, mut one: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..requests).for_each(|_| one());
    let all: Duration = start.elapsed();
    all.as_secs_f64() * 1e6 / f64::from(u32::try_from(requests).unwrap_or(u32::MAX))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
