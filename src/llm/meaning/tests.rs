use std::{fs, path::Path};

use http::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;
use crate::outcome::{Classify, Cools, HttpClassify, Outcome};

#[derive(Deserialize)]
struct Golden {
    status: u16,
    kind: String,
    /// What it does to the health of a deployment with a model of its own; none where the kind alone says it.
    cools: Option<String>,
    body: Box<RawValue>,
}

fn golden() -> Vec<(String, Golden)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/errors");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let golden = serde_json::from_slice(&fs::read(&path).unwrap());
        (name.clone(), golden.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    files.map(read).collect()
}

fn by_status(status: StatusCode) -> FailureKind {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    HttpClassify::inference().head(&head).and_then(Outcome::failure).unwrap().kind()
}

#[test]
fn every_providers_error_has_the_kind_that_it_means() {
    let golden = golden();
    assert!(golden.len() > 100);
    for (name, Golden { status, kind, cools, body }) in golden {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.get().as_bytes();
        let failure = if status.is_success() {
            failure_within(body, &HttpClassify::inference(), Model::Fixed)
        } else {
            let plain = Failure::new(by_status(status));
            refined(plain, status, body, Model::Fixed).unwrap_or(plain)
        };
        assert_eq!(failure.kind().as_str(), kind, "{name}");
        assert!(name.split('.').nth(1).unwrap().starts_with(&*kind), "{name}");
        let by_kind = match Failure::new(failure.kind()).cools() {
            Cools::AtOnce => "at_once",
            Cools::Counts => "counts",
            Cools::Never => "never",
        };
        let expected = match cools.as_deref().unwrap_or(by_kind) {
            "at_once" => Cools::AtOnce,
            "counts" => Cools::Counts,
            _ => Cools::Never,
        };
        assert_eq!(failure.cools(), expected, "{name}");
    }
}

fn refine(status: Option<StatusCode>, body: &[u8]) -> Option<FailureKind> {
    ErrorBody::parse(body)?.kind(status)
}

/// Everything of the rules that a caller could write, as one text.
fn every_word() -> String {
    let codes = CODES.iter().flat_map(|(_, codes)| codes.iter().copied());
    let beginnings = MESSAGES.iter().flat_map(|(_, _, beginning, then)| [*beginning, *then]);
    codes.chain(beginnings).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_message_quotes_decides_nothing() {
    let words = every_word();
    for status in [400, 401, 403, 404, 413, 422, 429, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        for message in [
            format!("Invalid value: '{words}'"),
            format!("Invalid JSON: {{\"error\": {{\"code\": \"invalid_api_key\"}}}} {words}"),
        ] {
            for body in [
                serde_json::json!({"error": {"message": message, "type": "other", "param": words}}),
                serde_json::json!({"type": "error", "error": {"message": message, "type": "invalid_request_error"}}),
                serde_json::json!({"error": message}),
                serde_json::json!({"error": message, "code": "Client specified an invalid argument"}),
                serde_json::json!({"detail": [{"msg": message, "input": words, "reason": "API_KEY_INVALID"}]}),
                serde_json::json!({"error": {"details": [{"reason": "API_KEY_INVALID"}], "metadata": {"raw": words}}}),
            ] {
                assert_eq!(refine(Some(status), body.to_string().as_bytes()), None, "{body}");
            }
        }
    }
}

#[test]
fn no_message_sets_a_deployment_aside_under_a_status_that_would_not() {
    let cools = |kind| Failure::new(kind).cools() != Cools::Never;
    for (kind, _, beginning, then) in MESSAGES {
        let message = format!("{beginning} 1 {then}");
        let body = serde_json::json!({"error": {"message": message}}).to_string();
        for status in (400..600).map(|status| StatusCode::from_u16(status).unwrap()) {
            let found = refine(Some(status), body.as_bytes());
            if cools(*kind) && found.is_some() {
                assert!(cools(by_status(status)), "{message} under {status}");
            }
        }
        let within = refine(None, body.as_bytes());
        assert!(within.is_none_or(|kind| !cools(kind)), "{message} within a success");
    }
}

#[test]
fn what_is_no_error_body_says_nothing() {
    let status = Some(StatusCode::BAD_REQUEST);
    for body in [
        "",
        "invalid_api_key",
        "<html>invalid_api_key</html>",
        "\"invalid_api_key\"",
        "[]",
        "[1]",
        "{}",
        "{\"error\": null}",
        "{\"error\": [\"invalid_api_key\"]}",
        "{\"error\": {\"code\": [\"invalid_api_key\"]}}",
        "{\"error\": {\"code\": \"invalid_api_key\"",
        "{\"code\": 429",
    ] {
        assert_eq!(refine(status, body.as_bytes()), None, "{body}");
    }
}

#[test]
fn an_error_in_an_event_is_read_as_one_without() {
    for body in [
        "data: {\"error\": {\"code\": \"context_length_exceeded\"}}\n\n",
        "event: error\r\ndata: {\"error\":\r\ndata: {\"code\": \"context_length_exceeded\"}}",
        ": busy\r\rdata:{\"code\": \"context_length_exceeded\"}\r\rdata: [DONE]\r\r",
    ] {
        let kind = refine(Some(StatusCode::BAD_REQUEST), body.as_bytes());
        assert_eq!(kind, Some(ContextWindow), "{body}");
    }
}

#[test]
fn a_key_is_only_called_unknown_in_the_envelope_of_the_one_that_says_so_under_a_400() {
    let text = "Incorrect API key provided: xa***.";
    for body in [
        serde_json::json!({"error": text}),
        serde_json::json!({"error": {"message": text}}),
        serde_json::json!({"error": text, "code": "invalid"}),
    ] {
        let body = body.to_string();
        assert_eq!(refine(Some(StatusCode::BAD_REQUEST), body.as_bytes()), None, "{body}");
    }
}

#[test]
fn every_rule_stands_in_the_docs() {
    let docs = include_str!("../verify/service.rs");
    for code in CODES.iter().flat_map(|(_, codes)| *codes) {
        assert!(docs.contains(&format!("`{code}`")), "{code}");
    }
    for code in blame::MODEL_CODES.iter().chain(blame::KEY_CODES) {
        assert!(docs.contains(&format!("`{code}`")), "{code}");
    }
    let of_models = blame::MODEL_MESSAGES.iter().flat_map(|(beginning, then)| [beginning, then]);
    for text in of_models.chain(blame::KEY_MESSAGES) {
        assert!(docs.contains(text.trim()), "{text}");
    }
    for text in MESSAGES.iter().flat_map(|(_, _, beginning, then)| [beginning, then]) {
        assert!(docs.contains(text.trim()), "{text}");
    }
}
