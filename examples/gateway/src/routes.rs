//! Which path leads where.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use http::Uri;
use serde_json::{Value, json};
use tower_fleet::GroupName;

use crate::{errors::ApiError, forward::forward, gateway::Gateway, headers, log, state};

/// The endpoints that are forwarded, as they stand under a deployment's base URL.
const FORWARDED: [&str; 6] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/responses",
    "/messages",
    "/messages/count_tokens",
];

/// Those among them that clients of Azure ask for below a deployment's name.
const AZURE: [&str; 3] = ["/chat/completions", "/completions", "/embeddings"];

/// Open to everybody: whoever restarts servers has no key, and learns nothing but that this one lives.
const HEALTH: [&str; 3] = ["/health/liveliness", "/health/liveness", "/health/readiness"];

pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    let [liveliness, liveness, readiness] = HEALTH;
    let mut router = Router::new()
        .route("/fleet", get(fleet))
        .route(liveliness, get(alive))
        .route(liveness, get(alive))
        .route(readiness, get(ready));
    router = with_and_without_version(router, "/models", get(models));
    router = with_and_without_version(router, "/models/{*name}", get(model));
    for endpoint in FORWARDED {
        let to = Uri::from_static(endpoint);
        let handler = post(move |State(gateway): State<Arc<Gateway>>, request: Request| {
            forward_readable(gateway, to, None, request)
        });
        router = with_and_without_version(router, endpoint, handler);
    }
    for endpoint in AZURE {
        let to = Uri::from_static(endpoint);
        let handler = post(
            move |State(gateway): State<Arc<Gateway>>,
                  Path(model): Path<String>,
                  request: Request| {
                forward_readable(gateway, to, Some(model.into()), request)
            },
        );
        router = router.route(&format!("/openai/deployments/{{model}}{endpoint}"), handler);
    }
    let router = router
        .fallback(|request: Request| async move {
            turn_away(&request, &ApiError::no_route(request.uri().path()))
        })
        .method_not_allowed_fallback(|request: Request| async move {
            let error = ApiError::wrong_method(request.method(), request.uri().path());
            turn_away(&request, &error)
        });
    let router = if gateway.key.is_some() {
        router.layer(middleware::from_fn_with_state(Arc::clone(&gateway), guard))
    } else {
        router
    };
    router.with_state(gateway)
}

/// Lets pass who holds the key.
async fn guard(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let holds = gateway.key.as_ref().is_none_or(|key| key.is_in(request.headers()));
    if holds || HEALTH.contains(&request.uri().path()) {
        next.run(request).await
    } else {
        turn_away(&request, &ApiError::unauthorized())
    }
}

/// The base URL of an `OpenAI` client ends in `/v1` by habit, but not always.
fn with_and_without_version(
    router: Router<Arc<Gateway>>,
    path: &str,
    handler: MethodRouter<Arc<Gateway>>,
) -> Router<Arc<Gateway>> {
    router.route(path, handler.clone()).route(&format!("/v1{path}"), handler)
}

/// Forwards what can be read. The model's name stands in the body, so an encoded one has nowhere to go.
async fn forward_readable(
    gateway: Arc<Gateway>,
    endpoint: Uri,
    group: Option<GroupName>,
    request: Request,
) -> Response {
    match headers::encoding(request.headers()) {
        Some(encoding) => turn_away(&request, &ApiError::encoded(encoding)),
        None => forward(gateway, endpoint, group, request).await,
    }
}

fn turn_away(request: &Request, error: &ApiError) -> Response {
    let path = request.uri().path();
    log::turned_away(request.method(), path, error.status());
    error.answer_to(path)
}

async fn fleet(State(gateway): State<Arc<Gateway>>) -> Response {
    Json(state::fleet(&gateway)).into_response()
}

async fn models(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let models: Vec<_> = gateway.models.iter().map(|name| described(&gateway, name)).collect();
    Json(json!({"object": "list", "data": models}))
}

/// Names may have slashes in them.
async fn model(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    if gateway.models.contains(&name) {
        Json(described(&gateway, &name)).into_response()
    } else {
        turn_away(&request, &ApiError::no_model(&name))
    }
}

fn described(gateway: &Gateway, name: &str) -> Value {
    let since = gateway.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    json!({"id": name, "object": "model", "created": since.as_secs(), "owned_by": "tower-fleet"})
}

async fn alive() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

/// Ready as long as it serves, whatever its deployments do: taken out of rotation while they cool, nothing would be left
/// to tell callers when to come back.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let available = state::available(&gateway.deployments);
    Json(json!({
        "status": "ready",
        "deployments": gateway.deployments.len(),
        "available": available,
    }))
}
