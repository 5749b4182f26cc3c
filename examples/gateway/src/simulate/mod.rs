//! Deployments that need neither key nor network, to see the gateway at work.
//!
//! Each is a server of its own on a loopback port; the gateway knows them by a configuration file's text, as it would
//! know real ones.

mod answer;
mod anthropic;
mod manner;
mod openai;
mod responses;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{MethodRouter, post},
};
use http::StatusCode;
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
        let Manner { group, id, price: (input, output), .. } = manner;
        let address = listener.local_addr()?;
        let provider = if manner.is_anthropic() { "anthropic" } else { "openai" };
        let endpoints = manner.endpoints().iter().map(|(path, _)| *path).collect::<Vec<_>>();
        let [input, output, cached] = [*input, *output, *input / 10.0].map(|price| price / 1e6);
        writeln!(
            yaml,
            "  - model_name: {group}\n    \
                 litellm_params:\n      \
                   <<: {}\n      \
                   model: {provider}/{id}-1\n      \
                   api_base: http://{address}/v1\n      \
                   input_cost_per_token: {input}\n      \
                   output_cost_per_token: {output}\n      \
                   cache_read_input_token_cost: {cached}\n    \
                 model_info:\n      \
                   id: {id}\n      \
                   supported_endpoints: [{}]\n      \
                   enforce_supported_endpoints: true",
            manner.params(),
            endpoints.join(", "),
        )?;
        tokio::spawn(axum::serve(listener, router(manner)).into_future());
    }
    yaml.push_str(
        "router_settings:\n  \
           optional_pre_call_checks: [enforce_model_rate_limits]\n  \
           fallbacks: [{capped: [chat]}]\n  \
           context_window_fallbacks: [{brief: [chat]}]\n",
    );
    Ok(Config::from_yaml_with(&yaml, |_| None)?)
}

/// How the simulated deployment of this id behaves, in words.
pub(crate) fn manner(id: &str) -> Option<&'static str> {
    MANNERS.iter().find(|manner| manner.id == id).map(|manner| manner.words)
}

struct Simulated {
    manner: &'static Manner,
    trouble: Trouble,
    answers: AtomicU32,
}

type Respond = fn(&Answer) -> Response;

/// One in so many answers has half of its input from a cache.
const CACHED_EVERY: u32 = 4;

fn router(manner: &'static Manner) -> Router {
    let state =
        Arc::new(Simulated { manner, trouble: Trouble::of(manner), answers: AtomicU32::new(0) });
    let endpoints = manner.endpoints().iter();
    let mut router = endpoints
        .fold(Router::new(), |router, (path, answer)| router.route(path, answering(*answer)));
    if manner.is_anthropic() {
        router = router.route("/v1/messages/count_tokens", answering(anthropic::count_tokens));
    }
    router.with_state(state)
}

impl Manner {
    fn endpoints(&self) -> &'static [(&'static str, Respond)] {
        if self.is_anthropic() {
            &[("/v1/messages", anthropic::message), ("/v1/chat/completions", openai::chat)]
        } else {
            &[
                ("/v1/chat/completions", openai::chat),
                ("/v1/completions", openai::completion),
                ("/v1/embeddings", openai::embeddings),
                ("/v1/responses", responses::respond),
            ]
        }
    }
}

fn answering(answer: Respond) -> MethodRouter<Arc<Simulated>> {
    post(move |State(simulated): State<Arc<Simulated>>, body: String| async move {
        let Simulated { manner, trouble, answers } = &*simulated;
        let Ok(request) = serde_json::from_str::<Value>(&body) else {
            return if manner.is_anthropic() {
                anthropic::error(StatusCode::BAD_REQUEST, "the body is not JSON")
            } else {
                answer::error(StatusCode::BAD_REQUEST, "the body is not JSON", None)
            };
        };
        if let Some(trouble) = trouble.strikes(&request) {
            return trouble;
        }
        let cached = answers.fetch_add(1, Ordering::Relaxed) % CACHED_EVERY == CACHED_EVERY - 1;
        tokio::time::sleep(manner.delay).await;
        answer(&Answer { from: manner.id, pace: manner.delay, cached, request })
    })
}
