//! Four deployments that need neither key nor network, to see the gateway at work.
//!
//! Each is a server of its own on a loopback port; the gateway knows them by a configuration file's text, as it would
//! know real ones.

mod answer;
mod manner;

use std::{fmt::Write as _, sync::Arc};

use axum::{Router, extract::State, response::Response, routing::post};
use http::{StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tower_fleet::{BoxError, config::Config};

use self::{
    answer::Answer,
    manner::{MANNERS, Manner, Trouble},
};

/// Starts the deployments; they run as long as the runtime does.
///
/// # Errors
///
/// No free port.
pub async fn start() -> Result<Config, BoxError> {
    let mut yaml = String::from("model_list:\n");
    for manner in MANNERS {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let Manner { group, id, .. } = manner;
        writeln!(
            yaml,
            "  - model_name: {group}\n    \
                 litellm_params: {{model: openai/{id}-1, api_base: \"http://{}/v1\"}}\n    \
                 model_info: {{id: {id}}}",
            listener.local_addr()?,
        )?;
        tokio::spawn(axum::serve(listener, router(manner)).into_future());
    }
    yaml.push_str("router_settings:\n  fallbacks: [{capped: [chat]}]\n");
    Ok(Config::from_yaml_with(&yaml, |_| None)?)
}

/// How the simulated deployment of this id behaves, in words.
pub(crate) fn manner(id: &str) -> Option<&'static str> {
    MANNERS.iter().find(|manner| manner.id == id).map(|manner| manner.words)
}

struct Simulated {
    manner: &'static Manner,
    trouble: Trouble,
}

fn router(manner: &'static Manner) -> Router {
    let state = Arc::new(Simulated { manner, trouble: Trouble::of(manner) });
    Router::new()
        .route("/v1/chat/completions", post(respond))
        .route("/v1/completions", post(respond))
        .route("/v1/embeddings", post(respond))
        .with_state(state)
}

async fn respond(State(simulated): State<Arc<Simulated>>, uri: Uri, body: String) -> Response {
    let Simulated { manner, trouble } = &*simulated;
    if let Some(trouble) = trouble.strikes() {
        return trouble;
    }
    tokio::time::sleep(manner.delay).await;
    let Ok(request) = serde_json::from_str::<Value>(&body) else {
        return answer::error(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let answer = Answer { from: manner.id, pace: manner.delay, request };
    match uri.path() {
        "/v1/embeddings" => answer.embeddings(),
        "/v1/completions" => answer.completion(),
        _ if answer.is_stream() => answer.stream(),
        _ => answer.chat(),
    }
}
