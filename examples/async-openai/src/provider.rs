//! Servers that speak OpenAI's API.

use std::io;

use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Starts the server `name` on loopback, and returns its URL.
pub(crate) async fn serve(name: &'static str) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| answer(name, request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(url)
}

async fn answer(
    name: &'static str,
    request: Request<Incoming>,
) -> Result<Response<String>, hyper::Error> {
    let (head, body) = request.into_parts();
    let asked: Value =
        serde_json::from_slice(&body.collect().await?.to_bytes()).unwrap_or_default();
    let its_key = format!("Bearer key-of-{name}");
    Ok(if head.headers.get(AUTHORIZATION).is_none_or(|key| key != its_key.as_str()) {
        error(StatusCode::UNAUTHORIZED, "wrong key", None)
    } else if name == "spent" {
        error(StatusCode::TOO_MANY_REQUESTS, "slow down", None)
    } else if asked["temperature"].as_f64() > Some(2.0) {
        error(StatusCode::BAD_REQUEST, "at most 2", Some("temperature"))
    } else if head.uri.path() == "/embeddings" {
        let data = json!([{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]);
        let usage = json!({"prompt_tokens": 1, "total_tokens": 1});
        whole(&json!({"object": "list", "model": asked["model"], "data": data, "usage": usage}))
    } else if asked["stream"] == true {
        let chunks =
            ["Hel", "lo", "!"].map(|word| chat(&asked, "chat.completion.chunk", "delta", word));
        let chunks = chunks.map(|chunk| format!("data: {chunk}\n\n")).concat() + "data: [DONE]\n\n";
        with_type("text/event-stream", chunks)
    } else {
        let mut answer = chat(&asked, "chat.completion", "message", "Hello!");
        answer["usage"] = json!({"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11});
        whole(&answer)
    })
}

fn chat(asked: &Value, object: &str, part: &str, text: &str) -> Value {
    let choice = json!({
        "index": 0,
        part: {"role": "assistant", "content": text},
        "finish_reason": "stop",
    });
    json!({"id": "1", "object": object, "created": 0, "model": asked["model"], "choices": [choice]})
}

fn error(status: StatusCode, message: &str, param: Option<&str>) -> Response<String> {
    let error = json!({"message": message, "type": "error", "param": param, "code": null});
    let mut response = whole(&json!({"error": error}));
    *response.status_mut() = status;
    response
}

fn whole(json: &Value) -> Response<String> {
    with_type("application/json", json.to_string())
}

fn with_type(kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
