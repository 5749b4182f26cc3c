//! The shapes that providers send, however they are cut.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_fleet::{
    Demand,
    body::ReplayBody,
    llm::{InspectLayer, MeterLayer, Metered},
};

use super::text;

/// A provider's answer, with what is to be read of it beside it.
struct Golden {
    path: PathBuf,
    answer: Vec<u8>,
    expected: String,
    /// What a client gets that did not ask for the usage.
    hidden: Vec<u8>,
}

fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/usage");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_answer = |path: &PathBuf| {
        let expected = path.extension().is_some_and(|extension| extension == "txt");
        !expected && !path.to_str().unwrap().ends_with(".hidden.sse")
    };
    let goldens: Vec<_> = paths
        .filter(is_answer)
        .map(|path| {
            let answer = fs::read(&path).unwrap();
            let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
            let hidden = fs::read(path.with_extension("hidden.sse"));
            let hidden = hidden.unwrap_or_else(|_| answer.clone());
            Golden { path, answer, expected: expected.trim().to_owned(), hidden }
        })
        .collect();
    assert!(goldens.len() > 20);
    goldens
}

impl Golden {
    fn endpoint(&self) -> &'static str {
        let name = self.path.file_name().unwrap().to_str().unwrap();
        match name {
            name if name.contains("chat") => "/v1/chat/completions",
            name if name.contains("completions") => "/v1/completions",
            name if name.contains("embeddings") => "/v1/embeddings",
            name if name.contains("responses") => "/v1/responses",
            _ => "/v1/messages",
        }
    }

    /// Sends `chunks` through a meter: what it told, and what the client got.
    async fn read(&self, chunks: Vec<&[u8]>, wants_usage: bool) -> (String, Vec<u8>) {
        let stream = self.path.extension().is_some_and(|extension| extension == "sse");
        let kind = if stream { "text/event-stream; charset=utf-8" } else { "application/json" };
        let chunks: Vec<_> = chunks.into_iter().map(Bytes::copy_from_slice).collect();
        let client = service_fn(move |_: Request<ReplayBody>| {
            let frames = chunks.clone().into_iter().map(Frame::data).map(Ok::<_, Infallible>);
            let body = StreamBody::new(stream::iter(frames));
            let answer = Response::builder().header(CONTENT_TYPE, kind).body(body);
            async move { answer }
        });
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let meter = MeterLayer::new()
            .include_usage(true)
            .on_usage(move |metered: &Metered<'_>| tell.lock().unwrap().push(text(metered.usage)));
        let mut request = Request::post(self.endpoint()).body(asks(stream)).unwrap();
        let mut demand = Demand::default();
        demand.input_tokens = Some(7);
        demand.set(&mut request);
        let got = if wants_usage {
            let answer = meter.layer(client).oneshot(request).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        } else {
            let stack =
                ServiceBuilder::new().layer(InspectLayer::new()).layer(meter).service(client);
            let answer = stack.oneshot(request).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        };
        let told = told.lock().unwrap().join("; ");
        (told, got.into())
    }

    async fn check(&self, chunks: Vec<&[u8]>, wants_usage: bool, how: &str) {
        let (told, got) = self.read(chunks, wants_usage).await;
        let what = format!("{}, {how}, usage wanted: {wants_usage}", self.path.display());
        assert_eq!(told, self.expected, "{what}");
        let expected = if wants_usage { &self.answer } else { &self.hidden };
        assert!(got == *expected, "{what}: {}", String::from_utf8_lossy(&got));
    }
}

fn asks(stream: bool) -> ReplayBody {
    ReplayBody::from(Bytes::from(format!(r#"{{"model":"chat","stream":{stream}}}"#)))
}

#[tokio::test]
async fn every_shape_gives_its_tokens_and_hides_what_was_not_asked_for() {
    for golden in goldens() {
        for wants_usage in [true, false] {
            golden.check(vec![&golden.answer], wants_usage, "whole").await;
        }
    }
}

#[tokio::test]
async fn cuts_at_any_byte_change_nothing() {
    for golden in goldens() {
        for wants_usage in [true, false] {
            for at in 0..=golden.answer.len() {
                let (before, after) = golden.answer.split_at(at);
                golden.check(vec![before, after], wants_usage, &format!("cut at {at}")).await;
            }
            let bytes = golden.answer.chunks(1).collect();
            golden.check(bytes, wants_usage, "byte by byte").await;
        }
    }
}
