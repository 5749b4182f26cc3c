//! The program is run with keys in every place that takes one, against deployments that fail in every way there is:
//! none of the keys is in what it prints or answers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{
    fmt::Write,
    path::PathBuf,
    process::{Output, Stdio},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use http::Request;
use http_body_util::BodyExt;
use support::*;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

/// In every key; what follows it says where the key was given.
const MARK: &str = "hunter2";

/// What a client sends that uses keys of its own in every way there is.
fn from_a_client(url: &str, bearer: &str, path: &str, body: &str) -> Request<String> {
    Request::post(format!("{url}{path}?key=hunter2-query"))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {bearer}"))
        .header("x-api-key", "hunter2-x-api-key")
        .header("api-key", "hunter2-api-key")
        .header("x-litellm-api-key", "hunter2-x-litellm-api-key")
        .header("cookie", "session=hunter2-cookie")
        .header("x-fleet-explain", "true")
        .header("proxy-authorization", "Basic hunter2-proxy")
        .body(body.to_owned())
        .unwrap()
}

/// A deployment for each way to fail, in a group named after it; `up` does not fail.
async fn deployments() -> Vec<(&'static str, String)> {
    let broken = Upstream::start(|_| async {
        let cut = futures_util::stream::once(async {
            // Meanwhile what came before it goes out.
            tokio::task::yield_now().await;
            Err(std::io::Error::other("cut"))
        });
        let begun = futures_util::stream::once(async { Ok("{\"half\": ") });
        Response::new(Body::from_stream(begun.chain(cut)))
    });
    let silent = Upstream::start(|_| std::future::pending::<Response>());
    let redirect = Upstream::fixed(302, &[("location", "http://elsewhere.example/")], "");
    let upgrade =
        Upstream::start(|_| async { http::StatusCode::SWITCHING_PROTOCOLS.into_response() });
    vec![
        ("up", Upstream::fixed(200, &[], "{}").await.base),
        ("unauthorized", Upstream::fixed(401, &[], r#"{"error": {"message": "no"}}"#).await.base),
        ("bad", Upstream::fixed(400, &[], "no").await.base),
        ("limited", Upstream::fixed(429, &[("retry-after", "60")], "no").await.base),
        ("failing", Upstream::fixed(500, &[], "no").await.base),
        ("page", Upstream::fixed(200, &[("content-type", "text/html")], "<html>").await.base),
        ("redirect", redirect.await.base),
        ("upgrade", upgrade.await.base),
        ("broken", broken.await.base),
        ("silent", silent.await.base),
        ("dead", nowhere()),
    ]
}

fn configuration(deployments: &[(&str, String)], rest: &str) -> String {
    let mut text = String::from("model_list:\n");
    for (name, base) in deployments {
        let key = match *name {
            "up" => "os.environ/REDACTION_KEY".to_owned(),
            name => format!("hunter2-file-{name}"),
        };
        let limit = if *name == "silent" { ", timeout: 0.1" } else { "" };
        let params = format!("model: openai/m, api_base: \"{base}/v1\", api_key: {key}{limit}");
        writeln!(text, "- {{model_name: {name}, litellm_params: {{{params}}}}}").unwrap();
    }
    text + "- {model_name: more, litellm_params: {model: openai/m, api_kee: hunter2-misspelt}}\n"
        + "router_settings: {num_retries: 1, fallbacks: [{failing: [limited, up]}]}\n"
        + rest
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.yaml"));
    std::fs::write(&path, text).unwrap();
    path
}

fn command(config: &PathBuf) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-fleet-gateway"));
    command
        .args(["--port", "0", "--config"])
        .arg(config)
        .env("RUST_LOG", "tower_fleet_gateway=debug")
        .env("REDACTION_KEY", "hunter2-environment")
        .env("OPENAI_API_KEY", "hunter2-openai")
        .kill_on_drop(true)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the program on `config`, has a client make every kind of request, and returns all that came out: what was
/// answered, head and body, then what was printed.
async fn all_that_comes_out(config: &PathBuf, bearer: &str, models: &[(&str, String)]) -> String {
    let mut child = command(config).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut out = String::new();
    timeout(PATIENCE, stdout.read_line(&mut out)).await.expect("a line in time").unwrap();
    child.stdout = Some(stdout.into_inner());
    let url = out.trim().rsplit(' ').next().unwrap().to_owned();

    for (model, _) in models {
        for stream in [false, true] {
            let body = format!(r#"{{"model": "{model}", "messages": [], "stream": {stream}}}"#);
            out += &answered(from_a_client(&url, bearer, "/v1/chat/completions", &body)).await;
        }
    }
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model": "nobody's"}"#),
        ("/v1/chat/completions", r#"{"model": 1}"#),
        ("/v1/chat/completions", "no json"),
        ("/v1/embeddings", r#"{"model": "up"}"#),
        ("/v1/messages", r#"{"model": "up"}"#),
        ("/v1/responses", r#"{"model": "up"}"#),
        ("/nothing", ""),
    ] {
        out += &answered(from_a_client(&url, bearer, path, body)).await;
    }
    let mut encoded = from_a_client(&url, bearer, "/v1/chat/completions", "");
    encoded.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    out += &answered(encoded).await;
    for path in ["/fleet", "/v1/models", "/v1/models/up", "/health/readiness", "/nothing"] {
        let mut request = from_a_client(&url, bearer, path, "");
        *request.method_mut() = http::Method::GET;
        out += &answered(request).await;
    }

    child.start_kill().unwrap();
    let printed = timeout(PATIENCE, child.wait_with_output()).await.expect("an end in time");
    let Output { stdout, stderr, .. } = printed.unwrap();
    out + &String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap()
}

/// An answer as text: its head, and as much of its body as came.
async fn answered(request: Request<String>) -> String {
    let (head, mut body) = open(request).await.into_parts();
    let mut text = format!("{head:?}");
    while let Some(Ok(frame)) = timeout(PATIENCE, body.frame()).await.expect("a frame in time") {
        text += &String::from_utf8_lossy(frame.data_ref().unwrap());
    }
    text + "\n"
}

fn search(text: &str) {
    let shown: Vec<_> = text.lines().filter(|line| line.contains(MARK)).collect();
    assert!(shown.is_empty(), "{shown:#?}");
}

#[tokio::test]
async fn no_key_is_printed_or_answered_whatever_fails() {
    let deployments = deployments().await;
    let config = file("redaction", &configuration(&deployments, ""));
    let out = all_that_comes_out(&config, "hunter2-bearer", &deployments).await;
    search(&out);
    // That there was something to search.
    for part in [
        "api_kee: unknown key",
        " | unauthorized/1 401 ",
        " | failing/1 500 ",
        " | silent/1 timeout ",
        " | dead/1 connect ",
        " | broke off: ",
        r#""up/1""#,
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[tokio::test]
async fn neither_the_master_key_nor_a_wrong_one_is_printed_or_answered() {
    let deployments = deployments().await;
    let master = "general_settings: {master_key: hunter2-master}\n";
    let config = file("redaction-master", &configuration(&deployments, master));
    for (bearer, part) in
        [("hunter2-wrong", "status: 401"), ("hunter2-master", " | failing/1 500 ")]
    {
        let out = all_that_comes_out(&config, bearer, &deployments).await;
        search(&out);
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[tokio::test]
async fn no_key_is_printed_of_a_configuration_that_cannot_be_used() {
    let deployments = [("up", "http://me:hunter2-userinfo@127.0.0.1".to_owned())];
    let config = file("redaction-wrong", &configuration(&deployments, ""));
    let output = command(&config).output().await.unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    search(&printed);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("api_base: expected an address without credentials"), "{printed}");
}
