//! The program: what it prints, how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{convert::Infallible, path::PathBuf, process::Stdio};

use axum::body::Body;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use support::*;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-fleet-gateway"));
    command.kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A configuration file of the test `name`.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.yaml"));
    std::fs::write(&path, text).unwrap();
    path
}

async fn line(lines: &mut (impl AsyncBufReadExt + Unpin)) -> String {
    let mut line = String::new();
    timeout(PATIENCE, lines.read_line(&mut line)).await.expect("a line in time").unwrap();
    line
}

async fn rest(mut reader: impl AsyncRead + Unpin) -> String {
    let mut text = String::new();
    timeout(PATIENCE, reader.read_to_string(&mut text)).await.expect("an end in time").unwrap();
    text
}

/// A program that serves, and its address.
async fn spawned(command: &mut Command) -> (Child, String) {
    let mut child = command.args(["--port", "0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let first = line(&mut lines).await;
    let address = first.trim().strip_prefix("tower-fleet-gateway listens on ").expect("an address");
    let address = address.to_owned();
    // Read on, as a pipe that is full would hold the program up.
    tokio::spawn(async move { rest(lines).await });
    (child, address)
}

async fn code(child: &mut Child) -> i32 {
    timeout(PATIENCE, child.wait()).await.expect("an exit in time").unwrap().code().unwrap()
}

/// A program that does not serve: its exit code and what it complained of.
async fn failed(command: &mut Command) -> (i32, String) {
    let output = timeout(PATIENCE, command.output()).await.expect("an exit in time").unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_told_and_fails() {
    let path = file("wrong", "model_list:\n- model_name: m\n  litellm_params: {modle: openai/x}\n");
    let (code, errors) = failed(command().arg("--config").arg(&path)).await;
    assert_eq!(code, 1);
    let expected = [
        "wrong.yaml cannot be used",
        "line 3: model_list[0].litellm_params.model: ",
        "warning: line 3: model_list[0].litellm_params.modle: unknown key",
    ];
    for part in expected {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    assert_eq!(errors.matches("wrong.yaml").count(), 1, "{errors}");
    let (code, errors) = failed(command().args(["--config", "/nowhere/at-all.yaml"])).await;
    assert_eq!(code, 1);
    assert!(errors.contains("cannot read /nowhere/at-all.yaml: No such file"), "{errors}");
    assert_eq!(errors.matches("/nowhere/at-all.yaml").count(), 1, "{errors}");
}

#[tokio::test]
async fn a_check_tells_what_was_understood_and_ends() {
    let text = "model_list:
- model_name: chat
  litellm_params: {model: groq/llama-3, api_key: key-of-a, weight: 2, timeout: 30, wieght: 1}
- model_name: chat
  litellm_params: {model: local, api_base: 'http://gpu/v1', max_parallel_requests: 8, order: 1}
- {model_name: big, litellm_params: {model: groq/llama-70, api_key: key-of-b}}
router_settings:
  routing_strategy: least-busy
  num_retries: 3
  fallbacks: [{chat: [big]}]
  context_window_fallbacks: [{chat: [big]}]
  retry_policy: {RateLimitErrorRetries: 4}
  model_group_alias: {gpt-4: {model: big, hidden: true}}
";
    let output =
        command().arg("--config").arg(file("check", text)).arg("--check").output().await.unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let told = String::from_utf8(output.stdout).unwrap();
    let lines = [
        "  chat",
        "    chat/1: llama-3 of groq, OpenAI's API at https://api.groq.com/openai/v1, with a key",
        "      66.7 % of the group, 30 s for an attempt",
        "      price not known",
        "    chat/2: local, OpenAI's API at http://gpu/v1, without a key",
        "      33.3 % of the group, order 1, at most 8 requests at a time",
        "  strategy: least-busy",
        "  retries: 3, rate_limited 4, quota_exhausted 4",
        "  chat -> big",
        "  chat -> big, when the input is too long",
        "  gpt-4 -> big, not listed",
        "master key: none, everybody may ask",
        "warnings:",
        "  line 3: model_list[0].litellm_params.wieght: unknown key; did you mean `weight`?",
    ];
    for line in lines {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    assert!(!told.contains("key-of"), "{told}");
}

#[tokio::test]
async fn prices_come_from_a_list_where_the_configuration_is_silent() {
    let text = "model_list:
- {model_name: a, litellm_params: {model: groq/listed, api_key: key-of-a}}
- {model_name: b, litellm_params: {model: groq/listed, api_key: key-of-b, input_cost_per_token: 1e-6, output_cost_per_token: 0}}
";
    let prices = r#"{
        "groq/listed": {"input_cost_per_token": 2.5e-6, "output_cost_per_token": 1e-5, "litellm_provider": "groq"},
        "groq/odd": {"input_cost_per_token": "cheap"}
    }"#;
    let check = |prices: PathBuf| {
        let mut command = command();
        command
            .arg("--check")
            .arg("--config")
            .arg(file("priced", text))
            .arg("--prices")
            .arg(prices);
        command
    };
    let listed = file("prices", prices);
    let output = check(listed.clone()).output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for line in [
        "      $2.5000 in, $10.0000 out, for a million tokens",
        "      $1.0000 in, $0 out, for a million tokens",
        &format!(
            "  {}: groq/odd: input_cost_per_token: expected a number of at least 0",
            listed.display()
        ),
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let (code, errors) = failed(&mut check(file("no-prices", "[]"))).await;
    assert_eq!(code, 1);
    assert!(errors.contains("no-prices.yaml cannot be used: "), "{errors}");
    let (code, errors) = failed(&mut check("/nowhere/prices.json".into())).await;
    assert_eq!(code, 1);
    assert!(errors.starts_with("error: cannot read /nowhere/prices.json: No such"), "{errors}");
}

#[tokio::test]
async fn the_greeting_says_whether_a_key_is_needed() {
    for (name, rest, told) in [
        ("keyless", "", "There is no master key: everybody who reaches this address may ask."),
        ("locked", "general_settings: {master_key: sk-1}", "Callers must hold the master key."),
    ] {
        let text = format!("model_list:\n{}{rest}", entry("m", "a", &nowhere(), ""));
        let mut program = command();
        let mut child =
            program.args(["--port", "0", "--config"]).arg(file(name, &text)).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.ends_with(&format!("{told}\n")) {
            let line = line(&mut lines).await;
            assert!(!line.is_empty(), "{greeting}");
            greeting += &line;
        }
        assert!(!greeting.contains("sk-1"), "{greeting}");
    }
}

#[tokio::test]
async fn a_check_that_fails_tells_every_mistake() {
    let text =
        "model_list:\n- {model_name: m, litellm_params: {}}\n- {litellm_params: {model: a/b}}\n";
    let (code, errors) =
        failed(command().arg("--check").arg("--config").arg(file("unchecked", text))).await;
    assert_eq!(code, 1);
    for place in [
        "model_list[0].litellm_params.model: ",
        "model_list[1].model_name: ",
        "[1].litellm_params.api_base: ",
    ] {
        assert!(errors.contains(place), "{place}: {errors}");
    }
    assert_eq!(failed(command().arg("--check")).await.0, 2, "nothing to check");
}

#[tokio::test]
async fn a_port_in_use_is_told_and_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, errors) = failed(command().args(["--port", &port])).await;
    assert_eq!(code, 1);
    let expected = format!("error: cannot listen on 127.0.0.1, port {port}: ");
    assert!(errors.starts_with(&expected), "{errors}");
    assert!(errors.contains("--port chooses another"), "{errors}");
}

#[tokio::test]
async fn a_host_may_be_given_by_name() {
    let (_child, url) = spawned(command().args(["--host", "localhost"])).await;
    assert_eq!(get(format!("{url}/health/liveness")).await.status, 200);
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_told_and_fail() {
    let (code, errors) = failed(command().env("SSL_CERT_FILE", "/nowhere/ca.pem")).await;
    assert_eq!(code, 1);
    assert!(errors.starts_with("error: SSL_CERT_FILE: cannot use /nowhere/ca.pem: "), "{errors}");
}

#[tokio::test]
async fn help_says_which_proxies_and_certificates_count() {
    let output = command().arg("--help").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for part in ["HTTPS_PROXY", "not read", "webpki-roots", "SSL_CERT_FILE"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[tokio::test]
async fn an_unknown_key_is_warned_of_and_no_secret_is_logged() {
    let upstream = Upstream::fixed(500, &[], "no").await;
    let text = format!("model_list:\n{}", entry("m", "a", &upstream.base, ", wieght: 1"));
    let (mut child, url) = spawned(command().arg("--config").arg(file("warned", &text))).await;
    let mut request = ask(&url, "m");
    request.headers_mut().insert("authorization", "Bearer client-secret".parse().unwrap());
    *request.uri_mut() = format!("{}?key=client-secret", request.uri()).parse().unwrap();
    assert_eq!(send(request).await.status, 500);
    child.start_kill().unwrap();
    let errors = rest(child.stderr.take().unwrap()).await;
    assert!(
        errors.starts_with("warning: line 2: model_list[0].litellm_params.wieght: unknown key"),
        "{errors}"
    );
    assert!(errors.contains(" WARN POST /v1/chat/completions m 500 "), "{errors}");
    assert!(errors.contains(" | a 500 "), "{errors}");
    assert!(!errors.contains("secret") && !errors.contains("key-of"), "{errors}");
}

/// Lets every time in a log line be the same, and leaves out when it was written.
fn timeless(line: &str) -> String {
    let words = line.split_whitespace().skip(1).map(|word| match word.strip_suffix("ms") {
        Some(number) if number.parse::<u64>().is_ok() => "0ms",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_log_tells_each_attempt_in_one_line() {
    let streaming = Upstream::start(|_| async {
        let words = r#"{"choices": [{"index": 0, "delta": {"content": "some words"}}]}"#;
        let begun = stream::once(async move { Ok::<_, Infallible>(format!("data: {words}\n\n")) });
        events(Body::from_stream(begun.chain(stream::pending())))
    });
    let usage = r#"{"usage": {"prompt_tokens": 12, "completion_tokens": 5}}"#;
    let json = &[("content-type", "application/json")];
    let priced = Upstream::fixed(200, json, usage).await;
    let costs = ", input_cost_per_token: 1.25e-6, output_cost_per_token: 6e-6";
    let entries = [
        entry("m", "a", &Upstream::fixed(500, &[], "no").await.base, ""),
        entry("other", "b", &nowhere(), ""),
        entry("last", "\"c\\nd\"", &priced.base, costs),
        entry("stream", "d", &streaming.await.base, ""),
    ];
    let rest = "router_settings: {num_retries: 0, fallbacks: [{m: [other, last]}]}";
    let text = format!("model_list:\n{}{rest}", entries.concat());
    let (mut child, url) = spawned(command().arg("--config").arg(file("logged", &text))).await;
    let mut errors = BufReader::new(child.stderr.take().unwrap());

    send(ask(&url, "m")).await;
    let expected = "INFO POST /v1/chat/completions m 200 0ms | \
                    a 500 0ms -> b connect 0ms -> c\\nd 200 0ms | fallback to other, last | 12+5 tokens $0.000045";
    assert_eq!(timeless(&line(&mut errors).await), expected);

    send(ask(&url, "odd\\nname")).await;
    let expected =
        "INFO POST /v1/chat/completions odd\\nname 404 0ms | no group is named \"odd\\nname\"";
    assert_eq!(timeless(&line(&mut errors).await), expected);

    let stream = open(ask_for_a_stream(&url, "stream")).await;
    drop(stream);
    let expected = "INFO POST /v1/chat/completions stream 200 0ms | d cancelled 0ms | about 0+3 tokens | the client left";
    assert_eq!(timeless(&line(&mut errors).await), expected);

    get(format!("{url}/nothing?key=client-secret")).await;
    assert_eq!(timeless(&line(&mut errors).await), "INFO GET /nothing 404");
    get(format!("{url}/v1/embeddings")).await;
    assert_eq!(timeless(&line(&mut errors).await), "INFO GET /v1/embeddings 405");
}

#[tokio::test]
async fn the_log_says_what_the_body_of_an_error_meant() {
    let too_long = r#"{"error": {"message": "no", "code": "context_length_exceeded"}}"#;
    let no_money = r#"{"error": {"message": "no", "code": "insufficient_quota"}}"#;
    let entries = [
        entry("long", "a", &Upstream::fixed(400, &[], too_long).await.base, ""),
        entry("poor", "b", &Upstream::fixed(429, &[], no_money).await.base, ""),
        entry("busy", "c", &Upstream::fixed(429, &[], "no").await.base, ""),
        entry("bad", "d", &Upstream::fixed(400, &[], "no").await.base, ""),
    ];
    let text = format!("model_list:\n{}router_settings: {{num_retries: 0}}", entries.concat());
    let (mut child, url) = spawned(command().arg("--config").arg(file("meant", &text))).await;
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    for (model, told) in [
        ("long", "400 0ms | a 400 context_window 0ms"),
        ("poor", "429 0ms | b 429 quota_exhausted 0ms"),
        ("busy", "429 0ms | c 429 0ms"),
        ("bad", "400 0ms | d 400 0ms"),
    ] {
        send(ask(&url, model)).await;
        let expected = format!("INFO POST /v1/chat/completions {model} {told}");
        assert_eq!(timeless(&line(&mut errors).await), expected);
    }
}

#[tokio::test]
async fn the_log_says_which_limit_refused_and_who_waited() {
    let permits = std::sync::Arc::new(Semaphore::new(0));
    let until_permitted = std::sync::Arc::clone(&permits);
    let slow = Upstream::start(move |_| {
        let permits = std::sync::Arc::clone(&until_permitted);
        async move {
            permits.acquire().await.unwrap().forget();
            response(200, &[], "{}")
        }
    });
    let entries = [
        entry("rated", "a", &Upstream::fixed(200, &[], "{}").await.base, ", rpm: 1"),
        entry("one", "b", &slow.await.base, ", max_parallel_requests: 1"),
    ];
    let settings = "router_settings:
  optional_pre_call_checks: [enforce_model_rate_limits]
  queue: {max_waiting: 9, max_wait: 5}
";
    let text = format!("model_list:\n{}{settings}", entries.concat());
    let mut command = command();
    command
        .env("RUST_LOG", "tower_fleet_gateway=debug")
        .arg("--config")
        .arg(file("limited", &text));
    let (mut child, url) = spawned(&mut command).await;
    send(ask(&url, "rated")).await;
    send(ask(&url, "rated")).await;
    let both = async { tokio::join!(send(ask(&url, "one")), send(ask(&url, "one"))) };
    let permit = async {
        let groups = async || get(format!("{url}/fleet")).await.json()["groups"].clone();
        while groups().await[1]["waiting"] != 1 {}
        permits.add_permits(2);
    };
    timeout(PATIENCE, async { tokio::join!(both, permit) }).await.expect("answers in time");
    child.start_kill().unwrap();
    let errors = rest(child.stderr.take().unwrap()).await;
    for part in [
        "DEBUG picked a of group rated by PerRequest, WeightedShuffle\n  a  0 in flight  can be picked: picked\n",
        " | every deployment of group rated has had all it may have in a time: 1 requests in 60 s, try again in ",
        "ms in the queue\n",
    ] {
        assert!(errors.contains(part), "{part}\n{errors}");
    }
    assert!(!errors.contains("key-of"), "{errors}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_warning() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", upstream.local_addr().unwrap());
    let (break_off, broken_off) = oneshot::channel();
    tokio::spawn(async move {
        let (mut socket, _) = upstream.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            socket.read_buf(&mut request).await.unwrap();
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99";
        let begun = format!("{head}\r\n\r\ndata: {{}}\n\n");
        socket.write_all(begun.as_bytes()).await.unwrap();
        broken_off.await.unwrap();
    });
    let text = format!("model_list:\n{}", entry("m", "a", &base, ""));
    let (mut child, url) = spawned(command().arg("--config").arg(file("broken", &text))).await;
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut body = open(ask_for_a_stream(&url, "m")).await.into_body();
    let chunk = timeout(PATIENCE, body.frame()).await.expect("a chunk in time").unwrap().unwrap();
    assert_eq!(chunk.into_data().unwrap(), "data: {}\n\n");
    break_off.send(()).unwrap();
    let rest = timeout(PATIENCE, body.frame()).await.expect("an end in time").unwrap();
    assert!(rest.is_err(), "{rest:?}");
    let written = timeless(&line(&mut errors).await);
    assert!(written.starts_with("WARN POST /v1/chat/completions m 200 0ms | "), "{written}");
    assert!(written.contains(" | broke off: "), "{written}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_sigterm_lets_running_requests_finish() {
    let (chunks, body) = channel();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let (reached, mut arrivals) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |_| {
        reached.send(()).unwrap();
        let body = body.lock().unwrap().take().unwrap();
        async move { axum::response::Response::new(body) }
    })
    .await;
    let text = format!("model_list:\n{}", entry("m", "a", &upstream.base, ""));
    let (mut child, url) = spawned(command().arg("--config").arg(file("drained", &text))).await;
    let running = tokio::spawn(send(ask(&url, "m")));
    timeout(PATIENCE, arrivals.recv()).await.expect("a request in time").unwrap();

    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    assert!(line(&mut errors).await.contains("stopping: running requests have 30s"));
    let address = url.trim_start_matches("http://");
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(PATIENCE, closed).await.expect("a closed door in time");

    chunks.send(r#"{"the": "whole answer"}"#).unwrap();
    drop(chunks);
    assert_eq!(running.await.unwrap().body, r#"{"the": "whole answer"}"#);
    assert_eq!(code(&mut child).await, 0);
    assert!(rest(errors).await.contains("stopped: every request was answered"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let text = format!("model_list:\n{}", entry("m", "a", &upstream.base, ""));
    let (mut child, url) = spawned(command().arg("--config").arg(file("cut", &text))).await;
    let running = tokio::spawn(support::open(ask(&url, "m")));
    let asked = async {
        while upstream.got().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asked).await.expect("a request in time");

    let pid = child.id().unwrap().to_string();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        line(&mut errors).await;
    }
    assert_eq!(code(&mut child).await, 1);
    let errors = rest(errors).await;
    let written = timeless(errors.lines().last().unwrap());
    let expected = "WARN POST /v1/chat/completions m 0ms | a cancelled 0ms | cut off at shutdown";
    assert_eq!(written, expected, "{errors}");
    running.abort();
}
